//! The records of a module.

use std::ffi::c_char;

use super::attachment::{list_args, zcrm_list_args};
use super::call::zcrm_call;
use super::client::{operate, zcrm_client};
use super::error::zcrm_error;
use super::result::{Readable, zcrm_result};
use super::status::zcrm_status;
use super::text::zcrm_str;
use crate::records::{self, Page};

/// Lists the records of a module by their ids: GET {module}?fields=id. A module without any gives an empty list. A page costs one API credit.
/// https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
///
/// Zoho lists the first 100,000 records of a module: one that has more is `ZCRM_E_PAGE` with the reason "pages_exhausted".
///
/// @param module  the module's API name, borrowed for the call; zcrm_target.module
/// @param len     length of `module` in bytes, or `SIZE_MAX` when it ends with a NUL
/// @param args    NULL for every page, or which part to fetch; tokens from API v3 on, page numbers among the first 2,000 records
/// @param result  zcrm_result_count(), zcrm_result_record_id(), zcrm_result_page()
/// @return also `ZCRM_E_PAGE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_record_list(
    client: *const zcrm_client,
    module: *const c_char,
    len: usize,
    args: *const zcrm_list_args,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        operate(client, call, result, err, |client, call| {
            records::list(client, zcrm_str { ptr: module, len }.read("module")?, &list_args(args)?, call.call()?)
        })
    }
}

impl Readable for Page {
    fn count(&self) -> usize {
        self.record_ids.len()
    }

    fn record_ids(&self) -> &[String] {
        &self.record_ids
    }

    fn page(&self) -> Option<(bool, &str)> {
        Some((self.more_records, self.next_page_token.as_deref().unwrap_or_default()))
    }
}
