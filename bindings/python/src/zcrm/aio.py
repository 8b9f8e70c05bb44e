"""The package for asyncio, with the same names.

    async with zcrm.aio.Client(client_id=…, client_secret=…, refresh_token=…, data_center="eu") as client:
        record = client.record("Contacts", "3652397000000649013")
        stored = await record.upload("contract.pdf")
        async for attachment in record.attachments():
            await record.download(attachment.id, to=attachment.safe_name)

The calls run on threads, of which there are about as many as calls in the library: max_calls. Any number of tasks may make calls, and those that wait
hold no thread. Cancelling a task, as asyncio.timeout() does too, ends its call within a tenth of a second and waits for that: none of its files is
touched afterwards. A reader, writer or progress function runs on the call's thread.

Parameters, results and errors are those of the methods of the same names in zcrm.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Optional, Sequence, TypeVar, Union

from . import _batch, _call, _client, _record, _values
from ._gate import Place

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec, Unpack

    from ._settings import Settings

    P = ParamSpec("P")

T = TypeVar("T")


class _Threads:
    """Where the calls of a client run."""

    def __init__(self, client: _client.Client) -> None:
        self._client, self._gate = client, client._gate
        self._turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()
        self._pool: Optional[concurrent.futures.ThreadPoolExecutor] = None
        self._process = 0

    async def run(self, work: Callable[..., T], *args: Any, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None, **more: Any) -> T:
        """`work(…)` on a thread; it ends when the task is cancelled."""
        self._client._open()
        began = time.monotonic()
        place = await self._place(timeout, cancel)
        left = None if timeout is None else timeout - (time.monotonic() - began)
        own = _call.Cancel()
        let_go = cancel._also(own) if cancel is not None else lambda: None
        called = functools.partial(work, *args, timeout=left, cancel=own, **more)
        try:
            return await self.on_thread(functools.partial(self._gate.with_place, place, called), own.fire)
        finally:
            let_go()

    async def on_thread(self, work: Callable[[], T], end: Callable[[], None]) -> T:
        """`work()` on a thread. When the task is cancelled `end` makes it end soon, which is waited for."""
        running = asyncio.get_running_loop().run_in_executor(self._executor(), work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError as cancelled:
            end()
            await _settled(running)
            if not running.cancelled() and running.exception() is not None:
                raise cancelled from running.exception()
            raise

    async def walk(self, pages: _record.Pages[T], timeout: Optional[float], cancel: Optional[_call.Cancel],
                   trace_id: Optional[str]) -> AsyncIterator[T]:
        while True:
            page = await self.run(pages.next, timeout=timeout, cancel=cancel, trace_id=trace_id)
            if page is None:
                return
            for row in page:
                yield row

    async def _place(self, timeout: Optional[float], cancel: Optional[_call.Cancel]) -> Optional[Place]:
        """Waits for a place as the calls of threads do, without a thread. None: the time is up, or it was cancelled, and the call will say so."""
        place = self._gate.take()
        if place is not None:
            return place
        waiting = asyncio.ensure_future(self._turn())
        let_go = cancel._also(_Ends(waiting)) if cancel is not None else lambda: None
        try:
            await asyncio.wait([waiting], timeout=timeout)
        except asyncio.CancelledError:
            await _cancelled(waiting)
            if not waiting.cancelled():
                self._gate.give_back(waiting.result())
            raise
        finally:
            let_go()
        await _cancelled(waiting)
        return None if waiting.cancelled() else waiting.result()

    async def _turn(self) -> Place:
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(loop, asyncio.Lock()):  # so that one looks, and not each that waits
            while True:
                free = loop.create_future()
                self._gate.wake = functools.partial(_wake, free)
                place = self._gate.take()
                if place is not None:
                    return place
                # After a moment it is looked again: a place may have been lent meanwhile, and another loop may have taken the bell.
                await asyncio.wait([free], timeout=self._gate.moment)

    def _executor(self) -> concurrent.futures.ThreadPoolExecutor:
        if self._pool is None or self._process != os.getpid():
            # Not bounded here: a call whose place is lent, while its reader waits for another call, still has its thread.
            self._pool, self._process = concurrent.futures.ThreadPoolExecutor(100_000, thread_name_prefix="zcrm"), os.getpid()
        return self._pool

    def close(self) -> None:
        if self._pool is not None and self._process == os.getpid():
            self._pool.shutdown(wait=False)


def _wake(free: asyncio.Future[None]) -> None:
    """From any thread."""

    def ring() -> None:
        if not free.done():
            free.set_result(None)

    with contextlib.suppress(RuntimeError):  # the loop is closed
        free.get_loop().call_soon_threadsafe(ring)


class _Ends:
    """Ends a task from any thread."""

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    def fire(self) -> None:
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)


async def _settled(running: asyncio.Future[Any]) -> None:
    """Waits for it, also if the task that waits is cancelled once more."""
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([running])


async def _cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await _settled(task)


if TYPE_CHECKING:

    def _awaited(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]: ...

else:

    def _awaited(method):
        """The method as a coroutine of the class here that wraps its object."""

        @functools.wraps(method)
        async def awaited(self, *args, **more):
            return await self._threads.run(method, self._sync, *args, **more)

        return awaited


class Client:
    """zcrm.Client for asyncio."""

    def __init__(self, *, profile: Optional[str] = None, profiles: Union[str, os.PathLike[str], None] = None,
                 token: Optional[Callable[[bool], str]] = None,
                 token_file: Union[str, os.PathLike[str], _client._Shared, None] = _client.SHARED,
                 logger: Optional[logging.Logger] = _client.LOGGER, max_calls: int = 64, **settings: Unpack[Settings]) -> None:
        """The parameters are those of zcrm.Client."""
        self._sync = _client.Client(profile=profile, profiles=profiles, token=token, token_file=token_file, logger=logger, max_calls=max_calls,
                                    **settings)
        self._threads = _Threads(self._sync)

    def record(self, module: str, record_id: str) -> Record:
        """The record of a module with this id."""
        return Record(self, module, record_id)

    async def records(self, module: str, *, per_page: int = 200, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
                      trace_id: Optional[str] = None) -> AsyncIterator[Record]:
        """Goes over the records of a module; see zcrm.Client.records."""
        async for row in self._threads.walk(_record.record_pages(self._sync, module, per_page), timeout, cancel, trace_id):
            yield Record(self, module, row.id)

    step = _awaited(_client.Client.step)

    def batch(self, steps: Union[Iterable[_batch.Step], AsyncIterable[_batch.Step]], *, journal: Union[str, os.PathLike[str], None] = None,
              parallel: Optional[int] = None, credits: Optional[int] = None, sha256: bool = False,
              if_exists: Optional[_client.IfExists] = None, again: bool = False, timeout: Optional[float] = None,
              cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> Batch:
        """Runs many steps; see zcrm.Client.batch. Cancelling the task that iterates it ends it."""
        pulled = _Pulled(steps) if isinstance(steps, AsyncIterable) else None
        given: Iterable[_batch.Step] = pulled if pulled is not None else steps  # type: ignore[assignment]
        sync = self._sync.batch(given, journal=journal, parallel=parallel, credits=credits, sha256=sha256, if_exists=if_exists, again=again,
                                timeout=timeout, cancel=cancel, trace_id=trace_id)
        return Batch(sync, self._threads, pulled)

    def close(self) -> None:
        """Lets the client go; see zcrm.Client.close."""
        self._sync.close()
        self._threads.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._sync.closed

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()


class Record:
    """zcrm.Record for asyncio."""

    def __init__(self, client: Client, module: str, record_id: str) -> None:
        self._sync = _record.Record(client._sync, module, record_id)
        self._threads = client._threads
        self.module, self.id = module, record_id

    def __repr__(self) -> str:
        return f"aio.{self._sync!r}"

    upload = _awaited(_record.Record.upload)
    link = _awaited(_record.Record.link)
    download = _awaited(_record.Record.download)
    delete = _awaited(_record.Record.delete)

    async def attachments(self, *, fields: Optional[Sequence[str]] = None, per_page: int = 200, timeout: Optional[float] = None,
                          cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> AsyncIterator[_values.Attachment]:
        """Goes over the attachments; see zcrm.Record.attachments."""
        async for row in self._threads.walk(_record.attachment_pages(self._sync, fields, per_page), timeout, cancel, trace_id):
            yield row

    @property
    def photo(self) -> Photo:
        """The record's photo."""
        return Photo(self)


class Photo:
    """zcrm.Photo for asyncio."""

    def __init__(self, record: Record) -> None:
        self._sync = record._sync.photo
        self._threads = record._threads

    upload = _awaited(_record.Photo.upload)
    download = _awaited(_record.Photo.download)
    delete = _awaited(_record.Photo.delete)


class _Pulled:
    """An asynchronous source of steps, from the thread that asks for them."""

    def __init__(self, steps: AsyncIterable[_batch.Step]) -> None:
        self._steps = steps.__aiter__()
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self._asked: Optional[concurrent.futures.Future[Optional[_batch.Step]]] = None

    def __iter__(self) -> Iterator[_batch.Step]:
        return self

    def __next__(self) -> _batch.Step:
        assert self.loop is not None
        self._asked = asyncio.run_coroutine_threadsafe(self._next(), self.loop)
        step = self._asked.result()
        if step is None:
            raise StopIteration
        return step

    async def _next(self) -> Optional[_batch.Step]:
        try:
            return await self._steps.__anext__()
        except StopAsyncIteration:
            return None

    def end(self) -> None:
        if self._asked is not None:
            self._asked.cancel()


class Batch:
    """zcrm.Batch for asyncio: `async with client.batch(steps) as batch: async for outcome in batch: …`"""

    def __init__(self, sync: _batch.Batch, threads: _Threads, pulled: Optional[_Pulled]) -> None:
        self._sync, self._threads, self._pulled = sync, threads, pulled

    @property
    def summary(self) -> Optional[_values.Summary]:
        """How it ended, when it has."""
        return self._sync.summary

    def __aiter__(self) -> Batch:
        return self

    async def __anext__(self) -> _batch.Outcome:
        if self._pulled is not None:
            self._pulled.loop = asyncio.get_running_loop()
        outcome = await self._threads.on_thread(lambda: next(self._sync, None), self._end)
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    def _end(self) -> None:
        self._sync._call.fire()
        if self._pulled is not None:
            self._pulled.end()

    def pause(self) -> None:
        """See zcrm.Batch.pause."""
        self._sync.pause()

    def resume(self) -> None:
        """See zcrm.Batch.resume."""
        self._sync.resume()

    async def close(self) -> None:
        """See zcrm.Batch.close."""
        await self._threads.on_thread(self._sync.close, self._end)

    async def __aenter__(self) -> Batch:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()
