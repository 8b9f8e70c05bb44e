"""A Dagster asset: the files of a folder, attached to a record of Zoho CRM.

    dagster asset materialize -f assets.py --select attached_files --config-json '{"ops": {"attached_files": {"config": {
        "folder": "/srv/files", "record_id": "3652397000000649013"}}}}'

The credentials come from the environment: ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET, ZCRM_REFRESH_TOKEN.
"""

import os
import pathlib

from dagster import Config, Definitions, EnvVar, MaterializeResult, MetadataValue, asset

from zcrm.dagster import ZohoCrmResource, metadata


class Folder(Config):
    folder: str
    record_id: str
    module: str = "Contacts"


@asset
def attached_files(context, config: Folder, crm: ZohoCrmResource) -> MaterializeResult:
    """Every file of a folder as an attachment. What is there already isn't sent again, so a run that broke off can be repeated."""
    files = sorted(path for path in pathlib.Path(config.folder).iterdir() if path.is_file())
    with crm.client() as client:
        record = client.record(config.module, config.record_id)
        stored = [record.upload(path, if_exists="skip", sha256=True) for path in files]
    for one in stored:
        context.log.info("%s is attachment %s", one.file_name, one.id)
    return MaterializeResult(metadata={
        "files": len(stored),
        "bytes": sum(path.stat().st_size for path in files),
        "attachments": MetadataValue.json({one.id: one.file_name for one in stored}),
        **({f"last_{name}": value for name, value in metadata(stored[-1]).items()} if stored else {}),
    })


# For an emulator the environment also names the hosts.
HOSTS = {name: os.environ[f"ZCRM_{name.upper()}"] for name in ("api_domain", "accounts_url") if f"ZCRM_{name.upper()}" in os.environ}

defs = Definitions(assets=[attached_files], resources={"crm": ZohoCrmResource(
    client_id=EnvVar("ZCRM_CLIENT_ID"), client_secret=EnvVar("ZCRM_CLIENT_SECRET"), refresh_token=EnvVar("ZCRM_REFRESH_TOKEN"), settings=HOSTS)})
