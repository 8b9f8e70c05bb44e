"""A whole Airflow on this machine, in a folder of its own, whose connection zcrm_default leads to one organisation: for the demo and the tests."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional


class Airflow:
    """The Airflow of this Python: its database, its folder of DAGs, its connection."""

    def __init__(self, home: pathlib.Path, dags: pathlib.Path, settings: Mapping[str, Any]) -> None:
        """`settings` are zcrm's; client_id and client_secret become login and password."""
        self.home, self.port = home, 0
        extra = dict(settings)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ZCRM_"))},
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(home / "cache"),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_ZCRM_DEFAULT": json.dumps({
                "conn_type": "zoho_crm", "login": extra.pop("client_id"), "password": extra.pop("client_secret"), "extra": extra}),
        }

    def run(self, *arguments: str) -> str:
        """`airflow …`, and what it prints."""
        ended = subprocess.run(["airflow", *arguments], env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == 0, f"airflow {' '.join(arguments)}\n{ended.stdout[-8000:]}\n{ended.stderr[-8000:]}"
        return ended.stdout

    def json(self, *arguments: str) -> Any:
        """The same, of a command that prints JSON, which may have log lines before it."""
        return json.loads(self.run(*arguments, "--output", "json").strip().splitlines()[-1])

    def test(self, dag: str, **conf: Any) -> str:
        """`airflow dags test`, whatever becomes of its tasks: its log."""
        command = ["airflow", "dags", "test", dag, "--conf", json.dumps(conf)]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        return ended.stdout + ended.stderr

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Scheduler, API server and DAG processor, with LocalExecutor: each task is a process."""
        self.port = _free_port()
        self.environment |= {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__SECRET_KEY": "of this run",
            "AIRFLOW__API_AUTH__JWT_SECRET": "of this run, and long enough for its hash to be safe: 64 bytes or more",
        }
        commands = (["api-server", "--port", str(self.port), "--workers", "1"], ["scheduler"], ["dag-processor"])
        with contextlib.ExitStack() as stack:
            for command in commands:
                log = stack.enter_context((self.home / f"{command[0]}.log").open("w"))
                started = subprocess.Popen(["airflow", *command], env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
                stack.callback(_end, started)
            eventually("the API server answers", self._answers, within=300)
            yield

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/version", timeout=5):
                return True
        except OSError:
            return False

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """What Airflow's own pages ask."""
        base = f"http://127.0.0.1:{self.port}"
        with urllib.request.urlopen(f"{base}/auth/token") as answer:
            token = json.load(answer)["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{base}/api/v2/{path}", data, headers, method=method)) as answer:
            return json.load(answer)

    def start(self, dag: str, **conf: Any) -> str:
        """Starts a run, once the DAG processor has found the DAG, and gives its id."""
        eventually(f"{dag} is found", lambda: dag in [found["dag_id"] for found in self.api("GET", "dags")["dags"]], within=300)
        self.api("PATCH", f"dags/{dag}", {"is_paused": False})
        return self.api("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]

    def state(self, dag: str, run: str) -> str:
        return self.api("GET", f"dags/{dag}/dagRuns/{run}")["state"]

    def tasks(self, dag: str, run: str) -> List[Dict[str, Any]]:
        return self.api("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]

    def logs(self) -> str:
        """Those of all tasks."""
        return "".join(path.read_text() for path in (self.home / "logs").rglob("attempt=*.log"))

    def states(self, dag: str, run: Optional[str] = None) -> Dict[str, List[str]]:
        """The state of each task of the DAG's only run, or of this one; of a mapped one those of all its instances."""
        run = run or self.json("dags", "list-runs", dag)[0]["run_id"]
        found: Dict[str, List[str]] = {}
        for row in self.json("tasks", "states-for-dag-run", dag, run):
            found.setdefault(row["task_id"], []).append(row["state"])
        return found


def eventually(what: str, holds: Callable[[], Any], within: float = 60) -> None:
    """Waits for what another process does in its own time."""
    bound = time.monotonic() + within
    while not holds():
        assert time.monotonic() < bound, f"it never came true that {what}"
        time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process with all that it has started: the executor's workers outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
