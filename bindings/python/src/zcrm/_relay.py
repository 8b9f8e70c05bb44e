"""Calls that run on another thread than their caller's, while their callbacks run on the caller's.

Python runs signal handlers on the main thread, between two of its instructions: while that thread is in the library, Ctrl-C does nothing. So
the main thread lets another one make its calls, and waits in Python, where a handler runs and may raise. A batch runs so, too, and
waits while its caller looks at an outcome.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import threading
from collections import deque
from typing import Callable, Deque, Optional

FAILED = 1
_LOOK = 0.1
"""Seconds after which a waiting thread looks for a signal that hasn't woken it: one of Windows, or of _thread.interrupt_main()."""


class Bell:
    """Wakes the one who waits, or the next one. A lock alone, which a signal handler that raises can't break in the middle: the queues of PyPy are
    Python code, and such a handler leaves their locks taken for ever."""

    def __init__(self) -> None:
        self._silent = _thread.allocate_lock()
        self._silent.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silent.release()

    def heard(self, timeout: float = -1) -> bool:
        """Waits, for so many seconds at most."""
        return self._silent.acquire(True, timeout)


class Relay:
    """One call. The bells only wake: what is to be done stands in the attributes, so that an exception that comes between two instructions
    can't take it away."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._bell, self._answered = Bell(), Bell()
        self._answer = FAILED
        self._asked: Optional[Callable[[], int]] = None
        self._begun = False
        self.over = False
        self.done = False

    def start(self) -> None:
        """Runs it on a thread of its own. (Thread.start() breaks when a signal handler raises in the middle of it.)"""
        _thread.start_new_thread(self.run, ())

    def run(self) -> None:
        """On the other thread."""
        if self._begun:
            return
        self._begun = True
        try:
            if not self.over:
                self._run()
        finally:
            self.done = True
            self._bell.ring()

    def ask(self, work: Callable[[], int]) -> int:
        """On the other thread: lets the caller do a callback's work."""
        self._asked = work
        self._bell.ring()
        if self.over:
            return FAILED
        self._answered.heard()
        self._asked = None
        return FAILED if self.over else self._answer

    def serve(self, begin: Callable[[], object], until: Callable[[], bool], end: Callable[[], None]) -> None:
        """On the caller's thread: does what is asked, until the call is done or `until` says enough. What a signal handler raises meanwhile lets
        `end` end the call, and goes on when it has ended."""
        try:
            begin()
            while not self.done and not until():
                if not self._bell.heard(_LOOK):
                    continue
                work = self._asked
                if work is not None and not self.done:
                    self._answer = work()
                    self._answered.ring()
        except BaseException:
            self.end(end)
            raise

    def end(self, end: Callable[[], None]) -> None:
        """On the caller's thread: returns when the call has ended, which `end` makes soon."""
        self.over = True
        end()
        self.run()  # which does nothing, but if it was never begun
        self._drain()

    def refuse(self) -> None:
        """Whatever is asked is refused from now on."""
        self.over = True
        self._answered.ring()

    def _drain(self) -> None:
        # Whatever is raised meanwhile. When the interpreter ends, the other thread stands still for good.
        while not self.done and not sys.is_finalizing():
            try:
                self.refuse()
                self._bell.heard(0.01)
            except BaseException:  # noqa: BLE001, S110 - a second Ctrl-C: the first is on its way to the caller
                pass


class Helper:
    """The thread that makes the main thread's calls."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._jobs: Deque[Relay] = deque()
        self._bell = Bell()
        self._busy = False
        _thread.start_new_thread(self._work, ())

    def _work(self) -> None:
        while True:
            self._bell.heard()
            while self._jobs:
                self._jobs.popleft().run()

    def _put(self, relay: Relay) -> None:
        self._jobs.append(relay)
        self._bell.ring()

    def run(self, relay: Relay, end: Callable[[], None]) -> None:
        """Runs a relay's call for this thread; see Relay.serve."""
        was_busy, self._busy = self._busy, True
        # Busy: a signal handler makes a call in the middle of another one.
        begin = relay.start if was_busy else lambda: self._put(relay)
        try:
            relay.serve(begin, lambda: False, end)
        finally:
            self._busy = was_busy


_helper: Optional[Helper] = None


def wanted() -> bool:
    """Whether this thread's calls are to run on another one."""
    return threading.get_ident() == threading.main_thread().ident


def helper() -> Optional[Helper]:
    """The helper of this process; None when the interpreter ends: no thread can be had then, or one that is there never runs again."""
    global _helper
    if sys.is_finalizing():
        return None
    if _helper is None or _helper.process != os.getpid():
        try:
            _helper = Helper()
        except RuntimeError:
            return None
    return _helper
