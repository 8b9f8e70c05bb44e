//! The client: shared, freeable while calls run, poisoned by a panic.

use std::sync::atomic::{AtomicBool, Ordering};

use super::call::{self, zcrm_call};
use super::config::zcrm_config;
use super::error::zcrm_error;
use super::guard;
use super::handle::{self, Noun};
use super::result::{Readable, zcrm_result};
use super::status::zcrm_status;
use crate::call::Outcome;
use crate::client::Client;
use crate::error::{Error, Result, Status};

/// A configured connection to one CRM organisation. Any number of threads may use it at once.
pub struct zcrm_client {
    client: Client,
    poisoned: AtomicBool,
}

impl Noun for zcrm_client {
    const MAGIC: u32 = 0x7a63_6503;
}

/// Makes a client. Nothing is sent and no thread is started: wrong credentials show at the first operation.
///
/// @param config  the settings, copied; it may be changed or freed afterwards
/// @param out     receives the client; free it with zcrm_client_free()
/// @return `ZCRM_OK`, `ZCRM_E_CONFIG` when settings are missing, contradict each other or name a file or folder that can't be used,
///         `ZCRM_E_IO` when `token_file` can't be read, or `ZCRM_E_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_client_new(config: *const zcrm_config, out: *mut *mut zcrm_client, err: *mut *mut zcrm_error) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let config = handle::lend(config, "config")?.clone_config()?;
            let out = handle::out(out, "out")?;
            out.write(handle::give(zcrm_client { client: Client::new(config)?, poisoned: AtomicBool::new(false) }));
            Ok(())
        })
    }
}

/// Frees a client. Calls that run in other threads go on to their end; one that begins afterwards is `ZCRM_E_ARGUMENT`. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_client_free(client: *mut zcrm_client) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(client) });
}

/// Runs one operation: what all of them, and the step, have in common.
///
/// # Safety
/// Each pointer is NULL or what the header says it must be.
pub(super) unsafe fn operate<T: Readable + serde::Serialize + 'static>(
    client: *const zcrm_client,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
    operation: impl FnOnce(&Client, &mut call::Given) -> Result<Outcome<T>>,
) -> zcrm_status {
    // SAFETY: the same contract.
    unsafe {
        give_result(result, err, || {
            let client = handle::lend(client, "client")?;
            client.guarded(|client| operation(client, &mut call::Given::read(call)?))
        })
    }
}

/// Runs what a thread can't be in twice, and gives its outcome to a caller who wants it.
///
/// # Safety
/// Each pointer is NULL or what the header says it must be.
pub(super) unsafe fn give_result<T: Readable + serde::Serialize + 'static>(
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
    operation: impl FnOnce() -> Result<Outcome<T>>,
) -> zcrm_status {
    // SAFETY: the same contract.
    unsafe {
        guard::status(err, || {
            let result = handle::out_if_given(result, "result")?;
            let _inside = guard::Inside::enter()?;
            let outcome = operation()?;
            if let Some(result) = result {
                result.write(handle::give(zcrm_result::new(outcome)));
            }
            Ok(())
        })
    }
}

impl zcrm_client {
    /// A panic poisons this client, and this one only.
    pub(super) fn guarded<T>(&self, body: impl FnOnce(&Client) -> Result<T>) -> Result<T> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Error::new(
                Status::State,
                "poisoned",
                "an earlier call on this client met a bug in zcrm; free the client and make a new one",
            ));
        }
        let outcome = guard::catch(|| body(&self.client));
        if outcome.as_ref().is_err_and(|e| e.status() == Status::Panic) {
            self.poisoned.store(true, Ordering::Release);
        }
        outcome
    }
}
