//! The one-time exchange of a grant code.

use super::call::{self, zcrm_call};
use super::client::give_result;
use super::config::zcrm_config;
use super::error::zcrm_error;
use super::handle;
use super::result::{Readable, zcrm_result};
use super::status::zcrm_status;
use crate::auth::{self, Granted};

/// Exchanges the setting `grant_code`, which works once and for a few minutes, for a refresh token. Do this once, when you set up a connection.
/// https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
///
/// @param config  settings: `grant_code`, `client_id`, `client_secret`, `data_center`, and `redirect_uri` if the code was made with one
/// @param result  zcrm_result_json() has `refresh_token`, `access_token`, `api_domain`, `scope` and `expires_in`. It holds secrets: keep it
///                out of logs.
/// @return also `ZCRM_E_CONFIG`; `ZCRM_E_AUTH`: the code is used up, expired or of another client
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_auth_exchange(
    config: *const zcrm_config,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        give_result(result, err, || {
            let config = handle::lend(config, "config")?.clone_config()?;
            auth::exchange(&config, call::Given::read(call)?.call()?)
        })
    }
}

impl Readable for Granted {}
