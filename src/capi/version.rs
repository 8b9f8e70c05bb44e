//! Versions of the library and of its ABI.

use std::ffi::c_char;

/// The version of the ABI that this header describes. It is raised on each incompatible change.
pub const ZCRM_ABI_VERSION: u32 = 1;

/// The ABI version of the loaded library. Look at it first: when it isn't `ZCRM_ABI_VERSION`, this header isn't this library's.
#[unsafe(no_mangle)]
pub extern "C" fn zcrm_abi_version() -> u32 {
    ZCRM_ABI_VERSION
}

/// The version of the loaded library, for example "0.1.0"; at build time it is `ZCRM_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn zcrm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
