//! What an operation gave.

use std::borrow::Cow;
use std::ffi::c_char;

use once_cell::sync::OnceCell;
use serde::Serialize;
use zeroize::Zeroizing;

use super::error::zcrm_error;
use super::handle::{self, Noun};
use super::status::zcrm_status;
use super::text::{Texts, zcrm_str};
use super::{guard, sized};
use crate::attachment::Attachment;
use crate::call::Outcome;
use crate::error::{Error, Result, Status};
use crate::fallible;
use crate::step::batch::Summary;

/// In zcrm_attachment: it was on the record already and was not sent (`ZCRM_CALL_SKIP_EXISTING`, `ZCRM_CALL_SKIP_SAME_BYTES`).
pub const ZCRM_UPLOAD_SKIPPED: u32 = 1;

/// In zcrm_attachment: the reply was lost, and the upload was found on the record.
pub const ZCRM_UPLOAD_SETTLED: u32 = 2;

/// In zcrm_attachment: Zoho stored it under another name; known only when the record was listed.
pub const ZCRM_UPLOAD_NAME_CHANGED: u32 = 4;

/// In zcrm_attachment: a repeated sending has made further copies; zcrm_result_json() names their ids as `twins`.
pub const ZCRM_UPLOAD_TWINS: u32 = 8;

/// In zcrm_attachment: the upload waited; zcrm_result_json() says why as `wait_reason`.
pub const ZCRM_UPLOAD_WAITED: u32 = 16;

/// What an operation gave. Belongs to the caller, who frees it with zcrm_result_free(); texts and bytes are borrowed from it until then.
/// It needs no client and may outlive every other handle. Any thread may read it.
pub struct zcrm_result {
    outcome: Box<dyn Kept>,
    // Built on first use: callers of the typed functions never pay for JSON, and vice versa.
    /// With a NUL behind it. Wiped, as that of zcrm_auth_exchange() holds a refresh token.
    json: OnceCell<Zeroizing<Vec<u8>>>,
    attachments: OnceCell<Texts>,
    transfer: OnceCell<Texts>,
    page_token: OnceCell<Texts>,
    stopped: OnceCell<Texts>,
}

impl Noun for zcrm_result {
    const MAGIC: u32 = 0x7a63_6505;
}

/// What the functions below read from an operation's result. What a result doesn't have is absent.
pub(super) trait Readable: Send + Sync {
    /// Attachments that were listed, or the one that was uploaded.
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Borrowed(&[])
    }
    /// `ZCRM_UPLOAD_*` of the attachment number `index`, if it was uploaded.
    fn upload_flags(&self, _index: usize) -> Option<u32> {
        None
    }
    /// What is known of the bytes that were moved.
    fn transfer(&self) -> Option<Transfer<'_>> {
        None
    }
    /// Whether there is more to list, and the token of the next page.
    fn page(&self) -> Option<(bool, &str)> {
        None
    }
    /// Bytes held for a memory sink.
    fn data(&self) -> Option<&[u8]> {
        None
    }
    /// How a batch ended.
    fn summary(&self) -> Option<&Summary> {
        None
    }
    /// What is to be read: the result itself, or the one that it wraps.
    fn view(&self) -> &dyn Readable
    where
        Self: Sized,
    {
        self
    }
}

/// The bytes of an upload or a download.
#[derive(Default)]
pub(super) struct Transfer<'a> {
    pub(super) bytes: u64,
    pub(super) file_name: &'a str,
    pub(super) content_type: &'a str,
    pub(super) sha256: &'a str,
    pub(super) path: Cow<'a, str>,
    pub(super) length_verified: bool,
}

/// An [`Outcome`] of any operation.
trait Kept: Send + Sync {
    fn json(&self) -> Result<Vec<u8>>;
    fn has_waited(&self) -> bool;
    fn readable(&self) -> &dyn Readable;
}

impl<T: Readable + Serialize> Kept for Outcome<T> {
    fn json(&self) -> Result<Vec<u8>> {
        fallible::json(self)
    }
    fn has_waited(&self) -> bool {
        self.wait_reason.is_some()
    }
    fn readable(&self) -> &dyn Readable {
        self.result.view()
    }
}

impl zcrm_result {
    /// The JSON, which escapes every NUL, with one behind it.
    fn json(&self) -> Result<&[u8]> {
        let made = self.json.get_or_try_init(|| {
            let mut json = self.outcome.json()?;
            fallible::append(&mut json, b"\0")?;
            Ok(Zeroizing::new(json))
        });
        made.map(|json| json.as_slice())
    }

    pub(super) fn new<T: Readable + Serialize + 'static>(outcome: Outcome<T>) -> zcrm_result {
        let (json, texts) = (OnceCell::new(), OnceCell::new);
        zcrm_result { outcome: Box::new(outcome), json, attachments: texts(), transfer: texts(), page_token: texts(), stopped: texts() }
    }
}

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
    /// Id of the record it hangs on. Empty after an upload.
    pub parent_id: zcrm_str,
    /// Name of its owner. Empty after an upload.
    pub owner_name: zcrm_str,
    /// Size in bytes; -1 = unknown.
    pub bytes: i64,
    /// 1 for a link, 0 for a file.
    pub is_link: i32,
    /// After an upload: `ZCRM_UPLOAD_*`, what was out of the ordinary; 0 = nothing. Else 0.
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

        fn texts_of(row: &Attachment) -> [&str; TEXTS] {
            [$(&row.$field),+]
        }

        /// The struct of the attachment number `index`, of whose texts all are in `texts`.
        fn with_texts(row: &Attachment, texts: &Texts, index: usize, flags: u32) -> zcrm_attachment {
            let mut texts = (index * TEXTS..).map(|i| texts.get(i));
            let mut next = || texts.next().expect("it has no end");
            zcrm_attachment {
                struct_size: size_of::<zcrm_attachment>(),
                $($field: next(),)+
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
    /// File name that was sent; of a download the name that Zoho gives, made safe as a file name, or empty.
    pub file_name: zcrm_str,
    /// Download: the MIME type that Zoho gives, or empty.
    pub content_type: zcrm_str,
    /// SHA-256 as 64 hexadecimal digits when the call asked for it, else empty.
    pub sha256: zcrm_str,
    /// Download to a file: the file that was written, else empty.
    pub path: zcrm_str,
    /// Download: 1 when the number of bytes could be held against a length that Zoho or the caller named, else 0.
    pub length_verified: i32,
    /// Always 0.
    pub reserved: i32,
}

/// Where a list stands. An output: set `struct_size` before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_page {
    /// `sizeof(zcrm_page)`.
    pub struct_size: usize,
    /// For zcrm_list_args.page_token of the next call; empty when there is no next page or the API version gives no tokens.
    pub next_page_token: zcrm_str,
    /// 1 when Zoho has more attachments after these, else 0.
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
    /// Of these, done in an earlier run.
    pub from_journal: u64,
    /// Steps that were refused or failed.
    pub failed: u64,
    /// Of these, uploads that may or may not be stored.
    pub unknown: u64,
    /// Steps that were not begun, or not ended: the next run takes them up.
    pub left: u64,
    /// API calls made.
    pub attempts: u64,
    /// Why steps are left: "credits_budget", "credits_exhausted", "no_token", "cancelled" or "call_timeout"; else empty.
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

/// Number of attachments in the result: those listed, 1 after an upload of an attachment, else 0. 0 when `result` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_count(result: *const zcrm_result) -> usize {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value(0, || unsafe { handle::lend(result, "result") }.map_or(0, |r| r.outcome.readable().attachments().len()))
}

/// Fills `out` with the attachment number `index`, from 0.
///
/// @param result  of zcrm_attachment_list() or zcrm_attachment_upload()
/// @param index   less than zcrm_result_count()
/// @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, or `ZCRM_E_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_attachment(
    result: *const zcrm_result,
    index: usize,
    out: *mut zcrm_attachment,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            sized::write(out, &attachment(&result, index)?, "out")
        })
    }
}

fn attachment(result: &zcrm_result, index: usize) -> Result<zcrm_attachment> {
    let readable = result.outcome.readable();
    let rows = readable.attachments();
    let row = rows.get(index).ok_or_else(|| Error::argument("index", format_args!("is {index}, the result has {}", rows.len())))?;
    let texts = result.attachments.get_or_try_init(|| Texts::new(rows.iter().flat_map(texts_of)))?;
    let waited = if result.outcome.has_waited() { ZCRM_UPLOAD_WAITED } else { 0 };
    let flags = readable.upload_flags(index).map_or(0, |flags| flags | waited);
    Ok(with_texts(row, texts, index, flags))
}

/// Fills `out` with what is known of the bytes that an upload or a download moved.
///
/// @param result  of an upload or a download, of an attachment or a photo
/// @return `ZCRM_OK`, `ZCRM_E_STATE` when the operation moved none, `ZCRM_E_ARGUMENT`, or `ZCRM_E_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_transfer(result: *const zcrm_result, out: *mut zcrm_transfer, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            let moved = result.outcome.readable().transfer().ok_or_else(|| absent("transfer"))?;
            let texts = result.transfer.get_or_try_init(|| Texts::new([moved.file_name, moved.content_type, moved.sha256, &moved.path]))?;
            let filled = zcrm_transfer {
                struct_size: size_of::<zcrm_transfer>(),
                bytes: moved.bytes,
                file_name: texts.get(0),
                content_type: texts.get(1),
                sha256: texts.get(2),
                path: texts.get(3),
                length_verified: i32::from(moved.length_verified),
                reserved: 0,
            };
            sized::write(out, &filled, "out")
        })
    }
}

/// Fills `out` with where a list stands.
///
/// @param result  of zcrm_attachment_list()
/// @return `ZCRM_OK`, `ZCRM_E_STATE` when the result is no list, `ZCRM_E_ARGUMENT`, or `ZCRM_E_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_page(result: *const zcrm_result, out: *mut zcrm_page, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            let (more, token) = result.outcome.readable().page().ok_or_else(|| absent("page"))?;
            let texts = result.page_token.get_or_try_init(|| Texts::new([token]))?;
            let next_page_token = texts.get(0);
            let filled = zcrm_page { struct_size: size_of::<zcrm_page>(), next_page_token, more_records: i32::from(more), reserved: 0 };
            sized::write(out, &filled, "out")
        })
    }
}

/// Fills `out` with how a batch ended.
///
/// @param result  of zcrm_batch_run(), or of a step that was a batch
/// @return `ZCRM_OK`, `ZCRM_E_STATE` when the result is no batch's, `ZCRM_E_ARGUMENT`, or `ZCRM_E_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_batch(result: *const zcrm_result, out: *mut zcrm_batch_summary, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            let summary = result.outcome.readable().summary().ok_or_else(|| absent("batch"))?;
            let texts = result.stopped.get_or_try_init(|| Texts::new([summary.stopped.unwrap_or_default()]))?;
            let filled = zcrm_batch_summary {
                struct_size: size_of::<zcrm_batch_summary>(),
                done: summary.done,
                from_journal: summary.from_journal,
                failed: summary.failed,
                unknown: summary.unknown,
                left: summary.left,
                attempts: summary.attempts,
                stopped: texts.get(0),
            };
            sized::write(out, &filled, "out")
        })
    }
}

/// The bytes of a download to memory.
///
/// @param result  of a download with `ZCRM_TO_MEMORY`
/// @param data    receives the first byte, borrowed from `result`; NULL when there are none
/// @param n       receives how many
/// @return `ZCRM_OK`, `ZCRM_E_STATE` when the result holds no bytes, or `ZCRM_E_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_data(result: *const zcrm_result, data: *mut *const u8, n: *mut usize, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: as in `zcrm_result_attachment`.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            let (data, n) = (handle::out(data, "data")?, handle::out(n, "n")?);
            let bytes = result.outcome.readable().data().ok_or_else(|| absent("data"))?;
            // An empty slice has a pointer to nowhere, which Go's pointer checks stumble over.
            data.write(if bytes.is_empty() { std::ptr::null() } else { bytes.as_ptr() });
            n.write(bytes.len());
            Ok(())
        })
    }
}

fn absent(what: &'static str) -> Error {
    Error::new(Status::State, "absent", format!("result: this operation gives no {what}"))
}

/// The whole result as one JSON object: `{"operation":...,"result":...,"attempts":...,"waited_ms":...}`. zcrm_step_describe() has its schema.
///
/// @param result  of any operation
/// @param n       NULL, or receives the length without the NUL
/// @return text borrowed from `result`; "" when `result` is NULL, and when there is no memory for it: ask again when there is
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_json(result: *const zcrm_result, n: *mut usize) -> *const c_char {
    let (text, len) = guard::value(EMPTY, || {
        // SAFETY: the header's contract: NULL or a handle.
        let result = unsafe { handle::lend(result, "result") };
        result.and_then(|result| result.json().map(|json| (json.as_ptr().cast(), json.len() - 1))).unwrap_or(EMPTY)
    });
    if let Ok(Some(n)) = handle::out_if_given(n, "n") {
        // SAFETY: not NULL, aligned, and writable by the header's contract.
        unsafe { n.write(len) };
    }
    text
}

/// An empty text and its length.
const EMPTY: (*const c_char, usize) = (c"".as_ptr(), 0);

/// Frees a result and what was borrowed from it. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_free(result: *mut zcrm_result) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(result) });
}
