//! What an operation gave.

use std::borrow::Cow;
use std::ffi::c_char;

use serde::Serialize;
use zeroize::Zeroizing;

use super::error::zcrm_error;
use super::guard;
use super::handle::{self, Noun};
use super::made::Made;
use super::status::zcrm_status;
use super::text::Texts;
use crate::attachment::Attachment;
use crate::call::Outcome;
use crate::error::{Error, Result, Status};
use crate::fallible;
use crate::step::batch::Summary;

/// What an operation gave. Belongs to the caller, who frees it with zcrm_result_free(); texts and bytes are borrowed from it until then.
/// It needs no client and may outlive every other handle. Any thread may read it. A function that reads what the operation doesn't give returns
/// `ZCRM_E_STATE`; each can return `ZCRM_E_ARGUMENT`, and those that fill a struct `ZCRM_E_MEMORY`.
pub struct zcrm_result {
    outcome: Box<dyn Kept>,
    // Callers of the typed functions never pay for JSON, and vice versa.
    /// With a NUL behind it. Wiped, as that of zcrm_auth_exchange() holds a refresh token.
    json: Made<Zeroizing<Vec<u8>>>,
    pub(super) pointed: Pointed,
}

/// The texts that a result's structs point to, made at the first look.
#[derive(Default)]
pub(super) struct Pointed {
    pub(super) attachments: Made<Texts>,
    pub(super) record_ids: Made<Texts>,
    pub(super) transfer: Made<Texts>,
    pub(super) page_token: Made<Texts>,
    pub(super) stopped: Made<Texts>,
}

impl Noun for zcrm_result {
    const MAGIC: u32 = 0x7a63_6505;
}

/// What the functions below read from an operation's result. What a result doesn't have is absent.
pub(super) trait Readable: Send + Sync {
    /// How many rows it has: attachments that were listed or uploaded, or records that were listed.
    fn count(&self) -> usize {
        0
    }
    /// The attachment number `index`.
    fn attachment(&self, _index: usize) -> Option<Attachment<Cow<'_, str>>> {
        None
    }
    /// The same where C can read it as it is: each text has a NUL behind it, which is its last character.
    fn attachment_with_nuls(&self, _index: usize) -> Option<Attachment<&[u8]>> {
        None
    }
    /// Ids of the records.
    fn record_ids(&self) -> &[String] {
        &[]
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
        let made = self.json.get(|| {
            let mut json = self.outcome.json()?;
            fallible::append(&mut json, b"\0")?;
            Ok(Zeroizing::new(json))
        });
        made.map(|json| json.as_slice())
    }

    pub(super) fn new<T: Readable + Serialize + 'static>(outcome: Outcome<T>) -> zcrm_result {
        zcrm_result { outcome: Box::new(outcome), json: Made::default(), pointed: Pointed::default() }
    }

    pub(super) fn readable(&self) -> &dyn Readable {
        self.outcome.readable()
    }

    pub(super) fn has_waited(&self) -> bool {
        self.outcome.has_waited()
    }
}

/// The bytes of a download to memory.
///
/// @param result  of a download with `ZCRM_TO_MEMORY`
/// @param data    receives the first byte, borrowed from `result`; NULL when there are none
/// @param n       receives how many
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_data(result: *const zcrm_result, data: *mut *const u8, n: *mut usize, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let result = handle::lend(result, "result")?;
            let (data, n) = (handle::out(data, "data")?, handle::out(n, "n")?);
            let bytes = result.readable().data().ok_or_else(|| absent("data"))?;
            // An empty slice has a pointer to nowhere, which Go's pointer checks stumble over.
            data.write(if bytes.is_empty() { std::ptr::null() } else { bytes.as_ptr() });
            n.write(bytes.len());
            Ok(())
        })
    }
}

pub(super) fn absent(what: &'static str) -> Error {
    Error::new(Status::State, "absent", format!("result: this operation gives no {what}"))
}

/// The whole result as one JSON object: `{"operation":...,"result":...,"attempts":...,"waited_ms":...}`. zcrm_step_describe() has its schema.
///
/// @param result  of any operation
/// @param n       NULL, or receives the length without the NUL
/// @return text borrowed from `result`; "" also when there is no memory for it: ask again when there is
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_result_json(result: *const zcrm_result, n: *mut usize) -> *const c_char {
    // SAFETY: the header's contract: NULL or a handle, and NULL or writable.
    unsafe { borrowed(result, n, |result| result.json().map(|json| (json.as_ptr().cast(), json.len() - 1))) }
}

/// A text of the result, and its length into `n`; an empty one where there is none.
///
/// # Safety
/// `result` is NULL or a handle, `n` NULL or writable.
pub(super) unsafe fn borrowed(
    result: *const zcrm_result,
    n: *mut usize,
    read: impl FnOnce(&zcrm_result) -> Result<(*const c_char, usize)>,
) -> *const c_char {
    let (text, len) = guard::value(EMPTY, || {
        // SAFETY: the caller's contract.
        let result = unsafe { handle::lend(result, "result") };
        result.and_then(|result| read(&result)).unwrap_or(EMPTY)
    });
    if let Ok(Some(n)) = handle::out_if_given(n, "n") {
        // SAFETY: not NULL, aligned, and writable by the caller's contract.
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
