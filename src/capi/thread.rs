//! What a call does to its thread, and puts back: cancellation waits for its end, and SIGPIPE is blocked. And what threads of this library's
//! own do with the host's signals.

use std::mem::MaybeUninit;
use std::ptr::null_mut;

use libc::{SIGPIPE, c_int, sigset_t};

/// `pthread_cancel` takes effect after the call as long as the value lives, which must be dropped on the same thread: it would unwind through
/// frames that it can't, and end the process.
pub(super) struct Uncancelled {
    before: c_int,
}

#[cfg(all(target_os = "linux", not(miri)))]
unsafe extern "C" {
    /// The crate libc doesn't declare it for Linux.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// `PTHREAD_CANCEL_DISABLE` of glibc and musl.
const DISABLED: c_int = 1;

#[cfg(all(target_os = "linux", not(miri)))]
fn set_cancelling(state: c_int) -> c_int {
    let mut before = 0;
    // SAFETY: it fails only for an unknown state, and `before` is ours.
    unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

/// Elsewhere nothing is done, nor under Miri, which doesn't know it.
#[cfg(not(all(target_os = "linux", not(miri))))]
fn set_cancelling(state: c_int) -> c_int {
    state
}

impl Uncancelled {
    pub(super) fn new() -> Uncancelled {
        Uncancelled { before: set_cancelling(DISABLED) }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        set_cancelling(self.before);
    }
}

/// SIGPIPE, which ends a process that doesn't know it, is blocked on this thread as long as the value lives, which must be dropped on the same
/// thread: writing to a connection that the peer has closed must be an error of that call only.
///
/// The sockets are written with `writev`, which has no flag against it, and a handler belongs to the host. So the signal is blocked while an
/// operation runs, as libcurl does, and one that this thread's writing has brought is taken away. One that was sent to the process is left.
pub(super) struct Blocked {
    mask: sigset_t,
    was_pending: bool,
}

impl Blocked {
    pub(super) fn new() -> Blocked {
        let mask = block(&only_sigpipe());
        // One that isn't blocked doesn't wait.
        // SAFETY: the set is initialised, and SIGPIPE is a signal's number.
        let was_blocked = unsafe { libc::sigismember(&mask, SIGPIPE) == 1 };
        Blocked { mask, was_pending: was_blocked && is_pending() }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if !self.was_pending && is_pending() {
            take();
        }
        unblock(&self.mask);
    }
}

/// Takes this thread's SIGPIPE away, without waiting.
#[cfg(target_os = "linux")]
fn take() {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set is live and initialised, and NULL for the signal's details is allowed. Linux gives the thread's own before the process's.
    unsafe { libc::sigtimedwait(&only_sigpipe(), null_mut(), &at_once) };
}

/// As above; it is pending, so this returns at once unless another thread takes it first.
#[cfg(not(target_os = "linux"))]
fn take() {
    // SAFETY: the set is live and initialised.
    unsafe { libc::sigwait(&only_sigpipe(), &mut 0) };
}

/// Whether SIGPIPE waits for this thread. `sigpending` shows that of the process as well, which isn't this call's: the kernel's own list tells
/// them apart. Where that can't be read, for want of a descriptor perhaps, it counts as the thread's: one that is left would end the process.
#[cfg(target_os = "linux")]
fn is_pending() -> bool {
    seems_pending() && std::fs::read_to_string("/proc/thread-self/status").ok().and_then(|status| pending_here(&status)).unwrap_or(true)
}

#[cfg(not(target_os = "linux"))]
fn is_pending() -> bool {
    seems_pending()
}

/// `SigPnd` of `/proc/thread-self/status`: the signals that wait for the thread, as bits.
#[cfg(target_os = "linux")]
fn pending_here(status: &str) -> Option<bool> {
    let bits = status.lines().find_map(|line| line.strip_prefix("SigPnd:"))?;
    u64::from_str_radix(bits.trim(), 16).ok().map(|bits| bits >> (SIGPIPE - 1) & 1 == 1)
}

fn seems_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigpending` fails only for a bad pointer, and initialises the set otherwise.
    unsafe {
        libc::sigpending(set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), SIGPIPE) == 1
    }
}

fn only_sigpipe() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, and SIGPIPE is a signal's number.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), SIGPIPE);
        set.assume_init()
    }
}

/// Runs `start` with the host's signals blocked, so that a thread it starts takes none of them: their handlers are for the host's threads.
/// What a fault raises stays as it is, for crash reporters.
pub(super) fn without_signals(start: &mut dyn FnMut()) {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set, and these are signals' numbers.
    let all = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT] {
            libc::sigdelset(all.as_mut_ptr(), fault);
        }
        all.assume_init()
    };
    let before = block(&all);
    start();
    unblock(&before);
}

/// Blocks these signals on this thread; gives its mask before.
fn block(set: &sigset_t) -> sigset_t {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are live; the call fails only for an unknown first argument, and writes `before` otherwise.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, set, before.as_mut_ptr());
        before.assume_init()
    }
}

fn unblock(before: &sigset_t) {
    // SAFETY: the set is live and initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, null_mut()) };
}
