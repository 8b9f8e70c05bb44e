//! Statuses: the numbers of [`crate::Status`], and 0.

use std::ffi::c_char;

use crate::error::Status;

/// What a fallible function returns: `ZCRM_OK` or one of `ZCRM_E_*`.
/// Numbers are only ever added. Treat one that you don't know like `ZCRM_E_SERVER`: the call failed.
pub type zcrm_status = i32;

/// Success.
pub(super) const OK: zcrm_status = 0;

/// The name of a status, for example "ZCRM_E_NOT_FOUND"; "ZCRM_E_UNKNOWN" for a number that this version doesn't have.
#[unsafe(no_mangle)]
pub extern "C" fn zcrm_status_name(status: zcrm_status) -> *const c_char {
    let name = match Status::ALL.iter().find(|known| **known as zcrm_status == status) {
        Some(known) => known.name_with_nul(),
        None if status == OK => c"ZCRM_OK",
        None => c"ZCRM_E_UNKNOWN",
    };
    name.as_ptr()
}
