"""An exception for each status. Written by generate.py from src/step/description.json: change it there."""

import builtins
from typing import Dict, Type

from ._error import Error


class ArgumentError(Error):
    """A parameter is missing, malformed or contradicts another one. Nothing was sent. (ZCRM_E_ARGUMENT)"""

    status = 1


class StateError(Error):
    """The handle can't be used at this moment: it was used from inside a callback, or a panic has poisoned it. (ZCRM_E_STATE)"""

    status = 2


class ConfigError(Error):
    """A setting is unknown, malformed or missing. (ZCRM_E_CONFIG)"""

    status = 3


class VersionError(Error):
    """A struct is newer than this library, or an API version lacks what was asked for. (ZCRM_E_VERSION)"""

    status = 4


class NotFoundError(Error):
    """There is no such attachment, or the record has no photo. (ZCRM_E_NOT_FOUND)"""

    status = 5


class AuthError(Error):
    """Zoho refused the token, or there is no way to get one. (ZCRM_E_AUTH)"""

    status = 6


class ForbiddenError(Error):
    """The user may not do this. (ZCRM_E_FORBIDDEN)"""

    status = 7


class RateLimitedError(Error):
    """Too many calls: credits, concurrency or token requests. (ZCRM_E_RATE_LIMITED)"""

    status = 8


class RejectedError(Error):
    """Zoho said no, for a reason that has no status of its own: read the API code and the details. (ZCRM_E_REJECTED)"""

    status = 9


class TooLargeError(Error):
    """The file, the photo's pixels or a reply are over a limit. (ZCRM_E_TOO_LARGE)"""

    status = 10


class ServerError(Error):
    """The server failed (5xx). (ZCRM_E_SERVER)"""

    status = 11


class NetworkError(Error):
    """The connection could not be made, or broke. (ZCRM_E_NETWORK)"""

    status = 12


class TlsError(Error):
    """The server's certificate or the TLS handshake was refused. (ZCRM_E_TLS)"""

    status = 13


class TimeoutError(Error, builtins.TimeoutError):
    """A time limit was reached: for connecting, for silence, for a token or for the whole call. (ZCRM_E_TIMEOUT)"""

    status = 14


class CancelledError(Error):
    """The caller cancelled the call. What it asked for may be done all the same: zcrm_error_outcome_open() says so. (ZCRM_E_CANCELLED)"""

    status = 15


class CallbackError(Error):
    """A callback of the caller failed. (ZCRM_E_CALLBACK)"""

    status = 16


class IoError(Error):
    """A local file could not be read or written. (ZCRM_E_IO)"""

    status = 17


class ProtocolError(Error):
    """The reply isn't what the API is documented to send. (ZCRM_E_PROTOCOL)"""

    status = 18


class UnsupportedError(Error):
    """The API, or this version of it, doesn't offer this. (ZCRM_E_UNSUPPORTED)"""

    status = 19


class MemoryError(Error):
    """There was not enough memory for the bytes of a file, a reply, a list or a step. With more, the same call works. (Stable Rust can't report
    it for small blocks, steps of a batch, and what the parsers, HTTP and TLS copy: without memory for those the process ends.) (ZCRM_E_MEMORY)
    """

    status = 20


class PanicError(Error):
    """The library has a bug. Don't use this client again. (ZCRM_E_PANIC)"""

    status = 21


class OutcomeUnknownError(Error):
    """A request was sent and its reply lost: what it asked for may be done, or not. (ZCRM_E_OUTCOME_UNKNOWN)"""

    status = 22


class DuplicateLinkError(Error):
    """The same URL is already attached to this record. (ZCRM_E_DUPLICATE_LINK)"""

    status = 23


class IsLinkError(Error):
    """The attachment is a link: it has a URL, not bytes. (ZCRM_E_IS_LINK)"""

    status = 24


class InvalidModuleError(Error):
    """The module doesn't exist, or doesn't offer this operation. (ZCRM_E_INVALID_MODULE)"""

    status = 25


class InvalidRecordError(Error):
    """The record doesn't exist, or isn't visible to this user. (ZCRM_E_INVALID_RECORD)"""

    status = 26


class RecordLockedError(Error):
    """The record is locked. (ZCRM_E_RECORD_LOCKED)"""

    status = 27


class NotApprovedError(Error):
    """The record waits for an approval or a review. (ZCRM_E_NOT_APPROVED)"""

    status = 28


class FileTypeError(Error):
    """This type of file is not taken here. (ZCRM_E_FILE_TYPE)"""

    status = 29


class StorageFullError(Error):
    """The organisation's storage is full. (ZCRM_E_STORAGE_FULL)"""

    status = 30


class VirusError(Error):
    """Zoho found a virus in the file. (ZCRM_E_VIRUS)"""

    status = 31


class ScopeError(Error):
    """The token lacks an OAuth scope. (ZCRM_E_SCOPE)"""

    status = 32


class InvalidLinkError(Error):
    """The link is not one that can be attached. (ZCRM_E_INVALID_LINK)"""

    status = 33


class PageError(Error):
    """The page or page token is refused, or paging runs in a circle. (ZCRM_E_PAGE)"""

    status = 34


class SourceConsumedError(Error):
    """The source's bytes were used up by an attempt and can't be read again. (ZCRM_E_SOURCE_CONSUMED)"""

    status = 35


class SourceChangedError(Error):
    """The source has more or fewer bytes than it said. (ZCRM_E_SOURCE_CHANGED)"""

    status = 36


class ChecksumError(Error):
    """The bytes aren't those that the caller expected. (ZCRM_E_CHECKSUM)"""

    status = 37


BY_STATUS: Dict[int, Type[Error]] = {
    1: ArgumentError,
    2: StateError,
    3: ConfigError,
    4: VersionError,
    5: NotFoundError,
    6: AuthError,
    7: ForbiddenError,
    8: RateLimitedError,
    9: RejectedError,
    10: TooLargeError,
    11: ServerError,
    12: NetworkError,
    13: TlsError,
    14: TimeoutError,
    15: CancelledError,
    16: CallbackError,
    17: IoError,
    18: ProtocolError,
    19: UnsupportedError,
    20: MemoryError,
    21: PanicError,
    22: OutcomeUnknownError,
    23: DuplicateLinkError,
    24: IsLinkError,
    25: InvalidModuleError,
    26: InvalidRecordError,
    27: RecordLockedError,
    28: NotApprovedError,
    29: FileTypeError,
    30: StorageFullError,
    31: VirusError,
    32: ScopeError,
    33: InvalidLinkError,
    34: PageError,
    35: SourceConsumedError,
    36: SourceChangedError,
    37: ChecksumError,
}

__all__ = [
    "ArgumentError",
    "AuthError",
    "CallbackError",
    "CancelledError",
    "ChecksumError",
    "ConfigError",
    "DuplicateLinkError",
    "FileTypeError",
    "ForbiddenError",
    "InvalidLinkError",
    "InvalidModuleError",
    "InvalidRecordError",
    "IoError",
    "IsLinkError",
    "MemoryError",
    "NetworkError",
    "NotApprovedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PageError",
    "PanicError",
    "ProtocolError",
    "RateLimitedError",
    "RecordLockedError",
    "RejectedError",
    "ScopeError",
    "ServerError",
    "SourceChangedError",
    "SourceConsumedError",
    "StateError",
    "StorageFullError",
    "TimeoutError",
    "TlsError",
    "TooLargeError",
    "UnsupportedError",
    "VersionError",
    "VirusError",
]
