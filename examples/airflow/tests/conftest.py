"""A real Airflow with a home of its own, whose connection leads to an emulator. Nothing of Airflow or of Zoho is replaced."""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import sys
from typing import Any

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(HERE.parent))
from local_airflow import Airflow  # noqa: E402

# The emulator of the tests of the package.
_spec = importlib.util.spec_from_file_location("zcrm_world", ROOT / "bindings/python/tests/conftest.py")
assert _spec is not None
assert _spec.loader is not None
_package = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_package)
World, STALL = _package.World, _package.STALL


@pytest.fixture
def files(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder that steps may name files in."""
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A home whose database is there: made once, as it takes its time."""
    home = tmp_path_factory.mktemp("airflow")
    Airflow(home, HERE, {"client_id": "", "client_secret": ""}).run("db", "migrate")
    return home


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Any:
    made = World(tmp_path)
    yield made
    made.end()


@pytest.fixture
def airflow(tmp_path: pathlib.Path, migrated: pathlib.Path, world: Any, files: pathlib.Path) -> Any:
    """Makes an Airflow with these DAGs and settings."""

    def made(dags: pathlib.Path, **settings: Any) -> Airflow:
        home = tmp_path / "home"
        shutil.copytree(migrated, home)
        (home / "airflow.cfg").unlink(missing_ok=True)  # it names the other's folder
        return Airflow(home, dags, world.oauth(allow_paths=str(files), **settings))

    return made
