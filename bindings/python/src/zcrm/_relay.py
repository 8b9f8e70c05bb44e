"""Calls that run on another thread than their caller's, while their callbacks run on the caller's.

Python runs signal handlers on the main thread, between two of its instructions: while that thread is in the library, Ctrl-C does nothing. So
the main thread lets another one make its calls, and waits in Python, where a handler runs and may raise. A batch runs so, too, and
waits while its caller looks at an outcome.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from queue import Empty, SimpleQueue
from typing import Callable, Optional

FAILED = 1
_LOOK = 0.1
"""Seconds after which a waiting thread looks for a signal that hasn't woken it: one of Windows, or of _thread.interrupt_main()."""


class Relay:
    """One call. The queues only wake: what is to be done stands in the attributes, so that an exception that comes between two instructions
    can't take it away."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._answers: SimpleQueue[int] = SimpleQueue()
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
            self._bell.put(None)

    def ask(self, work: Callable[[], int]) -> int:
        """On the other thread: lets the caller do a callback's work."""
        self._asked = work
        self._bell.put(None)
        if self.over:
            return FAILED
        answer = self._answers.get()
        self._asked = None
        return answer

    def serve(self, begin: Callable[[], object], until: Callable[[], bool], end: Callable[[], None]) -> None:
        """On the caller's thread: does what is asked, until the call is done or `until` says enough. What a signal handler raises meanwhile lets
        `end` end the call, and goes on when it has ended."""
        try:
            begin()
            while not self.done and not until():
                try:
                    self._bell.get(timeout=_LOOK)
                except Empty:
                    continue
                work = self._asked
                if work is not None and not self.done:
                    self._answers.put(work())
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
        self._answers.put(FAILED)

    def _drain(self) -> None:
        # Whatever is raised meanwhile. When the interpreter ends, the other thread stands still for good.
        while not self.done and not sys.is_finalizing():
            try:
                self.refuse()
                self._bell.get(timeout=0.01)
            except Empty:
                pass
            except BaseException:  # noqa: BLE001, S110 - a second Ctrl-C: the first is on its way to the caller
                pass


class Helper:
    """The thread that makes the main thread's calls."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._jobs: SimpleQueue[Relay] = SimpleQueue()
        self._busy = False
        _thread.start_new_thread(self._work, ())

    def _work(self) -> None:
        while True:
            self._jobs.get().run()

    def run(self, relay: Relay, end: Callable[[], None]) -> None:
        """Runs a relay's call for this thread; see Relay.serve."""
        was_busy, self._busy = self._busy, True
        # Busy: a signal handler makes a call in the middle of another one.
        begin = relay.start if was_busy else lambda: self._jobs.put(relay)
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
