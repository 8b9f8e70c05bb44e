//! The C ABI: the only place with `unsafe` and `extern "C"`. `include/zcrm.h` is made from these files.
//!
//! The rules that every function here keeps:
//!
//! 1. A fallible function returns a [`zcrm_status`]; its last parameter is `zcrm_error **err`, which may be NULL. Outputs are untouched
//!    on failure, `*err` is untouched on success. There is no last error of a thread.
//! 2. Handles are opaque; only the `*_free` functions free, they accept NULL and do no I/O. A client may be freed while calls run.
//! 3. No struct crosses by value. A struct begins with its size: shorter than ours is filled up with zeros, longer with a tail that isn't
//!    zero is `ZCRM_E_VERSION`. Of an output at most `struct_size` bytes are written.
//! 4. Long-lived settings are string keys.
//! 5. Text in is pointer and length, UTF-8, copied if kept. Text out is borrowed from the handle that gave it, and NUL-terminated.
//! 6. Callbacks run on the calling thread, inside the call, never after it. Log and token callbacks may run on any thread.
//! 7. Every entry point is guarded: a panic becomes `ZCRM_E_PANIC` and poisons only its client. A wrong parameter is `ZCRM_E_ARGUMENT`
//!    with a message that names it. The library never prints, reads nothing that no setting names, and
//!    aborts only when memory runs out where nothing can report it: see `ZCRM_E_MEMORY`.
//! 8. Cancelling is per call, from any thread, and takes effect within 100 ms.
//! 9. `zcrm_abi_version()` is compared with `ZCRM_ABI_VERSION` by every binding.
//! 10. The header is the documentation.
//!
//! The types bear the names that C sees, as in the `libc` crate.
#![allow(unsafe_code, non_camel_case_types)]

#[cfg(target_os = "linux")]
mod alloc;
mod attachment;
mod auth;
mod batch;
mod call;
mod cancel;
mod client;
mod config;
mod error;
mod guard;
mod handle;
mod made;
mod outputs;
mod pages;
mod photo;
mod plugin;
mod records;
mod result;
mod sink;
mod sized;
mod source;
mod status;
mod step;
mod store;
mod target;
mod text;
#[cfg(unix)]
mod thread;
mod version;
