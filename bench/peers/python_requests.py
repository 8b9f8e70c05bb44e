"""The bench's uploads through requests, with one session, as a Python program without a CRM library makes them."""

import argparse
import json
import os
import resource
import time

import requests


def main():
    p = argparse.ArgumentParser()
    for name in ("work", "base", "ca", "file", "dir"):
        p.add_argument("--" + name, default="")
    for name in ("calls", "threads", "size", "entries"):
        p.add_argument("--" + name, type=int, default=1)
    job = p.parse_args()
    count = {"calls": 0, "bytes": 0, "entries": 0}
    with requests.Session() as session:
        session.trust_env, session.verify = False, job.ca or True  # or REQUESTS_CA_BUNDLE would come before it
        session.headers["Authorization"] = "Zoho-oauthtoken 1000.bench.bench"
        url = f"{job.base}/crm/v8/Contacts/{job.entries}/Attachments"
        begun = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(job.calls):
            with open(job.file, "rb") as file:
                reply = session.post(url, files={"file": (os.path.basename(job.file), file)}, timeout=60)
            reply.raise_for_status()
            assert reply.json()["data"][0]["details"]["id"]
            count["bytes"] += job.size
            count["calls"] += 1
        wall, now = time.monotonic() - begun[0], resource.getrusage(resource.RUSAGE_SELF)
    count["loop_cpu"] = now.ru_utime + now.ru_stime - begun[1].ru_utime - begun[1].ru_stime
    count["loop_wall"] = wall
    print(json.dumps(count))


main()
