#!/usr/bin/env python3
"""Instructions in user space for each small call, by callgrind: what no noise moves. The kernel's share is not in them:
of floor by http it is nearly all.

The difference of a run of many calls and one of few, so that start and first connection are not counted.

Go's scheduler is counted apart. It works by the clock, not by the call: it looks for work, and lets a goroutine yield, every few milliseconds.
Under callgrind a call takes fifty times as long, and so has fifty times its share; on a busy machine more still.
"""

import os
import re
import subprocess
import tempfile

import run as bench
from report import short

# Options of the clients; many calls, few calls.
WORK = {
    "upload of 10 KiB": (["--work", "upload-file", "--size", bench.KB10], 300, 100),
    "list of 20, parsed": (["--work", "list", "--entries", 20], 300, 100),
    "list of 2,000, parsed": (["--work", "list", "--entries", 2000], 13, 3),
}
CLIENTS = ("zcrm", "libcurl", "floor")
GO = "Go zcrm"
# The signals by which Go interrupts a goroutine end callgrind, and a collection would come in one of the two runs and not in the other.
GO_SETTINGS = {"GODEBUG": "asyncpreemptoff=1", "GOGC": "off"}
GO_CALLS = 3  # times as many: threads that come and go count less
SCHEDULER = re.compile(
    r"runtime/(proc|lock_\w+|lockrank_off|os_linux|netpoll\w*|time\w*|sys_linux_amd64|rand|mgc\w*|preempt|trace\w*)\.(go|s):"
    r"(?!runtime\.(reentersyscall|entersyscall|exitsyscall|casgstatus|save)\b)"  # which are on the way of each call
)


def counted(server, client, scheme, options, calls, profile="/dev/null"):
    command = [*bench.COMMANDS[client], "--base", server.at[scheme], "--ca", server.ca, "--calls", calls, *options]
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
    settings = {**os.environ, **GO_SETTINGS}
    done = subprocess.run(callgrind + [str(c) for c in command], capture_output=True, text=True, check=True, env=settings)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def of_one_call(server, client, scheme, options, many, few):
    return (counted(server, client, scheme, options, many) - counted(server, client, scheme, options, few)) / (many - few)


def counted_of_go(*what):
    """All, and what of it is the scheduler's."""
    with tempfile.NamedTemporaryFile() as profile:
        total = counted(*what, profile=profile.name)
        annotate = ["callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=no", profile.name]
        lines = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout.splitlines()
    return total, sum(int(line.split()[0].replace(",", "")) for line in lines if SCHEDULER.search(line))


def of_one_call_of_go(server, scheme, options, many, few):
    more, less = (counted_of_go(server, GO, scheme, options, calls * GO_CALLS) for calls in (many, few))
    total, scheduler = ((most - least) / (GO_CALLS * (many - few)) for most, least in zip(more, less))
    return total - scheduler, scheduler


def main():
    server = bench.Server()
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(bench.KB10))
        file.flush()
        try:
            print("| call | | zcrm | libcurl | floor | Go zcrm | Go's scheduler | zcrm / libcurl | zcrm / floor | Go zcrm / zcrm |\n|---|---|---|---|---|---|---|---|---|---|")
            for name, (options, many, few) in WORK.items():
                for scheme in ("https", "http"):
                    work = [*options, "--file", file.name]
                    zcrm, libcurl, floor = (of_one_call(server, client, scheme, work, many, few) for client in CLIENTS)
                    go, scheduler = of_one_call_of_go(server, scheme, work, many, few)
                    print(
                        f"| {name} | {scheme} | {zcrm:,.0f} | {libcurl:,.0f} | {floor:,.0f} | {go:,.0f} | {scheduler:,.0f} "
                        f"| {short(zcrm / libcurl)} | {short(zcrm / floor)} | {short(go / zcrm)} |",
                        flush=True,
                    )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
