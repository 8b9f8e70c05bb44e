"""Every operation, with every kind of source and sink."""

from __future__ import annotations

import base64
import ctypes
import dataclasses
import hashlib
import io
import os
import pathlib
import re
import types
from typing import Any, List, Optional, Tuple

import pytest

import zcrm
from conftest import World
from zcrm import _abi

# The smallest PNG: one pixel.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "bytearray", "memoryview", "file", "memory file", "unseekable"])
def test_bytes_of_every_kind_of_source_are_stored_as_they_are(world: World, kind: str) -> None:
    content = os.urandom(200_001)
    path = world.tmp / "a file.bin"
    path.write_bytes(content)
    reading, writing = os.pipe()
    os.close(writing)
    with open(path, "rb") as file:
        sources: Any = {
            "path": path, "text path": str(path), "bytes": content, "bytearray": bytearray(content), "memoryview": memoryview(content)[:],
            "file": file, "memory file": io.BytesIO(content), "unseekable": Unseekable(content),
        }
        record = world.record()
        stored = record.upload(sources[kind], name="ü.bin", sha256=True)
    os.close(reading)
    assert world.stored(record, stored.id) == content
    assert (stored.file_name, stored.size, stored.sha256) == ("ü.bin", len(content), hashlib.sha256(content).hexdigest())


class Unseekable:
    """A pipe, or what a decompressor gives: small reads, of no known size."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, n: int = -1) -> bytes:
        return self._file.read(min(n, 1000))


def test_a_file_has_its_own_name_unless_it_gets_another(world: World) -> None:
    path = world.tmp / "contract.pdf"
    path.write_bytes(b"x")
    record = world.record()
    with open(path, "rb") as file:
        stored = [record.upload(path), record.upload(file), record.upload(path, name="b.pdf")]
    assert [one.file_name for one in stored] == ["contract.pdf", "contract.pdf", "b.pdf"]


def test_a_file_is_sent_from_where_it_stands(world: World) -> None:
    record = world.record()
    file = io.BytesIO(b"head and body")
    file.seek(9)
    assert world.stored(record, record.upload(file, name="a").id) == b"body"


def test_a_file_that_stands_at_its_end_is_refused_and_an_empty_one_is_not(world: World) -> None:
    record = world.record()
    written = io.BytesIO()
    written.write(b"x")
    with pytest.raises(zcrm.ArgumentError, match=r"seek\(0\)"):
        record.upload(written, name="a")
    assert record.upload(io.BytesIO(), name="empty").size == 0


def test_a_read_that_gives_more_than_it_was_asked_for_loses_nothing(world: World) -> None:
    class Generous:
        def __init__(self) -> None:
            self.parts = [os.urandom(300_000), b"", b"never read"]

        def read(self, _: int = -1) -> bytes:
            return self.parts.pop(0)

    file = Generous()
    content, record = file.parts[0], world.record()
    assert world.stored(record, record.upload(file, name="a", size=300_000).id) == content


def test_a_file_that_is_open_as_text_is_refused_with_the_way_out(world: World) -> None:
    with pytest.raises(TypeError, match="'rb'"):
        world.record().upload(io.StringIO("x"), name="a")


def test_a_read_that_gives_no_bytes_stores_none(world: World) -> None:
    class Counts:
        def __init__(self) -> None:
            self.left: Any = [5, b""]  # of 5, bytes() makes five NULs

        def read(self, _: int = -1) -> Any:
            return self.left.pop(0)

    record = world.record()
    with pytest.raises(TypeError, match=r"bytes-like|buffer"):
        record.upload(Counts(), name="a")
    assert list(record.attachments()) == []


def test_a_file_whose_seek_gives_nothing_is_sent_with_its_size(world: World) -> None:
    class OfParamiko(io.BytesIO):
        def seek(self, *place: int) -> None:  # type: ignore[override]
            super().seek(*place)

    record = world.record()
    file = OfParamiko(b"head and body")
    file.seek(9)
    world.fault("attachment.upload", {"kind": "status", "status": 503})
    assert world.stored(record, record.upload(file, name="a").id) == b"body"


def test_what_an_open_file_is_called_for_want_of_a_name_is_no_name(world: World) -> None:
    class Standard(io.BytesIO):
        name = "<stdin>"

    with pytest.raises(zcrm.ArgumentError, match="needs a name"):
        world.record().upload(Standard(b"x"))


@pytest.mark.parametrize("wrong", [2**64, 2**64 + 3, -5])
def test_a_number_that_c_cannot_hold_is_refused_and_not_another_one(world: World, wrong: int) -> None:
    record = world.record()
    identifier = world.attach(record, "a", b"abc")
    for call in (
        lambda: record.upload(Unseekable(b"abc"), name="a", size=wrong),
        lambda: record.download(identifier, max_bytes=wrong),
        lambda: record.download(identifier, expected_size=wrong),
        lambda: world.client().batch([], credits=wrong),
    ):
        with pytest.raises(zcrm.ArgumentError, match=str(wrong)):
            call()


def test_a_failed_attempt_is_repeated_from_where_the_file_stood(world: World) -> None:
    record = world.record()
    file = io.BytesIO(b"-" + os.urandom(100_000))
    file.seek(1)
    world.fault("attachment.upload", {"kind": "status", "status": 503})
    assert world.stored(record, record.upload(file, name="a").id) == file.getvalue()[1:]


def test_a_link_is_attached_with_its_title(world: World) -> None:
    record = world.record()
    record.link("https://example.com/order/17", title="Order 17")
    (found,) = record.attachments()
    assert (found.is_link, found.link_url, found.file_name) == (True, "https://example.com/order/17", "Order 17")
    with pytest.raises(zcrm.DuplicateLinkError):
        record.link("https://example.com/order/17")
    with pytest.raises(zcrm.IsLinkError):
        record.download(found.id)


def test_the_list_is_fetched_page_by_page_and_a_loop_that_deletes_leaves_none(world: World) -> None:
    record = world.record()
    wanted = {world.attach(record, f"{i}", b"x") for i in range(25)}
    going = record.attachments(per_page=10)
    seen = {next(going).id}
    assert len(world.requests("attachment.list")) == 1
    for attachment in going:
        record.delete(attachment.id)
        seen.add(attachment.id)
    assert seen == wanted
    assert len(list(record.attachments())) == 1


def test_the_records_of_a_module_are_gone_over_page_by_page(world: World) -> None:
    client = world.client()
    made = {world.record_id("Vendors") for _ in range(7)}
    walk = client.records("Vendors", per_page=3)
    first = next(walk)
    assert len(world.requests("record.list")) == 1
    found = {first.id, *(record.id for record in walk)}
    assert made <= found
    assert first.module == "Vendors"
    assert list(first.attachments()) == []
    with pytest.raises(zcrm.InvalidModuleError):
        next(client.records("Nonsense"))


def test_a_listed_attachment_tells_what_zoho_does(world: World) -> None:
    record = world.record()
    identifier = world.attach(record, "a.pdf", b"hello")
    (found,) = record.attachments()
    assert (found.id, found.file_name, found.safe_name, found.size, found.parent_id) == (identifier, "a.pdf", "a.pdf", 5, record.id)
    assert found.created_time is not None
    assert found.created_time.utcoffset() is not None
    assert found.owner_name
    assert found.link_url is None


def test_bytes_go_to_every_kind_of_sink(world: World) -> None:
    content, record = os.urandom(200_001), world.record()
    identifier = world.attach(record, "a", content)
    path, opened, memory = world.tmp / "to", world.tmp / "opened", io.BytesIO()
    moved = record.download(identifier, to=path, sha256=True, expected_size=len(content))
    assert (moved.path, moved.size, moved.length_verified) == (str(path), len(content), True)
    with open(opened, "wb", buffering=0) as file:
        record.download(identifier, to=file)
    record.download(identifier, to=memory)
    assert {path.read_bytes(), opened.read_bytes(), memory.getvalue(), record.download(identifier).data} == {content}


def test_a_writer_that_takes_parts_gets_everything(world: World) -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:777])

    content, record, to = os.urandom(100_000), world.record(), Slow()
    record.download(world.attach(record, "a", content), to=to)
    assert to.getvalue() == content


def test_a_path_that_exists_is_replaced_only_if_asked(world: World) -> None:
    record, path = world.record(), world.tmp / "a"
    identifier = world.attach(record, "a", b"new")
    path.write_bytes(b"old")
    with pytest.raises(zcrm.IoError) as caught:
        record.download(identifier, to=path)
    assert isinstance(caught.value.__cause__, FileExistsError)
    assert path.read_bytes() == b"old"
    record.download(identifier, to=path, overwrite=True)
    assert path.read_bytes() == b"new"


def test_several_attachments_are_deleted_at_once(world: World) -> None:
    record = world.record()
    record.delete(*[world.attach(record, name, b"x") for name in "abc"])
    assert list(record.attachments()) == []


@pytest.mark.parametrize("wrong", ["1,2", "1 2", ""])
def test_one_id_never_becomes_two(world: World, wrong: str) -> None:
    with pytest.raises(zcrm.ArgumentError, match="is not an id"):
        world.record().delete(wrong)
    assert world.requests("attachment.delete") == []


def test_the_photo_is_set_fetched_and_deleted(world: World) -> None:
    photo = world.record().photo
    assert photo.upload(PNG, name="a.png").size == len(PNG)
    assert photo.download().data == PNG
    photo.download(to=world.tmp / "b.png")
    assert (world.tmp / "b.png").read_bytes() == PNG
    photo.delete()
    with pytest.raises(zcrm.NotFoundError):
        photo.download()


def test_a_second_upload_is_skipped_when_asked(world: World) -> None:
    record = world.record()
    first = record.upload(b"x", name="a")
    for again in (record.upload(b"x", name="a", if_exists="skip"), record.upload(b"x", name="a", again=True)):
        assert (again.skipped, again.id) == (True, first.id)


def test_progress_is_told_from_nothing_to_everything(world: World) -> None:
    record: zcrm.Record = world.record()
    told: List[Tuple[int, Optional[int]]] = []
    record.upload(b"x" * 500_000, name="a", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (500_000, 500_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_bar_of_tqdm_is_a_progress(world: World) -> None:
    tqdm = pytest.importorskip("tqdm").tqdm
    record = world.record()
    world.fault("attachment.upload", {"kind": "status", "status": 503})  # after which it starts again
    with tqdm(unit="B", file=io.StringIO()) as bar:
        record.upload(b"x" * 500_000, name="a", progress=bar)
        assert (bar.n, bar.total) == (500_000, 500_000)


def test_a_step_is_a_dict_in_and_a_dict_out(world: World) -> None:
    client, path = world.client(allow_paths=[world.tmp]), world.tmp / "a.txt"
    path.write_bytes(b"x")
    step: Any = {"operation": "attachment.upload", "module": "Contacts", "record_id": world.record_id(), "source": {"path": str(path)}}
    assert client.step(step)["result"]["file_name"] == "a.txt"
    assert client.step(types.MappingProxyType({**step, "source": types.MappingProxyType(step["source"])}))["result"]["file_name"] == "a.txt"
    with pytest.raises(zcrm.ArgumentError) as caught:
        client.step({**step, "source": {"url": ""}})
    assert (caught.value.reason, caught.value.details) == ("step_input", {"json_path": "$.source.url"})


def test_the_description_names_each_operation_status_and_setting() -> None:
    described = zcrm.describe()
    assert {"attachment.upload", "photo.delete", "batch"} <= {one["id"] for one in described["operations"]}
    for status in described["statuses"]:
        kind = getattr(zcrm, status["name"][len("ZCRM_E_") :].title().replace("_", "") + "Error")
        assert issubclass(kind, zcrm.Error)
        assert kind.status == status["number"]
    assert {one["name"] for one in described["settings"]} - set(zcrm.Settings.__annotations__) == {"token_file"}


def test_what_the_operations_give_has_every_field_of_the_description() -> None:
    results = {one["id"]: one["output"]["properties"]["result"] for one in zcrm.describe()["operations"]}
    wanted = {
        zcrm.Attachment: [results["attachment.list"]["properties"]["attachments"]["items"], results["attachment.upload"]["anyOf"][0]],
        zcrm.Transfer: [results["attachment.download"], results["photo.upload"], results["photo.download"]],
        zcrm.Summary: [results["batch"]],
    }
    elsewhere = {"bytes", "base64", "items"}  # size, data, and the outcomes
    for kind, schemas in wanted.items():
        fields = {field.name for field in dataclasses.fields(kind)}
        assert {name for schema in schemas for name in schema["properties"]} - elsewhere <= fields


def test_the_structs_have_the_layout_of_the_library() -> None:
    wanted = pathlib.Path(os.environ["ZCRM_ROOT"], "tests/abi/layout.golden").read_text(encoding="utf-8")
    kinds = {name: kind for name, kind in vars(_abi).items() if isinstance(kind, type) and issubclass(kind, ctypes.Structure) and name != "Structure"}
    of = [part.splitlines() for part in re.split(r"\n(?=\S)", wanted.strip()) if part.split()[0] in kinds]
    for head, *fields in of:
        kind = kinds[head.split()[0]]
        assert f"{kind.__name__} {ctypes.sizeof(kind)}" == head
        assert [f"  {name} {getattr(kind, name).offset} {getattr(kind, name).size}" for name, *_ in kind._fields_] == fields
    assert len(of) == len(kinds) > 8


def test_names_that_are_no_text_are_refused(world: World) -> None:
    with pytest.raises(zcrm.ArgumentError, match="UTF-8"):
        world.record().upload(b"x", name="\udcff")
    with pytest.raises(TypeError, match="record_id must be a str"):
        world.client().record("Contacts", 17)  # type: ignore[arg-type]


def test_a_missing_file_is_an_error_with_the_systems_own_as_its_cause(world: World, tmp_path: pathlib.Path) -> None:
    with pytest.raises(zcrm.IoError) as caught:
        world.record().upload(tmp_path / "nowhere")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
