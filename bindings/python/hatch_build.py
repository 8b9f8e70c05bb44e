"""Puts the library into the wheel, and names the systems that can load it.

The environment's ZCRM_LIBRARY is the path of the libzcrm that goes in. The wheel has no compiled Python: one serves every CPython and PyPy.
"""

from __future__ import annotations

import os
import pathlib
import re
import struct
from typing import Any, Iterator

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
MUSL_SINCE = "1_2"
"""Of musl, libraries have no versions: 1.2 is the oldest that is still maintained."""


class Elf:
    """What of an ELF file of 64 bits says where it can be loaded."""

    def __init__(self, data: bytes) -> None:
        if data[4] != 2:
            raise SystemExit("zcrm: the library isn't one of 64 bits")
        self.data, self.order = data, "<" if data[5] == 1 else ">"
        self.machine = self.read("H", 18)[0]
        self.sections = list(self._sections())

    def read(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + form, self.data, at)

    def _sections(self) -> Iterator[tuple[Any, ...]]:
        (at,), (size, count) = self.read("Q", 0x28), self.read("HH", 0x3A)
        for i in range(count):
            # type, offset, size, link (the section with its names)
            _, kind, _, _, offset, length, link = self.read("IIQQQQI", at + i * size)
            yield kind, offset, length, link

    def text(self, table: int, at: int) -> str:
        start = self.sections[table][1] + at
        return self.data[start : self.data.index(b"\0", start)].decode()

    def needed(self) -> Iterator[str]:
        """The libraries that it needs."""
        for kind, offset, length, link in self.sections:
            if kind == 6:  # SHT_DYNAMIC
                yield from (self.text(link, value) for tag, value in (self.read("qQ", offset + i) for i in range(0, length, 16)) if tag == 1)

    def versions(self) -> Iterator[str]:
        """The versions of symbols that it needs, such as GLIBC_2.17."""
        for kind, offset, _, link in self.sections:
            at = offset
            while kind == 0x6FFFFFFE:  # SHT_GNU_verneed
                _, count, _, first, following = self.read("HHIII", at)
                entry = at + first
                for _ in range(count):
                    _, _, _, name, step = self.read("IHHII", entry)
                    yield self.text(link, name)
                    entry += step
                if not following:
                    break
                at += following


def platform(library: pathlib.Path) -> str:
    """The platform tag of a library."""
    data = library.read_bytes()
    if data[:2] == b"MZ":
        return "win_amd64"
    if data[:4] != b"\x7fELF":
        raise SystemExit(f"zcrm: {library} is no library for Linux or Windows")
    elf = Elf(data)
    if elf.machine not in MACHINES:
        raise SystemExit(f"zcrm: {library} is for a machine that has no platform tag here ({elf.machine})")
    versions = (re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version) for version in elf.versions())
    glibc = [tuple(map(int, found.groups())) for found in versions if found]
    if glibc:
        major, minor = max(glibc)
        return f"manylinux_{major}_{minor}_{MACHINES[elf.machine]}"
    musl = f"musllinux_{MUSL_SINCE}_{MACHINES[elf.machine]}"
    # A static program needs neither.
    return musl if any(elf.needed()) else f"manylinux_2_17_{MACHINES[elf.machine]}.{musl}"


class Library(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # which finds the library by ZCRM_LIBRARY each time it runs
        given = os.environ.get("ZCRM_LIBRARY", "")
        library = pathlib.Path(given)
        if not given or not library.is_file():
            wrong = f"{given} is no file" if given else "it isn't set"
            raise SystemExit(f"zcrm: the wheel needs libzcrm: ZCRM_LIBRARY names the path of libzcrm.so, which make build makes, and {wrong}")
        tag = platform(library)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
        build_data["force_include"][str(library.resolve())] = f"zcrm/{'zcrm.dll' if tag.startswith('win') else 'libzcrm.so'}"
