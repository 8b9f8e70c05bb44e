"""How many calls of a client are in the library at once."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Callable, Deque, Optional, Set, TypeVar

T = TypeVar("T")

_MOMENT = 0.01
"""Seconds that a callback may take before its call's place is lent, and between two looks of whoever waits for one."""


class Place:
    """That of one call. While one of its callbacks takes longer than a moment its place is another call's: the callback may be waiting for that
    call, as a reader does that a download feeds."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held: Deque[None] = deque([None])
        self.called_back_at: Optional[float] = None

    def let_go(self) -> bool:
        """Whether it was held until now. (A deque's pop is atomic, and unlike a lock it may be met again by a signal handler.)"""
        try:
            self._held.pop()
        except IndexError:
            return False
        return True

    def lend(self) -> bool:
        since = self.called_back_at
        return since is not None and time.monotonic() - since > _MOMENT and self.let_go()


class Gate:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._handed = threading.local()
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._free: Deque[None] = deque([None] * self._limit)
        self._taken: Set[Place] = set()

    def take(self) -> Optional[Place]:
        """A place, or None: try again in a moment."""
        handed: Optional[Place] = getattr(self._handed, "place", None)
        if handed is not None:
            self._handed.place = None
            return handed
        if self._process != os.getpid():
            self._reset()  # those that the parent's other threads hold don't come back in a forked child
        try:
            self._free.pop()
        except IndexError:
            if not any(place.lend() for place in list(self._taken)):
                return None
        place = Place(self)
        self._taken.add(place)
        return place

    def give_back(self, place: Place) -> None:
        self._taken.discard(place)
        if place.let_go() and self._process == os.getpid():
            self._free.append(None)

    def with_place(self, place: Optional[Place], work: Callable[[], T]) -> T:
        """Lets a call of `work` have a place that was taken for it on another thread."""
        self._handed.place = place
        try:
            return work()
        finally:
            left, self._handed.place = self._handed.place, None
            if left is not None:
                self.give_back(left)

    moment = _MOMENT
