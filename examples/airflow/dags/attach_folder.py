"""Attaches every file of a folder to a record of Zoho CRM: a mapped task for each file, which can fail and be cleared by itself."""

from __future__ import annotations

import pathlib
from datetime import timedelta

from airflow.sdk import Param, dag, task

from zcrm.airflow.operators import ZohoCrmListOperator, ZohoCrmUploadOperator

RECORD = {"module": "{{ params.module }}", "record_id": "{{ params.record_id }}"}


@dag(
    schedule=None,
    params={
        "folder": Param("/srv/files", type="string", description="Its files are attached; folders in it are left out."),
        "module": Param("Contacts", type="string"),
        "record_id": Param("3652397000000649013", type="string", pattern="^[0-9]+$"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["zoho crm"],
)
def attach_folder():
    """Attaches every file of a folder to a record of Zoho CRM."""

    @task
    def files(params):
        return sorted(str(path) for path in pathlib.Path(params["folder"]).iterdir() if path.is_file())

    # Four at once over all runs: Zoho lets an edition make 5 to 25 calls at once.
    attach = ZohoCrmUploadOperator.partial(
        task_id="attach", **RECORD, if_exists="skip", map_index_template="{{ task.source.rpartition('/')[2] }}", max_active_tis_per_dag=4,
    ).expand(source=files())

    @task
    def report(attachments):
        for one in attachments:
            print(one["id"], one["file_name"], one.get("size"))

    attached = ZohoCrmListOperator(task_id="attached", **RECORD)
    attach >> attached
    report(attached.output)


attach_folder()
