"""A record, its attachments and its photo."""

from __future__ import annotations

import weakref
from ctypes import byref, c_void_p, sizeof
from typing import Any, Callable, Dict, Generic, Iterator, List, Optional, Sequence, TypeVar

from . import _abi, _bytes, _call, _failure, _values
from ._client import Client, IfExists
from ._library import lib
from ._statuses import ArgumentError
from ._values import Attachment, Transfer

T = TypeVar("T")


class Record:
    """A row of the CRM: client.record("Contacts", "3652397000000649013").

    upload       attach a file
    link         attach a link
    attachments  go over the attachments
    download     download an attachment
    photo        .upload, .download and .delete the record's photo
    delete       delete attachments
    """

    def __init__(self, client: Client, module: str, record_id: str) -> None:
        self._client = client
        self.module = module
        self.id = record_id
        self._target()  # whose complaints come early

    def __repr__(self) -> str:
        return f"Record({self.module!r}, {self.id!r})"

    def _target(self, attachment_id: Optional[str] = None) -> Any:
        return byref(_abi.zcrm_target(
            struct_size=sizeof(_abi.zcrm_target), module=_call.text("module", self.module), record_id=_call.text("record_id", self.id),
            attachment_id=_call.text("attachment_id", attachment_id),
        ))

    def upload(self, source: _bytes.Source, *, name: Optional[str] = None, content_type: Optional[str] = None, size: Optional[int] = None,
               progress: Optional[_call.Progress] = None, sha256: bool = False, expected_sha256: Optional[str] = None,
               if_exists: Optional[IfExists] = None, again: bool = False, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
               trace_id: Optional[str] = None) -> Attachment:
        """Attaches a file.

        source           a path, bytes, or a file that is open for reading bytes, which is sent from where it stands. One that can't seek can't
                         be sent twice: an attempt that would have to be repeated is SourceConsumedError.
        name             file name as Zoho shall store it; without it that of the file
        content_type     MIME type
        size             bytes that a file which can't seek will give; unknown, they go through a temporary file first
        progress         told of (bytes done, bytes of all or None) about ten times a second, or a bar of tqdm
        sha256           whether to compute the SHA-256, given as Attachment.sha256
        expected_sha256  with other bytes it is ChecksumError, and nothing is stored
        if_exists        "skip": isn't sent when one of the same name and size is there; "skip_same_bytes": and of the same bytes
        again            this very call may have been made before, by a job that comes a second time: its work is looked for first

        An upload isn't repeated blindly: when the reply is lost, the list is read to find out whether it was stored. Where that stays open it is
        OutcomeUnknownError, with `candidates`.

        https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
        """
        options = _call.Options(timeout, cancel, trace_id, progress=progress, sha256=sha256, expected_sha256=expected_sha256, if_exists=if_exists,
                                again=again)
        call, given, kept = _bytes.source(source, name, content_type, size)
        return self._attached(call, given, options, kept)

    def link(self, url: str, *, title: Optional[str] = None, if_exists: Optional[IfExists] = None, again: bool = False,
             timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> Attachment:
        """Attaches a link, which has the title of its page unless it gets one. A URL that is there already is DuplicateLinkError.

        https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
        """
        call, given = _bytes.link(url, title)
        return self._attached(call, given, _call.Options(timeout, cancel, trace_id, if_exists=if_exists, again=again))

    def _attached(self, call: _call.Call, source: _abi.zcrm_source, options: _call.Options, kept: Any = None) -> Attachment:
        # `kept` are the bytes that source points to: they live as long as this frame.
        reply = self._client._call(lib.zcrm_attachment_upload, [self._target(), byref(source)], call, options).decoded()
        return _values.attachment(reply["result"], wait_reason=reply.get("wait_reason"))

    def attachments(self, *, fields: Optional[Sequence[str]] = None, per_page: int = 200, timeout: Optional[float] = None,
                    cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> Iterator[Attachment]:
        """Goes over the attachments, asking for a page when the loop gets there.

        Each comes once, also when the list changes meanwhile, and a loop that deletes leaves none behind. `fields` are API names, without them
        those of Attachment. `timeout` holds for each page. A list that runs in a circle, or is longer than the setting list_max_rows, is PageError.

        https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
        """
        return attachment_pages(self, fields, per_page).walk(timeout, cancel, trace_id)

    def download(self, attachment_id: str, *, to: _bytes.Sink = None, overwrite: bool = False, max_bytes: Optional[int] = None,
                 progress: Optional[_call.Progress] = None, sha256: bool = False, expected_sha256: Optional[str] = None,
                 expected_size: Optional[int] = None, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
                 trace_id: Optional[str] = None) -> Transfer:
        """Downloads an attachment.

        to               a path: the file appears when it is complete, and its folder must be there; a file that is open for writing bytes: once it
                         has taken some nothing is tried again; None: the bytes are Transfer.data
        overwrite        whether a path that exists is replaced; without it that is IoError
        max_bytes        more than these are TooLargeError
        progress         as of upload
        expected_sha256  other bytes are ChecksumError, and no file appears
        expected_size    bytes, as the list said; others are ChecksumError

        A link is IsLinkError.

        https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html
        """
        options = _call.Options(timeout, cancel, trace_id, progress=progress, sha256=sha256, expected_sha256=expected_sha256,
                                expected_size=expected_size)
        call, given = _bytes.sink(to, overwrite, max_bytes)
        return self._received(lib.zcrm_attachment_download, self._target(attachment_id), call, given, options)

    def _received(self, function: Any, target: Any, call: _call.Call, sink: _abi.zcrm_sink, options: _call.Options) -> Transfer:
        reply = self._client._call(function, [target, byref(sink)], call, options, with_data=sink.kind == _abi.TO_MEMORY)
        return _values.transfer(reply.decoded()["result"], data=reply.data)

    def delete(self, *attachment_ids: str, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
               trace_id: Optional[str] = None) -> None:
        """Deletes one attachment, or several. Where one fails the others are deleted all the same, and the error names both.

        https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html
        """
        if not attachment_ids:
            raise TypeError("delete() needs at least one attachment's id")
        for one in attachment_ids:
            # The library takes several with commas and spaces between them: one must not become two, nor another.
            if isinstance(one, str) and ("," in one or " " in one or not one):
                raise _failure.own(ArgumentError, "argument", f"attachment_id: {one!r} is not an id; an id is digits", "attachment_id")
            _call.text("attachment_id", one)
        target = self._target(",".join(attachment_ids))
        self._client._call(lib.zcrm_attachment_delete, [target], _call.Call(), _call.Options(timeout, cancel, trace_id))

    @property
    def photo(self) -> Photo:
        """The record's photo."""
        return Photo(self)


class Photo:
    """The photo of a record. Leads, Contacts, Accounts, Products, Vendors and custom modules have one."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def __repr__(self) -> str:
        return f"{self._record!r}.photo"

    def upload(self, source: _bytes.Source, *, name: Optional[str] = None, content_type: Optional[str] = None, size: Optional[int] = None,
               restrict_triggers: Optional[str] = None, progress: Optional[_call.Progress] = None, sha256: bool = False,
               expected_sha256: Optional[str] = None, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
               trace_id: Optional[str] = None) -> Transfer:
        """Sets the photo, in place of one that there may be: a PNG, JPEG, GIF or BMP.

        The parameters are those of Record.upload; restrict_triggers="workflow" keeps workflows from being triggered. What isn't a picture is
        FileTypeError, one with too many bytes or pixels TooLargeError.

        https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html
        """
        options = _call.Options(timeout, cancel, trace_id, progress=progress, sha256=sha256, expected_sha256=expected_sha256,
                                restrict_triggers=restrict_triggers)
        call, given, kept = _bytes.source(source, name, content_type, size)
        reply = self._record._client._call(lib.zcrm_photo_upload, [self._record._target(), byref(given)], call, options)
        del kept  # until here
        return _values.transfer(reply.decoded()["result"])

    def download(self, *, to: _bytes.Sink = None, overwrite: bool = False, max_bytes: Optional[int] = None,
                 progress: Optional[_call.Progress] = None, sha256: bool = False, expected_sha256: Optional[str] = None,
                 expected_size: Optional[int] = None, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
                 trace_id: Optional[str] = None) -> Transfer:
        """Downloads the photo; the parameters are those of Record.download. A record without one is NotFoundError.

        https://www.zoho.com/crm/developer/docs/api/v8/download-image.html
        """
        options = _call.Options(timeout, cancel, trace_id, progress=progress, sha256=sha256, expected_sha256=expected_sha256,
                                expected_size=expected_size)
        call, given = _bytes.sink(to, overwrite, max_bytes)
        return self._record._received(lib.zcrm_photo_download, self._record._target(), call, given, options)

    def delete(self, *, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> None:
        """Deletes the photo. What Zoho says of a record without one is UNCONFIRMED: success, or NotFoundError.

        https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html
        """
        self._record._client._call(lib.zcrm_photo_delete, [self._record._target()], _call.Call(), _call.Options(timeout, cancel, trace_id))


class Pages(Generic[T]):
    """A walk over the pages of a list."""

    def __init__(self, client: Client, begin: Callable[[Any, Any, Any], int], fields: Optional[Sequence[str]], per_page: int,
                 rows: Callable[[Dict[str, Any]], List[T]]) -> None:
        if not 1 <= per_page <= 200:
            raise _failure.own(ArgumentError, "argument", f"per_page: {per_page} is not between 1 and 200", "per_page")
        self._client, self._rows = client, rows
        names = _call.text("fields", None if fields is None else ",".join(fields))
        args = _abi.zcrm_list_args(struct_size=sizeof(_abi.zcrm_list_args), fields=names, per_page=per_page)
        self._handle, error = c_void_p(), c_void_p()
        _call.check(begin(byref(args), byref(self._handle), byref(error)), error)
        weakref.finalize(self, lib.zcrm_pages_free, self._handle).atexit = False

    def next(self, *, timeout: Optional[float], cancel: Optional[_call.Cancel], trace_id: Optional[str]) -> Optional[List[T]]:
        """The next page, or None at the end."""
        options = _call.Options(timeout, cancel, trace_id)
        page = _call.run(lib.zcrm_pages_next, [self._handle], _call.Call(), options, self._client._gate)
        return None if page is None else self._rows(page.decoded()["result"])

    def walk(self, timeout: Optional[float], cancel: Optional[_call.Cancel], trace_id: Optional[str]) -> Iterator[T]:
        pages = iter(lambda: self.next(timeout=timeout, cancel=cancel, trace_id=trace_id), None)
        return (row for page in pages for row in page or ())


def attachment_pages(record: Record, fields: Optional[Sequence[str]], per_page: int) -> Pages[Attachment]:
    def begin(args: Any, out: Any, error: Any) -> int:
        status: int = lib.zcrm_pages_new(record._client._open(), record._target(), args, out, error)
        return status

    return Pages(record._client, begin, fields, per_page, lambda page: [_values.attachment(row) for row in page["attachments"]])


def record_pages(client: Client, module: str, per_page: int) -> Pages[Record]:
    name = _call.text("module", module)

    def begin(args: Any, out: Any, error: Any) -> int:
        status: int = lib.zcrm_record_pages_new(client._open(), name.ptr, name.len, args, out, error)
        return status

    return Pages(client, begin, None, per_page, lambda page: [Record(client, module, one) for one in page["record_ids"]])
