//! What belongs to one call: timeout, cancel token, progress and checks.

use std::ffi::c_void;
use std::time::Duration;

use super::cancel::zcrm_cancel;
use super::text::zcrm_str;
use super::{handle, sized};
use crate::call::{Call, IfExists, ProgressFn};
use crate::error::{Error, Result};
use crate::transfer;

/// Flag of zcrm_call: compute the SHA-256 of the bytes that are sent or received; the result has it. Costs about as much CPU as TLS.
pub const ZCRM_CALL_SHA256: u32 = 1;

/// Flag of zcrm_call: `expected_bytes` counts even when it is 0: an empty file is expected.
pub const ZCRM_CALL_EXPECT_BYTES: u32 = 2;

/// Flag of zcrm_call: don't upload an attachment if the record already has one of the same name and size, or the same link. The result is then
/// its id, with `"skipped":true`. For a job that may run a second time. Costs one list.
pub const ZCRM_CALL_SKIP_EXISTING: u32 = 4;

/// Flag of zcrm_call: as `ZCRM_CALL_SKIP_EXISTING`, but only if the bytes are the same too. Downloads what is there to compare it.
pub const ZCRM_CALL_SKIP_SAME_BYTES: u32 = 8;

/// Flag of zcrm_call: this call may have been made before, and nobody knows how it ended, as when a queue delivers a job a second time. The library
/// first looks for its effect, and doesn't repeat it: an attachment of the same name, size and bytes (or the same link) counts as the upload, with
/// `"skipped":true`; deleting what isn't there succeeds; a file that already has the bytes of the download counts as the download. Costs a list,
/// and a download for each upload that is compared. In a batch it applies to each step.
pub const ZCRM_CALL_AGAIN: u32 = 16;

const FLAGS: u32 = ZCRM_CALL_AGAIN | ZCRM_CALL_SHA256 | ZCRM_CALL_EXPECT_BYTES | ZCRM_CALL_SKIP_EXISTING | ZCRM_CALL_SKIP_SAME_BYTES;

/// Reports how far a transfer is: at most about ten times a second, and at its end. Runs on the thread that made the call.
///
/// When an attempt is repeated, `done` starts again from 0.
///
/// @param done   bytes of the file done so far
/// @param total  bytes of the file; -1 = unknown
/// @return 0 to go on; anything else ends the call with `ZCRM_E_CANCELLED`
pub type zcrm_progress_fn = Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: i64) -> i32>;

/// What applies to one call only. NULL, or zeros, mean the defaults. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_call {
    /// `sizeof(zcrm_call)`.
    pub struct_size: usize,
    /// NULL, or the token that ends this call. The token may be freed while the call runs.
    pub cancel: *const zcrm_cancel,
    /// Bound on the whole call with its retries, in milliseconds; 0 = the setting `call_timeout_ms`.
    pub timeout_ms: i64,
    /// NULL, or called with the progress.
    pub progress: zcrm_progress_fn,
    /// Passed to `progress`.
    pub user: *mut c_void,
    /// Appears in the log lines of this call.
    pub trace_id: zcrm_str,
    /// The SHA-256 that the bytes must have, as 64 hexadecimal digits. With others the call fails with `ZCRM_E_CHECKSUM`: an upload isn't
    /// stored, and a file isn't written.
    pub expected_sha256: zcrm_str,
    /// The size that a download must have, in bytes, as the list said; 0 = not given, unless `ZCRM_CALL_EXPECT_BYTES` is set.
    pub expected_bytes: i64,
    /// Photo upload: "workflow" keeps workflows from being triggered.
    pub restrict_triggers: zcrm_str,
    /// `ZCRM_CALL_*`, or-ed.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with a usize; all zero is NULL pointers, no callback and zeros.
unsafe impl sized::Struct for zcrm_call {}

/// The caller's struct in our size, and its callback as a closure. Lives on the stack of the call, so the callback can't outlive it.
pub(super) struct Given {
    fields: Option<zcrm_call>,
    progress: Option<Box<ProgressFn<'static>>>,
}

impl Given {
    /// # Safety
    /// `call` is NULL or what the header says it must be.
    pub(super) unsafe fn read(call: *const zcrm_call) -> Result<Given> {
        // SAFETY: the caller's contract.
        let fields = unsafe { sized::read_if_given(call, "call")? };
        Ok(Given { progress: fields.and_then(|f| f.progress.map(|progress| reporting(progress, f.user))), fields })
    }

    /// What it says, checked.
    ///
    /// # Safety
    /// As for [`Given::read`], still.
    pub(super) unsafe fn call(&mut self) -> Result<Call<'_>> {
        // SAFETY: the caller's contract.
        let call = self.fields.map_or_else(|| Ok(Call::default()), |fields| unsafe { fields.checked() })?;
        Ok(Call { progress: self.progress.as_deref_mut().map(|progress| progress as _), ..call })
    }
}

fn reporting(progress: unsafe extern "C" fn(*mut c_void, u64, i64) -> i32, user: *mut c_void) -> Box<ProgressFn<'static>> {
    Box::new(move |done, total| {
        let total = total.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX));
        // SAFETY: the header binds the host to give a callback that may be called during the call, with its own `user`.
        unsafe { progress(user, done, total) == 0 }
    })
}

impl zcrm_call {
    /// Everything but the callback.
    ///
    /// # Safety
    /// The pointers are what the header says they must be.
    unsafe fn checked<'a>(&self) -> Result<Call<'a>> {
        if self.flags & !FLAGS != 0 {
            return Err(Error::argument("call.flags", format_args!("{:#x} has bits that this version doesn't know", self.flags)));
        }
        if self.reserved != 0 {
            return Err(Error::argument("call.reserved", "is not 0"));
        }
        // SAFETY: the caller's contract for each pointer.
        unsafe {
            let text = |text: zcrm_str, field| text.read(field).map(|t| (!t.is_empty()).then(|| t.to_owned()));
            Ok(Call {
                cancel: if self.cancel.is_null() { None } else { Some(handle::lend(self.cancel, "call.cancel")?.0.clone()) },
                timeout: not_negative(self.timeout_ms, "call.timeout_ms")?.map(Duration::from_millis),
                sha256: self.flags & ZCRM_CALL_SHA256 != 0,
                expected_sha256: self.expected_sha256.read("call.expected_sha256").and_then(sha256)?,
                expected_bytes: self.expected()?,
                if_exists: self.if_exists(),
                again: self.flags & ZCRM_CALL_AGAIN != 0,
                restrict_triggers: text(self.restrict_triggers, "call.restrict_triggers")?,
                trace_id: text(self.trace_id, "call.trace_id")?,
                ..Call::default()
            })
        }
    }

    fn if_exists(&self) -> IfExists {
        match self.flags {
            flags if flags & ZCRM_CALL_SKIP_SAME_BYTES != 0 => IfExists::SkipSameBytes,
            flags if flags & ZCRM_CALL_SKIP_EXISTING != 0 => IfExists::Skip,
            _ => IfExists::Upload,
        }
    }

    fn expected(&self) -> Result<Option<u64>> {
        let bytes = not_negative(self.expected_bytes, "call.expected_bytes")?;
        Ok(if self.flags & ZCRM_CALL_EXPECT_BYTES != 0 { Some(bytes.unwrap_or(0)) } else { bytes })
    }
}

/// 0 is "not given".
fn not_negative(number: i64, field: &'static str) -> Result<Option<u64>> {
    match u64::try_from(number) {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(n)),
        Err(_) => Err(Error::argument(field, format_args!("{number} is negative"))),
    }
}

fn sha256(text: &str) -> Result<Option<[u8; 32]>> {
    if text.is_empty() {
        return Ok(None);
    }
    let sum = transfer::sha256_from_hex(text).ok_or_else(|| Error::argument("call.expected_sha256", "is not 64 hexadecimal digits"))?;
    Ok(Some(sum))
}
