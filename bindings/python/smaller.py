"""Packs wheels again with Zopfli, which finds a deflate that is some percent smaller: smaller.py WHEEL..."""

import pathlib
import sys
import zipfile

import zopfli.zlib


class Zopfli:
    """Compresses as zipfile asks for it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def compress(self, data: bytes) -> bytes:
        self._parts.append(data)
        return b""

    def flush(self) -> bytes:
        return bytes(zopfli.zlib.compress(b"".join(self._parts), numiterations=3, blocksplittingmax=1000)[2:-4])  # without the frame of zlib


zipfile._get_compressor = lambda *_: Zopfli()  # type: ignore[attr-defined]  # there is no other way in

for wheel in map(pathlib.Path, sys.argv[1:]):
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.infolist():
            after.writestr(entry, before.read(entry))
    packed.replace(wheel)
