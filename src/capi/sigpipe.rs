//! SIGPIPE, which ends a process that doesn't know it: writing to a connection that the peer has closed must be an error of the call alone.
//!
//! The sockets are written with `writev`, which has no flag against it, and a handler belongs to the host. So the signal is blocked on the
//! calling thread while an operation runs, as libcurl does, and one that came meanwhile is taken away. Threads of a batch inherit the mask.

use std::mem::MaybeUninit;
use std::ptr::null_mut;

use libc::{SIGPIPE, sigset_t};

/// SIGPIPE is blocked on this thread as long as the value lives, which must be dropped on the same thread.
pub(super) struct Blocked {
    mask: sigset_t,
    was_pending: bool,
}

impl Blocked {
    pub(super) fn new() -> Blocked {
        let was_pending = is_pending();
        let mut mask = MaybeUninit::uninit();
        let only = only_sigpipe();
        // SAFETY: both sets are live; the call fails only for an unknown first argument, and writes `mask` otherwise.
        let mask = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &only, mask.as_mut_ptr());
            mask.assume_init()
        };
        Blocked { mask, was_pending }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `sigwait` returns at once, since the signal is pending and blocked; all sets are live and initialised.
        unsafe {
            if !self.was_pending && is_pending() {
                libc::sigwait(&only_sigpipe(), &mut 0);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, null_mut());
        }
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

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigpending` fails only for a bad pointer, and initialises the set otherwise.
    unsafe {
        libc::sigpending(set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), SIGPIPE) == 1
    }
}
