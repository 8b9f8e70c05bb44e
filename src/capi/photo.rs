//! Operations on the photo of a record.

use super::call::zcrm_call;
use super::client::{operate, zcrm_client};
use super::error::zcrm_error;
use super::result::{Readable, Transfer, zcrm_result};
use super::sink::{self, zcrm_sink};
use super::source::{self, zcrm_source};
use super::status::zcrm_status;
use super::target::{self, zcrm_target};
use crate::error::Error;
use crate::photo::{self, PhotoDeleted, PhotoUploaded};
use crate::transfer::Source;

/// Sets the photo of a record, replacing any it has: POST {module}/{record_id}/photo.
/// https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html
///
/// @param target  the record; modules with photos are Leads, Contacts, Accounts, Products, Vendors and custom modules
/// @param source  a PNG, JPEG, GIF or BMP; not a link
/// @param result  zcrm_result_transfer()
/// @return also `ZCRM_E_TOO_LARGE` (bytes or pixels), `ZCRM_E_FILE_TYPE`, `ZCRM_E_RECORD_LOCKED`, `ZCRM_E_NOT_APPROVED`, `ZCRM_E_IO`,
///         `ZCRM_E_SOURCE_CONSUMED`, `ZCRM_E_SOURCE_CHANGED`, `ZCRM_E_CHECKSUM`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_photo_upload(
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
            let Source::File(file) = source.source()? else {
                return Err(Error::argument("source.kind", "is ZCRM_FROM_LINK; a photo is a file"));
            };
            photo::upload(client, &record, file, call.call()?)
        })
    }
}

/// Downloads the photo of a record: GET {module}/{record_id}/photo.
/// https://www.zoho.com/crm/developer/docs/api/v8/download-image.html
///
/// @param sink    where the bytes go
/// @param result  zcrm_result_transfer(), and zcrm_result_data() for a memory sink
/// @return also `ZCRM_E_NOT_FOUND` (the record has no photo), `ZCRM_E_TOO_LARGE`, `ZCRM_E_IO`, `ZCRM_E_CHECKSUM`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_photo_download(
    client: *const zcrm_client,
    target: *const zcrm_target,
    sink: *const zcrm_sink,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_photo_upload`.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let record = target::record(target)?;
            let mut sink = sink::Given::read(sink)?;
            photo::download(client, &record, sink.sink()?, call.call()?)
        })
    }
}

/// Deletes the photo of a record: DELETE {module}/{record_id}/photo.
/// https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html
/// A record without a photo is no error, as far as is known (UNCONFIRMED).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_photo_delete(
    client: *const zcrm_client,
    target: *const zcrm_target,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: as in `zcrm_photo_upload`.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let record = target::record(target)?;
            photo::delete(client, &record, call.call()?)
        })
    }
}

impl Readable for PhotoUploaded {
    fn transfer(&self) -> Option<Transfer<'_>> {
        let sha256 = self.sha256.as_deref().unwrap_or_default();
        Some(Transfer { bytes: self.bytes, file_name: &self.file_name, sha256, ..Transfer::default() })
    }
}

impl Readable for PhotoDeleted {}
