//! Operations on attachments.

use std::borrow::Cow;

use super::call::zcrm_call;
use super::client::{operate, zcrm_client};
use super::error::zcrm_error;
use super::outputs::{ZCRM_UPLOAD_NAME_CHANGED, ZCRM_UPLOAD_SETTLED, ZCRM_UPLOAD_SKIPPED, ZCRM_UPLOAD_TWINS};
use super::result::{Readable, Transfer, zcrm_result};
use super::sink::{self, zcrm_sink};
use super::sized;
use super::source::{self, zcrm_source};
use super::status::zcrm_status;
use super::target::{self, zcrm_target};
use super::text::zcrm_str;
use crate::attachment::{self, Attachment, Deleted, Downloaded, ListArgs, Listed, Page, Uploaded};
use crate::error::Result;
use crate::transfer;

/// Which part of a list to fetch. NULL instead of it, or zeros: every page. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_list_args {
    /// `sizeof(zcrm_list_args)`.
    pub struct_size: usize,
    /// API names of the fields to ask for, separated by commas; empty = those of zcrm_attachment. Of records leave it empty.
    pub fields: zcrm_str,
    /// One page: the token from zcrm_page.next_page_token.
    pub page_token: zcrm_str,
    /// One page: its number, from 1; 0 = every page, unless `page_token` is set.
    pub page: u32,
    /// Rows a page, at most 200; 0 = 200.
    pub per_page: u32,
}

// SAFETY: repr(C), begins with a usize, and all zero is NULL pointers with length 0 and zeros.
unsafe impl sized::Struct for zcrm_list_args {}

/// Attaches a file or a link to a record: POST {module}/{record_id}/Attachments.
/// https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
///
/// An upload isn't repeated blindly: when the reply is lost, the library reads the record's list to find out whether the upload was stored. If that
/// doesn't settle it, the status is `ZCRM_E_OUTCOME_UNKNOWN`.
///
/// @param source  the file or the link
/// @param result  zcrm_result_attachment() with index 0 gives what was stored
/// @return also `ZCRM_E_TOO_LARGE`, `ZCRM_E_FILE_TYPE`, `ZCRM_E_STORAGE_FULL`, `ZCRM_E_VIRUS`, `ZCRM_E_RECORD_LOCKED`, `ZCRM_E_NOT_APPROVED`,
///         `ZCRM_E_DUPLICATE_LINK`, `ZCRM_E_INVALID_LINK`, `ZCRM_E_OUTCOME_UNKNOWN`, `ZCRM_E_IO`, `ZCRM_E_SOURCE_CONSUMED`,
///         `ZCRM_E_SOURCE_CHANGED`, `ZCRM_E_CHECKSUM`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_attachment_upload(
    client: *const zcrm_client,
    target: *const zcrm_target,
    source: *const zcrm_source,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at. The same holds for those below.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let record = target::record(target)?;
            let mut source = source::Given::read(source)?;
            attachment::upload(client, &record, source.source()?, call.call()?)
        })
    }
}

/// Lists the attachments of a record: GET {module}/{record_id}/Attachments. A record without any gives an empty list.
/// https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
///
/// @param args    NULL for every page, or which part to fetch
/// @param result  zcrm_result_count(), zcrm_result_attachment(), zcrm_result_page()
/// @return also `ZCRM_E_PAGE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_attachment_list(
    client: *const zcrm_client,
    target: *const zcrm_target,
    args: *const zcrm_list_args,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_attachment_upload`.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let record = target::record(target)?;
            attachment::listed(client, &record, &list_args(args)?, call.call()?)
        })
    }
}

/// # Safety
/// `args` is NULL or what the header says it must be.
pub(super) unsafe fn list_args(args: *const zcrm_list_args) -> Result<ListArgs> {
    // SAFETY: the caller's contract.
    unsafe {
        let Some(args) = sized::read_if_given(args, "args")? else { return Ok(ListArgs::default()) };
        Ok(ListArgs {
            fields: args.fields.read("args.fields")?.to_owned(),
            page_token: args.page_token.read("args.page_token")?.to_owned(),
            page: args.page,
            per_page: args.per_page,
        })
    }
}

/// Downloads an attachment: GET {module}/{record_id}/Attachments/{attachment_id}.
/// https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html
///
/// @param target  the record and the attachment
/// @param sink    where the bytes go
/// @param result  zcrm_result_transfer(), and zcrm_result_data() for a memory sink
/// @return also `ZCRM_E_NOT_FOUND`, `ZCRM_E_IS_LINK` (it has a URL, not bytes), `ZCRM_E_TOO_LARGE`, `ZCRM_E_IO`, `ZCRM_E_CHECKSUM`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_attachment_download(
    client: *const zcrm_client,
    target: *const zcrm_target,
    sink: *const zcrm_sink,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_attachment_upload`.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let (record, id) = target::attachment(target)?;
            let mut sink = sink::Given::read(sink)?;
            attachment::download(client, &record, id, sink.sink()?, call.call()?)
        })
    }
}

/// Deletes one attachment, or several: DELETE {module}/{record_id}/Attachments/{attachment_id}.
/// https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html
///
/// @param target  the record and the attachment; several ids are separated by commas
/// @param result  zcrm_result_json() names the ids
/// @return also `ZCRM_E_NOT_FOUND`, and `ZCRM_E_OUTCOME_UNKNOWN`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_attachment_delete(
    client: *const zcrm_client,
    target: *const zcrm_target,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_attachment_upload`.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let (record, ids) = target::attachment(target)?;
            let ids: Vec<&str> = ids.split(',').map(|id| id.trim_matches(' ')).collect();
            attachment::delete(client, &record, &ids, call.call()?)
        })
    }
}

impl Readable for Uploaded {
    fn count(&self) -> usize {
        1
    }

    fn attachment(&self, index: usize) -> Option<Attachment<Cow<'_, str>>> {
        let attachment = || Attachment {
            id: Cow::Borrowed(self.id.as_str()),
            file_name: Cow::Borrowed(self.file_name.as_str()),
            bytes: self.link_url.is_none().then_some(self.bytes),
            is_link: self.link_url.is_some(),
            link_url: Cow::Borrowed(self.link_url.as_deref().unwrap_or_default()),
            created_time: Cow::Borrowed(self.created_time.as_str()),
            safe_name: transfer::safe_name(&self.file_name),
            ..Attachment::default()
        };
        (index == 0).then(attachment)
    }

    fn upload_flags(&self, _index: usize) -> Option<u32> {
        let flags = [
            (self.skipped, ZCRM_UPLOAD_SKIPPED),
            (self.settled, ZCRM_UPLOAD_SETTLED),
            (self.name_changed, ZCRM_UPLOAD_NAME_CHANGED),
            (!self.twins.is_empty(), ZCRM_UPLOAD_TWINS),
        ];
        Some(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum())
    }

    fn transfer(&self) -> Option<Transfer<'_>> {
        let sha256 = self.sha256.as_deref().unwrap_or_default();
        Some(Transfer { bytes: self.bytes, file_name: &self.file_name, sha256, ..Transfer::default() })
    }
}

impl Readable for Page {
    fn count(&self) -> usize {
        self.attachments.len()
    }

    fn attachment(&self, index: usize) -> Option<Attachment<Cow<'_, str>>> {
        Some(self.attachments.get(index)?.map(|text| Cow::Borrowed(text.as_str())))
    }

    fn page(&self) -> Option<(bool, &str)> {
        Some((self.more_records, self.next_page_token.as_deref().unwrap_or_default()))
    }
}

impl Readable for Page<Listed> {
    fn count(&self) -> usize {
        self.attachments.list.len()
    }

    fn attachment(&self, index: usize) -> Option<Attachment<Cow<'_, str>>> {
        Some(self.attachments.list.get(index)?.map(|span| Cow::Borrowed(self.attachments.texts.get(*span))))
    }

    fn attachment_with_nuls(&self, index: usize) -> Option<Attachment<&[u8]>> {
        self.attachments.list.get(index)?.try_map(|span| self.attachments.texts.get_with_nul(*span).ok_or(())).ok()
    }

    fn page(&self) -> Option<(bool, &str)> {
        Some((self.more_records, self.next_page_token.as_deref().unwrap_or_default()))
    }
}

impl Readable for Downloaded {
    fn transfer(&self) -> Option<Transfer<'_>> {
        Some(Transfer {
            bytes: self.bytes,
            file_name: &self.file_name,
            content_type: &self.content_type,
            sha256: self.sha256.as_deref().unwrap_or_default(),
            path: self.path.as_deref().map(std::path::Path::to_string_lossy).unwrap_or_default(),
            length_verified: self.length_verified,
        })
    }

    fn data(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }
}

impl Readable for Deleted {}
