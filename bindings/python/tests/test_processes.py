"""Processes: fork, spawn, prefork pools, the token that they share; `python -m zcrm` is tested beside the host in C (tests/hosts.rs)."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import pathlib
import stat
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Dict, List

import pytest

import zcrm
from conftest import STALL, World, eventually, no_call_is_left

NO_LOG = None
"""pytest writes log lines to files, whose locks Python lets a fork take along."""

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# Python warns of each fork with threads, which is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def upload(settings: Dict[str, Any], record_id: str, name: str) -> str:
    with zcrm.Client(**settings) as client:
        return client.record("Contacts", record_id).upload(b"x", name=name).id


def in_child(work: Any) -> int:
    """The exit code of a forked child, which may not hang."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    bound = time.monotonic() + 30
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > bound:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return -1
        time.sleep(0.01)


@fork
def test_a_client_made_before_a_fork_works_in_the_child_and_in_the_parent(world: World) -> None:
    record = world.record()
    record.upload(b"x", name="before")  # so that the main thread's helper is there, too
    assert in_child(lambda: record.upload(b"x", name="child")) == 0
    record.upload(b"x", name="after")
    assert {one.file_name for one in record.attachments()} == {"before", "child", "after"}


@fork
def test_a_child_forked_in_the_middle_of_calls_makes_its_own(world: World) -> None:
    """The parent's other threads hold every place, and aren't there in the child."""
    record = world.record(max_calls=2, max_in_flight=2, logger=NO_LOG)
    world.fault("photo.download", *[STALL] * 2)
    cancel = zcrm.Cancel()

    def stalled() -> None:
        with pytest.raises(zcrm.CancelledError):
            record.photo.download(cancel=cancel)

    threads = [threading.Thread(target=stalled) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually("both are under way", lambda: len(world.requests("photo.download")) == 2)
    for number in range(4):
        assert in_child(lambda number=number: record.upload(b"x", name=f"{number}")) == 0
    cancel.fire()
    for thread in threads:
        thread.join()
    assert len(list(record.attachments())) == 4


@fork
def test_a_prefork_pool_works_with_the_parents_client_while_its_calls_are_in_flight(world: World) -> None:
    record = world.record(max_in_flight=8, logger=NO_LOG)
    going = threading.Event()
    failures: List[BaseException] = []

    def busy() -> None:
        try:
            while not going.is_set():
                list(record.attachments())
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    _inherited.append(record)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        answers = pool.map_async(_upload_inherited, [f"{number}" for number in range(40)])
        assert len(set(answers.get(60))) == 40
    _inherited.clear()
    going.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(list(record.attachments())) == 40


_inherited: List[zcrm.Record] = []


def _upload_inherited(name: str) -> str:
    return _inherited[0].upload(b"x", name=name).id


def test_spawned_processes_make_their_own_clients(world: World) -> None:
    record = world.record()
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        stored = pool.starmap(upload, [(world.settings(), record.id, f"{number}") for number in range(4)])
    assert len(set(stored)) == 4


def test_an_error_comes_out_of_a_pool_as_itself(world: World) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(zcrm.InvalidRecordError) as caught:
        pool.apply(upload, (world.settings(), "99", "a"))
    assert caught.value.http_status >= 400


def test_processes_with_the_same_credentials_share_one_token(world: World) -> None:
    record = world.record()
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(upload, [(world.oauth(), record.id, f"{number}") for number in range(12)])
    assert len(world.requests("token")) == 1
    (file,) = (world.tmp / "cache" / "zcrm").glob("token-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert world.credentials["client_id"] not in file.name


def test_each_account_has_a_token_file_of_its_own(world: World) -> None:
    for more in ({}, {"data_center": "eu"}, {"client_id": "1000.OTHER"}):
        zcrm.Client(**{**world.oauth(), **more})
    names = {str(zcrm._client._shared_token_file({**world.oauth(), **more})) for more in ({}, {"data_center": "eu"}, {"client_id": "1000.OTHER"})}
    assert len(names) == 3


def test_a_profile_shares_a_token_too_and_settings_come_before_it(world: World) -> None:
    profiles = world.tmp / "profiles.toml"
    lines = "".join(f'{key} = "{value}"\n' for key, value in world.oauth().items())
    profiles.write_text(f"[work]\n{lines}", encoding="utf-8")
    profiles.chmod(0o600)
    for _ in range(3):
        list(zcrm.Client(profile="work", profiles=profiles).record("Contacts", world.record_id()).attachments())
    assert len(world.requests("token")) == 1
    with pytest.raises(zcrm.AuthError):
        zcrm.Client(profile="work", profiles=profiles, refresh_token="1000.x", token_file=None).record("Contacts", "1").photo.download()
    with pytest.raises(zcrm.ConfigError, match="default"):
        zcrm.Client(profiles=profiles)
    for cut in ({"profile": "work\0", "profiles": profiles}, {"profile": "work", "profiles": f"{profiles}\0"}, {"access_token\0": "1000.x"}):
        with pytest.raises(zcrm.ArgumentError, match="NUL"):
            zcrm.Client(**cut)


def test_without_a_token_file_that_of_a_profile_is_not_used_either(world: World) -> None:
    profiles = world.tmp / "profiles.toml"
    lines = "".join(f'{key} = "{value}"\n' for key, value in world.oauth(token_file=world.tmp / "token").items())
    profiles.write_text(f"[default]\n{lines}", encoding="utf-8")
    profiles.chmod(0o600)
    list(zcrm.Client(profiles=profiles, token_file=None).record("Contacts", world.record_id()).attachments())
    assert not (world.tmp / "token").exists()
    list(zcrm.Client(profiles=profiles).record("Contacts", world.record_id()).attachments())
    assert (world.tmp / "token").exists()


def test_no_token_file_is_made_where_none_is_wanted(world: World, tmp_path: pathlib.Path) -> None:
    list(world.client().record("Contacts", world.record_id()).attachments())
    list(zcrm.Client(token_file=None, **world.oauth()).record("Contacts", world.record_id()).attachments())
    assert not list((world.tmp / "cache").rglob("token-*"))
    list(zcrm.Client(token_file=tmp_path / "mine", **world.oauth()).record("Contacts", world.record_id()).attachments())
    assert (tmp_path / "mine").exists()


def test_a_cache_folder_that_is_relative_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.tmp / "here").mkdir()
    monkeypatch.chdir(world.tmp / "here")
    monkeypatch.setenv("HOME", str(world.tmp / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    list(zcrm.Client(**world.oauth()).record("Contacts", world.record_id()).attachments())
    assert not list((world.tmp / "here").iterdir())
    assert list((world.tmp / "home" / ".cache" / "zcrm").glob("token-*.json"))


def test_without_a_place_for_the_token_the_client_works_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (world.tmp / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(world.tmp / "file"))
    list(zcrm.Client(**world.oauth()).record("Contacts", world.record_id()).attachments())
    assert any("token_file" in line.message for line in caplog.records if line.levelno == logging.WARNING)


def peak_kib() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="its collector lets the heap grow by hundreds of MB before it looks")
def test_100_mb_through_file_objects_take_no_more_memory_than_1_mb(world: World) -> None:
    world.change(keep_bodies=False)
    program = """
        import io, sys, zcrm
        class File(io.RawIOBase):
            def __init__(self, size): self.left = size
            def read(self, n=-1):
                given = b"x" * min(n, self.left)
                self.left -= len(given)
                return given
        class To(io.RawIOBase):
            size = 0
            def write(self, data):
                self.size += len(data)
                return len(data)
        record = zcrm.Client(api_domain=sys.argv[1], access_token=sys.argv[2]).record("Contacts", sys.argv[3])
        size, to = int(sys.argv[4]), To()
        stored = record.upload(File(size), name="a", size=size)
        assert stored.size == size
        if sys.argv[5]:
            record.download(sys.argv[5], to=to)
            assert to.size == size
        with open("/proc/self/status") as status:
            print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
    """

    def peak(size: int) -> int:
        world.change(keep_bodies=True)
        there = world.record()
        identifier = world.attach(there, "there", b"x" * size)
        world.change(keep_bodies=False)
        arguments = [sys.executable, "-c", textwrap.dedent(program), world.url, world.access_token, there.id, str(size), identifier]
        return int(subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=True).stdout)

    small, large = peak(1_000_000), peak(100_000_000)
    assert large - small < 8_000, f"{small} KiB with 1 MB, {large} KiB with 100 MB"


def test_clients_walks_and_failures_leave_nothing_behind(world: World) -> None:
    record_id = world.record_id()

    def round_trip() -> None:
        client = zcrm.Client(**world.settings(), token_file=None)
        record = client.record("Contacts", record_id)
        next(record.attachments(), None)
        with pytest.raises(zcrm.NotFoundError):
            record.photo.download(to=io.BytesIO())

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        round_trip()
    before, threads = descriptors(), threading.active_count()
    for _ in range(60):
        round_trip()
    assert descriptors() - before < 20
    assert threading.active_count() == threads
    assert no_call_is_left()


def test_the_package_says_what_is_missing() -> None:
    def said(**environment: str) -> str:
        arguments = [sys.executable, "-c", "import zcrm; zcrm.version()"]
        ended = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, **environment})
        assert ended.returncode == 1
        return ended.stderr.splitlines()[-1]

    assert "/nowhere/libzcrm.so" in said(ZCRM_LIBRARY="/nowhere/libzcrm.so")
    assert "is not libzcrm" in said(ZCRM_LIBRARY="libc.so.6")
