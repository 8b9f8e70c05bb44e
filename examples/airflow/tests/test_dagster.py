"""Dagster: the example, in a run of Dagster's own and as its command."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from typing import Any, Dict

import pytest

from conftest import ROOT

EXAMPLE = ROOT / "examples/dagster/assets.py"


def settings(world: Any, tmp_path: pathlib.Path) -> Dict[str, str]:
    names = {f"ZCRM_{name.upper()}": value for name, value in world.oauth().items()}
    return {**names, "DAGSTER_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "DAGSTER_DISABLE_TELEMETRY": "1"}


def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "files"
    made.mkdir()
    (made / "contract.pdf").write_bytes(b"contract")
    (made / "offer.pdf").write_bytes(b"an offer")
    return made


def test_the_asset_tells_what_it_attached(world: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import materialize

    for name, value in settings(world, tmp_path).items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("assets", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    record = world.record_id()
    config = {"ops": {"attached_files": {"config": {"folder": str(folder(tmp_path)), "record_id": record}}}}

    ended = materialize([example.attached_files], resources=example.defs.resources, run_config=config)

    told = ended.asset_materializations_for_node("attached_files")[0].metadata
    stored = {one["id"]: one for one in json.loads(world.control("GET", f"records/Contacts/{record}/attachments"))}
    assert told["files"].value == 2
    assert told["bytes"].value == 16
    assert told["attachments"].data == {attachment_id: one["name"] for attachment_id, one in stored.items()}
    assert told["last_sha256"].value in {one["sha256"] for one in stored.values()}


def test_a_repeated_run_attaches_nothing_twice(world: Any, tmp_path: pathlib.Path) -> None:
    record = world.record_id()
    config = json.dumps({"ops": {"attached_files": {"config": {"folder": str(folder(tmp_path)), "record_id": record}}}})
    command = [str(pathlib.Path(sys.executable).parent / "dagster"), "asset", "materialize", "-f", str(EXAMPLE), "--select", "attached_files"]
    for _ in range(2):
        environment = {**os.environ, **settings(world, tmp_path)}
        ended = subprocess.run([*command, "--config-json", config], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-8000:]
        assert world.credentials["client_secret"] not in ended.stdout + ended.stderr
    stored = json.loads(world.control("GET", f"records/Contacts/{record}/attachments"))
    assert sorted(one["name"] for one in stored) == ["contract.pdf", "offer.pdf"]
    assert len(world.requests("token")) == 1, "the second run uses the token of the first"
