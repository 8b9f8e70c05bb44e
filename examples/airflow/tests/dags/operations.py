"""Every operator once, on one record; then what a failure means to Airflow."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from zcrm.airflow.operators import (
    ZohoCrmDeleteOperator,
    ZohoCrmDownloadOperator,
    ZohoCrmLinkOperator,
    ZohoCrmListOperator,
    ZohoCrmPhotoDeleteOperator,
    ZohoCrmPhotoDownloadOperator,
    ZohoCrmPhotoUploadOperator,
    ZohoCrmStepOperator,
    ZohoCrmUploadOperator,
)

RECORD = {"module": "Contacts", "record_id": "{{ params.record_id }}"}
FOLDER = "{{ params.folder }}"
RETRIES = {"retries": 2, "retry_delay": timedelta(0)}


@dag(schedule=None, params={"record_id": "", "folder": ""})
def operations():
    """Every operator once."""
    upload = ZohoCrmUploadOperator(task_id="upload", source=f"{FOLDER}/a.txt", **RECORD)
    from_storage = ZohoCrmUploadOperator(task_id="from_storage", source=f"file://{FOLDER}/b.txt", name="stored.txt", **RECORD)
    link = ZohoCrmLinkOperator(task_id="link", url="https://example.com/order/17", title="Order 17", **RECORD)
    steps = ZohoCrmStepOperator.partial(task_id="steps").expand(step=[
        {"operation": "attachment.upload", **RECORD, "source": {"path": f"{FOLDER}/{name}.txt", "name": f"step-{name}.txt"}} for name in "ab"])
    attached = ZohoCrmListOperator(task_id="attached", **RECORD)
    uploaded = "{{ ti.xcom_pull(task_ids='upload')['id'] }}"
    download = ZohoCrmDownloadOperator(task_id="download", attachment_id=uploaded, to=f"{FOLDER}/back.txt", **RECORD)
    delete = ZohoCrmDeleteOperator(task_id="delete", attachment_ids=uploaded, **RECORD)
    photo = ZohoCrmPhotoUploadOperator(task_id="photo", source=f"{FOLDER}/portrait.png", **RECORD)
    photo_back = ZohoCrmPhotoDownloadOperator(task_id="photo_back", to=f"{FOLDER}/back.png", **RECORD)
    no_photo = ZohoCrmPhotoDeleteOperator(task_id="no_photo", **RECORD)
    [upload, from_storage, link, steps] >> attached >> download >> delete
    photo >> photo_back >> no_photo


class BrokenError(Exception):
    """What goes wrong after an upload, in the same task."""


def break_the_first_try(context, result):
    if context["ti"].try_number == 1:
        raise BrokenError(f"after {result['id']} was stored")


@dag(schedule=None, params={"record_id": "", "folder": ""})
def failures():
    """Each task fails in its own way; none needs another."""
    ZohoCrmUploadOperator(task_id="refused", source=f"{FOLDER}/a.txt", module="Contacts", record_id="1", **RETRIES)
    ZohoCrmUploadOperator(task_id="later", source=f"{FOLDER}/a.txt", name="later.txt", **RECORD)
    ZohoCrmUploadOperator(task_id="too_late", source=f"{FOLDER}/a.txt", name="too late.txt", reschedule_for=timedelta(0), **RECORD)
    ZohoCrmUploadOperator(task_id="twice", source=f"{FOLDER}/b.txt", name="twice.txt", post_execute=break_the_first_try, **RECORD, **RETRIES)
    ZohoCrmStepOperator(
        task_id="forbidden_path", step={"operation": "attachment.upload", **RECORD, "source": {"path": "/etc/hostname"}}, **RETRIES)


operations()
failures()
