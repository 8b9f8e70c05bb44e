#!/usr/bin/env python3
"""Instructions in user space for each small call, by callgrind: what no noise moves. The kernel's share is not in them:
of floor by http it is nearly all.

The difference of a run of many calls and one of few, so that start and first connection are not counted.
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


def counted(server, client, scheme, options, calls):
    command = [*bench.COMMANDS[client], "--base", server.at[scheme], "--ca", server.ca, "--calls", calls, *options]
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(callgrind + [str(c) for c in command], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def of_one_call(server, client, scheme, options, many, few):
    return (counted(server, client, scheme, options, many) - counted(server, client, scheme, options, few)) / (many - few)


def main():
    server = bench.Server()
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(bench.KB10))
        file.flush()
        try:
            print("| call | | zcrm | libcurl | floor | zcrm / libcurl | zcrm / floor |\n|---|---|---|---|---|---|---|")
            for name, (options, many, few) in WORK.items():
                for scheme in ("https", "http"):
                    zcrm, libcurl, floor = (of_one_call(server, client, scheme, [*options, "--file", file.name], many, few) for client in CLIENTS)
                    print(f"| {name} | {scheme} | {zcrm:,.0f} | {libcurl:,.0f} | {floor:,.0f} | {short(zcrm / libcurl)} | {short(zcrm / floor)} |", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
