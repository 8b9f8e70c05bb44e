"""Where the bytes of an upload come from, and where those of a download go."""

from __future__ import annotations

import ctypes
import io
import os
from typing import Any, Optional, Protocol, Tuple, Union

from . import _abi, _call, _failure
from ._statuses import ArgumentError


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self, n: int = ..., /) -> Any: ...


class Writable(Protocol):
    """A file that is open for writing bytes."""

    def write(self, b: bytes, /) -> Any: ...


Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Readable]
Sink = Union[str, "os.PathLike[str]", Writable, None]


def _wrong(field: str, problem: str) -> Exception:
    return _failure.own(ArgumentError, "argument", f"{field}: {problem}", field)


class _Reader:
    def __init__(self, file: Any, size: Optional[int]) -> None:
        if isinstance(file, io.TextIOBase):
            raise TypeError("the file is open as text; open it as bytes: open(path, 'rb')")
        self._file = file
        self._over = b""  # of a read that gave more than it was asked for
        self.start: Optional[int] = self._tell()
        self.size = self._rest() if size is None and self.start is not None else size

    def _tell(self) -> Optional[int]:
        try:
            return int(self._file.tell()) if self._file.seekable() else None
        except (AttributeError, OSError):
            return None

    def _rest(self) -> int:
        assert self.start is not None
        self._file.seek(0, os.SEEK_END)
        end = int(self._file.tell())  # what seek() gives isn't it with every file: of paramiko it is None
        self._file.seek(self.start)
        if self.start >= end > 0:
            raise _wrong("source", "the file stands at its end, where nothing is left to send; seek(0) sends all of it")
        return end - self.start

    def read(self, capacity: int) -> bytes:
        given = self._over or self._file.read(capacity)
        if isinstance(given, str):
            raise TypeError("read() gave text; open the file as bytes: open(path, 'rb')")
        if given is None:
            raise BlockingIOError("read() gave None: the file doesn't wait for its bytes; make it blocking")
        if not isinstance(given, bytes):
            given = bytes(memoryview(given))  # and not bytes(5), which are five NULs
        self._over = given[capacity:]
        return given[:capacity]

    def rewind(self) -> None:
        self._over = b""
        self._file.seek(self.start)


def _own_name(file: Any) -> Optional[str]:
    """That of the file on the disk. Others have words such as "<stdin>" for it, or a number."""
    name = getattr(file, "name", None)
    return os.path.basename(name) if isinstance(name, str) and not name.startswith("<") else None


def source(given: Source, name: Optional[str], content_type: Optional[str], size: Optional[int]) -> Tuple[_call.Call, _abi.zcrm_source, Any]:
    """The call and its source, and what must be kept while the call runs."""
    texts = {"content_type": _call.text("content_type", content_type)}
    if isinstance(given, (str, os.PathLike)):
        call = _call.Call()
        path = _call.text("path", os.fspath(given))
        return call, _call.source(call, kind=_abi.FROM_FILE, path=path, name=_call.text("name", name), **texts), None
    if isinstance(given, (bytes, bytearray, memoryview)):
        call, data = _call.Call(), bytes(given)
        memory = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)
        fields = {"kind": _abi.FROM_MEMORY, "data": memory, "data_len": len(data), "name": _call.text("name", name)}
        return call, _call.source(call, **fields, **texts), data
    if not hasattr(given, "read"):
        raise TypeError(f"source must be a path, bytes or a file that is open for reading bytes, not {type(given).__name__}")
    reader = _Reader(given, size)
    call = _call.Call(reader=reader.read, rewind=None if reader.start is None else reader.rewind)
    name = _own_name(given) if name is None else name
    length = -1 if reader.size is None else _call.number("size", reader.size, 0)
    fields = {"kind": _abi.FROM_READER, "length": length, "name": _call.text("name", name)}
    return call, _call.source(call, **fields, **texts), None


def link(url: str, title: Optional[str]) -> Tuple[_call.Call, _abi.zcrm_source]:
    call = _call.Call()
    return call, _call.source(call, kind=_abi.FROM_LINK, link_url=_call.text("url", url), name=_call.text("title", title))


def _write_all(file: Any, data: bytes) -> None:
    """A raw file may take a part of what it is given."""
    left = memoryview(data)
    while left:
        taken = file.write(data if len(left) == len(data) else left)
        if taken is None and isinstance(file, io.RawIOBase):
            raise BlockingIOError("write() gave None: the file doesn't wait; make it blocking")
        if taken is None:
            return
        if not isinstance(taken, int) or not 0 < taken <= len(left):
            raise OSError(f"write() took {taken!r} of {len(left)} bytes")
        left = left[taken:]


def sink(to: Sink, overwrite: bool, max_bytes: Optional[int]) -> Tuple[_call.Call, _abi.zcrm_sink]:
    fields = {"flags": _abi.OVERWRITE if overwrite else 0, "max_bytes": 0 if max_bytes is None else _call.number("max_bytes", max_bytes, 1)}
    if overwrite and not isinstance(to, (str, os.PathLike)):
        raise _wrong("overwrite", "is for a download to a path")
    if to is None:
        call = _call.Call()
        return call, _call.sink(call, kind=_abi.TO_MEMORY, **fields)
    if isinstance(to, (str, os.PathLike)):
        call = _call.Call()
        return call, _call.sink(call, kind=_abi.TO_FILE, path=_call.text("to", os.fspath(to)), **fields)
    if isinstance(to, io.TextIOBase) or not hasattr(to, "write"):
        raise TypeError(f"to must be a path, None or a file that is open for writing bytes, not {type(to).__name__}")
    file = to
    call = _call.Call(writer=lambda data: _write_all(file, data))
    return call, _call.sink(call, kind=_abi.TO_WRITER, **fields)
