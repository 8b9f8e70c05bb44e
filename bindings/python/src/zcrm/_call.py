"""One call of the library: what ends it, what it calls back, and what that raised. Nothing else calls C but to make and free handles."""

from __future__ import annotations

import atexit
import ctypes
import itertools
import json
import math
import os
import threading
import time
from ctypes import byref, c_void_p, sizeof
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Set, Union

from . import _abi, _failure, _hooks, _relay
from ._error import Error
from ._gate import Gate, Place
from ._library import lib
from ._statuses import ArgumentError, CallbackError, CancelledError, StateError, TimeoutError

FAILED = _relay.FAILED


class Fires(Protocol):
    """What can be fired."""

    def fire(self) -> None: ...


class Cancel:
    """Ends the calls that it was given to, each within a tenth of a second, whatever the network does: they raise CancelledError.

    fire() may be called from any thread and from a signal handler, and more than once. It stays fired: a call that gets a fired one sends nothing.
    """

    def __init__(self) -> None:
        self._fired = False
        self._running: Set[Fires] = set()

    def __reduce__(self) -> Any:
        raise TypeError("a zcrm.Cancel can't be pickled: another process has none of the calls that it ends")

    @property
    def fired(self) -> bool:
        """Whether fire() was called."""
        return self._fired

    def fire(self) -> None:
        """Ends the calls."""
        self._fired = True
        for running in list(self._running):  # no lock: a signal handler may come in the middle
            running.fire()

    def _also(self, other: Fires) -> Callable[[], None]:
        """Fires the other one too, until what this gives is called."""
        self._running.add(other)
        if self._fired:
            other.fire()
        return lambda: self._running.discard(other)


class Bar(Protocol):
    """What is needed of a progress bar of tqdm."""

    n: Any
    total: Any

    def update(self, n: float = ...) -> Any: ...


Progress = Union[Callable[[int, Optional[int]], Any], Bar]


def _told(progress: Optional[Progress]) -> Optional[Callable[[int, Optional[int]], Any]]:
    if progress is None or callable(progress):
        return progress
    bar = progress

    def update(done: int, total: Optional[int]) -> None:
        bar.total = total
        bar.update(done - bar.n)  # which is negative when an attempt is repeated

    return update


def text(field: str, value: Optional[str]) -> _abi.zcrm_str:
    """A text as the library takes it; None is none."""
    if value is None:
        return _abi.zcrm_str()
    if not isinstance(value, str):
        raise TypeError(f"{field} must be a str, not {type(value).__name__}: {value!r}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise _failure.own(ArgumentError, "argument", f"{field}: {value!r} is not text, and can't be written as UTF-8", field) from None
    return _abi.zcrm_str(encoded, len(encoded))


def number(field: str, value: int, least: int) -> int:
    """A whole number as the library takes it, where one that is too large would become another."""
    if not least <= value < 2**63:
        problem = f"less than {least}" if value < least else "too large"
        raise _failure.own(ArgumentError, "argument", f"{field}: {value} is {problem}; leave it out for none", field)
    return value


class Options:
    """What applies to one call only, as zcrm_call holds it."""

    def __init__(self, timeout: Optional[float] = None, cancel: Optional[Cancel] = None, trace_id: Optional[str] = None, *,
                 progress: Optional[Progress] = None, sha256: bool = False, expected_sha256: Optional[str] = None,
                 expected_size: Optional[int] = None, restrict_triggers: Optional[str] = None, if_exists: Optional[str] = None,
                 again: bool = False) -> None:
        self.deadline = _deadline(timeout)
        self.cancel = cancel
        self.progress = _told(progress)
        if if_exists not in _IF_EXISTS:
            raise _failure.own(ArgumentError, "argument", f'if_exists: {if_exists!r} is none of None, "skip" and "skip_same_bytes"', "if_exists")
        flags = _IF_EXISTS[if_exists] | (_abi.CALL_SHA256 if sha256 else 0) | (_abi.CALL_AGAIN if again else 0)
        if expected_size is not None:
            flags |= _abi.CALL_EXPECT_BYTES
        if expected_sha256 == "":
            raise _failure.own(ArgumentError, "argument", "expected_sha256: is empty; None asks for no comparison", "expected_sha256")
        self.call = _abi.zcrm_call(
            struct_size=sizeof(_abi.zcrm_call), trace_id=text("trace_id", trace_id), expected_sha256=text("expected_sha256", expected_sha256),
            expected_bytes=0 if expected_size is None else number("expected_size", expected_size, 0),
            restrict_triggers=text("restrict_triggers", restrict_triggers), flags=flags,
        )


_IF_EXISTS = {None: 0, "skip": _abi.CALL_SKIP_EXISTING, "skip_same_bytes": _abi.CALL_SKIP_SAME_BYTES}


def _deadline(timeout: Optional[float]) -> Optional[float]:
    if timeout is None or timeout == math.inf:
        return None
    if math.isnan(timeout):
        raise _failure.own(ArgumentError, "argument", "timeout: is not a number", "timeout")
    return time.monotonic() + min(timeout, _EVER)


_EVER = 2**32
"""Seconds: what is longer is as long, and may be more than C can hold."""


class Call:
    """A call under way. Its callbacks find it by its number."""

    def __init__(self, reader: Optional[Callable[[int], bytes]] = None, rewind: Optional[Callable[[], None]] = None,
                 writer: Optional[Callable[[bytes], None]] = None, progress: Optional[Callable[[int, Optional[int]], Any]] = None) -> None:
        self.reader, self.rewind, self.writer, self.progress = reader, rewind, writer, progress
        self.number = next(_numbers)
        self.raised: Optional[BaseException] = None
        self.gate: Optional[Gate] = None
        self.place: Optional[Place] = None
        self.relay: Optional[_relay.Relay] = None
        self.token = c_void_p()
        self.let_go: Callable[[], None] = lambda: None
        self.over = False

    def fire(self) -> None:
        lib.zcrm_cancel_fire(self.token)

    def back(self, work: Callable[[], None]) -> int:
        """A callback's work, on the thread of the caller. An exception ends the call, and waits to be raised when that has returned."""
        if self.over:
            return FAILED
        place = self.place
        if place is not None:
            place.called_back_at = time.monotonic()
        try:
            return self._guard(work) if self.relay is None else self.relay.ask(lambda: self._guard(work))
        finally:
            if place is not None:
                place.called_back_at = None

    def _guard(self, work: Callable[[], None]) -> int:
        """Lets no exception pass, as C can't, and no operation begin."""
        outer = getattr(_inside, "callback", False)
        _inside.callback = True
        try:
            work()
            return 0
        except BaseException as raised:  # noqa: BLE001 - it goes on in run(), as C can't pass it
            self.over = True
            self.raised = raised
            return FAILED
        finally:
            _inside.callback = outer

    def stop(self) -> None:
        """Ends it, and refuses what it calls back."""
        self.over = True
        self.fire()

    def finish(self) -> None:
        """Gives everything back that prepare() took. It may be called more than once, as a signal handler may raise before it is."""
        _calls.pop(self.number, None)
        self.let_go()
        place, self.place = self.place, None
        if place is not None and self.gate is not None:
            self.gate.give_back(place)
        token, self.token = self.token, c_void_p()
        lib.zcrm_cancel_free(token)

    def abandon(self) -> None:
        """Ends it without waiting for that."""
        self.stop()
        if self.relay is not None:
            self.relay.refuse()


_numbers = itertools.count(1)
_calls: Dict[int, Call] = {}
_inside = threading.local()
_ending = False


def _forget() -> None:
    # The calls of the parent's other threads never end in a forked child.
    _calls.clear()


def _end_all() -> None:
    """No thread may be in the library when Python goes: its callbacks would come to what isn't there any more."""
    global _ending
    _ending = True
    for call in list(_calls.values()):
        call.abandon()
    bound = time.monotonic() + 5
    while _calls and time.monotonic() < bound:
        time.sleep(0.005)


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def of(user: int) -> Call:
    found = _calls.get(user)
    if found is None:
        found = Call()
        found.over = True
    return found


def _memory(at: int, length: int) -> Any:
    """Bytes of C. (Of PyPy, memmove() keeps a copy for long, and string_at() gives 0 when a signal handler raises in it.)"""
    return (ctypes.c_char * length).from_address(at)


def _read(user: int, buffer: int, capacity: int, n: Any) -> int:
    call = of(user)

    def work() -> None:
        assert call.reader is not None
        given = call.reader(capacity)
        _memory(buffer, capacity).raw = given
        n[0] = len(given)

    return call.back(work)


def _rewind(user: int) -> int:
    call = of(user)
    return call.back(lambda: call.rewind() if call.rewind else None)


def _write(user: int, buffer: int, length: int) -> int:
    call = of(user)

    def work() -> None:
        assert call.writer is not None
        call.writer(_memory(buffer, length).raw)

    return call.back(work)


def _progress(user: int, done: int, total: int) -> int:
    call = of(user)
    return call.back(lambda: call.progress(done, None if total < 0 else total) if call.progress else None)


# What C calls lives as long as the module: a call is found by its number, or isn't found.
_on_read, _on_rewind = _abi.zcrm_read_fn(_read), _abi.zcrm_rewind_fn(_rewind)
_on_write, _on_progress = _abi.zcrm_write_fn(_write), _abi.zcrm_progress_fn(_progress)


def source(call: Call, **fields: Any) -> _abi.zcrm_source:
    """A zcrm_source that reads through the call."""
    rewind = _on_rewind if call.rewind else _abi.zcrm_rewind_fn()
    return _abi.zcrm_source(struct_size=sizeof(_abi.zcrm_source), read=_on_read, rewind=rewind, user=call.number, **fields)


def sink(call: Call, **fields: Any) -> _abi.zcrm_sink:
    """A zcrm_sink that writes through the call."""
    return _abi.zcrm_sink(struct_size=sizeof(_abi.zcrm_sink), write=_on_write, user=call.number, **fields)


class Reply:
    """What a call gave: its JSON, the bytes of a download to memory, and how a batch went."""

    def __init__(self, result: c_void_p, *, with_data: bool = False, with_batch: bool = False) -> None:
        self.json = lib.zcrm_result_json(result, None)
        self.data: Optional[bytes] = _data(result) if with_data else None
        self.batch = _batch(result) if with_batch else None

    def decoded(self) -> Dict[str, Any]:
        if not self.json:
            raise MemoryError("zcrm: there is no memory for the result")
        decoded: Dict[str, Any] = json.loads(self.json)
        return decoded


def _batch(result: c_void_p) -> Optional[_abi.zcrm_batch_summary]:
    summary = _abi.zcrm_batch_summary(struct_size=ctypes.sizeof(_abi.zcrm_batch_summary))
    return summary if lib.zcrm_result_batch(result, byref(summary), None) == _abi.OK else None


def _data(result: c_void_p) -> bytes:
    data, n, error = c_void_p(), ctypes.c_size_t(), c_void_p()
    check(lib.zcrm_result_data(result, byref(data), byref(n), byref(error)), error)
    return bytes(_memory(data.value, n.value).raw) if data.value else b""


def as_json(step: Union[Mapping[str, Any], str, bytes]) -> bytes:
    """A step as the library reads it. Bytes that are no UTF-8 are for it to refuse."""
    if isinstance(step, bytes):
        return step
    return (step if isinstance(step, str) else json.dumps(step, default=_plain)).encode(errors="surrogatepass")


def _plain(value: Any) -> Dict[str, Any]:
    """A mapping that is no dict, such as one that can't be changed."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a step can't hold {type(value).__name__}: {value!r}")


def check(status: int, error: Optional[c_void_p] = None) -> None:
    if status != _abi.OK:
        raise _failure.taken(status, error.value if error is not None else None)


def run(function: Any, arguments: List[Any], call: Call, options: Options, gate: Gate, *,
        with_data: bool = False, with_batch: bool = False) -> Optional[Reply]:
    """Makes the call `function(*arguments, zcrm_call, &result, &error)`. None: it gave no result, as at the end of a walk."""
    result, error, status = c_void_p(), c_void_p(), [0]

    def make() -> None:
        try:
            status[0] = function(*arguments, byref(options.call), byref(result), byref(error))
        finally:
            call.finish()

    try:
        prepare(call, options, gate)
        launch(call, make)
    except BaseException as raised:
        lib.zcrm_result_free(result)
        if error:
            raised.__cause__ = raised.__cause__ or _failure.taken(status[0], error.value)
        raise
    finally:
        call.finish()
    if status[0] != _abi.OK:
        raise_failure(call, _failure.taken(status[0], error.value))
    if not result:
        return None
    try:
        return Reply(result, with_data=with_data, with_batch=with_batch)
    finally:
        lib.zcrm_result_free(result)


def launch(call: Call, make: Callable[[], None]) -> None:
    """Runs `make` here, or for the main thread on its helper."""
    helper = _relay.helper() if _relay.wanted() else None
    if helper is None:
        make()
        return
    call.relay = _relay.Relay(make)
    helper.run(call.relay, call.stop)


def prepare(call: Call, options: Options, gate: Gate) -> None:
    """Everything before the library is called. Call.finish() is to follow, also when this raises."""
    if getattr(_inside, "callback", False):
        raise _failure.own(StateError, "reentrant", "a reader, writer, progress function or source of steps must not start an operation")
    if _ending and not _relay.wanted():
        raise ending()
    call.gate, call.place = gate, _wait(options, gate)
    check(lib.zcrm_cancel_new(byref(call.token)))
    options.call.cancel = call.token.value
    options.call.user = call.number
    if options.progress is not None:
        call.progress = options.progress
        options.call.progress = _on_progress
    if options.deadline is not None:
        # 1 ms at least: 0 is no bound, and the time may have passed just now.
        options.call.timeout_ms = max(1, math.ceil((options.deadline - time.monotonic()) * 1000))
    _calls[call.number] = call
    if options.cancel is not None:
        call.let_go = options.cancel._also(call)


def ending() -> Error:
    """Why nothing can be begun any more."""
    return _failure.own(StateError, "ending", "the interpreter is ending")


def _wait(options: Options, gate: Gate) -> Place:
    """Waits for a place: until there is one, the call's time is up or it is cancelled."""
    while True:
        if options.cancel is not None and options.cancel.fired:
            raise _failure.own(CancelledError, "cancelled", "the call was cancelled before it began")
        if options.deadline is not None and options.deadline <= time.monotonic():
            raise _failure.own(TimeoutError, "call_timeout", "the time for the call was up before it began")
        place = gate.take()
        if place is not None:
            return place
        time.sleep(gate.moment)


def raise_failure(call: Call, failure: Error) -> None:
    """What a callback of the caller raised comes out as itself, caused by the failure that it led to; else the failure."""
    raised, call.raised = call.raised, None
    if raised is None and isinstance(failure, CallbackError):
        raised = _hooks.raised(failure.callback_status)
    if raised is None:
        raise failure
    if raised.__cause__ is None:
        raised.__cause__ = failure
    if isinstance(raised, (StopIteration, StopAsyncIteration)):  # which would end a loop, and never end a task of asyncio
        raise RuntimeError(f"a function that was called back raised {type(raised).__name__}") from raised
    raise raised
