"""What Airflow shows of this package: in its list of providers, and as the form of a connection."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping

import zcrm

IN_THE_FORM = (
    "refresh_token", "data_center", "environment", "api_version", "api_domain", "accounts_url", "token_file", "allow_paths", "max_in_flight",
    "call_timeout_ms", "proxy", "ca_file",
)
"""The settings that have a field of their own, beside client_id and client_secret, which are login and password. Any other may stand in Extra."""


def _field(setting: Mapping[str, Any]) -> Dict[str, Any]:
    schema: Dict[str, Any] = {"type": ["integer" if setting["type"] == "integer" else "string", "null"]}
    if setting["secret"]:
        schema["format"] = "password"
    if "enum" in setting and setting["type"] != "list":
        schema["enum"] = setting["enum"]
    for bound in ("minimum", "maximum"):
        if bound in setting:
            schema[bound] = setting[bound]
    default = f" Default: {setting['default']}." if setting["default"] else ""
    label = re.sub(r"\b(api|url|ca)\b", lambda word: word[0].upper(), setting["name"].replace("_", " "), flags=re.IGNORECASE)
    return {"label": label[0].upper() + label[1:], "description": f"{setting['help']}.{default}", "schema": schema}


def get_provider_info() -> Dict[str, Any]:
    """The entry point apache_airflow_provider."""
    settings = {setting["name"]: setting for setting in zcrm.describe()["settings"]}
    service = "Zoho CRM"
    return {
        "package-name": "zcrm",
        "name": service,
        "description": "Attachments and photos of Zoho CRM records.",
        "integrations": [{"integration-name": service, "external-doc-url": "https://www.zoho.com/crm/developer/docs/api/v8/", "tags": ["service"]}],
        "hooks": [{"integration-name": service, "python-modules": ["zcrm.airflow.hooks"]}],
        "operators": [{"integration-name": service, "python-modules": ["zcrm.airflow.operators"]}],
        "connection-types": [{
            "connection-type": "zoho_crm",
            "hook-name": service,
            "hook-class-name": "zcrm.airflow.hooks.ZohoCrmHook",
            "conn-fields": {name: _field(settings[name]) for name in IN_THE_FORM},
            "ui-field-behaviour": {
                "hidden-fields": ["host", "port", "schema"],
                "relabeling": {"login": "Client id", "password": "Client secret"},
                "placeholders": {"login": "1000.…", "token_file": "shared by all processes of this user", "allow_paths": "/srv/files"},
            },
        }],
    }
