#!/usr/bin/env python3
"""Instructions in user space for each small call, by callgrind: what no noise moves. The kernel's share is not in them.

The difference of a run of 300 calls and one of 100, so that start and first connection are not counted.
"""

import os
import re
import subprocess
import tempfile

import run as bench

WORK = {"upload of 10 KiB": ["upload-file", bench.KB10], "list of 20, parsed": ["list", 0]}


def instructions(server, client, scheme, work, size, file, calls):
    command = [bench.OUT / client, "--work", work, "--base", server.at[scheme], "--ca", server.ca, "--size", size, "--file", file, "--calls", calls]
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(callgrind + [str(c) for c in command], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def main():
    server = bench.Server()
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(bench.KB10))
        file.flush()
        try:
            print("| call | | zcrm | libcurl | ratio |\n|---|---|---|---|---|")
            for name, (work, size) in WORK.items():
                for scheme in ("https", "http"):
                    a, b = ((instructions(server, c, scheme, work, size, file.name, 300) - instructions(server, c, scheme, work, size, file.name, 100)) / 200
                            for c in ("zcrm", "curl"))
                    print(f"| {name} | {scheme} | {a:,.0f} | {b:,.0f} | {a / b:.2f} |", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
