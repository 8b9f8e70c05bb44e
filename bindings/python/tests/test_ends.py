"""What ends a call, and that nothing of the caller is touched afterwards."""

from __future__ import annotations

import _thread
import contextlib
import io
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, List

import pytest

import zcrm
from conftest import STALL, World, eventually, no_call_is_left
from zcrm import _gate

# Far beyond what is promised (0.1 s), and far below the end that the call would have had without.
SOON = 10.0


class Trouble(Exception):  # noqa: N818
    """What a user's file might raise."""


class Broken(io.RawIOBase):
    """A file that fails when it is used."""

    def read(self, _: int = -1) -> bytes:
        raise Trouble("read")

    def write(self, _: Any) -> int:
        raise Trouble("write")


def on_thread(work: Any) -> BaseException:
    """What `work` raises on a thread of its own."""
    raised: List[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(SOON * 3)
    assert not thread.is_alive()
    return raised[0]


def here(work: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        work()
    return caught.value


@pytest.mark.parametrize("run", [here, on_thread], ids=["main thread", "another thread"])
def test_what_a_file_or_a_progress_function_raises_comes_out_as_itself_with_the_failure_as_its_cause(world: World, run: Any) -> None:
    record = world.record()
    identifier = world.attach(record, "a", b"x" * 100_000)

    def progress(_done: int, _total: Any) -> None:
        raise Trouble("progress")

    calls = [
        ("read", lambda: record.upload(Broken(), name="a", size=10)),
        ("write", lambda: record.download(identifier, to=Broken())),
        ("progress", lambda: record.upload(b"x" * 100_000, name="a", progress=progress)),
    ]
    for what, call in calls:
        raised = run(call)
        assert (type(raised), str(raised)) == (Trouble, what)
        assert isinstance(raised.__cause__, zcrm.Error), what


def test_what_a_token_source_raises_comes_out_as_itself(world: World) -> None:
    def token(_refused: bool) -> str:
        raise Trouble("token")

    client = zcrm.Client(token=token, api_domain=world.url)
    raised = here(lambda: next(client.record("Contacts", "1").attachments()))
    assert (type(raised), str(raised)) == (Trouble, "token")
    assert isinstance(raised.__cause__, zcrm.CallbackError)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_what_would_end_a_loop_in_silence_is_an_error(world: World, kind: Any) -> None:
    def token(_: bool) -> str:
        raise kind

    settings = world.settings()
    del settings["access_token"]
    with zcrm.Client(token=token, **settings) as client, pytest.raises(RuntimeError, match=kind.__name__) as caught:
        list(client.record("Contacts", world.record_id()).attachments())
    assert isinstance(caught.value.__cause__, kind)


def test_a_token_source_is_told_when_its_token_was_refused(world: World) -> None:
    asked: List[bool] = []

    def token(refused: bool) -> str:
        asked.append(refused)
        return world.access_token if refused else "stale"

    client = zcrm.Client(token=token, api_domain=world.url)
    assert list(client.record("Contacts", world.record_id()).attachments()) == []
    assert asked == [False, True]


@pytest.mark.parametrize("run", [here, on_thread], ids=["main thread", "another thread"])
def test_a_cancel_from_another_thread_ends_the_call(world: World, run: Any) -> None:
    record, cancel = world.record(), zcrm.Cancel()
    world.fault("attachment.upload", STALL)
    threading.Timer(0.2, cancel.fire).start()
    assert isinstance(run(lambda: record.upload(b"x", name="a", cancel=cancel)), zcrm.CancelledError)
    assert isinstance(run(lambda: record.upload(b"x", name="a", cancel=cancel)), zcrm.CancelledError), "it stays fired"
    assert len(world.requests("attachment.upload")) <= 1


@pytest.mark.parametrize("timeout", [0.2, 0, -1, -0.0000001])
def test_a_call_ends_at_its_timeout_and_one_that_has_passed_sends_nothing(world: World, timeout: float) -> None:
    record = world.record()
    world.fault("photo.download", STALL)
    with pytest.raises(zcrm.TimeoutError) as caught:
        record.photo.download(timeout=timeout)
    assert isinstance(caught.value, TimeoutError), "Python's own"
    assert len(world.requests("photo.download")) == (1 if timeout > 0 else 0)


def test_a_timeout_that_is_no_number_is_refused_and_for_ever_is_none(world: World) -> None:
    record = world.record()
    with pytest.raises(zcrm.ArgumentError, match="timeout"):
        record.photo.download(timeout=float("nan"))
    record.upload(b"x", name="a", timeout=float("inf"))
    for forever in (1e300, 1e308):
        record.upload(b"x", name="a", timeout=forever)


def test_a_signal_handler_that_raises_ends_the_call_and_goes_on(world: World) -> None:
    record = world.record()
    world.fault("attachment.upload", STALL)

    def handler(*_: Any) -> None:
        raise Trouble("signal")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        raised = here(lambda: record.upload(b"x", name="a"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert type(raised) is Trouble
    assert isinstance(raised.__cause__, zcrm.CancelledError)
    assert raised.__cause__.outcome_open, "its request had left"
    assert record.upload(b"x", name="b").file_name == "b", "the next call is all right"


def test_a_signal_handler_that_returns_leaves_the_call_alone_and_may_make_one(world: World) -> None:
    record, made = world.record(), []
    world.fault("attachment.upload", {"kind": "delay", "ms": 800})
    before = signal.signal(signal.SIGUSR1, lambda *_: made.append(list(record.attachments())))
    try:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        assert record.upload(b"x", name="a").file_name == "a"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert made == [[]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a handler may come in a finalizer, too
def test_signals_at_any_moment_leave_no_call_behind(world: World) -> None:
    record = world.record(max_calls=3, logger=None)
    identifier = world.attach(record, "a", b"x" * 200_000)
    listed = {"operation": "attachment.list", "module": "Contacts", "record_id": record.id, "page": 1, "per_page": 1}
    calls: List[Any] = [
        lambda: record.upload(b"x", name="a"),
        lambda: record.upload(io.BytesIO(b"x" * 100_000), name="b"),
        lambda: record.download(identifier, to=io.BytesIO()),
        lambda: next(record.attachments(per_page=5)),
        lambda: list(record._client.batch([(f"{number}", listed) for number in range(5)])),
    ]

    calling = False

    def handler(*_: Any) -> None:
        if calling:
            raise Trouble("signal")

    seed = random.Random(17)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for number in range(300):
            with contextlib.suppress(Trouble):
                calling = True
                signal.setitimer(signal.ITIMER_REAL, seed.uniform(0.0001, 0.01))
                calls[number % len(calls)]()
                calling = False  # a signal that comes after the call is none of this test's
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    eventually("every call has ended", no_call_is_left)
    assert len(record._client._gate.free) == 3
    assert record.upload(b"x", name="last").file_name == "last"


@pytest.mark.parametrize("interrupt", [_thread.interrupt_main, lambda: os.kill(os.getpid(), signal.SIGINT)], ids=["in the process", "from outside"])
def test_ctrl_c_ends_a_stalled_call_soon(world: World, interrupt: Any) -> None:
    record = world.record()
    world.fault("photo.download", STALL)
    threading.Timer(0.3, interrupt).start()
    began = time.monotonic()
    assert isinstance(here(record.photo.download), KeyboardInterrupt)
    assert time.monotonic() - began < SOON


def test_no_callback_runs_after_an_interrupted_call(world: World) -> None:
    record = world.record()
    late: List[int] = []
    over = threading.Event()

    class Slow(io.RawIOBase):
        def read(self, n: int = -1) -> bytes:
            if over.is_set():
                late.append(n)
            time.sleep(0.01)
            return b"x" * min(n, 1000)

    threading.Timer(0.3, _thread.interrupt_main).start()
    assert isinstance(here(lambda: record.upload(Slow(), name="a", size=50_000_000)), KeyboardInterrupt)
    over.set()
    time.sleep(0.3)
    assert late == []


@pytest.mark.parametrize("run", [here, on_thread], ids=["main thread", "another thread"])
def test_an_operation_inside_of_a_callback_is_refused(world: World, run: Any) -> None:
    record = world.record()
    raised = run(lambda: record.upload(b"x" * 100_000, name="a", progress=lambda *_: record.upload(b"y", name="b")))
    assert (type(raised), raised.reason) == (zcrm.StateError, "reentrant")


def test_a_closed_client_says_so_and_may_be_closed_again(world: World) -> None:
    client = world.client()
    record = client.record("Contacts", world.record_id())
    with client:
        pass
    client.close()
    with pytest.raises(zcrm.StateError, match="closed"):
        record.upload(b"x", name="a")


def test_a_client_that_is_closed_during_a_call_lets_it_end(world: World) -> None:
    record = world.record()
    world.fault("attachment.upload", {"kind": "delay", "ms": 500})
    threading.Timer(0.1, record._client.close).start()
    assert record.upload(b"x", name="a").file_name == "a"


def test_the_other_threads_of_python_run_during_a_call(world: World) -> None:
    record, counted = world.record(), [0]
    world.fault("photo.download", STALL)
    ending = threading.Event()

    def count() -> None:
        while not ending.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    error = on_thread(lambda: record.photo.download(timeout=0.5))
    ending.set()
    thread.join()
    assert isinstance(error, zcrm.TimeoutError)
    assert counted[0] > 20


def test_no_more_calls_than_max_calls_are_in_the_library_and_the_others_end_at_their_timeout(world: World) -> None:
    record = world.record(max_calls=2, max_in_flight=20)
    world.fault("photo.download", *[STALL] * 8)
    cancel = zcrm.Cancel()
    threads = [threading.Thread(target=lambda: on_error(lambda: record.photo.download(cancel=cancel))) for _ in range(6)]
    for thread in threads:
        thread.start()
    eventually("two calls are under way", lambda: len(world.requests("photo.download")) == 2)
    with pytest.raises(zcrm.TimeoutError, match="before it began"):
        record.photo.download(timeout=0.3)
    assert len(world.requests("photo.download")) == 2
    cancel.fire()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def on_error(work: Any) -> None:
    with contextlib.suppress(zcrm.Error):
        work()


def test_places_are_taken_and_given_back_by_any_number_of_threads_at_once() -> None:
    gate, raised = _gate.Gate(2), []

    def turn() -> None:
        try:
            for _ in range(3000):
                place = gate.take()
                if place is not None:
                    gate.give_back(place)
        except RuntimeError as error:
            raised.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=turn) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert raised == []
    assert len(gate.free) == 2


def test_copies_through_pipes_go_on_however_few_calls_are_let_in(world: World) -> None:
    """Each upload holds a place while it waits for the download that feeds it."""
    record = world.record(max_calls=1, max_in_flight=2)
    content = os.urandom(300_000)
    identifier = world.attach(record, "a", content)
    stored: List[zcrm.Attachment] = []

    def copy() -> None:
        reading, writing = os.pipe()
        with open(reading, "rb") as source, open(writing, "wb") as to:
            up = threading.Thread(target=lambda: stored.append(record.upload(source, name="copy", size=len(content))))
            up.start()
            time.sleep(0.05)
            record.download(identifier, to=to)
            to.close()
            up.join()

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [world.stored(record, one.id) == content for one in stored] == [True] * 4


def test_the_log_goes_to_the_logger_and_names_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    record = world.record()
    record.upload(b"x", name="a", trace_id="job-17")
    here(lambda: record.download("99"))
    assert any("job-17" in line.message for line in caplog.records if line.levelno == logging.INFO)
    assert any(line.levelno == logging.ERROR for line in caplog.records)
    assert world.access_token not in caplog.text


def test_an_error_has_every_field_of_the_description_and_can_go_to_another_process(world: World) -> None:
    raised = here(lambda: world.record().download("99"))
    renamed = {"retry_after_ms": "retry_after", "waited_ms": "waited"}
    for name in zcrm.describe()["error"]["properties"]:
        assert hasattr(raised, renamed.get(name, name)), name
    again = pickle.loads(pickle.dumps(raised))
    assert (type(again), str(again), again.__dict__) == (zcrm.NotFoundError, str(raised), raised.__dict__)


def test_a_rate_limit_says_when_to_come_again(world: World) -> None:
    record = world.record(max_retries=0)
    world.fault("attachment.list", {"kind": "status", "status": 429, "headers": {"Retry-After": "2"}})
    raised = here(lambda: next(record.attachments()))
    assert isinstance(raised, zcrm.RateLimitedError)
    assert (raised.retryable, raised.retry_after) == (True, 2.0)


def test_a_lost_upload_is_an_unknown_outcome(world: World) -> None:
    record = world.record(settle="off")
    world.fault("attachment.upload", {"kind": "reset_after_store"})
    raised = here(lambda: record.upload(b"x", name="a"))
    assert isinstance(raised, zcrm.OutcomeUnknownError)
    assert (raised.outcome_open, raised.request_sent) == (True, "fully")


def test_a_wrong_setting_is_named_with_what_is_meant(world: World) -> None:
    for settings, word in [({"acces_token": "x"}, "access_token"), ({"access_token": "x", "max_retries": "many"}, "max_retries"), ({}, "token")]:
        with pytest.raises(zcrm.ConfigError, match=word):
            zcrm.Client(**settings)  # type: ignore[arg-type]
    with pytest.raises(zcrm.ConfigError, match="holds ':'"):
        zcrm.Client(access_token="x", allow_paths=["/srv/co:lon"])
    with pytest.raises(TypeError, match="proxy is None"):
        zcrm.Client(access_token="x", proxy=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [b"secret", {"/srv"}, object()])
def test_a_setting_of_a_wrong_type_is_refused_and_not_printed_into_another_value(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"access_token must be a str, not {type(wrong).__name__}$"):
        zcrm.Client(access_token=wrong)


def test_a_cancel_cannot_be_pickled_as_its_copy_would_end_nothing() -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(zcrm.Cancel())


def test_a_client_cannot_be_pickled_and_says_what_to_do(world: World) -> None:
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(world.client())


def test_the_interpreter_ends_cleanly_with_calls_in_every_state(world: World) -> None:
    """Daemon threads in stalled calls and in readers, clients that are never closed, a walk in its middle."""
    world.fault("photo.download", *[STALL] * 8)
    program = """
        import io, sys, threading, time, zcrm
        client = zcrm.Client(api_domain=sys.argv[1], access_token=sys.argv[2], max_in_flight=20)
        record = client.record("Contacts", sys.argv[3])
        class Slow(io.RawIOBase):
            def read(self, n=-1):
                time.sleep(0.001)
                return b"x" * min(n, 100)
        for _ in range(4):
            threading.Thread(target=record.photo.download, daemon=True).start()
            threading.Thread(target=lambda: record.upload(Slow(), name="a", size=50_000_000), daemon=True).start()
        for name in "abc":
            record.upload(b"x", name=name)
        walk = record.attachments(per_page=1)
        next(walk)
        time.sleep(0.2)
        print("done", flush=True)
    """
    for _ in range(3):
        arguments = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), world.url, world.access_token, world.record_id()]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
        assert "Fatal" not in ended.stderr
        assert "panicked" not in ended.stderr


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="it calls no __del__ at its end")
@pytest.mark.parametrize("before", ["", "len(list(record.attachments()))"], ids=["first call", "after others"])
def test_what_an_object_does_as_the_interpreter_takes_it_apart_is_done_or_refused(world: World, before: str) -> None:
    """No other thread runs any more: what the main thread lets one do would never end."""
    program = f"""
        import io, sys, zcrm
        client = zcrm.Client(api_domain=sys.argv[1], access_token=sys.argv[2])
        record = client.record("Contacts", sys.argv[3])
        {before}
        def said(work):
            try:
                print(work(), flush=True)
            except zcrm.Error as error:
                print(error.reason, flush=True)
        class Last:
            def __del__(self):
                said(lambda: record.upload(io.BytesIO(b"abc"), name="a").size)
                said(lambda: len(list(record.attachments())))
                said(lambda: len(list(client.batch([("a", step)]))))
        step = {{"operation": "attachment.list", "module": "Contacts", "record_id": sys.argv[3]}}
        sys.modules["last"] = Last()
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program), world.url, world.access_token, world.record_id()]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "3\n1\nending\n"), ended.stderr
