//! The error object: everything that is known of one failure.

use std::ffi::{CString, c_char};

use super::handle::{self, Noun};
use super::made::Made;
use super::status::zcrm_status;
use super::text::to_c;
use super::{guard, status};
use crate::error::{Error, Sent};

/// From zcrm_error_request_sent(): nothing has left. Nothing can have happened at Zoho.
pub const ZCRM_SENT_NO: i32 = 0;
/// From zcrm_error_request_sent(): some bytes may have left. An upload may be stored or not.
pub const ZCRM_SENT_PARTLY: i32 = 1;
/// From zcrm_error_request_sent(): the whole request has left, and no reply came. An upload may be stored or not.
pub const ZCRM_SENT_FULLY: i32 = 2;
/// From zcrm_error_request_sent(): the whole request has left, and a reply came.
pub const ZCRM_SENT_ANSWERED: i32 = 3;

/// Everything that is known of one failure. A fallible function writes one to its last parameter `err`, unless that is NULL, and only when
/// it fails; what was there before is neither read nor freed.
///
/// It belongs to the caller, who frees it with zcrm_error_free(). It needs no client and may outlive every other handle. Any thread may
/// read it. It never holds a token, a secret or bytes of a file.
pub struct zcrm_error {
    error: Error,
    message: CString,
    reason: CString,
    api_code: CString,
    candidates: Vec<CString>,
    json: Made<CString>,
}

impl Noun for zcrm_error {
    const MAGIC: u32 = 0x7a63_6501;
}

impl From<Error> for zcrm_error {
    fn from(error: Error) -> zcrm_error {
        let detail = error.detail();
        let (message, reason, api_code) = (to_c(&detail.message), to_c(detail.reason), to_c(&detail.api_code));
        let candidates = detail.candidates.iter().map(|id| to_c(id)).collect();
        zcrm_error { error, message, reason, api_code, candidates, json: Made::default() }
    }
}

/// Reads one field; `absent` when there is no error object.
///
/// # Safety
/// `error` is NULL or a handle that nobody frees meanwhile.
unsafe fn get<T: Copy>(error: *const zcrm_error, absent: T, field: impl FnOnce(&zcrm_error) -> T) -> T {
    guard::value(absent, || {
        // SAFETY: the caller's contract.
        unsafe { handle::lend(error, "error") }.map_or(absent, |error| field(&error))
    })
}

const EMPTY: *const c_char = c"".as_ptr();

/// The status that the failed function returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_code(error: *const zcrm_error) -> zcrm_status {
    // SAFETY: the header's contract: NULL or a handle. The same holds for every function below.
    unsafe { get(error, status::OK, |e| e.error.status() as zcrm_status) }
}

/// A stable word for the exact reason, for example "record_invalid" or "photo_pixels": finer than the status, and safe to compare with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_reason(error: *const zcrm_error) -> *const c_char {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, EMPTY, |e| e.reason.as_ptr()) }
}

/// One line for a person: what failed, where, and the way out. Its wording may change; don't compare with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_message(error: *const zcrm_error) -> *const c_char {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, EMPTY, |e| e.message.as_ptr()) }
}

/// HTTP status of the last reply; 0 when there was none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_http_status(error: *const zcrm_error) -> i32 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, 0, |e| i32::from(e.error.detail().http_status)) }
}

/// Zoho's own error code as Zoho sent it, for example "INVALID_DATA"; "" when Zoho sent none.
/// https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_api_code(error: *const zcrm_error) -> *const c_char {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, EMPTY, |e| e.api_code.as_ptr()) }
}

/// 1 when the same call may succeed later without a change by the caller, else 0. The library itself has already retried it as often as the
/// setting `max_retries` allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_retryable(error: *const zcrm_error) -> i32 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, 0, |e| i32::from(e.error.detail().retryable)) }
}

/// Milliseconds to wait before the next try: what the server asked for, or what this library advises; -1 when nothing is known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_retry_after_ms(error: *const zcrm_error) -> i64 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, -1, |e| e.error.detail().retry_after_ms) }
}

/// How much of the request had left: `ZCRM_SENT_*`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_request_sent(error: *const zcrm_error) -> i32 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe {
        get(error, ZCRM_SENT_NO, |e| match e.error.detail().request_sent {
            Sent::No => ZCRM_SENT_NO,
            Sent::Partly => ZCRM_SENT_PARTLY,
            Sent::Fully => ZCRM_SENT_FULLY,
            Sent::Answered => ZCRM_SENT_ANSWERED,
        })
    }
}

/// 1 when the call failed but may have taken effect all the same, else 0: after `ZCRM_E_OUTCOME_UNKNOWN`, and when a call was cancelled, or ran
/// out of time, after its request had left. Look at the record before you repeat the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_outcome_open(error: *const zcrm_error) -> i32 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, 0, |e| i32::from(e.error.detail().outcome_open)) }
}

/// What the caller's callback returned, if its failure ended the call (`ZCRM_E_CALLBACK`); else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_callback_status(error: *const zcrm_error) -> i32 {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, 0, |e| e.error.detail().callback_status) }
}

/// `ZCRM_E_OUTCOME_UNKNOWN`: the ids of the attachments that may be the upload, one for each `index` from 0; then NULL, as without an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_candidate(error: *const zcrm_error, index: usize) -> *const c_char {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, std::ptr::null(), |e| e.candidates.get(index).map_or(std::ptr::null(), |id| id.as_ptr())) }
}

/// All fields as one JSON object, including Zoho's `details` as it sent them:
/// `status`, `name`, `reason`, `message`, `field`, `http_status`, `api_code`, `api_message`, `details`, `outcome_open`, `candidates`,
/// `retryable`, `retry_after_ms`, `request_sent`, `attempts`, `waited_ms`, `callback_status`, `os_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_json(error: *const zcrm_error) -> *const c_char {
    // SAFETY: as in `zcrm_error_code`.
    unsafe { get(error, EMPTY, |e| e.json.get(|| Ok(to_c(&e.error.to_json()))).map_or(EMPTY, |json| json.as_ptr())) }
}

/// Frees an error object and the texts borrowed from it. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_error_free(error: *mut zcrm_error) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(error) });
}
