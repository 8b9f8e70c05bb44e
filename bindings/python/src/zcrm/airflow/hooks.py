"""The hook."""

from __future__ import annotations

from typing import Any, Dict, Optional

from airflow.sdk import BaseHook, Connection

import zcrm


class ZohoCrmHook(BaseHook):  # type: ignore[misc]
    """A connection of the type "zoho_crm".

        client = ZohoCrmHook("zcrm_default").get_conn()
        client.record("Contacts", record_id).upload("contract.pdf")

    Login is the OAuth client's id, password its secret. Each further field, and each key of Extra, is a setting: see zcrm.Settings.

    All tasks of a worker share one access token, in a file of the user's cache folder or in the setting token_file: each task is a process of
    its own, and Zoho gives ten tokens in ten minutes. Workers on several machines, each with its own file, need a token each.
    """

    conn_name_attr = "zcrm_conn_id"
    default_conn_name = "zcrm_default"
    conn_type = "zoho_crm"
    hook_name = "Zoho CRM"

    def __init__(self, zcrm_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zcrm_conn_id = zcrm_conn_id
        self._client: Optional[zcrm.Client] = None

    def get_conn(self) -> zcrm.Client:
        """The client, which is made once. Raises zcrm.ConfigError, which names the field that is wrong or missing."""
        if self._client is None:
            self._client = zcrm.Client(**settings(self.get_connection(self.zcrm_conn_id)))
        return self._client


def settings(connection: Connection) -> Dict[str, Any]:
    """The settings in a connection; fields that are left empty are left out."""
    given = {"client_id": connection.login, "client_secret": connection.password, **connection.extra_dejson}
    return {name: value for name, value in given.items() if value not in (None, "")}
