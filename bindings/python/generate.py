#!/usr/bin/env python3
"""Writes what the package has from zcrm.h and from the description of the steps: structs, prototypes and constants, an exception class for each
status, the settings. `make generated` runs it.

    generate.py            writes src/zcrm/_abi.py, _statuses.py and _settings.py
    generate.py --check    only says which of them are stale
"""

import json
import pathlib
import re
import sys
import textwrap
from typing import Any, Iterator

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGE = HERE / "src" / "zcrm"

HEAD = '"""{what} Written by generate.py from {source}: change it there."""\n\n'
# The table for hosts without ctypes; the package calls the functions themselves.
LEFT_OUT = {"zcrm_plugin_v1", "zcrm_plugin_init"}

NUMBERS = {"int32_t": "c_int32", "zcrm_status": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64", "uint64_t": "c_uint64", "size_t": "c_size_t"}
PYTHON = {"c_char_p": "Optional[bytes]", "c_void_p": "Optional[int]"}


class Header:
    """zcrm.h, which cbindgen writes in one style."""

    def __init__(self, text: str) -> None:
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        self.constants = re.findall(r'^#define ZCRM_(\w+) (\d+|".*")$', text, re.MULTILINE)
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
        # Structs after those that they hold, as the compiler wants them, and callbacks among them: in their order in the header.
        declared = r"typedef struct (?P<struct>\w+) \{(?P<fields>.*?)\} \w+;|typedef (?P<gives>[\w ]+?)\(\*(?P<callback>\w+)\)\((?P<takes>.*?)\);"
        found = [m for m in re.finditer(declared, text, re.DOTALL) if m["struct"] not in LEFT_OUT]
        self.structs = [m["struct"] for m in found if m["struct"]]
        self.callbacks = [m["callback"] for m in found if m["callback"]]
        self.declared = found
        prototypes = re.findall(r"ZCRM_API\s+([\w *]+?)(zcrm_\w+)\(([^;]*?)\);", text)
        self.functions = [(name, gives, takes) for gives, name, takes in prototypes if name not in LEFT_OUT]

    def type(self, declared: str) -> str:
        """The ctypes type of a declaration `const struct zcrm_call *call`, with or without its name."""
        stars, const = declared.count("*"), "const" in declared
        name = re.sub(r"\b(const|struct)\b|\*", " ", declared).split()[0]
        if not stars:
            return NUMBERS.get(name) or (name if name in self.structs + self.callbacks else "None")
        if stars == 2:
            return "POINTER(c_void_p)"
        if name == "char" and const:
            return "c_char_p"
        if name in self.structs:
            return f"POINTER({name})"
        return f"POINTER({NUMBERS[name]})" if name in NUMBERS else "c_void_p"

    def types(self, parameters: str) -> "list[str]":
        return [] if parameters.strip() == "void" else [self.type(one) for one in re.sub(r"\s+", " ", parameters).split(",")]

    def struct(self, name: str, fields: str) -> Iterator[str]:
        rows: list[tuple[str, str]] = []
        for field in filter(None, (re.sub(r"\s+", " ", part).strip() for part in fields.split(";"))):
            first, *others = field.split(",")
            rows += [(one.split()[-1].strip("*"), self.type(field)) for one in (first, *others)]
        yield f"class {name}(Structure):"
        for field, kind in rows:
            own = "Any" if kind.startswith("POINTER") or kind in self.callbacks else kind if kind in self.structs else "int"
            yield f"    {field}: {PYTHON.get(kind, own)}"
        yield "    _fields_ = ["
        yield from (f'        ("{field}", {kind}),' for field, kind in rows)
        yield "    ]\n\n"

    def lines(self) -> Iterator[str]:
        yield "import ctypes"
        yield "from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p"
        yield "from typing import Any, Dict, List, Optional, Tuple\n"
        yield from (f"{name} = {value}" for name, value in self.constants)
        yield "\n"
        for m in self.declared:
            if m["struct"]:
                yield from self.struct(m["struct"], m["fields"])
            else:
                yield f"{m['callback']} = ctypes.CFUNCTYPE({', '.join([self.type(m['gives']), *self.types(m['takes'])])})\n\n"
        yield "# What each function gives and takes."
        yield "PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {"
        for name, gives, takes in self.functions:
            yield f'    "{name}": (\n        {self.type(gives)},\n        [{", ".join(self.types(takes))}],\n    ),'
        yield "}"


def class_name(status: str) -> str:
    """ZCRM_E_NOT_FOUND is NotFoundError."""
    return status[len("ZCRM_E_"):].title().replace("_", "") + "Error"


def quoted(text: str, indent: str) -> str:
    """A docstring of several lines, if need be."""
    text = text.replace("\\", "\\\\")
    if len(text) + len(indent) + 6 <= 150:
        return f'{indent}"""{text}"""'
    return "\n".join(textwrap.wrap(f'"""{text}', 146, initial_indent=indent, subsequent_indent=indent)) + f'\n{indent}"""'


# Exceptions of Python's own that mean the same: `except TimeoutError` is what a Python program says.
ALSO = {"ZCRM_E_TIMEOUT": "builtins.TimeoutError"}


def statuses(description: Any) -> Iterator[str]:
    yield "import builtins"
    yield "from typing import Dict, Type\n"
    yield "from ._error import Error\n\n"
    for status in description["statuses"]:
        also = f", {ALSO[status['name']]}" if status["name"] in ALSO else ""
        yield f"class {class_name(status['name'])}(Error{also}):"
        yield quoted(f"{status['help'].strip()} ({status['name']})", "    ")
        yield f"\n    status = {status['number']}\n\n"
    yield "BY_STATUS: Dict[int, Type[Error]] = {"
    yield from (f"    {status['number']}: {class_name(status['name'])}," for status in description["statuses"])
    yield "}\n"
    yield "__all__ = ["
    yield from (f'    "{name}",' for name in sorted(class_name(status["name"]) for status in description["statuses"]))
    yield "]"


def setting_type(setting: Any) -> str:
    values = f"Literal[{', '.join(json.dumps(v) for v in setting['enum'])}]" if "enum" in setting else ""
    if setting["type"] == "list":
        one = values or ("int" if "minimum" in setting else "str")
        return f"Union[str, Sequence[{one}]]"
    if setting.get("enum") == ["on", "off"]:
        return f"Union[bool, {values}]"
    if setting["type"] == "integer":
        return "int"
    if "minimum" in setting:
        return "Union[int, str]"
    return values or ("Union[str, os.PathLike[str]]" if setting.get("format") in ("path", "directory") else "str")


# Those that Client has a parameter of its own for.
OWN = {"token_file"}


def settings(description: Any) -> Iterator[str]:
    yield "from __future__ import annotations\n"
    yield "import os"
    yield "from typing import Dict, Literal, Sequence, TypedDict, Union\n\n"
    yield "class Settings(TypedDict, total=False):"
    rows = [setting for setting in description["settings"] if setting["name"] not in OWN]
    width = max(len(setting["name"]) for setting in rows) + 2
    yield '    """The settings of a client. A wrong one is ConfigError, which names it. True and False are on and off; a list may be one.\n'
    for setting in rows:
        default = f"; default: {setting['default']}" if setting["default"] != "" else ""
        secret = "; secret" if setting["secret"] else ""
        first, rest = "    " + setting["name"].ljust(width), "    " + " " * width
        yield "\n".join(textwrap.wrap(f"{setting['help']}{default}{secret}", 146, initial_indent=first, subsequent_indent=rest))
    yield '    """\n'
    yield from (f"    {setting['name']}: {setting_type(setting)}" for setting in rows)
    yield ""
    yield "\n# What stands between the items of a setting that is a list."
    yield "SEPARATORS: Dict[str, str] = {"
    yield from (f'    "{s["name"]}": "{s["separator"]}",' for s in description["settings"] if "separator" in s)
    yield "}"


def main() -> None:
    description = json.loads((ROOT / "src/step/description.json").read_text(encoding="utf-8"))
    header = Header((ROOT / "include/zcrm.h").read_text(encoding="utf-8"))
    made = {
        "_abi.py": HEAD.format(what="The C interface as ctypes.", source="include/zcrm.h") + "\n".join(header.lines()),
        "_statuses.py": HEAD.format(what="An exception for each status.", source="src/step/description.json") + "\n".join(statuses(description)),
        "_settings.py": HEAD.format(what="The settings.", source="src/step/description.json") + "\n".join(settings(description)),
    }
    stale = [name for name, text in made.items() if not (PACKAGE / name).exists() or (PACKAGE / name).read_text(encoding="utf-8") != text + "\n"]
    if sys.argv[1:] == ["--check"]:
        sys.exit(f"{', '.join(stale)} in {PACKAGE} isn't what generate.py makes; run: make generated" if stale else 0)
    for name in stale:
        (PACKAGE / name).write_text(made[name] + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
