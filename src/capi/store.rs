//! A token store that the host provides.

use std::ffi::c_void;

use zeroize::Zeroizing;

use super::config::{User, zcrm_config, zcrm_drop_fn};
use super::error::zcrm_error;
use super::status::{OK, zcrm_status};
use super::{guard, handle, sized};
use crate::config::TokenStore;
use crate::error::{Error, Result};
use crate::fallible;

/// Reads the stored document, which is secret. May run on any thread.
///
/// @param buf   receives the document, if it fits
/// @param cap   bytes that fit
/// @param n     receives the document's length; 0 = there is none; over `cap` = it doesn't fit: this is called again with enough room
pub type zcrm_store_get_fn = Option<unsafe extern "C" fn(user: *mut c_void, buf: *mut u8, cap: usize, n: *mut usize) -> zcrm_status>;

/// Stores the document in place of the old one, whole or not at all. May run on any thread.
///
/// @param buf   the document; during the callback
/// @param len   its length in bytes
/// @return `ZCRM_OK`, or the number with which the call should fail. Return `ZCRM_OK` if it doesn't matter that the others ask for themselves.
pub type zcrm_store_put_fn = Option<unsafe extern "C" fn(user: *mut c_void, buf: *const u8, len: usize) -> zcrm_status>;

/// Tries to take the lock that everyone who shares the store respects, without waiting for it: the library soon tries again. The lock must end
/// with its holder. May run on any thread.
///
/// @param locked  receives 1 when it took the lock, 0 when somebody else has it
pub type zcrm_store_lock_fn = Option<unsafe extern "C" fn(user: *mut c_void, locked: *mut i32) -> zcrm_status>;

/// Gives the lock back. May run on any thread.
pub type zcrm_store_unlock_fn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A place where processes and machines share one access token: a row in a database, a key in Redis. All four callbacks are needed.
/// Processes of one machine can use the setting `token_file` instead.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_token_store {
    /// `sizeof(zcrm_token_store)`.
    pub struct_size: usize,
    /// Reads the document.
    pub get: zcrm_store_get_fn,
    /// Stores it.
    pub put: zcrm_store_put_fn,
    /// Takes the lock.
    pub try_lock: zcrm_store_lock_fn,
    /// Gives it back.
    pub unlock: zcrm_store_unlock_fn,
    /// Passed to each; must be usable from any thread.
    pub user: *mut c_void,
    /// NULL, or called once when `user` isn't used any more; not called when zcrm_config_set_token_store() fails.
    pub drop: zcrm_drop_fn,
}

// SAFETY: repr(C), begins with a usize; all zero is no callbacks and a NULL pointer.
unsafe impl sized::Struct for zcrm_token_store {}

/// Shares one access token between processes and machines through this store, so that each expiry costs one token request in all. Replaces an
/// earlier store and the setting `token_file`. Used only with OAuth credentials, not with an access token or a token callback.
/// https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html
///
/// @param store   the callbacks; the struct is copied
/// @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when a callback is missing
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_config_set_token_store(
    config: *mut zcrm_config,
    store: *const zcrm_token_store,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let config = handle::lend(config, "config")?;
            let given = sized::read_if_given(store, "store")?.ok_or_else(|| Error::argument("store", "is NULL"))?;
            let replaced = config.change(|config| given.checked().map(|store| config.set_token_store(store)))??;
            drop(replaced);
            Ok(())
        })
    }
}

type Get = unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> zcrm_status;
type Put = unsafe extern "C" fn(*mut c_void, *const u8, usize) -> zcrm_status;
type Lock = unsafe extern "C" fn(*mut c_void, *mut i32) -> zcrm_status;
type Unlock = unsafe extern "C" fn(*mut c_void);

struct Store {
    get: Get,
    put: Put,
    try_lock: Lock,
    unlock: Unlock,
    user: User,
}

impl zcrm_token_store {
    fn checked(&self) -> Result<Store> {
        let missing = |field| move || Error::argument(field, "is NULL");
        Ok(Store {
            get: self.get.ok_or_else(missing("store.get"))?,
            put: self.put.ok_or_else(missing("store.put"))?,
            try_lock: self.try_lock.ok_or_else(missing("store.try_lock"))?,
            unlock: self.unlock.ok_or_else(missing("store.unlock"))?,
            user: User::new(self.user, self.drop),
        })
    }
}

fn answered(which: &str, status: zcrm_status) -> Result<()> {
    if status == OK { Ok(()) } else { Err(Error::callback("token_store", which, status)) }
}

impl TokenStore for Store {
    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        const MOST: usize = 1 << 20; // a token has 70 bytes
        let mut buf = Zeroizing::new(vec![0_u8; 4096]);
        loop {
            let mut n = 0;
            // SAFETY: `buf` has as many bytes as are told; the header binds the host to write no more and to let this be called on any thread.
            answered("get of the token store", unsafe { (self.get)(self.user.get(), buf.as_mut_ptr(), buf.len(), &raw mut n) })?;
            match n {
                0 => return Ok(None),
                n if n <= buf.len() => {
                    buf.truncate(n);
                    return Ok(Some(buf));
                }
                n if n > MOST => return Err(Error::argument("store.get", format_args!("a document of {n} bytes is none of this library's"))),
                n => buf = Zeroizing::new(fallible::zeroed(n)?), // the old one is wiped, too
            }
        }
    }

    fn put(&self, document: &[u8]) -> Result<()> {
        // SAFETY: the document lives during the callback; the header's contract as above.
        answered("put of the token store", unsafe { (self.put)(self.user.get(), document.as_ptr(), document.len()) })
    }

    fn try_lock(&self) -> Result<bool> {
        let mut locked = 0;
        // SAFETY: `locked` is ours; the header's contract as above.
        answered("try_lock of the token store", unsafe { (self.try_lock)(self.user.get(), &raw mut locked) })?;
        Ok(locked != 0)
    }

    fn unlock(&self) {
        // SAFETY: the header's contract as above.
        unsafe { (self.unlock)(self.user.get()) };
    }
}
