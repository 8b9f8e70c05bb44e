//! Handles: boxes behind an opaque pointer, with a word that tells a right one from NULL, a freed or a foreign one.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// A type that C holds by an opaque pointer.
pub(super) trait Noun {
    /// Told apart by this word; no two nouns share one.
    const MAGIC: u32;
}

const FREED: u32 = 0xdead_0000;

/// What the pointer really points to. C never looks inside, so the type of the pointer is the noun's.
#[repr(C)]
struct Shell<T> {
    magic: AtomicU32,
    value: T,
}

/// Hands a value to C, which owns it until it calls the `*_free` function.
pub(super) fn give<T: Noun>(value: T) -> *mut T {
    Box::into_raw(Box::new(Shell { magic: AtomicU32::new(T::MAGIC), value })).cast()
}

/// The value behind a handle; `field` names the parameter in the error.
///
/// # Safety
/// `handle` is NULL or points to readable memory, and nobody frees it during `'a`.
pub(super) unsafe fn borrow<'a, T: Noun>(handle: *const T, field: &'static str) -> Result<&'a T> {
    // SAFETY: the caller's contract; `shell` has looked at the word, so the memory is ours.
    unsafe { Ok(&(*shell(handle, field)?).value) }
}

/// Like [`borrow`], for a handle that C owns alone.
///
/// # Safety
/// As for [`borrow`], and no other thread uses the handle during `'a`.
pub(super) unsafe fn borrow_mut<'a, T: Noun>(handle: *mut T, field: &'static str) -> Result<&'a mut T> {
    // SAFETY: as in `borrow`; that nobody else uses it is the caller's contract.
    unsafe { Ok(&mut (*shell(handle, field)?).value) }
}

/// Takes the value back and drops it. NULL and what isn't this kind of handle is left alone: a free function can't report.
///
/// # Safety
/// As for [`borrow_mut`]; the handle is not used afterwards.
pub(super) unsafe fn free<T: Noun>(handle: *mut T) {
    // SAFETY: the caller's contract.
    let Ok(shell) = (unsafe { shell(handle, "handle") }) else { return };
    // SAFETY: the word says that `give` made it.
    let right = unsafe { (*shell).magic.compare_exchange(T::MAGIC, FREED, Ordering::AcqRel, Ordering::Relaxed).is_ok() };
    if right {
        // SAFETY: it came from `Box::into_raw` in `give`, and the word, now changed, lets nobody come here twice.
        unsafe { discard(shell) };
    }
}

/// # Safety
/// `shell` came from [`give`] and nobody uses it any more.
#[cfg(any(fuzzing, not(debug_assertions)))]
unsafe fn discard<T>(shell: *mut Shell<T>) {
    // SAFETY: the caller's contract.
    drop(unsafe { Box::from_raw(shell) });
}

/// Debug builds keep the empty shell for good, so that a later use of the handle is always found out.
///
/// # Safety
/// As above.
#[cfg(all(debug_assertions, not(fuzzing)))]
unsafe fn discard<T>(shell: *mut Shell<T>) {
    static SHELLS: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
    // SAFETY: the caller's contract; the value is dropped once, and the shell's memory stays.
    unsafe { std::ptr::drop_in_place(&raw mut (*shell).value) };
    // Kept reachable, or a leak checker would complain.
    SHELLS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(shell as usize);
}

/// # Safety
/// `handle` is NULL or points to readable memory.
unsafe fn shell<T: Noun>(handle: *const T, field: &'static str) -> Result<*mut Shell<T>> {
    let shell = handle.cast::<Shell<T>>().cast_mut();
    if shell.is_null() {
        return Err(Error::argument(field, "is NULL"));
    }
    if !shell.is_aligned() {
        return Err(Error::argument(field, "is not a handle of this library"));
    }
    // SAFETY: not NULL, aligned, readable by the caller's contract; any bits are a u32.
    match unsafe { (*shell).magic.load(Ordering::Acquire) } {
        magic if magic == T::MAGIC => Ok(shell),
        FREED => Err(Error::argument(field, "was freed")),
        _ => Err(Error::argument(field, "is not a handle of this kind")),
    }
}

/// Where an output goes, if the pointer can be one.
pub(super) fn out<T>(pointer: *mut T, field: &'static str) -> Result<*mut T> {
    if pointer.is_null() { Err(Error::argument(field, "is NULL")) } else { Ok(pointer) }
}
