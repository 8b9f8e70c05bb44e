//! Handles: what C holds by an opaque pointer. Each may be freed at any moment, also while other threads use it or come to use it.
//!
//! The pointer leads to a shell of two words, which is never given back to the system: whoever comes late finds the word that says so, and
//! not somebody else's memory. The shell counts who uses the value, the handle itself included; the last one drops it.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// A type that C holds by an opaque pointer. Any thread may use it and drop it.
pub(super) trait Noun: Send + Sync {
    /// Told apart by this word; no two nouns share one.
    const MAGIC: u32;
}

const FREED: u32 = 0xdead_0000;

/// What the pointer really points to. C never looks inside, so the type of the pointer is the noun's.
struct Shell {
    /// Which noun it is, or [`FREED`], in the upper half; how many use the value in the lower one.
    state: AtomicU64,
    /// A box of the noun while anybody uses it.
    value: AtomicPtr<()>,
}

fn noun(state: u64) -> u32 {
    (state >> 32) as u32
}

fn users(state: u64) -> u32 {
    state as u32
}

/// Hands a value to C, which owns it until it calls the `*_free` function.
pub(super) fn give<T: Noun>(value: T) -> *mut T {
    let shell = shell();
    shell.value.store(Box::into_raw(Box::new(value)).cast(), Ordering::Relaxed);
    shell.state.store(u64::from(T::MAGIC) << 32 | 1, Ordering::Release);
    std::ptr::from_ref(shell).cast::<T>().cast_mut()
}

/// The value behind a handle; `field` names the parameter in the error.
///
/// # Safety
/// `handle` is NULL, came from [`give`], freed or not, or points to readable memory.
pub(super) unsafe fn lend<T: Noun>(handle: *const T, field: &'static str) -> Result<Lent<T>> {
    let shell = at(handle, field)?;
    // SAFETY: not NULL and aligned, and readable by the caller's contract; a shell lives for ever.
    let state = unsafe { &(*shell).state };
    let one_more = |state| (noun(state) == T::MAGIC).then_some(state + 1);
    match state.fetch_update(Ordering::Acquire, Ordering::Acquire, one_more) {
        // SAFETY: the word says that it is a shell.
        Ok(_) => Ok(Lent { shell: unsafe { &*shell }, noun: PhantomData }),
        Err(state) if noun(state) == FREED => Err(Error::argument(field, "was freed")),
        Err(_) => Err(Error::argument(field, "is not a handle of this kind")),
    }
}

/// Frees a handle: the value is dropped as soon as nobody uses it. NULL, what is freed and what isn't this kind of handle is left alone: a
/// free function can't report.
///
/// # Safety
/// As for [`lend`].
pub(super) unsafe fn free<T: Noun>(handle: *mut T) {
    let Ok(shell) = at(handle, "handle") else { return };
    // SAFETY: as in `lend`.
    let state = unsafe { &(*shell).state };
    let freed = |state| (noun(state) == T::MAGIC).then_some(u64::from(FREED) << 32 | u64::from(users(state)));
    if state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, freed).is_ok() {
        // SAFETY: the word says that it is a shell. What is dropped is the handle's own use of it.
        drop(Lent::<T> { shell: unsafe { &*shell }, noun: PhantomData });
    }
}

/// A value that is used, and lives at least as long.
pub(super) struct Lent<T: Noun> {
    shell: &'static Shell,
    noun: PhantomData<T>,
}

impl<T: Noun> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this use is counted, so nobody has dropped the box, and `lend` has seen that it is one of a `T`.
        unsafe { &*self.shell.value.load(Ordering::Relaxed).cast::<T>() }
    }
}

impl<T: Noun> Drop for Lent<T> {
    fn drop(&mut self) {
        if users(self.shell.state.fetch_sub(1, Ordering::AcqRel)) == 1 {
            let value = self.shell.value.swap(std::ptr::null_mut(), Ordering::Relaxed).cast::<T>();
            // SAFETY: it came from `Box::into_raw` in `give`, and this was the last use: the handle is freed, so none can follow.
            drop(unsafe { Box::from_raw(value) });
            give_back(self.shell);
        }
    }
}

/// Where the shell would be. Of memory that is none, only the first word may be looked at.
fn at<T>(handle: *const T, field: &'static str) -> Result<*const Shell> {
    let shell = handle.cast::<Shell>();
    if shell.is_null() {
        return Err(Error::argument(field, "is NULL"));
    }
    if !shell.is_aligned() {
        return Err(Error::argument(field, "is not a handle of this library"));
    }
    Ok(shell)
}

/// Shells that were used, the longest unused one first. Several lists, none of which is ever waited for: a thread may have held a lock when
/// the process was forked, and then nobody opens it any more.
static SHELLS: [Mutex<VecDeque<&'static Shell>>; 16] = [const { Mutex::new(VecDeque::new()) }; 16];
/// A list gives out shells only when it has more than these, so that a late use of a freed handle is found out for long.
const KEPT: usize = 256;
static TURN: AtomicUsize = AtomicUsize::new(0);

fn with_shells<T>(mut work: impl FnMut(&mut VecDeque<&'static Shell>) -> Option<T>) -> Option<T> {
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let mut lists = (0..SHELLS.len()).filter_map(|i| SHELLS[(turn + i) % SHELLS.len()].try_lock().ok());
    lists.next().and_then(|mut list| work(&mut list))
}

fn shell() -> &'static Shell {
    let used = with_shells(|list| if list.len() > KEPT { list.pop_front() } else { None });
    used.unwrap_or_else(|| Box::leak(Box::new(Shell { state: AtomicU64::new(0), value: AtomicPtr::default() })))
}

/// Where every list is held, a shell of two words is lost.
fn give_back(shell: &'static Shell) {
    with_shells(|list| {
        list.push_back(shell);
        Some(())
    });
}

/// Where an output goes, if the pointer can be one.
pub(super) fn out<T>(pointer: *mut T, field: &'static str) -> Result<*mut T> {
    out_if_given(pointer, field)?.ok_or_else(|| Error::argument(field, "is NULL"))
}

/// The same for an output that nobody may want.
pub(super) fn out_if_given<T>(pointer: *mut T, field: &'static str) -> Result<Option<*mut T>> {
    if !pointer.is_aligned() {
        return Err(Error::argument(field, "is not aligned for what it points to"));
    }
    Ok((!pointer.is_null()).then_some(pointer))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Counts those that are dropped.
    struct Thing(Arc<AtomicU32>);

    impl Noun for Thing {
        const MAGIC: u32 = 1;
    }

    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Other;

    impl Noun for Other {
        const MAGIC: u32 = 2;
    }

    /// `lend`, of whatever `give` has given.
    fn look(handle: *const Thing) -> std::result::Result<Lent<Thing>, String> {
        // SAFETY: each handle here came from `give`.
        unsafe { lend(handle, "thing") }.map_err(|e| e.to_string())
    }

    fn let_go(handle: *mut Thing) {
        // SAFETY: as above.
        unsafe { free(handle) };
    }

    #[test]
    fn a_value_lives_as_long_as_it_is_used_and_is_dropped_once() {
        let dropped = Arc::new(AtomicU32::new(0));
        let handle = give(Thing(dropped.clone()));
        let used = look(handle).unwrap();
        let_go(handle);
        let_go(handle);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        assert_eq!(look(handle).err().unwrap(), "thing: was freed");
        drop(used);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_handle_of_another_kind_is_refused_and_left_alone() {
        let other = give(Other);
        assert_eq!(look(other.cast()).err().unwrap(), "thing: is not a handle of this kind");
        let_go(other.cast());
        // SAFETY: it came from `give`.
        unsafe {
            assert!(lend(other, "other").is_ok());
            free(other);
        }
    }

    #[test]
    fn threads_may_use_a_handle_while_one_frees_it() {
        let (dropped, rounds) = (Arc::new(AtomicU32::new(0)), if cfg!(miri) { 20 } else { 2000 });
        for _ in 0..rounds {
            let at = give(Thing(dropped.clone())).expose_provenance();
            std::thread::scope(|scope| {
                for frees in [false, true, false] {
                    scope.spawn(move || {
                        let handle = std::ptr::with_exposed_provenance_mut(at);
                        if frees { let_go(handle) } else { drop(look(handle)) }
                    });
                }
            });
        }
        assert_eq!(dropped.load(Ordering::Relaxed), rounds);
    }
}
