//! Where the bytes of a download go.

use std::ffi::c_void;

use super::sized;
use super::status::{OK, zcrm_status};
use super::text::zcrm_str;
use crate::error::{Error, Result};
use crate::transfer::{Sink, To, Writer};

/// Kind of zcrm_sink: the file `path`, which appears only when it is complete.
pub const ZCRM_TO_FILE: i32 = 1;
/// Kind of zcrm_sink: memory, read with zcrm_result_data(). The setting `memory_max_bytes` bounds it.
pub const ZCRM_TO_MEMORY: i32 = 2;
/// Kind of zcrm_sink: the callback `write`.
pub const ZCRM_TO_WRITER: i32 = 3;

/// Flag of zcrm_sink: replace a file that exists. Without it such a file is `ZCRM_E_IO`, reason "target_exists".
pub const ZCRM_OVERWRITE: i32 = 1;

/// Takes the next bytes of a download, all of them. Runs on the thread that made the call.
///
/// Once it has taken bytes, the library makes no further attempt: what was written stays written when the call fails.
///
/// @param buf   the bytes, valid during the callback
/// @param len   how many, at least 1
pub type zcrm_write_fn = Option<unsafe extern "C" fn(user: *mut c_void, buf: *const u8, len: usize) -> zcrm_status>;

/// Where the bytes of a download go. Borrowed for the call; the fields of other kinds are not read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_sink {
    /// `sizeof(zcrm_sink)`.
    pub struct_size: usize,
    /// `ZCRM_TO_*`.
    pub kind: i32,
    /// 0 or `ZCRM_OVERWRITE`.
    pub flags: i32,
    /// FILE: path of the file; its directory must exist.
    pub path: zcrm_str,
    /// Most bytes to take: a larger file fails with `ZCRM_E_TOO_LARGE`; 0 = no limit.
    pub max_bytes: u64,
    /// WRITER: takes the bytes.
    pub write: zcrm_write_fn,
    /// WRITER: passed to `write`.
    pub user: *mut c_void,
}

// SAFETY: repr(C), begins with a usize; all zero is NULL pointers, no callback and zeros.
unsafe impl sized::Struct for zcrm_sink {}

/// The caller's struct in our size, and its callback. Lives on the stack of the call, so that can't outlive it.
pub(super) struct Given {
    fields: zcrm_sink,
    writer: Option<Callback>,
}

impl Given {
    /// # Safety
    /// `sink` is NULL or what the header says it must be.
    pub(super) unsafe fn read(sink: *const zcrm_sink) -> Result<Given> {
        // SAFETY: the caller's contract.
        let fields = unsafe { sized::read(sink, "sink")? };
        Ok(Given { fields, writer: fields.write.map(|write| Callback { write, user: fields.user }) })
    }

    /// What it says, checked.
    ///
    /// # Safety
    /// As for [`Given::read`], still.
    pub(super) unsafe fn sink(&mut self) -> Result<Sink<'_>> {
        let given = &self.fields;
        if given.flags & !ZCRM_OVERWRITE != 0 {
            return Err(Error::argument("sink.flags", format_args!("{:#x} has bits that this version doesn't know", given.flags)));
        }
        let to = match given.kind {
            ZCRM_TO_FILE => {
                // SAFETY: the caller's contract.
                let path = unsafe { given.path.read("sink.path")? };
                To::File { path: path.into(), directory: None, overwrite: given.flags & ZCRM_OVERWRITE != 0 }
            }
            ZCRM_TO_MEMORY => To::Memory,
            ZCRM_TO_WRITER => To::Writer(self.writer.as_mut().ok_or_else(|| Error::argument("sink.write", "is NULL"))?),
            kind => return Err(Error::argument("sink.kind", format_args!("{kind} is none of ZCRM_TO_*"))),
        };
        Ok(Sink { to, max_bytes: (given.max_bytes > 0).then_some(given.max_bytes) })
    }
}

/// The host's writer.
struct Callback {
    write: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> zcrm_status,
    user: *mut c_void,
}

impl Writer for Callback {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the bytes live during the callback; the header's contract for `write`.
        match unsafe { (self.write)(self.user, bytes.as_ptr(), bytes.len()) } {
            OK => Ok(()),
            status => Err(Error::callback("sink_write", "write", status)),
        }
    }
}
