"""Puts the command into a wheel, which puts it on the PATH. The environment's ZCRM_COMMAND is its path: see `make command-wheel`."""

from __future__ import annotations

import os
import pathlib
import runpy
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / "bindings/python/hatch_build.py"


class Command(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        command = pathlib.Path(os.environ["ZCRM_COMMAND"])
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{runpy.run_path(str(LIBRARY))['platform'](command)}"
        build_data["shared_scripts"][str(command)] = "zcrm"
