//! Statuses: the numbers of [`crate::Status`], and 0.

use std::ffi::{CStr, c_char};

use super::guard;
use crate::error::Status;

/// What a fallible function returns: `ZCRM_OK` or one of `ZCRM_E_*`.
///
/// Numbers are only ever added. Treat one that you don't know like `ZCRM_E_SERVER`: the call failed.
pub type zcrm_status = i32;

/// Success.
pub(super) const OK: zcrm_status = 0;

/// The name of a status, for example "ZCRM_E_NOT_FOUND"; "ZCRM_E_UNKNOWN" for a number that this version doesn't have.
#[unsafe(no_mangle)]
pub extern "C" fn zcrm_status_name(status: zcrm_status) -> *const c_char {
    guard::value(UNKNOWN.as_ptr(), || match Status::ALL.iter().position(|s| *s as i32 == status) {
        Some(i) => NAMES[i].as_ptr(),
        None if status == OK => c"ZCRM_OK".as_ptr(),
        None => UNKNOWN.as_ptr(),
    })
}

const UNKNOWN: &CStr = c"ZCRM_E_UNKNOWN";

/// The names with their NUL, in the order of `Status::ALL`.
static NAMES: once_cell::sync::Lazy<Vec<std::ffi::CString>> =
    once_cell::sync::Lazy::new(|| Status::ALL.iter().map(|s| super::text::to_c(s.name())).collect());
