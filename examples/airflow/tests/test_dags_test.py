"""`airflow dags test`: the operators, and what their failures mean to Airflow."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any, List

from conftest import HERE, ROOT

PORTRAIT = ROOT / "tests/emulator/fixtures/portrait.png"


def attached(world: Any, record: str) -> List[str]:
    """The names of what hangs on a record, as the emulator has them."""
    return sorted(one["name"] for one in json.loads(world.control("GET", f"records/Contacts/{record}/attachments")))


def test_the_example_attaches_every_file_of_a_folder(airflow: Any, world: Any, files: pathlib.Path) -> None:
    engine = airflow(HERE.parent / "dags")
    for name in ("contract.pdf", "offer.pdf", "見積書.txt"):
        (files / name).write_bytes(name.encode())
    (files / "a folder").mkdir()
    record = world.record_id()

    log = engine.test("attach_folder", folder=str(files), record_id=record)

    assert attached(world, record) == ["contract.pdf", "offer.pdf", "見積書.txt"], log[-8000:]
    assert engine.states("attach_folder") == {"files": ["success"], "attach": ["success"] * 3, "attached": ["success"], "report": ["success"]}
    assert "attachment.upload" in log, "the library's lines stand in the log of the task"
    assert world.credentials["client_secret"] not in log
    assert world.credentials["refresh_token"] not in log


def test_every_operator_does_its_operation(airflow: Any, world: Any, files: pathlib.Path) -> None:
    engine = airflow(HERE / "dags")
    (files / "a.txt").write_text("a")
    (files / "b.txt").write_text("bb")
    shutil.copy(PORTRAIT, files / "portrait.png")
    record = world.record_id()

    log = engine.test("operations", record_id=record, folder=str(files))

    assert {state for states in engine.states("operations").values() for state in states} == {"success"}, log[-8000:]
    assert attached(world, record) == ["Order 17", "step-a.txt", "step-b.txt", "stored.txt"]
    assert (files / "back.txt").read_text() == "a"
    assert (files / "back.png").read_bytes() == PORTRAIT.read_bytes()
    assert len(world.requests("photo.delete")) == 1


def test_what_a_failure_means_to_airflow(airflow: Any, world: Any, files: pathlib.Path) -> None:
    engine = airflow(HERE / "dags", max_retries=0)
    (files / "a.txt").write_text("a")
    (files / "b.txt").write_text("bb")
    record = world.record_id()
    for name in ("later.txt", "too late.txt"):
        limited = {"kind": "status", "status": 429, "headers": {"Retry-After": "2"}}
        world.control("POST", "faults", {"operation": "attachment.upload", "file_name": name, "faults": [limited]})

    log = engine.test("failures", record_id=record, folder=str(files))

    states = engine.states("failures")
    uploads = world.requests("attachment.upload")
    stored = attached(world, record)

    assert states["refused"] == ["failed"]
    assert len([one for one in uploads if "/Contacts/1/" in one["path"]]) == 1, "what can't succeed is not tried again, for all the retries"
    assert states["forbidden_path"] == ["failed"]
    assert "path_not_allowed" in log
    assert states["later"] == ["success"], f"it comes again when Zoho said, and has no retries: {log[-8000:]}"
    assert states["too_late"] == ["failed"], "a task isn't rescheduled for longer than it may be"
    assert states["twice"] == ["success"]
    assert stored == ["later.txt", "twice.txt"], "a second try doesn't store twice"


def test_the_connection_form_has_the_settings(airflow: Any) -> None:
    engine = airflow(HERE / "dags")
    hooks = {hook["connection_type"]: hook for hook in engine.json("providers", "hooks")}
    assert hooks["zoho_crm"]["hook_name"] == "Zoho CRM"
    fields = {row["connection_parameter_name"] for row in engine.json("providers", "widgets") if row["package_name"] == "zcrm"}
    assert {f"extra__zoho_crm__{name}" for name in ("data_center", "refresh_token", "token_file", "allow_paths", "max_in_flight")} <= fields
