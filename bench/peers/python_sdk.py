"""The bench's work through Zoho's own Python SDK, zohocrmsdk8_0 or zohocrmsdk2_0: whichever this interpreter has."""

import argparse
import importlib
import importlib.util
import json
import os
import resource
import tempfile
import time

V8 = importlib.util.find_spec("zohocrmsdk") is not None
ROOT = ("zohocrmsdk" if V8 else "zcrmsdk") + ".src.com.zoho."


def of(module, name):
    return getattr(importlib.import_module(ROOT + module), name)


def initialize(base, dir):
    urls = (base, base, base) if V8 else (base, base, base, "bench")
    environment = of("crm.api.dc", "DataCenter").Environment(*urls)
    token_args = {"access_token": "1000.bench.bench", **({"find_user": False} if V8 else {})}  # makes no token call
    token = of("api.authenticator.oauth_token", "OAuthToken")(**token_args)
    first = {} if V8 else {"user": of("crm.api.user_signature", "UserSignature")("bench@example.com")}
    levels = of("api.logger", "Logger")
    logger = levels.get_instance(level=levels.Levels.NOTSET, file_path=os.path.join(dir, "log"))
    store = of("api.authenticator.store", "FileStore")(os.path.join(dir, "tokens"))
    config = of("crm.api.sdk_config", "SDKConfig")(auto_refresh_fields=False, pick_list_validation=False)
    of("crm.api.initializer", "Initializer").initialize(
        **first, environment=environment, token=token, store=store, sdk_config=config, resource_path=dir, logger=logger
    )


def operations(record):
    """The three operations of one record, whichever order the version takes its arguments in."""
    cls = of("crm.api.attachments", "AttachmentsOperations")
    if V8:
        o = cls()
        return (
            lambda request: o.upload_attachments(record, "Contacts", request),
            lambda: o.get_attachments(record, "Contacts"),
            lambda id: o.get_attachment(id, record, "Contacts"),
        )
    o = cls("Contacts", record)
    return o.upload_attachment, o.get_attachments, o.download_attachment


def upload(job, ops, count):
    body = of("crm.api.attachments", "FileBodyWrapper")()
    body.set_file(of("crm.api.util", "StreamWrapper")(file_path=job.file))
    response = ops[0](body).get_object()
    assert str(response.get_data()[0].get_details()["id"]).startswith("2876819")
    count["bytes"] += job.size


def list_all(job, ops, count):
    for row in ops[1]().get_object().get_data():
        if row.get_id() and row.get_file_name() and row.get_created_time() and row.get_owner().get_name() and row.get_parent_id():
            count["entries"] += 1


def download(job, ops, count):
    stream = ops[2](job.size).get_object().get_file().get_stream()
    with open(os.path.join(job.dir, "python"), "wb") as f:
        for chunk in stream:
            count["bytes"] += f.write(chunk)


def main():
    p = argparse.ArgumentParser()
    for name in ("work", "base", "ca", "file", "dir"):
        p.add_argument("--" + name, default="")
    for name in ("calls", "threads", "size", "entries"):
        p.add_argument("--" + name, type=int, default=1)
    job = p.parse_args()
    if job.ca:
        os.environ["REQUESTS_CA_BUNDLE"] = job.ca
    count = {"calls": 0, "bytes": 0, "entries": 0}
    work = {"list": list_all, "upload-file": upload, "download-file": download}[job.work]
    with tempfile.TemporaryDirectory() as dir:
        initialize(job.base, dir)
        ops = operations(job.entries)
        begun = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(job.calls):
            work(job, ops, count)
            count["calls"] += 1
        wall, now = time.monotonic() - begun[0], resource.getrusage(resource.RUSAGE_SELF)
    count["loop_cpu"] = now.ru_utime + now.ru_stime - begun[1].ru_utime - begun[1].ru_stime
    count["loop_wall"] = wall
    print(json.dumps(count))


main()
