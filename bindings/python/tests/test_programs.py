"""The programs of examples/python, and `python -m zcrm`, as they are installed. The latter's exit codes are those of tests/hosts.rs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any, Dict

from test_operations import PNG

from conftest import World

EXAMPLES = pathlib.Path(os.environ["ZCRM_ROOT"], "examples/python")


def run(world: World, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment: Dict[str, Any] = {name: value for name, value in os.environ.items() if not name.startswith("ZCRM_") or name == "ZCRM_LIBRARY"}
    environment.update(ZCRM_API_DOMAIN=world.url, ZCRM_ACCESS_TOKEN=world.access_token, PYTHONIOENCODING="utf-8")
    return subprocess.run([sys.executable, *arguments], input=given, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False)


def test_attach_sends_a_file_and_gets_it_back(world: World) -> None:
    (world.tmp / "contract.pdf").write_bytes(b"%PDF")
    record = world.record_id()
    ended = run(world, str(EXAMPLES / "attach.py"), "Contacts", record, str(world.tmp / "contract.pdf"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "what came back is the same: True" in ended.stdout
    ended = run(world, str(EXAMPLES / "attach.py"), "Contacts", "99", str(world.tmp / "contract.pdf"))
    assert ended.returncode == 1
    assert "ZCRM_E_INVALID_RECORD" in ended.stderr


def test_folder_attaches_what_is_not_there_yet(world: World) -> None:
    folder = world.tmp / "folder"
    folder.mkdir()
    for name in ("a.txt", "ü.txt"):
        (folder / name).write_text(name, encoding="utf-8")
    record = world.record()
    for _ in range(2):
        ended = run(world, str(EXAMPLES / "folder.py"), "Contacts", record.id, str(folder))
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("is there already") == 2
    assert {one.file_name for one in record.attachments()} == {"a.txt", "ü.txt"}


def test_photos_sets_those_of_a_table_and_goes_on_with_its_journal(world: World) -> None:
    (world.tmp / "a.png").write_bytes(PNG)
    record = world.record()
    (world.tmp / "photos.csv").write_text(f"module,record_id,path\nContacts,{record.id},a.png\nContacts,{record.id},missing.png\n", encoding="utf-8")
    arguments = (str(EXAMPLES / "photos.py"), str(world.tmp / "photos.csv"), str(world.tmp / "journal"))
    ended = run(world, *arguments)
    assert ended.returncode == 1
    assert "line 3" in ended.stderr
    assert record.photo.download().data == PNG
    (world.tmp / "missing.png").write_bytes(PNG)
    ended = run(world, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert "from_journal=1" in ended.stdout


def test_the_package_runs_steps_from_its_standard_input(world: World) -> None:
    record = world.record()
    world.attach(record, "a", b"x")
    step = {"operation": "attachment.list", "module": "Contacts", "record_id": record.id}
    ended = run(world, "-m", "zcrm", given=f"{json.dumps(step)}\n\nnonsense\n")
    first, second = map(json.loads, ended.stdout.splitlines())
    assert first["result"]["attachments"][0]["file_name"] == "a"
    assert (second["line"], second["error"]["reason"]) == (3, "step_input")
    assert ended.returncode == 1
    assert json.loads(run(world, "-m", "zcrm", "--describe").stdout)["operations"]
