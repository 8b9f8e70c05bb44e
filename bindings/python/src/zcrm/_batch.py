"""Many steps at once, with a journal."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import weakref
from collections import deque
from ctypes import byref, c_void_p, sizeof
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import _abi, _call, _failure, _relay, _values
from ._error import Error
from ._library import lib
from ._statuses import ArgumentError

if TYPE_CHECKING:
    from ._client import Client

Step = Tuple[str, Union[Mapping[str, Any], str, bytes]]
"""A key, which names the step in the journal, and the step as Client.step takes it."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one step of a batch ended.

    result        What Client.step would have given; None when it failed.
    error         What Client.step would have raised, or None.
    from_journal  It was done in an earlier run, and the journal knows its result.
    """

    key: str
    result: Optional[Dict[str, Any]]
    error: Optional[Error]
    from_journal: bool


class _Running(_call.Call):
    """The call of a batch: it asks for steps and tells of ends."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps: Iterator[Step] = iter(steps)
        self.outcomes: Deque[Outcome] = deque()
        self._given: Tuple[bytes, bytes] = (b"", b"")  # as C reads them until it asks again

    def next(self, key: Any, step: Any) -> int:
        given = False

        def work() -> None:
            nonlocal given
            # It may make calls, as a walk over records does: the batch runs on another thread.
            for name, one in self.steps:
                if not isinstance(name, str):
                    raise TypeError(f"a step's key must be a str, not {type(name).__name__}: {name!r}")
                self._given = name.encode(errors="surrogatepass"), _call.as_json(one)
                key[0], step[0] = (_abi.zcrm_str(text, len(text)) for text in self._given)
                given = True
                break

        if self.back(work) != 0:
            return -1
        return 1 if given else 0

    def ended(self, key: bytes, status: int, document: bytes, from_journal: int) -> int:
        def work() -> None:
            decoded = json.loads(document)
            done = status == _abi.OK
            error = None if done else _failure.from_detail(decoded)
            self.outcomes.append(Outcome(key.decode("utf-8", "replace"), decoded if done else None, error, bool(from_journal)))

        return self.back(work)

    def _guard(self, work: Callable[[], None]) -> int:
        try:
            work()
            return 0
        except Exception as raised:  # noqa: BLE001 - of the steps: those under way end and are told first
            self.raised = raised
            return _call.FAILED
        except BaseException as raised:  # noqa: BLE001
            self.raised = raised
            self.stop()
            return _call.FAILED


def _next(user: int, key: Any, step: Any) -> int:
    call = _call.of(user)
    return call.next(key, step) if isinstance(call, _Running) else -1


def _ended(user: int, key: bytes, status: int, document: bytes, from_journal: int) -> int:
    call = _call.of(user)
    return call.ended(key, status, document, from_journal) if isinstance(call, _Running) else _call.FAILED


_on_next, _on_ended = _abi.zcrm_next_step_fn(_next), _abi.zcrm_batch_fn(_ended)


class Batch:
    """A batch that runs while it is iterated: see Client.batch. `summary` says how it ended, when it has."""

    summary: Optional[_values.Summary] = None
    _begun = _finished = False

    def __init__(self, client: Client, steps: Iterable[Step], options: _call.Options, journal: Union[str, os.PathLike[str], None],
                 parallel: Optional[int], api_calls: Optional[int]) -> None:
        for name, value in (("parallel", parallel), ("credits", api_calls)):
            if value is not None:
                _call.number(name, value, 1)
        if journal == "":
            raise _failure.own(ArgumentError, "argument", "journal: is empty; None is no journal", "journal")
        self._client, self._options = client, options
        self._call = call = _Running(steps)
        self._batch, self._result, self._error = batch, result, error = c_void_p(), c_void_p(), c_void_p()
        self._status: List[int] = []  # empty: it never ran
        args = _abi.zcrm_batch_args(
            struct_size=sizeof(_abi.zcrm_batch_args), journal=_call.text("journal", None if journal is None else os.fspath(journal)),
            credits=api_calls or 0, parallel=min(parallel or 0, 256), ended=_on_ended, user=call.number,
        )
        handle, status = client._open(), self._status

        def make() -> None:  # knows no `self`, which may go while it runs
            try:
                status.append(lib.zcrm_batch_run(handle, batch, byref(args), byref(options.call), byref(result), byref(error)))
            finally:
                call.finish()

        call.relay = self._relay = _relay.Relay(make)
        _call.check(lib.zcrm_batch_new(byref(batch)))
        weakref.finalize(self, lib.zcrm_batch_free, batch).atexit = False
        _call.check(lib.zcrm_batch_set_source(batch, _on_next, call.number, byref(error)), error)

    def __iter__(self) -> Batch:
        return self

    def __next__(self) -> Outcome:
        """The next end of a step. StopIteration: the batch has ended, and `summary` says how."""
        call = self._call
        if not call.outcomes and not self._finished:
            try:
                self._relay.serve(self._begin, lambda: bool(call.outcomes), call.stop)
            except BaseException:
                self._end()
                raise
        if call.outcomes:
            return call.outcomes.popleft()
        self._finish()
        raise StopIteration

    def _begin(self) -> None:
        if not self._begun:
            if sys.is_finalizing():
                raise _call.ending()  # the thread that it needs would never run
            self._begun = True
            self._client._open()
            _call.prepare(self._call, self._options, self._client._gate)
            self._relay.start()

    def _end(self) -> None:
        self._finished = True
        self._call.finish()
        lib.zcrm_result_free(self._result)
        lib.zcrm_error_free(self._error)

    def _finish(self) -> None:
        """Reads how it ended."""
        if self._finished:
            return
        try:
            if self._status and self._status[0] == _abi.OK:
                self.summary = _values.summary(_call.Reply(self._result).decoded()["result"])
            elif self._status:
                error, self._error = self._error, c_void_p()
                _call.raise_failure(self._call, _failure.taken(self._status[0], error.value))
        finally:
            self._end()
        raised, self._call.raised = self._call.raised, None
        if raised is not None:
            raise raised

    def pause(self) -> None:
        """Holds it: steps under way end, and none is begun. From any thread."""
        lib.zcrm_batch_pause(self._batch, 1)

    def resume(self) -> None:
        """Lets it go on."""
        lib.zcrm_batch_pause(self._batch, 0)

    def close(self) -> None:
        """Ends it: what runs is cancelled. With its journal the next run goes on from there."""
        if self._begun and not self._finished:
            self._relay.end(self._call.stop)
            self._call.raised = None
        self._finish()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if self._begun and not self._finished:
            self._call.abandon()
