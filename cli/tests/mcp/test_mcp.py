"""`zcrm mcp` as an agent's program uses it: by the official Python client, against an emulator."""

import asyncio
import base64
import json
import os
import pathlib
import subprocess
import urllib.request
from contextlib import asynccontextmanager

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import ListRootsResult, Root

ROOT = pathlib.Path(__file__).resolve().parents[3]
DESCRIBED = json.loads((ROOT / "src/step/description.json").read_text())["operations"]
LISTS = {"attachment_list", "record_list"}
DOWNLOADS = {"attachment_download", "photo_download"}
PNG = (ROOT / "tests/emulator/fixtures/portrait.png").read_bytes()


class World:
    """An emulator with a record in it, and a directory."""

    def __init__(self, tmp: pathlib.Path) -> None:
        self.tmp = tmp
        self.process = subprocess.Popen([os.environ["ZCRM_EMULATOR"], "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().strip()
        self.token = json.loads(self.control("GET", "world"))["organisations"][0]["access_token"]
        self.record = {"module": "Contacts", "record_id": json.loads(self.control("POST", "records", b'{"module":"Contacts"}'))["id"]}

    def control(self, method, path, body=None):
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_emulator/{path}", body, method=method)) as answer:
            return answer.read()

    def attach(self, name, content):
        return json.loads(self.control("POST", f"records/Contacts/{self.record['record_id']}/attachments?name={name}", content))["id"]

    def fault(self, operation, **fault):
        self.control("POST", "faults", json.dumps({"operation": operation, "faults": [fault]}).encode())

    def requests(self, operation):
        return [r for r in json.loads(self.control("GET", "ledger"))["requests"] if r["operation"] == operation]

    @property
    def log(self):
        return (self.tmp / "log").read_text()

    @asynccontextmanager
    async def client(self, *arguments, roots=None, mode="auto", **settings):
        """A client of the server. `roots`: the directories that it declares."""
        keys = {"api_domain": self.url, "accounts_url": self.url, "access_token": self.token, "retry_base_ms": "5", **settings}
        environment = {f"ZCRM_{key.upper()}": value for key, value in keys.items()} | {"HOME": str(self.tmp)}
        server = StdioServerParameters(command=os.environ["ZCRM_COMMAND"], args=["-v", "mcp", *arguments], env=environment)

        async def declared(_):
            return ListRootsResult(roots=[Root(uri=root.as_uri()) for root in roots])

        with open(self.tmp / "log", "w") as log:
            callback = {} if roots is None else {"list_roots_callback": declared}
            async with Client(stdio_client(server, errlog=log), mode=mode, **callback) as client:
                yield client


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.process.communicate()


def told(result):
    """The text of a result."""
    return result.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_each_step_is_a_tool_with_the_described_schemas(world, mode):
    async def run():
        async with world.client(mode=mode) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = asyncio.run(run())
    assert list(tools) == [operation["id"].replace(".", "_") for operation in DESCRIBED]
    for operation in DESCRIBED:
        tool = tools[operation["id"].replace(".", "_")]
        assert (tool.input_schema, tool.output_schema, tool.title) == (operation["input"], operation["output"], operation["title"])
        assert operation["help"] in tool.description
        assert bool(tool.annotations.read_only_hint) == (tool.name in LISTS)
        assert bool(tool.annotations.destructive_hint) == (tool.name not in LISTS | {"attachment_upload"})


def test_read_only_leaves_out_what_changes_something(world):
    async def run():
        async with world.client("--read-only") as client:
            tools = (await client.list_tools()).tools
            with pytest.raises(Exception, match="photo_delete"):
                await client.call_tool("photo_delete", world.record)
            return tools

    tools = asyncio.run(run())
    assert {tool.name for tool in tools} == LISTS | DOWNLOADS and not world.requests("photo.delete")
    assert not any(tool.annotations.destructive_hint for tool in tools)


def test_read_only_replaces_no_file(world):
    attachment = {**world.record, "attachment_id": world.attach("a", b"new")}
    (world.tmp / "mine").write_bytes(b"old")

    async def run():
        async with world.client("--read-only", allow_paths=str(world.tmp)) as client:
            download = lambda sink: client.call_tool("attachment_download", {**attachment, "sink": sink})  # noqa: E731
            replaced = await download({"path": str(world.tmp / "mine"), "overwrite": True})
            assert replaced.is_error and "--read-only" in told(replaced)
            assert not (await download({"path": str(world.tmp / "other")})).is_error

    asyncio.run(run())
    assert [(world.tmp / name).read_bytes() for name in ("mine", "other")] == [b"old", b"new"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_files_go_by_path_below_the_roots_of_the_client(world, mode):
    inside, outside = world.tmp / "a root", world.tmp / "elsewhere"
    for directory in (inside, outside):
        directory.mkdir()
        (directory / "a.txt").write_bytes(b"abc")

    async def run():
        async with world.client(roots=[inside], mode=mode) as client:
            good = await client.call_tool("attachment_upload", {**world.record, "source": {"path": str(inside / "a.txt")}})
            assert not good.is_error, told(good)
            bad = await client.call_tool("attachment_upload", {**world.record, "source": {"path": str(outside / "a.txt")}})
            down = {**world.record, "attachment_id": good.structured_content["result"]["id"], "sink": {"path": str(inside / "b.txt")}}
            return good, bad, await client.call_tool("attachment_download", down)

    good, bad, down = asyncio.run(run())
    assert not good.is_error and not down.is_error and (inside / "b.txt").read_bytes() == b"abc"
    assert json.loads(told(good)) == good.structured_content
    assert bad.is_error and bad.structured_content["error"]["reason"] == "path_not_allowed"
    assert len(world.requests("attachment.upload")) == 1


def test_without_roots_and_allow_paths_no_file_can_be_named_and_the_setting_holds_before_roots(world):
    (world.tmp / "a.txt").write_bytes(b"abc")
    upload = {**world.record, "source": {"path": str(world.tmp / "a.txt")}}

    async def run(**how):
        async with world.client(**how) as client:
            return await client.call_tool("attachment_upload", upload)

    refused = asyncio.run(run())
    assert refused.is_error and "allow_paths" in told(refused)
    assert not asyncio.run(run(allow_paths=str(world.tmp))).is_error
    other = world.tmp / "other"
    other.mkdir()
    assert asyncio.run(run(allow_paths=str(other), roots=[world.tmp])).is_error


def test_small_files_are_base64_and_a_photo_is_an_image(world):
    async def run():
        async with world.client() as client:
            source = {"base64": base64.b64encode(PNG).decode(), "name": "me.png"}
            assert not (await client.call_tool("photo_upload", {**world.record, "source": source})).is_error
            stored = await client.call_tool("attachment_upload", {**world.record, "source": source})
            sink = {"sink": {"base64": True}}
            file = {**world.record, **sink, "attachment_id": stored.structured_content["result"]["id"]}
            return await client.call_tool("photo_download", {**world.record, **sink}), await client.call_tool("attachment_download", file)

    photo, file = asyncio.run(run())
    image = photo.content[1]
    assert (image.type, image.mime_type, base64.b64decode(image.data)) == ("image", "image/png", PNG)
    assert "base64" not in photo.structured_content["result"] and image.data not in told(photo)
    assert base64.b64decode(file.structured_content["result"]["base64"]) == PNG


def test_progress_is_told_by_notifications(world):
    (world.tmp / "large").write_bytes(bytes(50 << 20))
    seen = []

    async def heard(progress, total, message):
        seen.append((progress, total))

    async def run():
        async with world.client(allow_paths=str(world.tmp)) as client:
            upload = {**world.record, "source": {"path": str(world.tmp / "large")}}
            return await client.call_tool("attachment_upload", upload, progress_callback=heard)

    assert not asyncio.run(run()).is_error
    assert seen and seen == sorted(seen) and seen[-1] == (50 << 20, 50 << 20)


def test_a_call_that_the_client_cancels_is_cancelled(world):
    world.fault("attachment.list", kind="stall", at="before_reply")

    async def run():
        async with world.client() as client:
            call = asyncio.create_task(client.call_tool("attachment_list", world.record))
            for _ in range(500):
                if world.requests("attachment.list"):
                    break
                await asyncio.sleep(0.02)
            call.cancel()
            for _ in range(500):
                if "ZCRM_E_CANCELLED" in world.log:
                    break
                await asyncio.sleep(0.02)
            return await client.call_tool("attachment_list", world.record)

    after = asyncio.run(run())
    assert "ZCRM_E_CANCELLED" in world.log, "the call was ended"
    assert not after.is_error and after.structured_content["result"]["attachments"] == []


def test_an_error_carries_its_name_whether_it_may_be_tried_again_and_the_way_out(world):
    async def run():
        async with world.client(max_retries="0") as client:
            unknown = await client.call_tool("attachment_list", {"module": "Potentials", "record_id": "1"})
            world.fault("attachment.list", kind="status", status=503)
            busy = await client.call_tool("attachment_list", world.record)
            wrong = await client.call_tool("attachment_list", {**world.record, "record_id": 7})
            return unknown, busy, wrong

    unknown, busy, wrong = asyncio.run(run())
    assert all(result.is_error for result in (unknown, busy, wrong))
    assert "ZCRM_E_INVALID_MODULE (not retryable" in told(unknown) and 'did you mean "Deals"' in told(unknown)
    assert "ZCRM_E_SERVER (retryable" in told(busy) and busy.structured_content["error"]["retryable"] is True
    assert "record_id" in told(wrong) and "quotes" in told(wrong)
