"""What the operations give."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Dict, Mapping, Optional, Tuple


def _time(text: Optional[str]) -> Optional[datetime.datetime]:
    if not text:
        return None
    try:
        return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Attachment:
    """A file or a link on a record.

    id             Digits.
    file_name      As Zoho has it, or the title of a link. Whoever uploaded it chose it: it may be a path or hold control characters.
    safe_name      file_name made safe as the name of a file; "" when nothing is left of it, and after an upload.
    size           Bytes; None: unknown.
    link_url       Of a link.
    modified_time  None after an upload, as are the ids and names that follow.
    parent_id      The record that it hangs on.
    created_by_id  The user who attached it.
    file_id        Zoho's id of the stored bytes; None for a link.
    kind           Zoho's $type, opaque.
    sha256         After an upload with sha256=True: 64 hexadecimal digits.
    skipped        After an upload: it was there already and was not sent (if_exists, again).
    settled        After an upload: the reply was lost, and the upload was found on the record.
    name_changed   After an upload: Zoho stored it under another name; known only when the record was listed.
    twins          After an upload: further copies that a repeated sending has made; with the setting on_twin="delete" they are gone again.
    wait_reason    After an upload: why it waited last, such as "in_flight" or "settling".
    """

    id: str
    file_name: str
    safe_name: str = ""
    size: Optional[int] = None
    is_link: bool = False
    link_url: Optional[str] = None
    created_time: Optional[datetime.datetime] = None
    modified_time: Optional[datetime.datetime] = None
    parent_id: Optional[str] = None
    owner_id: Optional[str] = None
    owner_name: Optional[str] = None
    created_by_id: Optional[str] = None
    file_id: Optional[str] = None
    kind: Optional[str] = None
    sha256: Optional[str] = None
    skipped: bool = False
    settled: bool = False
    name_changed: bool = False
    twins: Tuple[str, ...] = ()
    wait_reason: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What is known of the bytes that a call moved.

    size                 Bytes.
    file_name            As sent; of a download the name that Zoho gives, made safe as the name of a file, or "".
    content_type         Of a download: the MIME type that Zoho gives, or "".
    content_disposition  Of a download: the header as it came, or "".
    sha256               With sha256=True: 64 hexadecimal digits.
    path                 Of a download to a file: the file that was written.
    length_verified      Whether a download's size was checked against one from Zoho or the caller.
    data                 Of a download without `to`: the bytes.
    """

    size: int
    file_name: str
    content_type: str = ""
    content_disposition: str = ""
    sha256: Optional[str] = None
    path: Optional[str] = None
    length_verified: bool = False
    data: Optional[bytes] = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Grant:
    """What a grant code was exchanged for. Printed it shows neither token.

    refresh_token  To keep: it doesn't expire.
    expires_in     Life of the access token in seconds.
    """

    refresh_token: str = dataclasses.field(repr=False)
    access_token: str = dataclasses.field(repr=False)
    api_domain: str
    scope: str
    expires_in: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """How a batch ended.

    done          Steps that are done, those of earlier runs included.
    from_journal  Of these, done in an earlier run.
    failed        Steps that were refused or failed.
    unknown       Of these, uploads of which nobody knows whether they are stored.
    left          Steps that were not begun, or not ended: the next run takes them up. The batch is done when it is 0.
    attempts      API calls made.
    stopped       Why steps are left: "credits_budget", "credits_exhausted", "no_token", "cancelled" or "call_timeout".
    """

    done: int
    from_journal: int
    failed: int
    unknown: int
    left: int
    attempts: int
    stopped: Optional[str] = None


_TIMES = {"created_time", "modified_time"}


def _named(kind: Any, given: Mapping[str, Any]) -> Dict[str, Any]:
    """The fields of `kind` that are given; an empty text is none where the field may be None."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {("size" if name == "bytes" else name): value for name, value in given.items()}
    return {name: None if value == "" and fields[name].default is None else value for name, value in values.items() if name in fields}


def attachment(given: Mapping[str, Any], **more: Any) -> Attachment:
    values = _named(Attachment, given)
    values.update({name: _time(values.get(name)) for name in _TIMES}, twins=tuple(given.get("twins") or ()), **more)
    values["is_link"] = values.get("is_link", False) or values.get("link_url") is not None
    return Attachment(**values)


def transfer(given: Mapping[str, Any], **more: Any) -> Transfer:
    return Transfer(**_named(Transfer, given), **more)


def summary(given: Mapping[str, Any]) -> Summary:
    return Summary(**_named(Summary, given))


def grant(given: Mapping[str, Any]) -> Grant:
    return Grant(**_named(Grant, given))
