//! Steps: operations as JSON.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};

use super::call::zcrm_call;
use super::client::{operate, zcrm_client};
use super::error::zcrm_error;
use super::result::{Readable, Transfer, zcrm_result};
use super::status::zcrm_status;
use super::text;
use crate::attachment::{Attachment, Uploaded};
use crate::step::batch::Summary;
use crate::step::{self, Attached, BatchDone, LinksAttached, StepDownloaded, StepResult};

/// [`step::describe`] with a NUL.
const DESCRIPTION: &CStr = match CStr::from_bytes_with_nul(concat!(include_str!("../step/description.json"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => panic!("the description holds a NUL"),
};

/// Describes the steps in one JSON document, from which an engine can generate its forms. It is the same for as long as the library is loaded.
///
/// `schema` (1: the form of the document itself), `library`, `version`; `operations`: each with `id`, `title`, `help`, `page` (Zoho's),
/// `input` and `output` (JSON Schema draft 2020-12, without references), `examples`; `error`: the JSON Schema of zcrm_error_json();
/// `settings`: each key of zcrm_config_set() with `name`, `group`, `default`, `secret`, `help`, and what its value can be: `type` (`string`,
/// `integer` or `list`), and where they apply `format`, `enum`, `minimum`, `maximum`, `unit`, `separator`; `statuses`: each `ZCRM_E_*` with
/// `number`, `name`, `help`, `retry` (whether such a failure may pass by itself); `limits`.
#[unsafe(no_mangle)]
pub extern "C" fn zcrm_step_describe() -> *const c_char {
    DESCRIPTION.as_ptr()
}

/// Runs one operation given as JSON, for example
/// `{"operation":"attachment.upload","module":"Contacts","record_id":"3652397000000649013","source":{"path":"/srv/files/a.pdf"}}`.
/// zcrm_step_describe() has the schemas. Each operation does what its typed function does, whose comment links Zoho's page.
///
/// The library doesn't trust the input: it may name files only below the directories of the setting `allow_paths`. A small file may stand in the
/// input, or in the result, as base64. Where `call` and the input differ, the input counts; of two timeouts, the shorter one.
///
/// @param json    the input, UTF-8, borrowed for the call
/// @param len     its length in bytes; `ZCRM_NUL` = NUL-terminated
/// @param result  zcrm_result_json(), and what the typed function's result has
/// @return what the typed function returns; `ZCRM_E_ARGUMENT` with the reason "step_input" when the input isn't as described (the message and
///         `details.json_path` of zcrm_error_json() say where), or "path_not_allowed"
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_step_run(
    client: *const zcrm_client,
    json: *const c_char,
    len: usize,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe { operate(client, call, result, err, |client, call| step::run(client, step::text(text::raw(json, len, "json")?)?, call.call()?)) }
}

impl Readable for StepResult {
    /// What a step gives is read as the typed function's result.
    fn view(&self) -> &dyn Readable {
        match self {
            StepResult::Attached(Attached::One(uploaded)) => uploaded,
            StepResult::Attached(Attached::Links(links)) => links,
            StepResult::Listed(page) => page,
            StepResult::Downloaded(download) => download,
            StepResult::PhotoUploaded(photo) => photo,
            StepResult::PhotoDeleted(photo) => photo,
            StepResult::Deleted(deleted) => deleted,
            StepResult::Records(page) => page,
            StepResult::Batch(batch) => batch,
        }
    }
}

impl LinksAttached {
    fn uploads(&self) -> impl Iterator<Item = &Uploaded> {
        self.links.iter().filter_map(|link| link.attachment.as_ref())
    }
}

impl Readable for LinksAttached {
    fn count(&self) -> usize {
        self.uploads().count()
    }

    fn attachment(&self, index: usize) -> Option<Attachment<Cow<'_, str>>> {
        self.uploads().nth(index)?.attachment(0)
    }

    fn upload_flags(&self, index: usize) -> Option<u32> {
        self.uploads().nth(index)?.upload_flags(0)
    }
}

impl Readable for StepDownloaded {
    fn transfer(&self) -> Option<Transfer<'_>> {
        self.file.transfer()
    }

    fn data(&self) -> Option<&[u8]> {
        self.base64.as_ref().map(|bytes| bytes.0.as_slice())
    }
}

impl Readable for BatchDone {
    fn summary(&self) -> Option<&Summary> {
        Some(&self.summary)
    }
}
