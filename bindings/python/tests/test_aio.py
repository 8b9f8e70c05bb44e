"""zcrm.aio: the same names, where cancelling a task ends its call."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import threading
import time
from typing import Any, Coroutine, List

import pytest

import zcrm
import zcrm.aio
from conftest import STALL, World, eventually, no_call_is_left

SOON = 10.0


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_every_operation(world: World) -> None:
    async def main() -> None:
        async with zcrm.aio.Client(**world.settings()) as client:
            record = client.record("Contacts", world.record_id())
            stored = await record.upload(io.BytesIO(b"hello"), name="a.txt")
            await record.link("https://example.com/")
            assert {one.id async for one in record.attachments(per_page=1)} >= {stored.id}
            assert (await record.download(stored.id)).data == b"hello"
            assert record.id in {one.id async for one in client.records("Contacts", per_page=2)}
            await record.delete(stored.id)
            with pytest.raises(zcrm.NotFoundError):
                await record.photo.download()
            step = {"operation": "attachment.list", "module": "Contacts", "record_id": record.id}
            assert len((await client.step(step))["result"]["attachments"]) == 1
        with pytest.raises(zcrm.StateError, match="closed"):
            await record.delete("1")

    run(main())


def test_the_names_are_those_of_the_package() -> None:
    for name in ("Client", "Record", "Photo"):
        public = {one for one, _ in inspect.getmembers(getattr(zcrm, name)) if not one.startswith("_")}
        assert public <= {one for one, _ in inspect.getmembers(getattr(zcrm.aio, name)) if not one.startswith("_")}, name
    assert inspect.signature(zcrm.aio.Record.upload) == inspect.signature(zcrm.Record.upload)


def test_cancelling_a_task_ends_its_call_before_it_goes_on(world: World) -> None:
    world.fault("attachment.upload", STALL)

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings()) as client:
            record = client.record("Contacts", world.record_id())
            began = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(record.upload(b"x", name="a"), 0.3)
            assert time.monotonic() - began < SOON
            assert not zcrm._call._calls, "its call has returned"

    run(main())


def test_a_cancelled_task_tells_what_became_of_its_call(world: World) -> None:
    world.fault("attachment.upload", STALL)

    async def main() -> Any:
        async with zcrm.aio.Client(**world.settings()) as client:
            task = asyncio.ensure_future(client.record("Contacts", world.record_id()).upload(b"x", name="a"))
            while not world.requests("attachment.upload"):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            raised: Any = caught.value
            while raised.__cause__ is None:  # before 3.11 each await makes another CancelledError
                raised = raised.__context__
            return raised.__cause__

    cause = run(main())
    assert isinstance(cause, zcrm.CancelledError)
    assert cause.outcome_open


def test_no_reader_runs_after_its_task_was_cancelled(world: World) -> None:
    late: List[int] = []
    over = threading.Event()

    class Slow(io.RawIOBase):
        def read(self, n: int = -1) -> bytes:
            if over.is_set():
                late.append(n)
            time.sleep(0.01)
            return b"x" * min(n, 1000)

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings()) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.record("Contacts", world.record_id()).upload(Slow(), name="a", size=50_000_000), 0.3)
            over.set()
            await asyncio.sleep(0.3)

    run(main())
    assert late == []


def test_five_hundred_tasks_need_few_threads(world: World) -> None:
    async def main() -> int:
        async with zcrm.aio.Client(**world.settings(), max_calls=4) as client:
            record = client.record("Contacts", world.record_id())
            before = threading.active_count()

            async def one() -> int:
                assert [one async for one in record.attachments()] == []
                return threading.active_count()

            return max(await asyncio.gather(*[one() for _ in range(500)])) - before

    assert run(main()) <= 12  # a thread may be on its way back when its place is another call's


def test_a_task_that_waits_for_a_place_ends_by_its_timeout_its_cancel_and_its_task(world: World) -> None:
    world.fault("photo.download", STALL)

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings(), max_calls=1) as client:
            photo = client.record("Contacts", world.record_id()).photo
            first = asyncio.ensure_future(photo.download())
            while not world.requests("photo.download"):
                await asyncio.sleep(0.01)
            with pytest.raises(zcrm.TimeoutError, match="before it began"):
                await photo.download(timeout=0.1)
            cancel = zcrm.Cancel()
            threading.Timer(0.1, cancel.fire).start()
            with pytest.raises(zcrm.CancelledError, match="before it began"):
                await photo.download(cancel=cancel)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(photo.download(), 0.1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            with pytest.raises(zcrm.NotFoundError):
                await photo.download()

    run(main())
    assert len(world.requests("photo.download")) == 2


def test_a_copy_through_a_pipe_goes_on_with_one_place(world: World) -> None:
    content = os.urandom(300_000)
    record = world.record()
    identifier = world.attach(record, "a", content)

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings(), max_calls=1) as client:
            both = client.record("Contacts", record.id)
            reading, writing = os.pipe()
            with open(reading, "rb") as source, open(writing, "wb") as to:
                up = asyncio.ensure_future(both.upload(source, name="copy", size=len(content)))
                await asyncio.sleep(0.05)
                await both.download(identifier, to=to)
                to.close()
                assert world.stored(record, (await up).id) == content

    run(main())


def test_a_cancel_ends_the_calls_that_it_was_given_to(world: World) -> None:
    world.fault("photo.download", *[STALL] * 3)
    cancel = zcrm.Cancel()

    async def main() -> List[Any]:
        async with zcrm.aio.Client(**world.settings()) as client:
            photo = client.record("Contacts", world.record_id()).photo
            calls = [asyncio.ensure_future(photo.download(cancel=cancel)) for _ in range(3)]
            await asyncio.sleep(0.2)
            cancel.fire()
            return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in run(main())] == [zcrm.CancelledError] * 3
    eventually("none is left", no_call_is_left)


def test_a_file_that_raises_stop_iteration_leaves_no_task_waiting(world: World) -> None:
    class Chunks:
        def __init__(self) -> None:
            self.left = iter([b"x"])

        def read(self, _: int = -1) -> bytes:
            return next(self.left)

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings()) as client:
            with pytest.raises(RuntimeError, match="StopIteration"):
                await client.record("Contacts", world.record_id()).upload(Chunks(), name="a")

    run(main())


def test_what_a_file_raises_comes_out_as_itself(world: World) -> None:
    class Broken(io.RawIOBase):
        def read(self, _: int = -1) -> bytes:
            raise LookupError("read")

    async def main() -> None:
        async with zcrm.aio.Client(**world.settings()) as client:
            await client.record("Contacts", world.record_id()).upload(Broken(), name="a", size=1)

    with pytest.raises(LookupError, match="read"):
        run(main())
