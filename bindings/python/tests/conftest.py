"""Each test has an emulator of its own, with a record in it."""

from __future__ import annotations

import gc
import json
import logging
import os
import pathlib
import signal
import subprocess
import time
import urllib.request
from typing import Any, Callable, Dict, Iterator, List

import pytest

import zcrm

# A shell ignores Ctrl-C for what it starts in the background, and Python then doesn't raise KeyboardInterrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


class World:
    """An emulator, its control paths, and clients of it."""

    def __init__(self, tmp_path: pathlib.Path) -> None:
        self.tmp = tmp_path
        self._process = subprocess.Popen([os.environ["ZCRM_EMULATOR"], "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        first = json.loads(self.control("GET", "world"))["organisations"][0]
        self.access_token: str = first["access_token"]
        self.credentials: Dict[str, str] = first["credentials"]
        self._clients: List[zcrm.Client] = []

    def end(self) -> None:
        for client in self._clients:
            client.close()
        self._process.communicate()

    def control(self, method: str, path: str, body: Any = None) -> bytes:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_emulator/{path}", data, method=method)) as answer:
            content: bytes = answer.read()
        return content

    def settings(self, **more: Any) -> Dict[str, Any]:
        """Those of a client with an access token: of refreshes the emulator, as Zoho, allows few."""
        return {"api_domain": self.url, "accounts_url": self.url, "access_token": self.access_token, "retry_base_ms": 5, **more}

    def oauth(self, **more: Any) -> Dict[str, Any]:
        keys = ("client_id", "client_secret", "refresh_token")
        return {"api_domain": self.url, "accounts_url": self.url, **{key: self.credentials[key] for key in keys}, **more}

    def client(self, **more: Any) -> zcrm.Client:
        client = zcrm.Client(**self.settings(**more))
        self._clients.append(client)
        return client

    def record_id(self, module: str = "Contacts") -> str:
        made: str = json.loads(self.control("POST", "records", {"module": module}))["id"]
        return made

    def record(self, **more: Any) -> zcrm.Record:
        return self.client(**more).record("Contacts", self.record_id())

    def attach(self, record: zcrm.Record, name: str, content: bytes) -> str:
        """Puts an attachment there without the client."""
        made: str = json.loads(self.control("POST", f"records/{record.module}/{record.id}/attachments?name={name}", content))["id"]
        return made

    def stored(self, record: zcrm.Record, attachment_id: str) -> bytes:
        """What the emulator holds of an attachment."""
        return self.control("GET", f"records/{record.module}/{record.id}/attachments/{attachment_id}")

    def fault(self, operation: str, *faults: Dict[str, Any]) -> None:
        self.control("POST", "faults", {"operation": operation, "faults": faults})

    def change(self, **settings: Any) -> None:
        self.control("PATCH", "settings", settings)

    def requests(self, operation: str) -> List[Dict[str, Any]]:
        """Those of an operation that reached the emulator."""
        return [r for r in json.loads(self.control("GET", "ledger"))["requests"] if r["operation"] == operation]


STALL = {"kind": "stall", "at": "before_reply"}


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = World(tmp_path)
    yield made
    made.end()


@pytest.fixture(autouse=True)
def _whole_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "zcrm")


def eventually(what: str, holds: Callable[[], Any]) -> None:
    """Waits for what another thread or process does in its own time."""
    bound = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < bound, f"it never came true that {what}"
        time.sleep(0.005)


def no_call_is_left() -> bool:
    """A batch that is let go ends when it is collected, which PyPy does in its own time."""
    gc.collect()
    return not zcrm._call._calls
