"""The C interface as ctypes. Written by generate.py from include/zcrm.h: change it there."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Dict, List, Optional, Tuple

VERSION = "0.1.0"
OK = 0
E_ARGUMENT = 1
E_STATE = 2
E_CONFIG = 3
E_VERSION = 4
E_NOT_FOUND = 5
E_AUTH = 6
E_FORBIDDEN = 7
E_RATE_LIMITED = 8
E_REJECTED = 9
E_TOO_LARGE = 10
E_SERVER = 11
E_NETWORK = 12
E_TLS = 13
E_TIMEOUT = 14
E_CANCELLED = 15
E_CALLBACK = 16
E_IO = 17
E_PROTOCOL = 18
E_UNSUPPORTED = 19
E_MEMORY = 20
E_PANIC = 21
E_OUTCOME_UNKNOWN = 22
E_DUPLICATE_LINK = 23
E_IS_LINK = 24
E_INVALID_MODULE = 25
E_INVALID_RECORD = 26
E_RECORD_LOCKED = 27
E_NOT_APPROVED = 28
E_FILE_TYPE = 29
E_STORAGE_FULL = 30
E_VIRUS = 31
E_SCOPE = 32
E_INVALID_LINK = 33
E_PAGE = 34
E_SOURCE_CONSUMED = 35
E_SOURCE_CHANGED = 36
E_CHECKSUM = 37
ABI_VERSION = 1
SENT_NO = 0
SENT_PARTLY = 1
SENT_FULLY = 2
SENT_ANSWERED = 3
LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4
LOG_TRACE = 5
CALL_SHA256 = 1
CALL_EXPECT_BYTES = 2
CALL_SKIP_EXISTING = 4
CALL_SKIP_SAME_BYTES = 8
CALL_AGAIN = 16
FROM_FILE = 1
FROM_MEMORY = 2
FROM_READER = 3
FROM_LINK = 4
TO_FILE = 1
TO_MEMORY = 2
TO_WRITER = 3
OVERWRITE = 1
UPLOAD_SKIPPED = 1
UPLOAD_SETTLED = 2
UPLOAD_NAME_CHANGED = 4
UPLOAD_TWINS = 8
UPLOAD_WAITED = 16


zcrm_token_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t, POINTER(c_size_t))


zcrm_drop_fn = ctypes.CFUNCTYPE(None, c_void_p)


zcrm_log_fn = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_size_t)


class zcrm_str(Structure):
    ptr: Optional[bytes]
    len: int
    _fields_ = [
        ("ptr", c_char_p),
        ("len", c_size_t),
    ]


class zcrm_target(Structure):
    struct_size: int
    module: zcrm_str
    record_id: zcrm_str
    attachment_id: zcrm_str
    _fields_ = [
        ("struct_size", c_size_t),
        ("module", zcrm_str),
        ("record_id", zcrm_str),
        ("attachment_id", zcrm_str),
    ]


zcrm_read_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))


zcrm_rewind_fn = ctypes.CFUNCTYPE(c_int32, c_void_p)


class zcrm_source(Structure):
    struct_size: int
    kind: int
    name: zcrm_str
    content_type: zcrm_str
    path: zcrm_str
    data: Optional[int]
    data_len: int
    length: int
    read: Any
    rewind: Any
    user: Optional[int]
    link_url: zcrm_str
    _fields_ = [
        ("struct_size", c_size_t),
        ("kind", c_int32),
        ("name", zcrm_str),
        ("content_type", zcrm_str),
        ("path", zcrm_str),
        ("data", c_void_p),
        ("data_len", c_size_t),
        ("length", c_int64),
        ("read", zcrm_read_fn),
        ("rewind", zcrm_rewind_fn),
        ("user", c_void_p),
        ("link_url", zcrm_str),
    ]


zcrm_progress_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_int64)


class zcrm_call(Structure):
    struct_size: int
    cancel: Optional[int]
    timeout_ms: int
    progress: Any
    user: Optional[int]
    trace_id: zcrm_str
    expected_sha256: zcrm_str
    expected_bytes: int
    restrict_triggers: zcrm_str
    flags: int
    reserved: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("cancel", c_void_p),
        ("timeout_ms", c_int64),
        ("progress", zcrm_progress_fn),
        ("user", c_void_p),
        ("trace_id", zcrm_str),
        ("expected_sha256", zcrm_str),
        ("expected_bytes", c_int64),
        ("restrict_triggers", zcrm_str),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    ]


class zcrm_list_args(Structure):
    struct_size: int
    fields: zcrm_str
    page_token: zcrm_str
    page: int
    per_page: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("fields", zcrm_str),
        ("page_token", zcrm_str),
        ("page", c_uint32),
        ("per_page", c_uint32),
    ]


zcrm_write_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)


class zcrm_sink(Structure):
    struct_size: int
    kind: int
    flags: int
    path: zcrm_str
    max_bytes: int
    write: Any
    user: Optional[int]
    _fields_ = [
        ("struct_size", c_size_t),
        ("kind", c_int32),
        ("flags", c_int32),
        ("path", zcrm_str),
        ("max_bytes", c_uint64),
        ("write", zcrm_write_fn),
        ("user", c_void_p),
    ]


class zcrm_attachment(Structure):
    struct_size: int
    id: zcrm_str
    file_name: zcrm_str
    link_url: zcrm_str
    created_time: zcrm_str
    modified_time: zcrm_str
    parent_id: zcrm_str
    owner_name: zcrm_str
    bytes: int
    is_link: int
    flags: int
    safe_name: zcrm_str
    owner_id: zcrm_str
    created_by_id: zcrm_str
    file_id: zcrm_str
    kind: zcrm_str
    _fields_ = [
        ("struct_size", c_size_t),
        ("id", zcrm_str),
        ("file_name", zcrm_str),
        ("link_url", zcrm_str),
        ("created_time", zcrm_str),
        ("modified_time", zcrm_str),
        ("parent_id", zcrm_str),
        ("owner_name", zcrm_str),
        ("bytes", c_int64),
        ("is_link", c_int32),
        ("flags", c_uint32),
        ("safe_name", zcrm_str),
        ("owner_id", zcrm_str),
        ("created_by_id", zcrm_str),
        ("file_id", zcrm_str),
        ("kind", zcrm_str),
    ]


class zcrm_transfer(Structure):
    struct_size: int
    bytes: int
    file_name: zcrm_str
    content_type: zcrm_str
    sha256: zcrm_str
    path: zcrm_str
    length_verified: int
    reserved: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("bytes", c_uint64),
        ("file_name", zcrm_str),
        ("content_type", zcrm_str),
        ("sha256", zcrm_str),
        ("path", zcrm_str),
        ("length_verified", c_int32),
        ("reserved", c_int32),
    ]


class zcrm_page(Structure):
    struct_size: int
    next_page_token: zcrm_str
    more_records: int
    reserved: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("next_page_token", zcrm_str),
        ("more_records", c_int32),
        ("reserved", c_int32),
    ]


class zcrm_batch_summary(Structure):
    struct_size: int
    done: int
    from_journal: int
    failed: int
    unknown: int
    left: int
    attempts: int
    stopped: zcrm_str
    _fields_ = [
        ("struct_size", c_size_t),
        ("done", c_uint64),
        ("from_journal", c_uint64),
        ("failed", c_uint64),
        ("unknown", c_uint64),
        ("left", c_uint64),
        ("attempts", c_uint64),
        ("stopped", zcrm_str),
    ]


zcrm_next_step_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(zcrm_str), POINTER(zcrm_str))


zcrm_batch_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_char_p, c_int32, c_char_p, c_int32)


class zcrm_batch_args(Structure):
    struct_size: int
    journal: zcrm_str
    credits: int
    ended: Any
    user: Optional[int]
    parallel: int
    reserved: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("journal", zcrm_str),
        ("credits", c_uint64),
        ("ended", zcrm_batch_fn),
        ("user", c_void_p),
        ("parallel", c_uint32),
        ("reserved", c_uint32),
    ]


zcrm_store_get_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))


zcrm_store_put_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)


zcrm_store_lock_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_int32))


zcrm_store_unlock_fn = ctypes.CFUNCTYPE(None, c_void_p)


class zcrm_token_store(Structure):
    struct_size: int
    get: Any
    put: Any
    try_lock: Any
    unlock: Any
    user: Optional[int]
    drop: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("get", zcrm_store_get_fn),
        ("put", zcrm_store_put_fn),
        ("try_lock", zcrm_store_lock_fn),
        ("unlock", zcrm_store_unlock_fn),
        ("user", c_void_p),
        ("drop", zcrm_drop_fn),
    ]


# What each function gives and takes.
PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "zcrm_abi_version": (
        c_uint32,
        [],
    ),
    "zcrm_version": (
        c_char_p,
        [],
    ),
    "zcrm_status_name": (
        c_char_p,
        [c_int32],
    ),
    "zcrm_error_code": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_reason": (
        c_char_p,
        [c_void_p],
    ),
    "zcrm_error_message": (
        c_char_p,
        [c_void_p],
    ),
    "zcrm_error_http_status": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_api_code": (
        c_char_p,
        [c_void_p],
    ),
    "zcrm_error_retryable": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_retry_after_ms": (
        c_int64,
        [c_void_p],
    ),
    "zcrm_error_request_sent": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_outcome_open": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_callback_status": (
        c_int32,
        [c_void_p],
    ),
    "zcrm_error_candidate": (
        c_char_p,
        [c_void_p, c_size_t],
    ),
    "zcrm_error_json": (
        c_char_p,
        [c_void_p],
    ),
    "zcrm_error_free": (
        None,
        [c_void_p],
    ),
    "zcrm_config_new": (
        c_int32,
        [POINTER(c_void_p)],
    ),
    "zcrm_config_set": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(c_void_p)],
    ),
    "zcrm_config_load_profile": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)],
    ),
    "zcrm_config_set_token_fn": (
        c_int32,
        [c_void_p, zcrm_token_fn, c_void_p, zcrm_drop_fn],
    ),
    "zcrm_config_set_log_fn": (
        c_int32,
        [c_void_p, c_int32, zcrm_log_fn, c_void_p, zcrm_drop_fn],
    ),
    "zcrm_config_free": (
        None,
        [c_void_p],
    ),
    "zcrm_client_new": (
        c_int32,
        [c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_client_free": (
        None,
        [c_void_p],
    ),
    "zcrm_cancel_new": (
        c_int32,
        [POINTER(c_void_p)],
    ),
    "zcrm_cancel_fire": (
        None,
        [c_void_p],
    ),
    "zcrm_cancel_free": (
        None,
        [c_void_p],
    ),
    "zcrm_attachment_upload": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_source), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_attachment_list": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_list_args), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_attachment_download": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_sink), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_attachment_delete": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_pages_new": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_list_args), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_record_pages_new": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, POINTER(zcrm_list_args), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_pages_next": (
        c_int32,
        [c_void_p, POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_pages_free": (
        None,
        [c_void_p],
    ),
    "zcrm_photo_upload": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_source), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_photo_download": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_sink), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_photo_delete": (
        c_int32,
        [c_void_p, POINTER(zcrm_target), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_record_list": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, POINTER(zcrm_list_args), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_result_count": (
        c_size_t,
        [c_void_p],
    ),
    "zcrm_result_attachment": (
        c_int32,
        [c_void_p, c_size_t, POINTER(zcrm_attachment), POINTER(c_void_p)],
    ),
    "zcrm_result_record_id": (
        c_char_p,
        [c_void_p, c_size_t, POINTER(c_size_t)],
    ),
    "zcrm_result_transfer": (
        c_int32,
        [c_void_p, POINTER(zcrm_transfer), POINTER(c_void_p)],
    ),
    "zcrm_result_page": (
        c_int32,
        [c_void_p, POINTER(zcrm_page), POINTER(c_void_p)],
    ),
    "zcrm_result_batch": (
        c_int32,
        [c_void_p, POINTER(zcrm_batch_summary), POINTER(c_void_p)],
    ),
    "zcrm_result_data": (
        c_int32,
        [c_void_p, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p)],
    ),
    "zcrm_result_json": (
        c_char_p,
        [c_void_p, POINTER(c_size_t)],
    ),
    "zcrm_result_free": (
        None,
        [c_void_p],
    ),
    "zcrm_auth_exchange": (
        c_int32,
        [c_void_p, POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_step_describe": (
        c_char_p,
        [],
    ),
    "zcrm_step_run": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_batch_new": (
        c_int32,
        [POINTER(c_void_p)],
    ),
    "zcrm_batch_add": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(c_void_p)],
    ),
    "zcrm_batch_set_source": (
        c_int32,
        [c_void_p, zcrm_next_step_fn, c_void_p, POINTER(c_void_p)],
    ),
    "zcrm_batch_pause": (
        None,
        [c_void_p, c_int32],
    ),
    "zcrm_batch_run": (
        c_int32,
        [c_void_p, c_void_p, POINTER(zcrm_batch_args), POINTER(zcrm_call), POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "zcrm_batch_free": (
        None,
        [c_void_p],
    ),
    "zcrm_config_set_token_store": (
        c_int32,
        [c_void_p, POINTER(zcrm_token_store), POINTER(c_void_p)],
    ),
}
