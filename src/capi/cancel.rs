//! The cancel token.

use super::error::zcrm_error;
use super::guard;
use super::handle::{self, Noun};
use super::status::zcrm_status;
use crate::cancel::Cancel;

/// Ends, from any thread, the calls that it was given to. Belongs to the caller.
///
/// A token stays fired: a call that gets a fired token returns `ZCRM_E_CANCELLED` and sends nothing. Make one for each call.
pub struct zcrm_cancel(pub(super) Cancel);

impl Noun for zcrm_cancel {
    const MAGIC: u32 = 0x7a63_6504;
}

/// Makes a token that isn't fired. Free it with zcrm_cancel_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_cancel_new(out: *mut *mut zcrm_cancel) -> zcrm_status {
    let body = || {
        let out = handle::out(out, "out")?;
        // SAFETY: not NULL, and writable by the header's contract.
        unsafe { out.write(handle::give(zcrm_cancel(Cancel::new()))) };
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}

/// Ends every call that holds this token within 100 ms, whatever the network does: it returns `ZCRM_E_CANCELLED`, and a file that was
/// being downloaded doesn't appear. Only a callback of the host that blocks can delay it.
///
/// May be called from any thread, from inside a callback, and more than once; not from a signal handler. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_cancel_fire(cancel: *const zcrm_cancel) {
    guard::value((), || {
        // SAFETY: the header's contract: NULL or a handle.
        if let Ok(cancel) = unsafe { handle::lend(cancel, "cancel") } {
            cancel.0.fire();
        }
    });
}

/// Frees a token. A call that holds it goes on, and can no longer be cancelled. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_cancel_free(cancel: *mut zcrm_cancel) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(cancel) });
}
