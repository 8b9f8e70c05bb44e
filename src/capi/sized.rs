//! Structs that begin with their size, so that either side may be the newer one: the rule of Linux's `openat2`.

use std::mem::{MaybeUninit, size_of};

use crate::error::{Error, Result, Status};

/// A struct that begins with `size_t struct_size`.
///
/// # Safety
/// The type is `repr(C)`, its first field is a `usize`, and all bytes zero are a valid value of it.
pub(super) unsafe trait Struct: Copy {}

/// No struct of ours will ever be as large: a greater size is a variable that nobody has set.
const MAX: usize = 4096;

/// The caller's struct in our size: a shorter one is filled up with zeros, a longer one may only have zeros behind.
///
/// # Safety
/// `from` is NULL or points to as many readable bytes as its first field says.
pub(super) unsafe fn read<T: Struct>(from: *const T, field: &'static str) -> Result<T> {
    // SAFETY: the same contract.
    let size = unsafe { size(from, field)? };
    let bytes = from.cast::<u8>();
    // SAFETY: `size` bytes are readable, and a byte is valid whatever it holds.
    let tail = unsafe { std::slice::from_raw_parts(bytes.add(size.min(size_of::<T>())), size.saturating_sub(size_of::<T>())) };
    if tail.iter().any(|b| *b != 0) {
        return Err(Error::new(
            Status::Version,
            "struct_newer",
            format!("{field}: struct_size is {size}, this library knows {}, and a field behind that is set: use a newer library", size_of::<T>()),
        )
        .with(|d| d.field = Some(field)));
    }
    let mut ours = MaybeUninit::<T>::zeroed();
    // SAFETY: at most as many bytes as either side has; all zero is valid (contract of `Struct`), and so are the caller's bytes over it,
    // since every field is a number or a pointer.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes, ours.as_mut_ptr().cast::<u8>(), size.min(size_of::<T>()));
        Ok(ours.assume_init())
    }
}

/// Like [`read`]; NULL is `None`.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn read_if_given<T: Struct>(from: *const T, field: &'static str) -> Result<Option<T>> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: the same contract.
    unsafe { read(from, field).map(Some) }
}

/// Fills the caller's struct, at most as far as it says it reaches. `struct_size` stays, and what lies behind our size becomes zero.
///
/// # Safety
/// `to` is NULL or points to as many readable and writable bytes as its first field says.
pub(super) unsafe fn write<T: Struct>(to: *mut T, value: &T, field: &'static str) -> Result<()> {
    // SAFETY: the same contract.
    let size = unsafe { size(to, field)? };
    let ours = size.min(size_of::<T>());
    let head = size_of::<usize>();
    // SAFETY: `ours` and `size` bytes are writable there, `value` has at least `ours`, and `head <= ours <= size`.
    unsafe {
        let bytes = to.cast::<u8>();
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>().add(head), bytes.add(head), ours - head);
        std::ptr::write_bytes(bytes.add(ours), 0, size - ours);
    }
    Ok(())
}

/// # Safety
/// `of` is NULL or its first field is readable.
unsafe fn size<T: Struct>(of: *const T, field: &'static str) -> Result<usize> {
    if of.is_null() {
        return Err(Error::argument(field, "is NULL"));
    }
    // SAFETY: not NULL, and every such struct begins with a usize; it need not be aligned.
    let size = unsafe { of.cast::<usize>().read_unaligned() };
    if !(size_of::<usize>()..=MAX).contains(&size) {
        return Err(Error::argument(field, format_args!("struct_size is {size}; set it to sizeof the struct")));
    }
    Ok(size)
}
