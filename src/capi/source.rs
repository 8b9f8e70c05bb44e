//! Where the bytes of an upload come from.

use std::ffi::c_void;

use super::sized;
use super::status::{OK, zcrm_status};
use super::text::{self, zcrm_str};
use crate::error::{Error, Result, Status};
use crate::transfer::{File, Reader, Source};

/// Kind of zcrm_source: the file `path`, read while it is sent.
pub const ZCRM_FROM_FILE: i32 = 1;
/// Kind of zcrm_source: the memory `data`, `data_len`.
pub const ZCRM_FROM_MEMORY: i32 = 2;
/// Kind of zcrm_source: the callback `read`.
pub const ZCRM_FROM_READER: i32 = 3;
/// Kind of zcrm_source: no bytes but the link `link_url`. Attachments only.
pub const ZCRM_FROM_LINK: i32 = 4;

/// Gives the next bytes of an upload. Runs on the thread that made the call. It may wait for another call, as one end of a pipe does for a download into
/// the other: after a tenth of a second it lends its place among `max_in_flight` calls. More than 32 at a time are lent ever more slowly.
///
/// @param buf   where the bytes go
/// @param cap   bytes that `buf` holds
/// @param n     set it to the number of bytes written; 0 is the end, and to leave it unset is an error
pub type zcrm_read_fn = Option<unsafe extern "C" fn(user: *mut c_void, buf: *mut u8, cap: usize, n: *mut usize) -> zcrm_status>;

/// Goes back to the first byte, so that an attempt can be repeated. Runs on the thread that made the call.
pub type zcrm_rewind_fn = Option<unsafe extern "C" fn(user: *mut c_void) -> zcrm_status>;

/// Where the bytes of an upload come from. Borrowed for the call; the fields of other kinds are not read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_source {
    /// `sizeof(zcrm_source)`.
    pub struct_size: usize,
    /// `ZCRM_FROM_*`.
    pub kind: i32,
    /// File name for Zoho to store, or the title of a link. Empty: the last part of `path`, or the linked page's own title.
    pub name: zcrm_str,
    /// MIME type of the bytes; empty = "application/octet-stream".
    pub content_type: zcrm_str,
    /// FILE: path of a regular file.
    pub path: zcrm_str,
    /// MEMORY: first byte; may be NULL when `data_len` is 0.
    pub data: *const u8,
    /// MEMORY: number of bytes.
    pub data_len: usize,
    /// READER: bytes that `read` will give; -1 = unknown: see the setting `unknown_length`. More or fewer fail with
    /// `ZCRM_E_SOURCE_CHANGED`.
    pub length: i64,
    /// READER: gives the bytes.
    pub read: zcrm_read_fn,
    /// READER: goes back to the first byte; NULL = the bytes can't be sent twice, so once some have left there is no further attempt.
    pub rewind: zcrm_rewind_fn,
    /// READER: passed to `read` and `rewind`.
    pub user: *mut c_void,
    /// LINK: the URL. Empty for every other kind.
    pub link_url: zcrm_str,
}

// SAFETY: repr(C), begins with a usize; all zero is NULL pointers, no callbacks and zeros.
unsafe impl sized::Struct for zcrm_source {}

/// The caller's struct in our size, and its callbacks. Lives on the stack of the call, so they can't outlive it.
pub(super) struct Given {
    fields: zcrm_source,
    reader: Option<Callbacks>,
}

impl Given {
    /// # Safety
    /// `source` is NULL or what the header says it must be.
    pub(super) unsafe fn read(source: *const zcrm_source) -> Result<Given> {
        // SAFETY: the caller's contract.
        let fields = unsafe { sized::read(source, "source")? };
        let reader = fields.read.map(|read| Callbacks { read, rewind: fields.rewind, user: fields.user });
        Ok(Given { fields, reader })
    }

    /// What it says, checked.
    ///
    /// # Safety
    /// As for [`Given::read`], still.
    pub(super) unsafe fn source(&mut self) -> Result<Source<'_>> {
        let given = &self.fields;
        // SAFETY: the caller's contract for each pointer.
        unsafe {
            let (name, link_url) = (given.name.read("source.name")?, given.link_url.read("source.link_url")?);
            if given.kind == ZCRM_FROM_LINK {
                if link_url.is_empty() {
                    return Err(Error::argument("source.link_url", "is empty"));
                }
                return Ok(Source::link(link_url, name));
            }
            if !link_url.is_empty() {
                return Err(Error::argument("source.link_url", "a file and a link are given together; attach them by two calls")
                    .with(|d| d.reason = "file_and_link"));
            }
            let file = match given.kind {
                ZCRM_FROM_FILE => match given.path.read("source.path")? {
                    "" => return Err(Error::argument("source.path", "is empty")),
                    path => File::open(path)?,
                },
                ZCRM_FROM_MEMORY => File::memory("", text::bytes(given.data, given.data_len, "source.data")?),
                ZCRM_FROM_READER => {
                    let reader = self.reader.as_mut().ok_or_else(|| Error::argument("source.read", "is NULL"))?;
                    File::reader("", reader, length(given.length)?)
                }
                kind => return Err(Error::argument("source.kind", format_args!("{kind} is none of ZCRM_FROM_*"))),
            };
            let content_type = given.content_type.read("source.content_type")?.to_owned();
            let file = File { content_type, ..file };
            Ok(Source::File(if name.is_empty() { file } else { file.named(name) }))
        }
    }
}

fn length(length: i64) -> Result<Option<u64>> {
    match u64::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(Error::argument("source.length", format_args!("{length} is negative; -1 means unknown"))),
    }
}

/// The host's reader.
struct Callbacks {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> zcrm_status,
    rewind: zcrm_rewind_fn,
    user: *mut c_void,
}

impl Reader for Callbacks {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        // A callback that was broken off, as when the thread of a script ends, must not look like the end of the bytes.
        const UNSET: usize = usize::MAX;
        let mut n = UNSET;
        // SAFETY: `buf` holds as many bytes as said; the header binds the host to write no more.
        match unsafe { (self.read)(self.user, buf.as_mut_ptr(), buf.len(), &raw mut n) } {
            OK if n == UNSET => {
                Err(Error::new(Status::Callback, "read_unset", "the read callback returned 0 and didn't say how many bytes it wrote"))
            }
            OK if n > buf.len() => {
                Err(Error::new(Status::Callback, "read_overrun", format!("the read callback says it wrote {n} bytes into {}", buf.len())))
            }
            OK => Ok(n),
            status => Err(Error::callback("source_read", "read", status)),
        }
    }

    fn can_rewind(&self) -> bool {
        self.rewind.is_some()
    }

    fn rewind(&mut self) -> Result<()> {
        let Some(rewind) = self.rewind else {
            return Err(Error::new(Status::SourceConsumed, "source_consumed", "the source can't be read a second time: it has no rewind callback"));
        };
        // SAFETY: the header's contract for `rewind`.
        match unsafe { rewind(self.user) } {
            OK => Ok(()),
            status => Err(Error::callback("source_rewind", "rewind", status)),
        }
    }
}
