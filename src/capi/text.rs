//! Text in and out.

use std::ffi::{CString, c_char};

use crate::error::{Error, Result};
use crate::fallible;

/// Text as pointer and length, only ever inside of structs. `ZCRM_STR("text")` and `ZCRM_CSTR(pointer)` make one.
///
/// In: UTF-8 without a NUL byte, at most 1 MiB, borrowed for the call. NULL with length 0 is the empty text, which means "not given".
/// Out: borrowed from the handle that gave it, and NUL-terminated; never NULL.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct zcrm_str {
    /// First byte.
    pub ptr: *const c_char,
    /// Bytes, a terminating NUL not counted; `ZCRM_NUL` = up to the first NUL.
    pub len: usize,
}

impl zcrm_str {
    /// The text itself; `field` names it in the error.
    ///
    /// # Safety
    /// `ptr` points to `len` readable bytes, or, with the length `SIZE_MAX`, to a NUL-terminated text. Nobody writes there during `'a`.
    pub(super) unsafe fn read<'a>(self, field: &'static str) -> Result<&'a str> {
        // SAFETY: the same contract.
        let text = unsafe { read(self.ptr, self.len, field)? };
        if text.len() > LONGEST { Err(Error::argument(field, "is longer than 1 MiB")) } else { Ok(text) }
    }
}

/// Names, paths and ids are copied, some of them several times.
const LONGEST: usize = 1 << 20;

/// UTF-8 text from pointer and length.
///
/// # Safety
/// As for [`zcrm_str::read`].
pub(super) unsafe fn read<'a>(ptr: *const c_char, len: usize, field: &'static str) -> Result<&'a str> {
    // SAFETY: the same contract.
    match std::str::from_utf8(unsafe { raw(ptr, len, field)? }) {
        Ok(text) if text.contains('\0') => Err(Error::argument(field, "holds a NUL byte")),
        Ok(text) => Ok(text),
        Err(e) => Err(Error::argument(field, format_args!("is not UTF-8 at byte {}", e.valid_up_to()))),
    }
}

/// The bytes of a text.
///
/// # Safety
/// As for [`zcrm_str::read`].
pub(super) unsafe fn raw<'a>(ptr: *const c_char, len: usize, field: &'static str) -> Result<&'a [u8]> {
    // SAFETY: the same contract.
    unsafe { bytes(ptr.cast(), measure(ptr, len), field) }
}

/// NUL-terminated text, or `None` for NULL.
///
/// # Safety
/// As for [`zcrm_str::read`].
pub(super) unsafe fn read_if_given<'a>(ptr: *const c_char, field: &'static str) -> Result<Option<&'a str>> {
    // SAFETY: the same contract.
    if ptr.is_null() { Ok(None) } else { unsafe { read(ptr, usize::MAX, field).map(Some) } }
}

/// Bytes from pointer and length; NULL with length 0 is legal.
///
/// # Safety
/// `ptr` is NULL or points to `len` readable bytes that nobody writes during `'a`.
pub(super) unsafe fn bytes<'a>(ptr: *const u8, len: usize, field: &'static str) -> Result<&'a [u8]> {
    match (ptr.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::argument(field, "is NULL, but its length isn't 0")),
        (false, len) if isize::try_from(len).is_err() => Err(Error::argument(field, "is longer than memory can be")),
        // SAFETY: not NULL, a possible length, and the caller's contract.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(ptr, len) }),
    }
}

/// # Safety
/// With `SIZE_MAX`, `ptr` is NULL or points to a NUL-terminated text.
unsafe fn measure(ptr: *const c_char, len: usize) -> usize {
    if len != usize::MAX || ptr.is_null() {
        return len;
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's contract.
    unsafe { libc::strlen(ptr) }
}

/// Text of ours for C. A NUL inside, which only foreign text can hold, is left out.
pub(super) fn to_c(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|e| {
        let mut bytes = e.into_vec();
        bytes.retain(|b| *b != 0);
        CString::new(bytes).unwrap_or_default()
    })
}

/// Many texts for C, in one piece of memory, each with a NUL behind it.
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends, its NUL included.
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn new(texts: &[impl AsRef<str>]) -> Result<Texts> {
        let mut all = Texts::none();
        all.extend(texts)?;
        Ok(all)
    }

    pub(super) fn none() -> Texts {
        Texts { bytes: Vec::new(), ends: Vec::new() }
    }

    pub(super) fn extend(&mut self, texts: &[impl AsRef<str>]) -> Result<()> {
        fallible::reserve(&mut self.ends, texts.len())?;
        fallible::reserve(&mut self.bytes, texts.iter().map(|text| text.as_ref().len() + 1).sum())?;
        for text in texts.iter().map(AsRef::as_ref) {
            match text.contains('\0') {
                true => self.bytes.extend(text.bytes().filter(|b| *b != 0)),
                false => self.bytes.extend_from_slice(text.as_bytes()), // the usual, and much faster
            }
            self.bytes.push(0);
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    /// The text number `i`, from 0.
    pub(super) fn get(&self, i: usize) -> zcrm_str {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        let text = &self.bytes[start..self.ends[i]];
        zcrm_str { ptr: text.as_ptr().cast(), len: text.len() - 1 }
    }
}
