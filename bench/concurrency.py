#!/usr/bin/env python3
"""How near to what the organisation bears the setting max_in_flight comes: the emulator takes L calls at once, each of 200 ms, and refuses others.
Measures; asserts nothing but that no call fails. Some four minutes, nearly all of them waiting: but on a busy machine the figures say little.

    make bench-concurrency     writes bench/concurrency.json, and from it the tables in bench/README.md and README.md
    ONLY=text                  only the rows whose name holds text; writes nothing
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import report

OUT = pathlib.Path(os.environ.get("BENCH_OUT", "build/bench"))
EMULATOR = os.environ.get("BENCH_EMULATOR", str(OUT / "prefix/bin/zcrm-emulator"))
ONLY = os.environ.get("ONLY", "")
SERVICE = 0.2
THREADS = 32
FOR_EVER = 10**9


class Organisation:
    """An emulator of its own with one organisation."""

    def __init__(self, limit, slow=0):
        self.process = subprocess.Popen([EMULATOR, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.set(concurrency=limit, service_ms=int(SERVICE * 1000), slow_per_mille=slow, keep_bodies=False)
        made = self.ask("POST", "organisations", {"records": [{"module": "Contacts"}]})
        self.token, self.record = made["access_token"], first_id(made["records"])

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", data=data, method=method)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def set(self, **settings):
        self.ask("PATCH", "settings", settings)

    def start(self, name, places, calls=FOR_EVER, seconds=FOR_EVER, **settings):
        settings = {"api_domain": self.url, "accounts_url": self.url, "access_token": self.token, "user_agent": name, "max_in_flight": places, **settings}
        arguments = [self.record, calls, seconds, THREADS, *(text for pair in settings.items() for text in pair)]
        return subprocess.Popen([OUT / "places", *map(str, arguments)], stdout=subprocess.PIPE, text=True)

    def end(self, processes):
        """The API requests: (process, begin in s, status). A failed call ends the bench."""
        for process in processes:
            said, _ = process.communicate()
            if process.returncode or said.strip() != "0":
                sys.exit(f"calls failed: {said.strip()}, exit status {process.returncode}")
        requests = [r for r in self.ask("GET", "ledger")["requests"] if r["operation"] == "attachment.upload"]
        self.process.stdin.close()
        self.process.wait()
        agent = lambda r: next(value for name, value in r["headers"] if name.lower() == "user-agent")
        return [(agent(r), r["at_ms"] / 1000, r["status"]) for r in requests]


def first_id(records):
    first = records[0]
    return first if isinstance(first, str) else first["id"]


def refused(requests):
    done = sum(status != 429 for _, _, status in requests)
    return sum(status == 429 for _, _, status in requests) / done


def rate(requests, begin, end):
    """Calls a second that were taken in this time."""
    return sum(status != 429 and begin <= at < end for _, at, status in requests) / (end - begin)


def alone(limit, places, slow=0):
    """600 uploads of one process, from the first request to the end of the last."""
    mean = SERVICE * (1 + 9 * slow / 1000)
    organisation = Organisation(limit, slow)
    began = time.monotonic()
    requests = organisation.end([organisation.start("one", places, calls=600)])
    return {"use": 600 * mean / limit / (time.monotonic() - began), "refused": refused(requests)}


def together(count, limit, apart, token_file=False):
    """Processes that begin so long after each other: half a minute after the last has begun, for half a minute."""
    organisation = Organisation(limit)
    start = apart * (count - 1) + 30
    with tempfile.TemporaryDirectory() as directory:
        more = {"token_file": f"{directory}/token"} if token_file else {}
        processes = []
        for i in range(count):
            time.sleep(apart if i else 0)
            processes.append(organisation.start(f"process {i}", "auto", seconds=start + 32 - apart * i, **more))
        requests = organisation.end(processes)
    origin = min(at for _, at, _ in requests)
    requests = [(name, at - origin, status) for name, at, status in requests if start <= at - origin < start + 30]
    by = {f"process {i}": 0 for i in range(count)}
    for name, _, status in requests:
        by[name] += status != 429
    share = limit / SERVICE * 30 / count
    return {"use": sum(by.values()) / count / share, "poorest": min(by.values()) / share, "refused": refused(requests)}


def changing():
    """25, after 20 s 5, after 40 s 25 again: what was taken at 5, and how many seconds until 85 % of what is borne is taken again."""
    organisation = Organisation(25)
    process = organisation.start("one", "auto", seconds=60)
    for limit in (5, 25):
        time.sleep(20)
        organisation.set(concurrency=limit)
    requests = organisation.end([process])
    origin = min(at for _, at, _ in requests)
    requests = [(name, at - origin, status) for name, at, status in requests]
    found = next((s for s in range(0, 20) if rate(requests, 40 + s, 41 + s) >= 0.85 * 25 / SERVICE), None)
    return {"use": rate(requests, 21, 40) * SERVICE / 5, "found": found, "refused": refused(requests)}


ROWS = [
    *((f"600 uploads, L = {limit}", places, lambda limit=limit, places=places: alone(limit, places)) for limit in (5, 10, 25) for places in ("4", "auto")),
    *((f"600 uploads, L = {limit}, one in fifty takes ten times as long", "auto", lambda limit=limit: alone(limit, "auto", 20)) for limit in (5, 10, 25)),
    *((f"{count} processes on L = {limit}" + (f", begun {apart} s apart" if apart else ""), "auto", lambda c=count, l=limit, a=apart: together(c, l, a))
      for count, limit, apart in ((2, 10, 0), (4, 10, 0), (2, 10, 5), (4, 10, 5), (3, 25, 5))),
    ("20 processes on L = 10 with one token_file", "auto", lambda: together(20, 10, 0, token_file=True)),
    ("L = 25, then 5, then 25", "auto", changing),
]
AT_ONCE = 4


def main():
    rows = [row for row in ROWS if ONLY in row[0]]
    results, slots = [None] * len(rows), threading.Semaphore(AT_ONCE)

    def measure(i, name, places, run):
        with slots:
            results[i] = {"row": name, "max_in_flight": places, **run()}
            print(f"  {results[i]}", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=measure, args=(i, *row)) for i, row in enumerate(rows)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if None in results:
        sys.exit("a row failed: nothing is written")
    load = os.getloadavg()[0]
    result = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "load": round(load, 1), "builds": os.environ.get("BENCH_BUILDS", "optimised"), "rows": results}
    print("\n".join(report.concurrency(result)))
    if not ONLY:
        report.PLACES.write_text(json.dumps(result, indent=1) + "\n")
        report.write(json.loads(report.FIGURES.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
