//! The structs that can be read from a result.

use std::borrow::Cow;
use std::ffi::c_char;

use super::error::zcrm_error;
use super::result::{absent, borrowed, zcrm_result};
use super::status::zcrm_status;
use super::text::{Texts, zcrm_str};
use super::{guard, handle, sized};
use crate::attachment::Attachment;
use crate::error::{Error, Result};

/// In zcrm_attachment: the record had it already, so it was not sent (`ZCRM_CALL_SKIP_EXISTING`, `ZCRM_CALL_SKIP_SAME_BYTES`).
pub const ZCRM_UPLOAD_SKIPPED: u32 = 1;

/// In zcrm_attachment: the reply was lost, and the upload was found on the record.
pub const ZCRM_UPLOAD_SETTLED: u32 = 2;

/// In zcrm_attachment: Zoho stored it under another name; known only when the record was listed.
pub const ZCRM_UPLOAD_NAME_CHANGED: u32 = 4;

/// In zcrm_attachment: sending it again made further copies; zcrm_result_json() lists their ids as `twins`.
pub const ZCRM_UPLOAD_TWINS: u32 = 8;

/// In zcrm_attachment: the upload waited; zcrm_result_json() says why as `wait_reason`.
pub const ZCRM_UPLOAD_WAITED: u32 = 16;

/// One attachment of a record. An output: set `struct_size` before the call.
///
/// The fields as Zoho documents them: https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_attachment {
    /// `sizeof(zcrm_attachment)`.
    pub struct_size: usize,
    /// The attachment's id: digits.
    pub id: zcrm_str,
    /// File name as Zoho has it, or the title of a link. Whoever uploaded it chose it: it may be a path or hold control characters.
    pub file_name: zcrm_str,
    /// URL of a link; empty for a file.
    pub link_url: zcrm_str,
    /// When it was attached, as Zoho writes it: ISO 8601 with an offset.
    pub created_time: zcrm_str,
    /// When it was last changed, as Zoho writes it: ISO 8601 with an offset. Empty after an upload.
    pub modified_time: zcrm_str,
    /// Id of the record it is attached to. Empty after an upload.
    pub parent_id: zcrm_str,
    /// Name of its owner. Empty after an upload.
    pub owner_name: zcrm_str,
    /// Size in bytes; -1 = unknown.
    pub bytes: i64,
    /// 1 for a link, 0 for a file.
    pub is_link: i32,
    /// After an upload: `ZCRM_UPLOAD_*`, or-ed: what was out of the ordinary; else 0.
    pub flags: u32,
    /// `file_name` made safe as the name of a file: no path, no control character, no device. Empty when nothing is left of it.
    pub safe_name: zcrm_str,
    /// Id of its owner. Empty after an upload.
    pub owner_id: zcrm_str,
    /// Id of the user who attached it. Empty after an upload.
    pub created_by_id: zcrm_str,
    /// Zoho's id of the stored bytes; empty for a link, and after an upload.
    pub file_id: zcrm_str,
    /// Zoho's `$type`, opaque. Empty after an upload.
    pub kind: zcrm_str,
}

/// The fields that are texts: an [`Attachment`] has them under the same names.
macro_rules! text_fields {
    ($($field:ident)+) => {
        const TEXTS: usize = [$(stringify!($field)),+].len();

        fn texts_of<'r>(row: &'r Attachment<Cow<'_, str>>) -> [&'r str; TEXTS] {
            [$(&row.$field),+]
        }

        /// The struct of an attachment, with its texts as C has them: `text` makes one after the other.
        fn with_texts<T>(row: &Attachment<T>, mut text: impl FnMut(&T) -> zcrm_str, flags: u32) -> zcrm_attachment {
            zcrm_attachment {
                struct_size: size_of::<zcrm_attachment>(),
                $($field: text(&row.$field),)+
                bytes: row.bytes.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)),
                is_link: i32::from(row.is_link),
                flags,
            }
        }
    };
}

text_fields! { id file_name link_url created_time modified_time parent_id owner_name safe_name owner_id created_by_id file_id kind }

/// The bytes that an upload or a download moved. An output: set `struct_size` before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_transfer {
    /// `sizeof(zcrm_transfer)`.
    pub struct_size: usize,
    /// How many; 0 for a link.
    pub bytes: u64,
    /// Upload: the file name that was sent. Download: the name that Zoho gives, made safe as a file name, or empty.
    pub file_name: zcrm_str,
    /// Download: the MIME type that Zoho gives, or empty.
    pub content_type: zcrm_str,
    /// SHA-256 as 64 hexadecimal digits when the call asked for it, else empty.
    pub sha256: zcrm_str,
    /// Download to a file: the file that was written, else empty.
    pub path: zcrm_str,
    /// Download: 1 when the number of bytes was checked against a length from Zoho or the caller, else 0.
    pub length_verified: i32,
    /// Always 0.
    pub reserved: i32,
}

/// The position of a page in its list. An output: set `struct_size` before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_page {
    /// `sizeof(zcrm_page)`.
    pub struct_size: usize,
    /// For zcrm_list_args.page_token of the next call; empty when there is no next page or the API version gives no tokens.
    pub next_page_token: zcrm_str,
    /// 1 when Zoho has more after these, else 0.
    pub more_records: i32,
    /// Always 0.
    pub reserved: i32,
}

/// How a batch ended. An output: set `struct_size` before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_batch_summary {
    /// `sizeof(zcrm_batch_summary)`.
    pub struct_size: usize,
    /// Steps that are done, those of earlier runs included.
    pub done: u64,
    /// How many of `done` were done in an earlier run.
    pub from_journal: u64,
    /// Steps that were refused or failed.
    pub failed: u64,
    /// How many of `failed` are uploads that may or may not be stored.
    pub unknown: u64,
    /// Steps that were not begun, or not finished: the next run does them. What zcrm_batch_set_source() didn't come to counts as one.
    pub left: u64,
    /// API calls made.
    pub attempts: u64,
    /// Why steps are left: "credits_budget", "credits_exhausted", "no_token", "source", "cancelled" or "call_timeout"; else empty.
    pub stopped: zcrm_str,
}

// SAFETY: these four are repr(C), begin with a usize, and all zero is NULL pointers with length 0 and zeros.
unsafe impl sized::Struct for zcrm_attachment {}
// SAFETY: as above.
unsafe impl sized::Struct for zcrm_transfer {}
// SAFETY: as above.
unsafe impl sized::Struct for zcrm_page {}
// SAFETY: as above.
unsafe impl sized::Struct for zcrm_batch_summary {}

/// Fills `out` with what `read` finds in the result.
///
/// # Safety
/// Each pointer is NULL or what the header says it must be.
unsafe fn fill<S: sized::Struct>(
    result: *const zcrm_result,
    out: *mut S,
    err: *mut *mut zcrm_error,
    read: impl FnOnce(&zcrm_result) -> Result<S>,
) -> zcrm_status {
    // SAFETY: the same contract; each function that takes a pointer looks at it.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            sized::write(out, &read(&result)?, "out")
        })
    }
}

/// How many attachments were listed, or 1 after the upload of one; how many records were listed. Of any other result 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_count(result: *const zcrm_result) -> usize {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value(0, || unsafe { handle::lend(result, "result") }.map_or(0, |result| result.readable().count()))
}

/// Fills `out` with the attachment number `index`, from 0.
///
/// @param result  of zcrm_attachment_list() or zcrm_attachment_upload()
/// @param index   less than zcrm_result_count(); else `ZCRM_E_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_attachment(
    result: *const zcrm_result,
    index: usize,
    out: *mut zcrm_attachment,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract. The same holds for the functions below.
    unsafe { fill(result, out, err, |result| attachment(result, index)) }
}

fn attachment(result: &zcrm_result, index: usize) -> Result<zcrm_attachment> {
    let readable = result.readable();
    let count = readable.count();
    let waited = if result.has_waited() { ZCRM_UPLOAD_WAITED } else { 0 };
    let flags = readable.upload_flags(index).map_or(0, |flags| flags | waited);
    if let Some(row) = readable.attachment_with_nuls(index) {
        return Ok(with_texts(&row, |text| zcrm_str { ptr: text.as_ptr().cast(), len: text.len() - 1 }, flags));
    }
    let row = readable.attachment(index).ok_or_else(|| Error::argument("index", format_args!("is {index}, the result has {count}")))?;
    let texts = result.pointed.attachments.get(|| {
        let mut texts = Texts::none();
        if count == 1 {
            texts.extend(&texts_of(&row))?;
        } else {
            (0..count).filter_map(|i| readable.attachment(i)).try_for_each(|row| texts.extend(&texts_of(&row)))?;
        }
        Ok::<_, Error>(texts)
    })?;
    let mut texts = (index * TEXTS..).map(|i| texts.get(i));
    Ok(with_texts(&row, |_| texts.next().expect("it has no end"), flags))
}

/// The id of the record number `index`, from 0, in a result of zcrm_record_list().
///
/// @param n  NULL, or receives the length without the NUL
/// @return text borrowed from `result`; "" also when there is no such record, or no memory for it
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_record_id(result: *const zcrm_result, index: usize, n: *mut usize) -> *const c_char {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        borrowed(result, n, |result| {
            let ids = result.readable().record_ids();
            ids.get(index).ok_or_else(|| absent("record"))?;
            let id = result.pointed.record_ids.get(|| Texts::new(ids))?.get(index);
            Ok((id.ptr, id.len))
        })
    }
}

/// Fills `out` with what is known of the bytes that an upload or a download moved, of an attachment or a photo.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_transfer(result: *const zcrm_result, out: *mut zcrm_transfer, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        fill(result, out, err, |result| {
            let moved = result.readable().transfer().ok_or_else(|| absent("transfer"))?;
            let texts = || Texts::new(&[moved.file_name, moved.content_type, moved.sha256, &moved.path]);
            let texts = result.pointed.transfer.get(texts)?;
            Ok(zcrm_transfer {
                struct_size: size_of::<zcrm_transfer>(),
                bytes: moved.bytes,
                file_name: texts.get(0),
                content_type: texts.get(1),
                sha256: texts.get(2),
                path: texts.get(3),
                length_verified: i32::from(moved.length_verified),
                reserved: 0,
            })
        })
    }
}

/// Fills `out` with where a page of attachments or records stands in its list: whether there is another page, and its token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_page(result: *const zcrm_result, out: *mut zcrm_page, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        fill(result, out, err, |result| {
            let (more, token) = result.readable().page().ok_or_else(|| absent("page"))?;
            let next_page_token = result.pointed.page_token.get(|| Texts::new(&[token]))?.get(0);
            Ok(zcrm_page { struct_size: size_of::<zcrm_page>(), next_page_token, more_records: i32::from(more), reserved: 0 })
        })
    }
}

/// Fills `out` with how a batch ended: zcrm_batch_run(), or a step that was a batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_batch(result: *const zcrm_result, out: *mut zcrm_batch_summary, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        fill(result, out, err, |result| {
            let summary = result.readable().summary().ok_or_else(|| absent("batch"))?;
            let stopped = result.pointed.stopped.get(|| Texts::new(&[summary.stopped.unwrap_or_default()]))?.get(0);
            Ok(zcrm_batch_summary {
                struct_size: size_of::<zcrm_batch_summary>(),
                done: summary.done,
                from_journal: summary.from_journal,
                failed: summary.failed,
                unknown: summary.unknown,
                left: summary.left,
                attempts: summary.attempts,
                stopped,
            })
        })
    }
}
