"""The operators: one for each operation, and one for a step that is data.

All of them
    - give ids, names and sizes to XCom, and never bytes;
    - fail without a retry where the same call can't succeed later (zcrm.Error.retryable is False);
    - free the worker until Zoho wants to be asked again (zcrm.Error.retry_after): the task is rescheduled, which uses up none of its retries;
    - look on a second try for what the first may have done: an upload is skipped when its file is there;
    - end their call within a tenth of a second when the task is killed, or its execution_timeout is over.

None of them is deferrable: they move bytes, which a triggerer doesn't, and the one long wait is rescheduled.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
from contextlib import contextmanager
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from airflow.sdk import BaseOperator, Context, ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException

import zcrm
from zcrm.airflow.hooks import ZohoCrmHook

FileSource = Union[str, "os.PathLike[str]", ObjectStoragePath]


def _is_second_try(context: Context) -> bool:
    return context["ti"].try_number > 1 or bool(context.get("task_reschedule_count"))


class _Operator(BaseOperator):  # type: ignore[misc]
    """What the operators share: the client, what ends its calls, and what a failure means to Airflow."""

    ui_color = "#f4e3d7"

    def __init__(self, *, zcrm_conn_id: str = ZohoCrmHook.default_conn_name, reschedule_for: datetime.timedelta = datetime.timedelta(days=1),
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zcrm_conn_id = zcrm_conn_id
        self.reschedule_for = reschedule_for
        self._cancel: Optional[zcrm.Cancel] = None

    def execute(self, context: Context) -> Any:
        self._cancel = zcrm.Cancel()
        with self._outcome(context), ZohoCrmHook(self.zcrm_conn_id).get_conn() as client:
            return self.call(client, self._cancel, context)

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Any:
        """The operation. What it gives goes to XCom."""
        raise NotImplementedError

    def on_kill(self) -> None:
        if self._cancel is not None:
            self._cancel.fire()

    @contextmanager
    def _outcome(self, context: Context) -> Iterator[None]:
        try:
            yield
        except zcrm.CancelledError as error:
            raise AirflowException(f"the task was killed: {error}") from error
        except zcrm.Error as error:
            if not error.retryable:
                raise AirflowFailException(f"{error.name} ({error.reason}): {error}") from error
            if error.retry_after is None:
                raise
            self._reschedule(error, error.retry_after, context)

    def _reschedule(self, error: zcrm.Error, wait: float, context: Context) -> None:
        now = datetime.datetime.now(tz=datetime.timezone.utc)
        began = context["ti"].get_first_reschedule_date(context) or now
        again = now + datetime.timedelta(seconds=wait)
        if again > began + self.reschedule_for:
            raise error  # a failed try like any other
        self.log.warning("Zoho wants to be asked again at %s: %s", again, error)
        raise AirflowRescheduleException(again) from error


class ZohoCrmStepOperator(_Operator):
    """Runs a step: an operation as a dict, as zcrm.describe() has it.

        ZohoCrmStepOperator.partial(task_id="attach").expand(step=[
            {"operation": "attachment.upload", "module": "Contacts", "record_id": "3652397000000649013", "source": {"path": "/srv/files/a.pdf"}}, …])

    A step is taken as untrusted: it may name files only below the directories of the connection's field allow_paths.
    """

    template_fields: Sequence[str] = ("step", "zcrm_conn_id")
    template_fields_renderers: Mapping[str, str] = {"step": "json"}

    def __init__(self, *, step: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Any:
        return client.step(self.again() if _is_second_try(context) else self.step, cancel=cancel)

    def again(self) -> Dict[str, Any]:
        """The step as it is run when it may have been done before."""
        if self.step.get("operation") == "attachment.upload":
            return {"if_exists": "skip", **self.step}
        return {"again": True, **self.step}


class _RecordOperator(_Operator):
    """An operation on one record."""

    template_fields: Sequence[str] = ("module", "record_id", "zcrm_conn_id")

    def __init__(self, *, module: str, record_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.module = module
        self.record_id = record_id

    def record(self, client: zcrm.Client) -> zcrm.Record:
        return client.record(self.module, self.record_id)

    def step(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context, operation: str, **fields: Any) -> None:
        """Runs a step on the record: what it deletes may be gone already on a second try."""
        given = {"operation": operation, "module": self.module, "record_id": self.record_id, "again": _is_second_try(context), **fields}
        client.step(given, cancel=cancel)


class _FileOperator(_RecordOperator):
    """One that sends a file."""

    template_fields: Sequence[str] = ("source", "name", "source_conn_id", *_RecordOperator.template_fields)

    def __init__(self, *, source: FileSource, name: Optional[str] = None, source_conn_id: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.name = name
        self.source_conn_id = source_conn_id

    @contextmanager
    def _file(self) -> Iterator[Dict[str, Any]]:
        """The source, its size and its name, as upload() takes them."""
        source = self.source
        if isinstance(source, str) and "://" in source:
            source = ObjectStoragePath(source, conn_id=self.source_conn_id)
        if not isinstance(source, ObjectStoragePath):
            yield {"source": source, "name": self.name}
            return
        stored: IO[bytes]
        with source.open("rb") as stored:
            yield {"source": stored, "name": self.name or source.name, "size": source.stat().st_size}


class ZohoCrmUploadOperator(_FileOperator):
    """attachment.upload: attaches a file.

    source     a path on the worker, an ObjectStoragePath, or its URL such as "s3://bucket/contract.pdf" (with source_conn_id), which is read
               while it is sent and never lies on the worker
    name       the file name that Zoho shall store; without it that of the source
    if_exists  "skip": isn't sent when one of the same name and size is there; "skip_same_bytes": and of the same bytes. A second try skips.
    """

    def __init__(self, *, if_exists: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.if_exists = if_exists

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Dict[str, Any]:
        if_exists: Any = self.if_exists or ("skip" if _is_second_try(context) else None)
        with self._file() as file:
            return _told(self.record(client).upload(**file, if_exists=if_exists, cancel=cancel))


class ZohoCrmLinkOperator(_RecordOperator):
    """attachment.upload: attaches a link. One whose URL is there already fails, but not on a second try."""

    template_fields: Sequence[str] = ("url", "title", *_RecordOperator.template_fields)

    def __init__(self, *, url: str, title: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.url = url
        self.title = title

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Dict[str, Any]:
        return _told(self.record(client).link(self.url, title=self.title, again=_is_second_try(context), cancel=cancel))


class ZohoCrmListOperator(_RecordOperator):
    """attachment.list: gives all attachments of the record, for .expand() of another operator say."""

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> List[Dict[str, Any]]:
        return [_told(attachment) for attachment in self.record(client).attachments(cancel=cancel)]


class ZohoCrmDownloadOperator(_RecordOperator):
    """attachment.download: to a path on the worker. The file appears when it is complete, and replaces one only with overwrite or on a second try."""

    template_fields: Sequence[str] = ("attachment_id", "to", *_RecordOperator.template_fields)

    def __init__(self, *, attachment_id: str, to: Union[str, os.PathLike[str]], overwrite: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attachment_id = attachment_id
        self.to = to
        self.overwrite = overwrite

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Dict[str, Any]:
        overwrite = self.overwrite or _is_second_try(context)
        return _told(self.record(client).download(self.attachment_id, to=self.to, overwrite=overwrite, cancel=cancel))


class ZohoCrmDeleteOperator(_RecordOperator):
    """attachment.delete: deletes attachments. One that isn't there fails, but not on a second try."""

    template_fields: Sequence[str] = ("attachment_ids", *_RecordOperator.template_fields)

    def __init__(self, *, attachment_ids: Union[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attachment_ids = attachment_ids

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> None:
        ids = [self.attachment_ids] if isinstance(self.attachment_ids, str) else list(self.attachment_ids)
        if ids:
            self.step(client, cancel, context, "attachment.delete", attachment_ids=ids)


class ZohoCrmPhotoUploadOperator(_FileOperator):
    """photo.upload: sets the photo. `source` and `name` are those of ZohoCrmUploadOperator."""

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Dict[str, Any]:
        with self._file() as file:
            return _told(self.record(client).photo.upload(**file, cancel=cancel))


class ZohoCrmPhotoDownloadOperator(_RecordOperator):
    """photo.download: to a path on the worker, as ZohoCrmDownloadOperator."""

    template_fields: Sequence[str] = ("to", *_RecordOperator.template_fields)

    def __init__(self, *, to: Union[str, os.PathLike[str]], overwrite: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.overwrite = overwrite

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> Dict[str, Any]:
        return _told(self.record(client).photo.download(to=self.to, overwrite=self.overwrite or _is_second_try(context), cancel=cancel))


class ZohoCrmPhotoDeleteOperator(_RecordOperator):
    """photo.delete: deletes the photo. A record without one fails where Zoho says so, but not on a second try."""

    def call(self, client: zcrm.Client, cancel: zcrm.Cancel, context: Context) -> None:
        self.step(client, cancel, context, "photo.delete")


def _told(value: Any) -> Dict[str, Any]:
    """What XCom keeps of an Attachment or a Transfer: the fields that are known, as JSON has them."""
    known = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.name != "data"}
    known = {name: given for name, given in known.items() if given not in (None, "", ())}
    return {name: given.isoformat() if isinstance(given, datetime.datetime) else list(given) if isinstance(given, tuple) else given
            for name, given in known.items()}
