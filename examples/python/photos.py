"""Sets the photos of many records from a CSV file with the columns module, record_id and path.

    python3 photos.py photos.csv photos.journal

The journal remembers what is done: after a crash, Ctrl-C or used-up credits, run it again with the same one. Paths count from the folder of the CSV
file, and lie below it. The login is in the environment: see attach.py.
"""

import csv
import pathlib
import sys
from typing import Iterator

import zcrm


def steps(table: pathlib.Path) -> Iterator[zcrm.Step]:
    with open(table, newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            source = {"path": str(table.parent / row["path"])}
            yield f"line {number}", {"operation": "photo.upload", "module": row["module"], "record_id": row["record_id"], "source": source}


def main(table: pathlib.Path, journal: str) -> int:
    settings = zcrm.settings_from_environment()
    settings["allow_paths"] = [str(table.parent)]
    with zcrm.Client(**settings) as client, client.batch(steps(table), journal=journal, parallel=8) as batch:
        for outcome in batch:
            if outcome.error is not None:
                print(f"{outcome.key}: {outcome.error}", file=sys.stderr)
    print(batch.summary)
    return 0 if batch.summary is not None and not batch.summary.failed and not batch.summary.left else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
