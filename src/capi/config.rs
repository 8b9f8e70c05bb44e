//! Settings: string keys, and typed setters for the callbacks.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::{RwLock, TryLockError};

use zeroize::Zeroizing;

use super::error::zcrm_error;
use super::handle::{self, Noun};
use super::status::{OK, zcrm_status};
use super::{guard, text};
use crate::config::{Config, LogLevel, Profile, Secret};
use crate::error::{Error, Result, Status};

/// Settings from which clients are made. Belongs to the caller; one thread at a time may change it.
pub struct zcrm_config {
    config: RwLock<Config>,
}

impl Noun for zcrm_config {
    const MAGIC: u32 = 0x7a63_6502;
}

impl zcrm_config {
    /// The settings as they are now.
    pub(super) fn clone_config(&self) -> Result<Config> {
        match self.config.try_read() {
            Ok(config) => Ok(config.clone()),
            Err(TryLockError::Poisoned(config)) => Ok(config.into_inner().clone()),
            Err(TryLockError::WouldBlock) => Err(in_use()),
        }
    }

    /// Changes the settings. What the change takes out of them has to be dropped by the caller: it may be the host's, whose `drop` may use
    /// this very config.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Config) -> T) -> Result<T> {
        match self.config.try_write() {
            Ok(mut config) => Ok(change(&mut config)),
            Err(TryLockError::Poisoned(config)) => Ok(change(&mut config.into_inner())),
            Err(TryLockError::WouldBlock) => Err(in_use()),
        }
    }
}

fn in_use() -> Error {
    Error::new(Status::State, "in_use", "config: another thread uses it at this moment; one at a time may change it")
}

/// Gives an access token. Called for each operation, on any thread, perhaps on several at once: answer from a cache of your own.
///
/// @param user           as passed to zcrm_config_set_token_fn()
/// @param force_refresh  1 when Zoho refused the last token: give a new one; else 0
/// @param buf            where the token goes, without a prefix such as "Zoho-oauthtoken"; it is wiped after use
/// @param cap            bytes that `buf` holds
/// @param n              set it to the token's length
/// @return 0, or any other number if there is no token: the call fails with `ZCRM_E_CALLBACK`, and zcrm_error_callback_status()
///         gives the number back
pub type zcrm_token_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, force_refresh: i32, buf: *mut c_char, cap: usize, n: *mut usize) -> zcrm_status>;

/// Log level: a call failed.
pub const ZCRM_LOG_ERROR: i32 = 1;
/// Log level: something that a person may want to look at.
pub const ZCRM_LOG_WARN: i32 = 2;
/// Log level: one line for each call.
pub const ZCRM_LOG_INFO: i32 = 3;
/// Log level: one line for each HTTP exchange.
pub const ZCRM_LOG_DEBUG: i32 = 4;
/// Log level: inner steps.
pub const ZCRM_LOG_TRACE: i32 = 5;

/// Takes a log line. Called on any thread, also on several at once. It must not start an operation.
///
/// @param user   as passed to zcrm_config_set_log_fn()
/// @param level  `ZCRM_LOG_*`
/// @param line   one line without line end, NUL-terminated, valid during the callback; never holds a token, a secret or bytes of a file
/// @param len    its length without the NUL
pub type zcrm_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, line: *const c_char, len: usize)>;

/// Called once, when `user` is no longer used: the setting was replaced, or the config and every client made from it are gone. Runs on the
/// thread that released the last of them. It may use the config and make clients, but not start an operation.
pub type zcrm_drop_fn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// Makes a config with every setting at its default. Free it with zcrm_config_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_new(out: *mut *mut zcrm_config) -> zcrm_status {
    let body = || {
        let out = handle::out(out, "out")?;
        let config = zcrm_config { config: RwLock::new(Config::new()) };
        // SAFETY: not NULL, and writable by the header's contract.
        unsafe { out.write(handle::give(config)) };
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}

/// Sets one setting. zcrm_step_describe() lists the keys, their defaults and what each takes.
///
/// A client needs at least `refresh_token`, `client_id` and `client_secret`, or an `access_token`, or a token callback; and `data_center`
/// unless it is "us". How to get them: https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
///
/// @param config  the config to change; clients made before keep what they have
/// @param key     the key, NUL-terminated
/// @param value   UTF-8 text, copied
/// @param len     its length in bytes; `ZCRM_NUL` = NUL-terminated
/// @return `ZCRM_OK`, `ZCRM_E_CONFIG` for an unknown key (the message names the nearest known one) or a wrong value (the message says what
///         it takes), or `ZCRM_E_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_set(
    config: *mut zcrm_config,
    key: *const c_char,
    value: *const c_char,
    len: usize,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let config = handle::lend(config, "config")?;
            if key.is_null() {
                return Err(Error::argument("key", "is NULL"));
            }
            let key = text::read(key, usize::MAX, "key")?;
            let value = text::read(value, len, "value").map_err(|error| error.with(|d| d.message = format!("setting {key}: {}", d.message)))?;
            config.change(|config| set(config, key, value))?
        })
    }
}

fn set(config: &mut Config, key: &str, value: &str) -> Result<()> {
    #[cfg(feature = "panic-probe")]
    if key == "panic_probe" {
        config.panic_probe = value == "on";
        return Ok(());
    }
    config.set(key, value)
}

/// Sets what a profile says: the login that `zcrm login` has written once for every program of this user, or any other settings. Call it before
/// zcrm_config_set(): what is set afterwards takes the place of what the profile says.
///
/// The file is TOML: a line `[name]` for each profile, and below it `key = "value"`. It must be a regular file of this user (or root's) to which
/// nobody else has rights, as in `chmod 600`.
///
/// @param path  the file, NUL-terminated; NULL = the user's own, `zcrm/profiles.toml` in `XDG_CONFIG_HOME` or else in `.config` of `HOME`. Only
///              then are these two environment variables read.
/// @param name  the profile, NUL-terminated; NULL = `default`
/// @return `ZCRM_OK`; `ZCRM_E_CONFIG`: reason `profile_absent` when file or profile isn't there, `profile_mode` when others have rights to it;
///         or `ZCRM_E_IO`. On failure nothing is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_load_profile(
    config: *mut zcrm_config,
    path: *const c_char,
    name: *const c_char,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let config = handle::lend(config, "config")?;
            let path = text::read_if_given(path, "path")?.map(Path::new);
            let name = text::read_if_given(name, "name")?;
            let profile = Profile::read(path, name)?;
            config.change(|config| config.set_profile(&profile))?
        })
    }
}

/// Takes access tokens from `fn` instead of Zoho's accounts server. Replaces an earlier token callback. zcrm_client_new() refuses OAuth
/// credentials beside it.
///
/// @param fn      the callback; see zcrm_token_fn
/// @param user    passed to it; must be usable from any thread
/// @param drop    NULL, or called once when `user` isn't used any more; not called when this function fails
/// @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when `config` or `fn` is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_set_token_fn(
    config: *mut zcrm_config,
    r#fn: zcrm_token_fn,
    user: *mut c_void,
    drop: zcrm_drop_fn,
) -> zcrm_status {
    let body = || {
        // SAFETY: the header's contract.
        let config = unsafe { handle::lend(config, "config")? };
        let ask = r#fn.ok_or_else(|| Error::argument("fn", "is NULL"))?;
        let replaced = config.change(|config| {
            let user = User::new(user, drop);
            config.set_token_fn(move |force| ask_token(ask, user.get(), force))
        })?;
        std::mem::drop(replaced);
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}

type Ask = unsafe extern "C" fn(*mut c_void, i32, *mut c_char, usize, *mut usize) -> zcrm_status;

fn ask_token(ask: Ask, user: *mut c_void, force: bool) -> std::result::Result<Secret, i32> {
    const CAP: usize = 4096; // Zoho's tokens have 70 bytes; a gateway's may be a JWT
    let mut buf = Zeroizing::new(vec![0_u8; CAP]);
    let mut n = 0;
    // SAFETY: `buf` has CAP bytes; the header binds the host to write no more and to let this be called on any thread.
    let status = unsafe { ask(user, i32::from(force), buf.as_mut_ptr().cast(), CAP, &raw mut n) };
    if status != OK {
        return Err(status);
    }
    let token = buf.get(..n).and_then(|bytes| std::str::from_utf8(bytes).ok());
    token.map(Secret::new).ok_or(OK)
}

/// Sends log lines to `fn`. Replaces an earlier log callback. Without one nothing is logged, and nothing is ever printed.
///
/// @param max_level  `ZCRM_LOG_*`: `fn` gets the lines up to this level
/// @param fn         the callback; see zcrm_log_fn
/// @param user       passed to it; must be usable from any thread
/// @param drop       NULL, or called once when `user` isn't used any more; not called when this function fails
/// @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when `config` or `fn` is NULL or `max_level` is none of 1 to 5
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_set_log_fn(
    config: *mut zcrm_config,
    max_level: i32,
    r#fn: zcrm_log_fn,
    user: *mut c_void,
    drop: zcrm_drop_fn,
) -> zcrm_status {
    let body = || {
        // SAFETY: the header's contract.
        let config = unsafe { handle::lend(config, "config")? };
        let level = level(max_level)?;
        let log = r#fn.ok_or_else(|| Error::argument("fn", "is NULL"))?;
        let replaced = config.change(|config| {
            let user = User::new(user, drop);
            config.set_log_fn(level, move |level, line| {
                let line = text::to_c(line);
                // SAFETY: the line lives during the callback; the header binds the host to let this be called on any thread.
                unsafe { log(user.get(), number(level), line.as_ptr(), line.count_bytes()) };
            })
        })?;
        std::mem::drop(replaced);
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}

fn level(number: i32) -> Result<LogLevel> {
    match number {
        ZCRM_LOG_ERROR => Ok(LogLevel::Error),
        ZCRM_LOG_WARN => Ok(LogLevel::Warn),
        ZCRM_LOG_INFO => Ok(LogLevel::Info),
        ZCRM_LOG_DEBUG => Ok(LogLevel::Debug),
        ZCRM_LOG_TRACE => Ok(LogLevel::Trace),
        _ => Err(Error::argument("max_level", format_args!("{number} is none of ZCRM_LOG_*, 1 to 5"))),
    }
}

fn number(level: LogLevel) -> i32 {
    match level {
        LogLevel::Error => ZCRM_LOG_ERROR,
        LogLevel::Warn => ZCRM_LOG_WARN,
        LogLevel::Info => ZCRM_LOG_INFO,
        LogLevel::Debug => ZCRM_LOG_DEBUG,
        LogLevel::Trace => ZCRM_LOG_TRACE,
    }
}

/// Frees a config. Clients made from it go on. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_free(config: *mut zcrm_config) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(config) });
}

/// The host's pointer, and the callback that releases it.
pub(super) struct User {
    user: *mut c_void,
    drop: zcrm_drop_fn,
}

// SAFETY: the header binds the host to give a pointer that any thread may use, also several at once.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    pub(super) fn new(user: *mut c_void, drop: zcrm_drop_fn) -> User {
        User { user, drop }
    }

    /// A method, so that a closure captures the whole and not just the pointer, which isn't `Send`.
    pub(super) fn get(&self) -> *mut c_void {
        self.user
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the header's contract for `drop`; this is the only place that calls it, once.
            unsafe { drop(self.user) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;

    use super::*;

    unsafe extern "C" fn no_line(_: *mut c_void, _: i32, _: *const c_char, _: usize) {}

    unsafe extern "C" fn sets_another(config: *mut c_void) {
        // SAFETY: the test passes its config.
        unsafe {
            assert_eq!(zcrm_config_set(config.cast(), c"data_center".as_ptr(), c"eu".as_ptr(), 2, null_mut()), OK);
            assert_eq!(zcrm_config_set_log_fn(config.cast(), ZCRM_LOG_INFO, Some(no_line), null_mut(), None), OK);
        }
    }

    /// Under Miri it shows that no reference into the config is live then.
    #[test]
    fn what_a_setter_replaces_is_let_go_of_when_the_config_is_whole() {
        let mut config = null_mut();
        // SAFETY: a config of this test's own, and the callbacks above.
        unsafe {
            assert_eq!(zcrm_config_new(&raw mut config), OK);
            assert_eq!(zcrm_config_set_log_fn(config, ZCRM_LOG_INFO, Some(no_line), config.cast(), Some(sets_another)), OK);
            assert_eq!(zcrm_config_set_log_fn(config, ZCRM_LOG_INFO, Some(no_line), null_mut(), None), OK);
            zcrm_config_free(config);
        }
    }
}
