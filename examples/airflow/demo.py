"""Attaches a folder of files with Airflow, and tells of every task as it goes. Started by demo.sh, with an organisation in the environment.

    demo.py [FOLDER]     without it six files are made

PICTURE=FILE takes a picture of Airflow's page of the run.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import time

import zcrm
from local_airflow import Airflow

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parent.parent / "build" / "airflow" / "demo"
DAG = "attach_folder"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def sample_files() -> pathlib.Path:
    folder = WORK / "files"
    folder.mkdir(parents=True)
    for name in ("contract.pdf", "offer.pdf", "invoice 2026-11.pdf", "site plan.png", "minutes.txt", "Überblick.txt"):
        (folder / name).write_bytes(os.urandom(40_000))
    return folder


def watch(airflow: Airflow, run: str) -> str:
    """Prints each change of a task, until the run has ended."""
    seen: dict = {}
    while True:
        ended = airflow.state(DAG, run)
        for task in airflow.tasks(DAG, run):
            name = f"{task['task_id']} {task.get('rendered_map_index') or ''}".strip()
            if task["state"] and seen.get((task["task_id"], task["map_index"])) != task["state"]:
                seen[task["task_id"], task["map_index"]] = task["state"]
                print(f"  {time.strftime('%H:%M:%S')}  {name:32} {task['state']}", flush=True)
        if ended in ("success", "failed"):
            return ended
        time.sleep(1)


def picture(airflow: Airflow, run: str, file: str) -> None:
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        sys.exit(f"demo: a picture needs one of {', '.join(BROWSERS)}")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1400,760", "--virtual-time-budget=20000", f"--screenshot={file}"]
    subprocess.run([browser, *options, f"http://127.0.0.1:{airflow.port}/dags/{DAG}/runs/{run}"], capture_output=True, check=True, timeout=300)
    print(f"demo: {file}")


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    folder = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else sample_files()
    record_id, settings = os.environ["ZCRM_RECORD_ID"], zcrm.settings_from_environment()
    home = WORK / "home"
    home.mkdir(parents=True)
    airflow = Airflow(home, HERE / "dags", settings)
    print("demo: Airflow makes its database and starts; half a minute", flush=True)
    airflow.run("db", "migrate")
    with airflow.running():
        run = airflow.start(DAG, folder=str(folder), record_id=record_id)
        print(f"demo: {DAG} attaches the files of {folder} to Contacts/{record_id}; see http://127.0.0.1:{airflow.port}/dags/{DAG}", flush=True)
        ended = watch(airflow, run)
        if "PICTURE" in os.environ:
            picture(airflow, run, os.environ["PICTURE"])
        if sys.stdin.isatty():
            input(f"demo: {ended}. Airflow's pages are there until you press Enter. ")
    with zcrm.Client(**settings) as client:
        for attachment in client.record("Contacts", record_id).attachments():
            print(f"  {attachment.id}  {attachment.size:>8}  {attachment.file_name}")
    sys.exit(ended != "success")


main()
