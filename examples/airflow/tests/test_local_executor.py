"""A whole Airflow: scheduler, API server, LocalExecutor. Each task is a process."""

from __future__ import annotations

import json
import pathlib
from typing import Any, List

from conftest import HERE, STALL
from local_airflow import Airflow, eventually

UPLOADS = 20


def test_twenty_mapped_uploads_need_one_token_and_a_killed_one_ends(airflow: Any, world: Any, files: pathlib.Path) -> None:
    engine = airflow(HERE.parent / "dags")
    names = [f"{number:02}.txt" for number in range(UPLOADS)]
    for name in names:
        (files / name).write_text(name)
    with engine.running():
        record = world.record_id()
        run = engine.start("attach_folder", folder=str(files), record_id=record)
        eventually("the run has ended", lambda: engine.state("attach_folder", run) in ("success", "failed"), within=600)

        assert engine.state("attach_folder", run) == "success", engine.logs()[-8000:]
        stored = json.loads(world.control("GET", f"records/Contacts/{record}/attachments"))
        assert sorted(one["name"] for one in stored) == names
        assert len({task["pid"] for task in uploads(engine, run)}) == UPLOADS, "each upload was a process of its own"
        assert len(world.requests("token")) == 1

        # A task that is marked failed is killed: its call ends, which on_kill asks for.
        for name in names[1:]:
            (files / name).unlink()
        world.fault("attachment.upload", STALL)
        sent = len(world.requests("attachment.upload"))
        run = engine.start("attach_folder", folder=str(files), record_id=world.record_id())
        eventually("the upload stalls", lambda: len(world.requests("attachment.upload")) > sent, within=300)
        engine.api("PATCH", f"dags/attach_folder/dagRuns/{run}/taskInstances/attach/0", {"new_state": "failed"})
        eventually("the call has ended", lambda: "the task was killed" in engine.logs(), within=120)


def uploads(engine: Airflow, run: str) -> List[Any]:
    return [task for task in engine.tasks("attach_folder", run) if task["task_id"] == "attach"]
