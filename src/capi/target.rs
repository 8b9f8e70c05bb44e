//! The record an operation is about, and the attachment where one is needed.

use super::sized;
use super::text::zcrm_str;
use crate::error::Result;
use crate::record::Record;

/// The record that an operation is about, and the attachment where one is needed. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_target {
    /// `sizeof(zcrm_target)`.
    pub struct_size: usize,
    /// The module's API name, for example "Contacts"; see https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html
    pub module: zcrm_str,
    /// The record's id: digits.
    pub record_id: zcrm_str,
    /// The attachment's id: digits. Only download and delete of attachments read it. Delete takes several, separated by commas.
    pub attachment_id: zcrm_str,
}

// SAFETY: repr(C), begins with a usize, and all zero is two NULL pointers with length 0.
unsafe impl sized::Struct for zcrm_target {}

/// # Safety
/// `target` is NULL or what the header says it must be.
pub(super) unsafe fn record(target: *const zcrm_target) -> Result<Record> {
    // SAFETY: the caller's contract.
    unsafe {
        let target = sized::read(target, "target")?;
        Ok(Record::new(target.module.read("module")?, target.record_id.read("record_id")?))
    }
}

/// The record and the text of the attachment's id.
///
/// # Safety
/// As for [`record`]; the text lives as long as the caller's.
pub(super) unsafe fn attachment<'a>(target: *const zcrm_target) -> Result<(Record, &'a str)> {
    // SAFETY: the caller's contract.
    unsafe { Ok((record(target)?, sized::read(target, "target")?.attachment_id.read("attachment_id")?)) }
}
