"""How many calls of a client are in the library at once.

No locks: a signal handler may come between any two instructions, make a call itself, or raise. A deque's pop and append are atomic, and a token that
is lost to an exception comes back by itself.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import Callable, Deque, Optional, Set, TypeVar

T = TypeVar("T")

_MOMENT = 0.01
"""Seconds that a callback may take before its call's place is lent, and between two looks of whoever waits for one."""


class _Token:
    """The right to a place."""

    def __init__(self, gate: Gate) -> None:
        self._gate = weakref.ref(gate)
        self._process = os.getpid()

    def is_of_this_process(self) -> bool:
        return self._process == os.getpid()

    def __del__(self) -> None:
        gate = self._gate()
        if gate is not None and self.is_of_this_process():
            gate.free.append(_Token(gate))


class Place:
    """That of one call. While one of its callbacks takes longer than a moment its place is another call's: the callback may be waiting for that
    call, as a reader does that a download feeds."""

    def __init__(self) -> None:
        self.held: Deque[_Token] = deque()
        self.called_back_at: Optional[float] = None

    def let_go(self) -> Optional[_Token]:
        try:
            return self.held.pop()
        except IndexError:
            return None

    def lend(self) -> Optional[_Token]:
        since = self.called_back_at
        return self.let_go() if since is not None and time.monotonic() - since > _MOMENT else None


class Gate:
    """The places of a client."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._handed = threading.local()
        self.wake: Optional[Callable[[], None]] = None
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        # Of no WeakSet, which may change under a loop over it. Those that are lost to an exception go by themselves.
        self._taken: Set[weakref.ref[Place]] = set()
        self.free = deque(_Token(self) for _ in range(self._limit))

    def take(self) -> Optional[Place]:
        """A place, or None: try again in a moment."""
        handed: Optional[Place] = getattr(self._handed, "place", None)
        if handed is not None:
            self._handed.place = None
            return handed
        if self._process != os.getpid():
            self._reset()  # those that the parent's other threads hold don't come back in a forked child
        place = Place()
        try:
            place.held.append(self.free.pop())
        except IndexError:
            others = filter(None, (other() for other in list(self._taken)))
            lent = next(filter(None, (other.lend() for other in others)), None)
            if lent is None:
                return None
            place.held.append(lent)
        self._taken.add(weakref.ref(place, self._taken.discard))
        return place

    def give_back(self, place: Place) -> None:
        """Ends the use of a place, which may have been lent."""
        self._taken.discard(weakref.ref(place))
        token = place.let_go()
        if token is not None and token.is_of_this_process():
            self.free.append(token)
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()

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
