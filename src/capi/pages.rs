//! The pages of a list, one at a time.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::{Mutex, TryLockError};

use super::attachment::{list_args, zcrm_list_args};
use super::call::{self, zcrm_call};
use super::client::zcrm_client;
use super::error::zcrm_error;
use super::guard;
use super::handle::{self, Lent, Noun};
use super::result::zcrm_result;
use super::status::zcrm_status;
use super::target::{self, zcrm_target};
use super::text::zcrm_str;
use crate::attachment;
use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Result, Status};
use crate::records;

/// A walk over the pages of a list, of attachments or of records. Belongs to the caller, who frees it with zcrm_pages_free(). It needs no
/// other handle; one thread at a time may use it.
pub struct zcrm_pages {
    client: Lent<zcrm_client>,
    pages: Mutex<Walk>,
}

/// Over which list.
enum Walk {
    Attachments(attachment::Pages),
    Records(records::Pages),
}

impl Walk {
    fn next(&mut self, call: &Call<'_>) -> Result<Option<zcrm_result>> {
        Ok(match self {
            Walk::Attachments(pages) => pages.next_listed(call)?.map(zcrm_result::new),
            Walk::Records(pages) => pages.next(call)?.map(zcrm_result::new),
        })
    }
}

impl Noun for zcrm_pages {
    const MAGIC: u32 = 0x7a63_6508;
}

/// Begins a walk over the attachments of a record, page by page, so that memory doesn't grow with the list. Nothing is sent yet.
///
/// Each attachment comes once, even if the list changes meanwhile: you can delete the attachments of each page, and none is left behind. A list
/// that runs in a circle, or is longer than the setting `list_max_rows`, ends with `ZCRM_E_PAGE`.
///
/// @param client  the client; may be freed before the walk ends
/// @param args    NULL, or fields and size of the pages, and where to begin: `page` or `page_token`
/// @param out     receives the walk; free it with zcrm_pages_free()
/// @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, `ZCRM_E_STATE` or `ZCRM_E_VERSION` (page tokens of an API version that has none)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_pages_new(
    client: *const zcrm_client,
    target: *const zcrm_target,
    args: *const zcrm_list_args,
    out: *mut *mut zcrm_pages,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let (record, args) = (target::record(target)?, list_args(args)?);
            begin(client, out, |client| attachment::pages(client, &record, &args).map(Walk::Attachments))
        })
    }
}

/// Begins a walk over the records of a module, as zcrm_pages_new() does over attachments. See zcrm_record_list().
///
/// @return what zcrm_pages_new() returns
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_record_pages_new(
    client: *const zcrm_client,
    module: *const c_char,
    len: usize,
    args: *const zcrm_list_args,
    out: *mut *mut zcrm_pages,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_pages_new`.
    unsafe {
        guard::status(err, || {
            let (module, args) = (zcrm_str { ptr: module, len }.read("module")?, list_args(args)?);
            begin(client, out, |client| records::pages(client, module, &args).map(Walk::Records))
        })
    }
}

/// # Safety
/// `client` is NULL or a handle, `out` NULL or writable.
unsafe fn begin(client: *const zcrm_client, out: *mut *mut zcrm_pages, walk: impl FnOnce(&Client) -> Result<Walk>) -> Result<()> {
    // SAFETY: the caller's contract.
    unsafe {
        let client = handle::lend(client, "client")?;
        let out = handle::out(out, "out")?;
        let pages = Mutex::new(client.guarded(walk)?);
        out.write(handle::give(zcrm_pages { client, pages }));
        Ok(())
    }
}

/// Fetches the next page, with the rows that no page before it had. An empty list has one empty page.
///
/// @param call    NULL, or timeout, cancel token and trace id of this page
/// @param result  receives the page, as zcrm_attachment_list() or zcrm_record_list() gives it, or NULL at the end; must not be NULL itself
/// @return what these return; after a failure the next call asks for the same page. `ZCRM_E_STATE` while another call fetches
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_pages_next(
    pages: *mut zcrm_pages,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let walk = handle::lend(pages, "pages")?;
            let result = handle::out(result, "result")?;
            let _inside = guard::Inside::enter()?;
            let mut pages = match walk.pages.try_lock() {
                Ok(pages) => pages,
                Err(TryLockError::Poisoned(pages)) => pages.into_inner(),
                Err(TryLockError::WouldBlock) => return Err(in_use()),
            };
            let next = walk.client.guarded(|_| pages.next(&call::Given::read(call)?.call()?))?;
            result.write(next.map_or(null_mut(), handle::give));
            Ok(())
        })
    }
}

fn in_use() -> Error {
    Error::new(Status::State, "in_use", "pages: another thread fetches a page of this walk; one at a time may")
}

/// Frees a walk, wherever it stands. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_pages_free(pages: *mut zcrm_pages) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(pages) });
}
