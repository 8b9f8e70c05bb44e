//! The one symbol that a host which loads libraries at run time needs.

use std::ffi::c_char;
use std::mem::size_of;

use super::call::zcrm_call;
use super::cancel::{self, zcrm_cancel};
use super::client::{self, zcrm_client};
use super::config::{self, zcrm_config};
use super::error::{self, zcrm_error};
use super::outputs::{self, zcrm_batch_summary};
use super::result::{self, zcrm_result};
use super::status::{self, zcrm_status};
use super::version::{self, ZCRM_ABI_VERSION};
use super::{guard, handle, step};
use crate::error::{Error, Status};

/// The functions that a host of steps needs, filled by zcrm_plugin_init(). Each is the exported function of the same name.
///
/// Members are only ever added at the end: in a host built with a newer header than the library, those that the library doesn't have are NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_plugin_v1 {
    /// Bytes of this struct that the library has filled.
    pub struct_size: usize,
    /// The `ZCRM_ABI_VERSION` of the library.
    pub abi: u32,
    /// Always 0.
    pub reserved: u32,
    /// zcrm_version()
    pub version: Option<extern "C" fn() -> *const c_char>,
    /// zcrm_step_describe()
    pub describe: Option<extern "C" fn() -> *const c_char>,
    /// zcrm_status_name()
    pub status_name: Option<extern "C" fn(status: zcrm_status) -> *const c_char>,
    /// zcrm_config_new()
    pub config_new: Option<unsafe extern "C" fn(out: *mut *mut zcrm_config) -> zcrm_status>,
    /// zcrm_config_set()
    pub config_set: Option<
        unsafe extern "C" fn(
            config: *mut zcrm_config,
            key: *const c_char,
            value: *const c_char,
            len: usize,
            err: *mut *mut zcrm_error,
        ) -> zcrm_status,
    >,
    /// zcrm_config_free()
    pub config_free: Option<unsafe extern "C" fn(config: *mut zcrm_config)>,
    /// zcrm_client_new()
    pub client_new: Option<unsafe extern "C" fn(config: *const zcrm_config, out: *mut *mut zcrm_client, err: *mut *mut zcrm_error) -> zcrm_status>,
    /// zcrm_client_free()
    pub client_free: Option<unsafe extern "C" fn(client: *mut zcrm_client)>,
    /// zcrm_cancel_new()
    pub cancel_new: Option<unsafe extern "C" fn(out: *mut *mut zcrm_cancel) -> zcrm_status>,
    /// zcrm_cancel_fire()
    pub cancel_fire: Option<unsafe extern "C" fn(cancel: *const zcrm_cancel)>,
    /// zcrm_cancel_free()
    pub cancel_free: Option<unsafe extern "C" fn(cancel: *mut zcrm_cancel)>,
    /// zcrm_step_run()
    pub step_run: Option<
        unsafe extern "C" fn(
            client: *const zcrm_client,
            json: *const c_char,
            len: usize,
            call: *const zcrm_call,
            result: *mut *mut zcrm_result,
            err: *mut *mut zcrm_error,
        ) -> zcrm_status,
    >,
    /// zcrm_result_json()
    pub result_json: Option<unsafe extern "C" fn(result: *const zcrm_result, n: *mut usize) -> *const c_char>,
    /// zcrm_result_free()
    pub result_free: Option<unsafe extern "C" fn(result: *mut zcrm_result)>,
    /// zcrm_error_code()
    pub error_code: Option<unsafe extern "C" fn(error: *const zcrm_error) -> zcrm_status>,
    /// zcrm_error_reason()
    pub error_reason: Option<unsafe extern "C" fn(error: *const zcrm_error) -> *const c_char>,
    /// zcrm_error_message()
    pub error_message: Option<unsafe extern "C" fn(error: *const zcrm_error) -> *const c_char>,
    /// zcrm_error_http_status()
    pub error_http_status: Option<unsafe extern "C" fn(error: *const zcrm_error) -> i32>,
    /// zcrm_error_api_code()
    pub error_api_code: Option<unsafe extern "C" fn(error: *const zcrm_error) -> *const c_char>,
    /// zcrm_error_retryable()
    pub error_retryable: Option<unsafe extern "C" fn(error: *const zcrm_error) -> i32>,
    /// zcrm_error_retry_after_ms()
    pub error_retry_after_ms: Option<unsafe extern "C" fn(error: *const zcrm_error) -> i64>,
    /// zcrm_error_json()
    pub error_json: Option<unsafe extern "C" fn(error: *const zcrm_error) -> *const c_char>,
    /// zcrm_error_free()
    pub error_free: Option<unsafe extern "C" fn(error: *mut zcrm_error)>,
    /// zcrm_config_load_profile()
    pub config_load_profile:
        Option<unsafe extern "C" fn(config: *mut zcrm_config, path: *const c_char, name: *const c_char, err: *mut *mut zcrm_error) -> zcrm_status>,
    /// zcrm_result_batch()
    pub result_batch:
        Option<unsafe extern "C" fn(result: *const zcrm_result, out: *mut zcrm_batch_summary, err: *mut *mut zcrm_error) -> zcrm_status>,
}

const TABLE: zcrm_plugin_v1 = zcrm_plugin_v1 {
    struct_size: size_of::<zcrm_plugin_v1>(),
    abi: ZCRM_ABI_VERSION,
    reserved: 0,
    version: Some(version::zcrm_version),
    describe: Some(step::zcrm_step_describe),
    status_name: Some(status::zcrm_status_name),
    config_new: Some(config::zcrm_config_new),
    config_set: Some(config::zcrm_config_set),
    config_free: Some(config::zcrm_config_free),
    client_new: Some(client::zcrm_client_new),
    client_free: Some(client::zcrm_client_free),
    cancel_new: Some(cancel::zcrm_cancel_new),
    cancel_fire: Some(cancel::zcrm_cancel_fire),
    cancel_free: Some(cancel::zcrm_cancel_free),
    step_run: Some(step::zcrm_step_run),
    result_json: Some(result::zcrm_result_json),
    result_free: Some(result::zcrm_result_free),
    error_code: Some(error::zcrm_error_code),
    error_reason: Some(error::zcrm_error_reason),
    error_message: Some(error::zcrm_error_message),
    error_http_status: Some(error::zcrm_error_http_status),
    error_api_code: Some(error::zcrm_error_api_code),
    error_retryable: Some(error::zcrm_error_retryable),
    error_retry_after_ms: Some(error::zcrm_error_retry_after_ms),
    error_json: Some(error::zcrm_error_json),
    error_free: Some(error::zcrm_error_free),
    config_load_profile: Some(config::zcrm_config_load_profile),
    result_batch: Some(outputs::zcrm_result_batch),
};

/// Fills a table of the functions that a host of steps needs, so that a host which loads the library with dlopen() looks up this one symbol.
///
/// Load with `RTLD_NOW | RTLD_LOCAL`, and don't unload.
///
/// @param host_abi    `ZCRM_ABI_VERSION` of the header that the host was built with
/// @param table       receives the functions; what it held before doesn't matter, and members that the library doesn't have become NULL
/// @param table_size  `sizeof(zcrm_plugin_v1)` of that header
/// @return `ZCRM_OK`, `ZCRM_E_VERSION` when the library has another ABI than the host was built for, or `ZCRM_E_ARGUMENT` when `table` is
///         NULL or `table_size` can't be right
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_plugin_init(host_abi: u32, table: *mut zcrm_plugin_v1, table_size: usize) -> zcrm_status {
    let body = || {
        let table = handle::out(table, "table")?;
        if host_abi != ZCRM_ABI_VERSION {
            return Err(Error::new(Status::Version, "abi", format!("the host has ABI {host_abi}, this library {ZCRM_ABI_VERSION}")));
        }
        // Up to the first function: less is no table. More than 4096 bytes is a variable that nobody has set.
        if !(std::mem::offset_of!(zcrm_plugin_v1, version)..=4096).contains(&table_size) {
            return Err(Error::argument("table_size", format_args!("is {table_size}; give sizeof(zcrm_plugin_v1)")));
        }
        let filled = table_size.min(size_of::<zcrm_plugin_v1>());
        let ours = zcrm_plugin_v1 { struct_size: filled, ..TABLE };
        // SAFETY: `table_size` bytes are writable by the header's contract, `ours` has at least `filled`, and `filled <= table_size`.
        unsafe {
            std::ptr::copy_nonoverlapping(std::ptr::from_ref(&ours).cast::<u8>(), table.cast::<u8>(), filled);
            std::ptr::write_bytes(table.cast::<u8>().add(filled), 0, table_size - filled);
        }
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}
