"""The bench's work through the package zcrm, as its README shows it."""

import argparse
import json
import resource
import time

import zcrm


def main():
    p = argparse.ArgumentParser()
    for name in ("work", "base", "ca", "file", "dir"):
        p.add_argument("--" + name, default="")
    for name in ("calls", "threads", "size", "entries"):
        p.add_argument("--" + name, type=int, default=1)
    job = p.parse_args()
    settings = {"ca_file": job.ca, "os_roots": False} if job.ca else {}
    count = {"calls": 0, "bytes": 0, "entries": 0}
    with zcrm.Client(api_domain=job.base, access_token="1000.bench.bench", **settings) as client:
        record = client.record("Contacts", str(job.entries))
        begun = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(job.calls):
            if job.work == "list":
                count["entries"] += sum(1 for row in record.attachments() if row.id and row.file_name and row.created_time and row.owner_name)
            else:
                count["bytes"] += record.upload(job.file).size
            count["calls"] += 1
        wall, now = time.monotonic() - begun[0], resource.getrusage(resource.RUSAGE_SELF)
    count["loop_cpu"] = now.ru_utime + now.ru_stime - begun[1].ru_utime - begun[1].ru_stime
    count["loop_wall"] = wall
    print(json.dumps(count))


main()
