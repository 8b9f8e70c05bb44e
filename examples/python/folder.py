"""Attaches the files of a folder to a record, and leaves out those that are there already: run it as often as you like.

    python3 folder.py Contacts 3652397000000649013 contracts/

With tqdm installed it shows a bar. The login is in the environment: see attach.py.
"""

import asyncio
import pathlib
import sys
from typing import Any, List

import zcrm.aio


def bar(total: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="file")


async def main(module: str, record_id: str, folder: str) -> int:
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
    failed: List[str] = []
    shown = bar(len(files))

    async with zcrm.aio.Client(**zcrm.settings_from_environment()) as client:
        record = client.record(module, record_id)

        async def attach(path: pathlib.Path) -> None:
            try:
                stored = await record.upload(path, if_exists="skip_same_bytes")
                print(f"{path.name}: {'is there already' if stored.skipped else stored.id}")
            except zcrm.Error as error:
                failed.append(path.name)
                print(f"{path.name}: {error}", file=sys.stderr)
            if shown is not None:
                shown.update()

        await asyncio.gather(*map(attach, files))
    print(f"{len(files) - len(failed)} of {len(files)} files are attached")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
