"""What every failure tells."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple


class Error(Exception):
    """A failed call. There is a subclass for each status, such as NotFoundError; a status that this version doesn't know is an Error itself.

    It never holds a token, a secret or bytes of a file. `detail` has all fields as the library gives them.

    status           Number of the status: ZCRM_E_* of zcrm.h.
    name             Name of the status, such as "ZCRM_E_NOT_FOUND".
    reason           A stable word for the exact reason, such as "photo_pixels": safe to compare with.
    message          One line for a person. Its wording may change.
    field            The parameter or setting that is wrong, if one is.
    http_status      HTTP status of the last reply; 0: there was none.
    api_code         Zoho's own code, such as "INVALID_DATA", or "".
    api_message      Zoho's own message, or "".
    details          Zoho's details as it sent them, or None. Of a step's input: {"json_path": …}, the place that is wrong.
    retryable        Whether the same call may succeed later. The library has tried as often as the setting max_retries lets it.
    retry_after      Seconds to wait before the next try, or None: nothing is known.
    outcome_open     Whether it may be done although the call failed: look at the record before it is done again.
    candidates       Ids of the attachments that a lost upload may have become.
    request_sent     How much of the request had left: "no", "partly", "fully", or "answered".
    attempts         HTTP requests made.
    waited           Seconds spent in waiting between them.
    callback_status  What a callback gave to the library; 0: none failed.
    os_error         errno of a local failure, which is the cause of this exception too; 0: there was none.
    """

    status: int = 0

    def __init__(self, detail: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.detail: Mapping[str, Any] = detail
        self.status = detail["status"]
        self.name: str = detail["name"]
        self.reason: str = detail["reason"]
        self.message: str = detail["message"]
        self.field: Optional[str] = detail.get("field")
        self.http_status: int = detail["http_status"]
        self.api_code: str = detail["api_code"]
        self.api_message: str = detail["api_message"]
        self.details: Any = detail.get("details")
        self.retryable: bool = detail["retryable"]
        self.retry_after: Optional[float] = None if detail["retry_after_ms"] < 0 else detail["retry_after_ms"] / 1000
        self.outcome_open: bool = detail["outcome_open"]
        self.candidates: Tuple[str, ...] = tuple(detail.get("candidates") or ())
        self.request_sent: str = detail["request_sent"]
        self.attempts: int = detail["attempts"]
        self.waited: float = detail["waited_ms"] / 1000
        self.callback_status: int = detail["callback_status"]
        self.os_error: int = detail["os_error"]

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.message!r})"
