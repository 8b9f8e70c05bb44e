#!/usr/bin/env python3
"""A batch of a million uploads of 1 KB that asks for its steps, with a journal: its memory, what a step costs beside one of a batch of 10,000, and
how long the same takes when the journal has all of it done. Prints a table; asserts nothing about speed.

    make bench-million         writes bench/million.json, and from it the table in bench/README.md
    STEPS=n  another length     SCHEME=http  without TLS     THREADS=n  steps at once (8): with one of these it writes nothing
"""

import datetime
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import report
import run as bench

STEPS = int(os.environ.get("STEPS", "1000000"))
SHORT = 10_000
SCHEME = os.environ.get("SCHEME", "https")
THREADS = int(os.environ.get("THREADS", "8"))


def batch(server, file, steps, journal):
    command = [bench.OUT / "million", "--base", server.at[SCHEME], "--calls", steps, "--threads", THREADS, "--file", file, "--dir", journal]
    command += ["--ca", server.ca] if SCHEME == "https" else []
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def main():
    result = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "scheme": SCHEME, "rows": []}
    server, folder = bench.Server(), pathlib.Path(tempfile.mkdtemp(dir=bench.DATA.parent))
    try:
        file = folder / "small.bin"
        file.write_bytes(os.urandom(1024))
        for name, steps in ((f"{SHORT:,}", SHORT), (f"{STEPS:,}", STEPS), (f"{STEPS:,} again, all done", STEPS), (f"{SHORT:,}", SHORT)):
            journal = folder / str(steps)
            if "again" not in name:
                shutil.rmtree(journal, ignore_errors=True)
                journal.mkdir()
            took = batch(server, file, steps, journal)
            size = (journal / "journal").stat().st_size
            result["rows"].append({
                "batch": name, "steps": steps, "wall_us": round(took["wall"] / steps * 1e6, 1), "cpu_us": round(took["cpu"] / steps * 1e6, 1),
                "peak_mib": round((took["peak_kib"] - took["idle_kib"]) / 1024, 1), "journal": round(size / steps)})
            print(f"  {result['rows'][-1]}", flush=True)
    finally:
        server.stop()
        shutil.rmtree(folder)
    print("\n".join(report.million(result)))
    if not {"STEPS", "SCHEME", "THREADS"} & os.environ.keys():
        report.MILLION.write_text(json.dumps(result, indent=1) + "\n")
        report.write(json.loads(report.FIGURES.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
