"""Makes the exceptions."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional, Type

from ._error import Error
from ._library import lib
from ._statuses import BY_STATUS


def taken(status: int, error: Optional[int]) -> Error:
    """The exception of a failed call, whose error object it frees."""
    try:
        text = lib.zcrm_error_json(error)
    finally:
        lib.zcrm_error_free(error)
    return from_detail({**_unsent(status, "", lib.zcrm_status_name(status).decode()), **(json.loads(text) if text else {})})


def from_detail(detail: Dict[str, Any]) -> Error:
    """The exception of what zcrm_error_json() says."""
    raised = BY_STATUS.get(detail["status"], Error)(detail)
    if raised.os_error:
        raised.__cause__ = OSError(raised.os_error, os.strerror(raised.os_error))
    return raised


def own(kind: Type[Error], reason: str, message: str, field: Optional[str] = None) -> Error:
    """What Python itself finds wrong, before anything is sent."""
    return kind({**_unsent(kind.status, reason, message), "field": field})


def _unsent(status: int, reason: str, message: str) -> Dict[str, Any]:
    return {
        "status": status, "name": lib.zcrm_status_name(status).decode(), "reason": reason, "message": message, "http_status": 0, "api_code": "",
        "api_message": "", "retryable": False, "retry_after_ms": -1, "outcome_open": False, "request_sent": "no", "attempts": 0, "waited_ms": 0,
        "callback_status": 0, "os_error": 0,
    }
