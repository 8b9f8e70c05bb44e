#!/usr/bin/env python3
"""Runs every workload through every client, prints one table, and after a whole run has bench/report.py write it to where it is read.
Measures; asserts nothing about speed.

A figure is a ratio of medians over runs made in turn (A B A B ...), where B is libcurl with its default settings. Before a run counts, the
server's own counts must show that the client did the work it was asked for: a run that did other work ends the bench.

    PAIRS=9    pairs of runs behind each figure       QUICK=1   a profile of about three minutes
    ONLY=text  only the rows whose name holds text    CLIENTS=a,b  only these clients
"""

import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

import report

OUT = pathlib.Path(os.environ.get("BENCH_OUT", "build/bench"))
# Files of transfers lie in a memory file system: a disk would be measured otherwise.
DATA = pathlib.Path(os.environ.get("BENCH_DATA", "/dev/shm" if os.path.isdir("/dev/shm") else OUT)) / f"zcrm-bench-{os.getpid()}"
QUICK = os.environ.get("QUICK") == "1"
PAIRS = int(os.environ.get("PAIRS", "3" if QUICK else "9"))
ONLY = os.environ.get("ONLY", "")
CLIENTS = [c for c in os.environ.get("CLIENTS", "").split(",") if c]

KB10, MB100 = 10 * 1024, 100_000_000
PEERS = pathlib.Path(__file__).parent / "peers"

COMMANDS = {
    "zcrm": [OUT / "zcrm"],
    "libcurl": [OUT / "curl"],
    "floor": [OUT / "floor"],
    "libcurl tuned": [OUT / "curl", "--tuned", "1"],
    "reqwest::blocking": [OUT / "reqwest-blocking"],
    "Go net/http": [OUT / "go-nethttp"],
    "Go zcrm": [OUT / "go-zcrm"],
    "Python zcrm": [OUT / "python/bin/python", PEERS / "python_zcrm.py"],
    "Python requests": [OUT / "python/bin/python", PEERS / "python_requests.py"],
    "Python SDK v8": [OUT / "sdk8/bin/python", PEERS / "python_sdk.py"],
    "Python SDK v2": [OUT / "sdk2/bin/python", PEERS / "python_sdk.py"],
}
BASE = report.BASE
EVERYBODY = [client for client in report.CLIENTS[1:] if client not in ("Python zcrm", "Python requests")]


# The caller itself holds the bytes: not the client's work, nor its memory.
HELD = ("upload-memory", "upload-reader", "upload-stream", "download-memory")


class Workload:
    """One row: what to do, how often, and which clients besides zcrm and libcurl can do it."""

    def __init__(self, name, work, calls, others=(), size=0, threads=1, entries=20, delay="", pairs=None, schemes=("https", "http"), cold=False, os_roots=False, places=0):
        self.name, self.work, self.calls, self.others, self.size, self.threads = name, work, calls, others, size, threads
        self.entries, self.delay, self.schemes, self.cold, self.os_roots = entries, delay, schemes, cold, os_roots
        self.pairs, self.places = pairs or PAIRS, places

    def calls_of(self, client):
        """The SDK is so slow that it does a share of the calls; its figures are those of its loop alone, by the call."""
        return max(1, self.calls // 20) if "SDK" in client else self.calls


WORKLOADS = [
    Workload("upload 2,000 × 10 KiB, 1 thread", "upload-file", 2000, EVERYBODY, KB10),
    Workload("upload 2,000 × 10 KiB, 8 threads", "upload-file", 2000, ["floor", "reqwest::blocking", "Go net/http", "Go zcrm"], KB10, threads=8),
    Workload("upload 2,000 × 10 KiB, 32 threads", "upload-file", 2000, ["floor", "reqwest::blocking", "Go net/http", "Go zcrm"], KB10, threads=32),
    Workload("upload 500 × 10 KiB, 1 thread of Python", "upload-file", 500, ["Python zcrm", "Python requests", "Python SDK v8"], KB10),
    Workload("upload 5 × 100 MB from a file", "upload-file", 5, ["libcurl tuned", "reqwest::blocking", "Go net/http", "Go zcrm", "Python SDK v8"], MB100),
    Workload("upload 5 × 100 MB from memory", "upload-memory", 5, [], MB100),
    Workload("upload 5 × 100 MB from a reader", "upload-reader", 5, ["Go zcrm"], MB100),
    Workload("upload 5 × 100 MB from a reader without rewind", "upload-stream", 5, [], MB100),
    Workload("download 5 × 100 MB to a writer", "download-writer", 5, ["libcurl tuned", "reqwest::blocking", "Go net/http", "Go zcrm"], MB100),
    Workload("download 5 × 100 MB to a file", "download-file", 5, ["reqwest::blocking", "Go net/http", "Python SDK v8"], MB100),
    Workload("2,000 lists of 20, parsed", "list", 2000, EVERYBODY),
    Workload("20 lists of 2,000, parsed", "list", 20, ["floor", "reqwest::blocking", "Go net/http"], entries=2000),
    Workload("attach 2,000 links", "link", 2000),
    Workload("40 uploads of 10 KiB, 4 in flight, 50 ms away", "upload-file", 40, [], KB10, threads=4, delay="+50", pairs=3),
    Workload("40 uploads of 10 KiB, 4 in flight, 200 ms away", "upload-file", 40, [], KB10, threads=4, delay="+200", pairs=1 if QUICK else 3),
    Workload("cold start to the first list, ca_file alone", "list", 1, [], schemes=("https",), cold=True),
    Workload("cold start to the first list, the system's roots", "list", 1, ["Python SDK v8"], schemes=("https",), cold=True, os_roots=True),
]
COLD_STARTS = 20
# Far more callers than places: what the client holds then, of memory, connections and descriptors.
CROWDS = {
    "Go zcrm": Workload("10,000 goroutines, one client", "list", 10_000, threads=10_000, places=4, delay="+10"),
    "zcrm": Workload("2,000 threads of C, one client", "list", 10_000, threads=2_000, places=4, delay="+10"),
}
CROWD_DESCRIPTORS = 256


class Server:
    def __init__(self):
        self.ca = OUT / "ca.pem"
        self.process = subprocess.Popen([OUT / "server", self.ca], stdout=subprocess.PIPE)
        self.at = json.loads(self.process.stdout.readline())
        # What a client of libcurl has on a real system: the system's bundle, and the CA of this server.
        self.bundle = OUT / "bundle.pem"
        system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        self.bundle.write_text((system.read_text() if system.exists() else "") + self.ca.read_text())

    def counts(self):
        with urllib.request.urlopen(self.at["http"] + "/_bench/count") as reply:
            return json.load(reply)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def expected(w, calls):
    """What the server must have counted; the body of an upload may have up to 1,000 bytes of framing."""
    counts = dict.fromkeys(["uploads", "lists", "entries", "downloads", "download_bytes", "unauthorized"], 0)
    if w.work == "list":
        counts.update(lists=calls * -(-w.entries // 200), entries=calls * w.entries)
    elif w.work.startswith("download"):
        counts.update(downloads=calls, download_bytes=calls * w.size)
    else:
        counts.update(uploads=calls)
    return counts


def run(server, w, client, scheme, data, loop=False):
    calls = w.calls_of(client)
    command, starts, ca = list(COMMANDS[client]), 1, server.ca
    if w.cold:
        starts = 2 if client.startswith("Python") else COLD_STARTS
        command[0] = OUT / "zcrm-cold" if client == "zcrm" else command[0]
        ca = server.bundle if w.os_roots and client != "zcrm" else ca
    command += ["--work", w.work, "--base", server.at[scheme + w.delay], "--calls", calls, "--threads", w.threads]
    command += ["--size", w.size, "--entries", w.entries, "--file", data.get(w.size, ""), "--dir", DATA]
    command += ["--ca", ca] if scheme == "https" else []
    command += ["--os-roots", "1"] if w.os_roots and client == "zcrm" else []
    before = server.counts()
    launch = ["prlimit", f"--nofile={CROWD_DESCRIPTORS}"] if w.places else []
    command += ["--places", w.places] if w.places else []
    done = subprocess.run([*launch, OUT / "launch", str(starts), *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{client} failed at {w.name} ({scheme}):\n{done.stderr}{done.stdout}\n{' '.join(map(str, command))}")
    after = server.counts()
    counts = {name: after[name] - before[name] for name in after}
    want = expected(w, calls * starts)
    other = {name: (counts[name], n) for name, n in want.items() if counts[name] != n}
    bodies = 0 if w.work == "link" else want["uploads"] * w.size
    if other or not bodies <= counts["upload_bytes"] <= bodies + want["uploads"] * 1000:
        sys.exit(f"{client} did other work than asked at {w.name} ({scheme}), counted and wanted: {other or counts}")
    reply, took = json.loads(done.stdout.splitlines()[0]), json.loads(done.stderr.splitlines()[-1])
    whole = {"cpu": took["user"] + took["system"], "wall": took["wall"]}
    # Of the whole process, but for the SDK's start, and the 100 MB that the caller fills first.
    if client.startswith("Python") and not w.cold or w.work in HELD or loop:
        whole = {"cpu": reply["loop_cpu"], "wall": reply["loop_wall"]}
    share = calls * starts
    figures = {name: value / share for name, value in whole.items()}
    return {**figures, "peak_kib": took["peak_kib"], "connections": counts["connections"] / starts}


def medians(runs):
    return {name: statistics.median(r[name] for r in runs) for name in runs[0]}


def compare(server, w, client, scheme, data, base=BASE, loop=False):
    """Runs of the client and of the base in turn, after one of each that doesn't count."""
    mine, theirs = [], []
    most = 1 if QUICK else 3 if client.startswith("Python") else 5  # the SDK is slow, and the others not the question
    pairs = w.pairs if "zcrm" in (client, base) else min(w.pairs, most)
    warm = 0 if QUICK and client != "zcrm" else 1
    for i in range(pairs + warm):
        a, b = (run(server, w, c, scheme, data, loop) for c in (client, base))
        if i >= warm:
            mine.append(a)
            theirs.append(b)
    a, b = medians(mine), medians(theirs)
    quotients = sorted(x["cpu"] / y["cpu"] for x, y in zip(mine, theirs))
    return {
        "workload": w.name, "scheme": scheme, "client": client, "base": base, "pairs": pairs,
        "cpu": a["cpu"] / b["cpu"], "wall": a["wall"] / b["wall"],
        "cpu_paired": statistics.median(quotients), "cpu_quartiles": [quotients[len(quotients) // 4], quotients[-1 - len(quotients) // 4]],
        "cpu_us_per_call": a["cpu"] * 1e6, "wall_us_per_call": a["wall"] * 1e6,
        "base_cpu_us_per_call": b["cpu"] * 1e6, "base_wall_us_per_call": b["wall"] * 1e6,
        "peak_mib": a["peak_kib"] / 1024, "base_peak_mib": b["peak_kib"] / 1024, "connections": a["connections"],
    }


def wanted(w):
    return ONLY in w.name


def built(client):
    return pathlib.Path(COMMANDS[client][0]).exists() and (not CLIENTS or client in CLIENTS)


def ratios(server, data):
    rows = []
    for w in filter(wanted, WORKLOADS):
        for scheme in w.schemes:
            for client in ["zcrm", *w.others]:
                if not built(client):
                    continue
                row = compare(server, w, client, scheme, data)
                rows.append(row)
                print(f"  {w.name:52} {scheme:5} {client:18} cpu {row['cpu']:6.2f}  wall {row['wall']:6.2f}  "
                      f"{row['cpu_us_per_call']:10.0f} us/call  peak {row['peak_mib']:6.1f} MiB", file=sys.stderr, flush=True)
    return rows


def through(client, server, data):
    """A binding against the C ABI that it calls; the start of its language's runtime is not the binding's."""
    if not (built(client) and built("zcrm")):
        return []
    return [compare(server, w, client, scheme, data, base="zcrm", loop=True)
            for w in WORKLOADS if client in w.others and wanted(w) for scheme in w.schemes]


def read_callback():
    """What a read callback of 64 KiB costs through Go beyond the copy, in ns: the binding's own benchmark. The rows of 100 MB are too noisy."""
    program = OUT / "go-callback"
    if not program.exists() or not built("Go zcrm") or ONLY not in "upload from a reader":
        return None
    done = subprocess.run([program, "-test.run=^$", "-test.bench=ReadCallback64KiB/no_copy", f"-test.count={PAIRS}"], capture_output=True, text=True, check=True)
    return statistics.median(float(ns) for ns in re.findall(r"([\d.]+) ns/op", done.stdout))


def crowds(server, data):
    """One run each: a failed call, or a descriptor too many, ends the bench. The look at the server's counts is a connection, too."""
    rows = []
    for client, w in CROWDS.items():
        if wanted(w) and built(client):
            figures = run(server, w, client, "http", data)
            rows.append({"workload": w.name, "connections": figures["connections"] - 1, "peak_mib": figures["peak_kib"] / 1024,
                         "ms": figures["wall"] * 1000})
    return rows


def memory(server, data):
    """Peak memory of one transfer of 1 KB and of one of 100 MB, and of 25 of 100 MB at once: median of three."""
    rows = []
    if ONLY and ONLY != "memory":
        return rows
    for scheme in ("https", "http"):
        for work in ("upload-file", "upload-memory", "upload-reader", "download-file", "download-memory", "download-writer"):
            for size, threads in ((1000, 1), (MB100, 1), (MB100, 25)):
                if threads > 1 and work.endswith("memory"):
                    continue
                for client in ("zcrm", BASE):
                    w = Workload("memory", work, threads, size=size, threads=threads)
                    peak = statistics.median(run(server, w, client, scheme, data)["peak_kib"] for _ in range(1 if threads > 1 or QUICK else 3))
                    # What the caller holds is not the client's: the bytes of a source, or of a sink, in memory.
                    held = size / 1024 if work in HELD else 0
                    rows.append({"scheme": scheme, "work": work, "size": size, "threads": threads, "client": client,
                                 "peak_mib": (peak - held) / 1024})
    return rows


def command_starts():
    """What the commands take to start and end, and what they weigh; curl's libraries are not in its file."""
    rows = []
    for program in (OUT / "prefix/bin/zcrm", shutil.which("curl")):
        if program and not CLIENTS and (not ONLY or ONLY == "start"):
            runs = [subprocess.run([OUT / "launch", "50", program, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True) for _ in range(PAIRS)]
            walls = [json.loads(done.stderr.splitlines()[-1])["wall"] / 50 for done in runs]
            rows.append({"program": pathlib.Path(program).name, "ms": statistics.median(walls) * 1000, "bytes": pathlib.Path(program).stat().st_size})
    return rows and {"date": datetime.date.today().isoformat(), "curl": version("curl", "--version").split()[1], "rows": rows}


def version(*command):
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "none"


def short(version):
    """A program's name and number, without what follows them."""
    return " ".join(version.split()[:2])


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.date.today().isoformat(), "cpu": cpu, "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release().split("-")[0], "libc": " ".join(platform.libc_ver()), "data": str(DATA.parent),
        "commit": version("git", "describe", "--always", "--dirty"),
        "libcurl": version("curl-config", "--version"), "openssl": short(version("openssl", "version")), "rustc": short(version("rustc", "--version")),
        "go": version("go", "version"), "python": version(OUT / "sdk8/bin/python", "--version"),
        "python_sdk": version(OUT / "sdk8/bin/pip", "freeze", "--all", "-q") and [
            line for v in ("sdk8", "sdk2") for line in subprocess.run([OUT / v / "bin/pip", "freeze"], capture_output=True, text=True).stdout.split()
            if line.startswith("zoho")] if (OUT / "sdk8").exists() else [],
    }


def main():
    began, load = time.monotonic(), os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the server and the files go too
    DATA.mkdir(parents=True, exist_ok=True)
    data = {}
    for size in (1000, KB10, MB100):
        data[size] = DATA / f"{size}.bin"
        data[size].write_bytes(os.urandom(size))
    server = Server()
    try:
        result = {"machine": machine(), "pairs": PAIRS, "ratios": ratios(server, data), "go": through("Go zcrm", server, data),
                  "python": through("Python zcrm", server, data), "read_callback_ns": read_callback(),
                  "crowds": crowds(server, data), "crowd_descriptors": CROWD_DESCRIPTORS,
                  "memory": memory(server, data), "commands": command_starts(), "size": (OUT / "prefix/lib/libzcrm.so").stat().st_size}
    finally:
        server.stop()
        for file in DATA.iterdir():
            file.unlink()
        DATA.rmdir()
    result["seconds"] = round(time.monotonic() - began)
    result["machine"]["load"] = sorted(round(of) for of in (load, os.getloadavg()[0]))
    (OUT.parent / "bench.json").write_text(json.dumps(result, indent=1))
    print(report.markdown(result))
    print(f"{result['seconds']} s; {OUT.parent / 'bench.json'} has every figure.", file=sys.stderr)
    if QUICK or ONLY or CLIENTS:
        print("A part of the bench: bench/figures.json, and what is written from it, stay as they are.", file=sys.stderr)
        return
    report.FIGURES.write_text(report.a_row_a_line(result), encoding="utf-8")
    report.write(result)
    print(f"Written: {report.FIGURES}, {report.TABLES}, {report.README}, {report.CHART}", file=sys.stderr)


if __name__ == "__main__":
    main()
