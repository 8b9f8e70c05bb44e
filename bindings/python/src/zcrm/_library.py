"""libzcrm, loaded at its first use with its functions declared."""

import ctypes
import os
import pathlib
from typing import Any

from . import _abi

# As a wheel holds it, by system; without it, the one that is installed for all programs.
_OWN = ("libzcrm.so", "libzcrm.dylib", "zcrm.dll")


def _path() -> str:
    if os.environ.get("ZCRM_LIBRARY"):
        return os.environ["ZCRM_LIBRARY"]
    here = pathlib.Path(__file__).resolve().parent
    return next((str(here / name) for name in _OWN if (here / name).exists()), "libzcrm.so.0")


def _load() -> Any:
    path = _path()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"zcrm: {error}. Install the wheel for this system, or set ZCRM_LIBRARY to the path of libzcrm.so") from None
    if not hasattr(library, "zcrm_abi_version"):
        raise ImportError(f"zcrm: {path} is not libzcrm")
    library.zcrm_abi_version.restype = ctypes.c_uint32
    if library.zcrm_abi_version() != _abi.ABI_VERSION:
        raise ImportError(f"zcrm: {path} has ABI {library.zcrm_abi_version()}, and this package needs {_abi.ABI_VERSION}; take both of one version")
    for name, (gives, takes) in _abi.PROTOTYPES.items():
        if not hasattr(library, name):
            raise ImportError(f"zcrm: {path} is older than this package: it lacks {name}")
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    return library


class _Library:
    """The functions of libzcrm. It isn't loaded by `import zcrm`, which a program may do that never makes a call."""

    def __getattr__(self, name: str) -> Any:
        loaded = _load()
        self.__dict__.update({function: getattr(loaded, function) for function in _abi.PROTOTYPES})
        return self.__dict__[name]


lib = _Library()
