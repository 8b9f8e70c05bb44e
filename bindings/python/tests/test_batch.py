"""Batches: an iterator of outcomes over a pulled source."""

from __future__ import annotations

import asyncio
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any, AsyncIterator, Dict, Iterator, List

import pytest

import zcrm
import zcrm.aio
from conftest import STALL, World, eventually, no_call_is_left


def attach(world: World, record_id: str, name: str) -> Dict[str, Any]:
    (world.tmp / name).write_bytes(name.encode())
    return {"operation": "attachment.upload", "module": "Contacts", "record_id": record_id, "source": {"path": str(world.tmp / name)}}


def photo(world: World, record_id: str) -> Dict[str, Any]:
    sink = {"path": str(world.tmp / "photo"), "overwrite": True}
    return {"operation": "photo.download", "module": "Contacts", "record_id": record_id, "sink": sink}


def names(record: zcrm.Record) -> List[str]:
    return sorted(one.file_name for one in record.attachments())


def test_each_step_is_told_with_its_result_or_its_error(world: World) -> None:
    record = world.record(allow_paths=[world.tmp])
    steps: List[zcrm.Step] = [("one", attach(world, record.id, "1")), ("bad", {"operation": "x"}), ("gone", attach(world, "99", "2")), ("json", b"{")]
    with record._client.batch(steps) as batch:
        told = {outcome.key: outcome for outcome in batch}
    assert told["one"].result is not None
    assert told["one"].result["result"]["file_name"] == "1"
    assert told["one"].error is None
    assert {key: type(outcome.error) for key, outcome in told.items() if outcome.error} == {
        "bad": zcrm.ArgumentError, "gone": zcrm.InvalidRecordError, "json": zcrm.ArgumentError,
    }
    assert batch.summary == zcrm.Summary(done=1, from_journal=0, failed=3, unknown=0, left=0, attempts=2)


def test_steps_are_asked_for_as_there_is_room_and_none_is_kept(world: World) -> None:
    record = world.record(max_in_flight=2)
    asked = itertools.count()

    def steps() -> Iterator[zcrm.Step]:
        for number in asked:
            if number == 500:
                return
            yield f"{number}", {"operation": "attachment.list", "module": "Contacts", "record_id": record.id}

    ahead = 0
    done = 0
    with record._client.batch(steps(), parallel=2) as batch:
        for done, _ in enumerate(batch, 1):
            if done == 100:
                ahead = next(asked)
    assert done == 499, "one number was taken here"
    assert ahead < 120


def test_a_journal_is_gone_on_with_and_nothing_is_sent_twice(world: World) -> None:
    record = world.record(allow_paths=[world.tmp], settle_waits_ms=[10])
    steps = [(name, attach(world, record.id, name)) for name in "abcdef"]
    with record._client.batch(steps, journal=world.tmp / "journal", parallel=1) as batch:
        next(batch)
        next(batch)
    assert batch.summary is not None
    assert batch.summary.left > 0
    with record._client.batch(steps, journal=world.tmp / "journal") as batch:
        again = [outcome for outcome in batch if outcome.from_journal]
    assert len(again) >= 2
    assert batch.summary is not None
    assert (batch.summary.done, batch.summary.left) == (6, 0)
    assert names(record) == list("abcdef")


def test_a_killed_process_loses_nothing(world: World) -> None:
    record = world.record(allow_paths=[world.tmp], settle_waits_ms=[10, 200])
    steps = [(f"{number}", attach(world, record.id, f"{number}")) for number in range(30)]
    world.fault("attachment.upload", *[{"kind": "delay", "ms": 50}] * 30)
    program = """
        import json, sys, zcrm
        settings, steps, journal = json.loads(sys.stdin.read())
        for outcome in zcrm.Client(**settings).batch(steps, journal=journal):
            print(outcome.key, flush=True)
    """
    import json

    settings = world.settings(allow_paths=[str(world.tmp)])
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps([settings, steps, str(world.tmp / "journal")]))
    child.stdin.close()
    for _ in range(3):
        child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    outcomes = list(record._client.batch(steps, journal=world.tmp / "journal"))
    assert [outcome.error for outcome in outcomes] == [None] * 30
    assert names(record) == sorted(f"{number}" for number in range(30))


def test_what_the_source_raises_comes_out_as_itself_after_the_outcomes(world: World) -> None:
    record = world.record(allow_paths=[world.tmp])

    def steps() -> Iterator[zcrm.Step]:
        yield "a", attach(world, record.id, "a")
        raise LookupError("no more")

    batch = record._client.batch(steps())
    assert next(batch).key == "a"
    with pytest.raises(LookupError, match="no more"):
        next(batch)
    assert batch.summary is not None
    assert batch.summary.stopped == "source"


def test_a_source_may_make_calls(world: World) -> None:
    record, to = world.record(allow_paths=[world.tmp]), world.record()
    for name in "abc":
        world.attach(record, name, name.encode())
    steps = (
        (one.id, {"operation": "attachment.download", "module": "Contacts", "record_id": record.id, "attachment_id": one.id,
                  "sink": {"path": str(world.tmp / one.safe_name)}})
        for one in record.attachments(per_page=1)
    )  # fmt: skip
    assert [outcome.error for outcome in record._client.batch(steps)] == [None] * 3
    assert {(world.tmp / name).read_bytes() for name in "abc"} == {b"a", b"b", b"c"}
    assert names(to) == []


def test_operations_may_be_made_between_two_outcomes(world: World) -> None:
    record = world.record(allow_paths=[world.tmp], max_calls=2)
    steps = [(name, attach(world, record.id, name)) for name in "abcdef"]
    for outcome in record._client.batch(steps):
        assert outcome.result is not None
        record.delete(outcome.result["result"]["id"])
    assert names(record) == []


def test_a_cancel_a_timeout_and_ctrl_c_end_it(world: World) -> None:
    record = world.record(allow_paths=[world.tmp])
    steps = [(f"{number}", photo(world, record.id)) for number in range(9)]
    world.fault("photo.download", *[STALL] * 12)
    cancel = zcrm.Cancel()
    threading.Timer(0.2, cancel.fire).start()
    batch = record._client.batch(steps, cancel=cancel)
    assert all(outcome.error for outcome in batch)
    assert batch.summary is not None
    assert (batch.summary.stopped, batch.summary.done) == ("cancelled", 0)
    batch = record._client.batch(steps, timeout=0.2)
    list(batch)
    assert batch.summary is not None
    assert batch.summary.stopped == "call_timeout"
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(record._client.batch(steps))


def test_a_batch_that_nobody_ends_is_ended_with_the_last_reference(world: World) -> None:
    record = world.record(allow_paths=[world.tmp])
    world.fault("photo.download", *[STALL] * 4)
    step = photo(world, record.id)
    listed = {"operation": "attachment.list", "module": "Contacts", "record_id": record.id}
    batch = record._client.batch([("list", listed), *[(f"{number}", step) for number in range(4)]])
    assert next(batch).key == "list"
    del batch
    eventually("its call has ended", no_call_is_left)


def test_a_paused_batch_begins_nothing_until_it_goes_on(world: World) -> None:
    record = world.record()
    listed = {"operation": "attachment.list", "module": "Contacts", "record_id": record.id}
    batch = record._client.batch([(f"{number}", listed) for number in range(20)], parallel=1)
    next(batch)
    batch.pause()
    threading.Timer(0.3, batch.resume).start()
    assert len(list(batch)) == 19


def test_a_journal_that_cannot_be_used_is_an_error(world: World, tmp_path: pathlib.Path) -> None:
    (tmp_path / "journal").write_text("not a journal\n", encoding="utf-8")
    with pytest.raises(zcrm.Error) as caught:
        list(world.client().batch([("a", {})], journal=tmp_path / "journal"))
    assert isinstance(caught.value, (zcrm.ProtocolError, zcrm.IoError))
    with pytest.raises(zcrm.ArgumentError, match="parallel"):
        world.client().batch([], parallel=0)
    with pytest.raises(zcrm.ArgumentError, match="None is no journal"):
        world.client().batch([], journal="")  # of a variable that isn't set: nothing would be remembered


def test_asyncio_pulls_from_an_asynchronous_source_and_a_cancelled_task_ends_it(world: World) -> None:
    record_id = world.record_id()
    listed = {"operation": "attachment.list", "module": "Contacts", "record_id": record_id}

    async def steps() -> AsyncIterator[zcrm.Step]:
        for number in range(20):
            await asyncio.sleep(0.001)
            yield f"{number}", listed
        await asyncio.Event().wait()  # for ever

    async def main() -> List[str]:
        told: List[str] = []

        async def iterate(client: zcrm.aio.Client) -> None:
            async with client.batch(steps()) as batch:
                async for outcome in batch:
                    told.append(outcome.key)

        async with zcrm.aio.Client(**world.settings(), max_calls=1) as client:
            plain = [outcome.key async for outcome in client.batch([("a", listed)])]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(iterate(client), 2)
        return [*plain, *told]

    told = asyncio.run(main())
    assert told[0] == "a"
    assert len(told) > 15
    eventually("its call has ended", no_call_is_left)
