"""Dagster: a resource. `pip install "zcrm[dagster]"`.

    from zcrm.dagster import ZohoCrmResource, metadata

    @asset
    def contracts(crm: ZohoCrmResource) -> MaterializeResult:
        with crm.client() as client:
            stored = client.record("Contacts", "3652397000000649013").upload("contract.pdf")
        return MaterializeResult(metadata=metadata(stored))

    crm = ZohoCrmResource(client_id=EnvVar("ZCRM_CLIENT_ID"), client_secret=EnvVar("ZCRM_CLIENT_SECRET"), refresh_token=EnvVar("ZCRM_REFRESH_TOKEN"))
    Definitions(assets=[contracts], resources={"crm": crm})
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Dict, Mapping, Union

from dagster import ConfigurableResource, MetadataValue
from pydantic import Field

import zcrm


class ZohoCrmResource(ConfigurableResource):  # type: ignore[misc,type-arg,unused-ignore]
    """An organisation of Zoho CRM.

    All processes of a user share one access token, as Zoho gives ten in ten minutes: Dagster starts one for each run, and for each step where
    the executor does.
    """

    client_id: str = Field(description="OAuth client id.")
    client_secret: str = Field(description="OAuth client secret; take it from the environment with EnvVar.")
    refresh_token: str = Field(description="OAuth refresh token; take it from the environment with EnvVar.")
    data_center: str = Field(default="us", description="Zoho's data centre.")
    settings: Dict[str, str] = Field(default_factory=dict, description="Further settings: see zcrm.Settings.")

    def client(self) -> zcrm.Client:
        """A client, to be closed: `with crm.client() as client`. Raises zcrm.ConfigError, which names the setting that is wrong."""
        given: Mapping[str, Any] = {
            "client_id": self.client_id, "client_secret": self.client_secret, "refresh_token": self.refresh_token, "data_center": self.data_center,
            **self.settings,
        }
        return zcrm.Client(**given)


def metadata(value: Union[zcrm.Attachment, zcrm.Transfer]) -> Dict[str, MetadataValue[Any]]:
    """What is known of an attachment or a transfer, as the metadata of an asset. Bytes are left out."""
    found: Dict[str, MetadataValue[Any]] = {}
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if field.name == "data" or given in (None, "", ()):
            continue
        if field.name == "path":
            found[field.name] = MetadataValue.path(given)
        elif field.name == "link_url":
            found[field.name] = MetadataValue.url(given)
        elif isinstance(given, bool):
            found[field.name] = MetadataValue.bool(given)
        elif isinstance(given, int):
            found[field.name] = MetadataValue.int(given)
        elif isinstance(given, datetime.datetime):
            found[field.name] = MetadataValue.timestamp(given)
        else:
            found[field.name] = MetadataValue.text(given if isinstance(given, str) else ", ".join(given))
    return found
