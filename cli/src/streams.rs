//! Standard streams that were closed as the process began. Rust's runtime opens /dev/null in their place before `main`, so that results would be
//! lost without a word. That can't be told later from a /dev/null that is meant, as Python's `subprocess.DEVNULL` is.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, fcntl_getfd};

use crate::exit::Stop;

static NO_INPUT: AtomicBool = AtomicBool::new(false);
static NO_OUTPUT: AtomicBool = AtomicBool::new(false);

/// Fails without an output, or without the input that is to be read.
pub fn check(reads: bool) -> Result<(), Stop> {
    let closed = |stream: &AtomicBool| stream.load(Ordering::Relaxed);
    // Rust's library takes a write that the system refuses for this for done, and such a read for the end.
    let is_only = |stream, mode| fcntl_getfl(stream).is_ok_and(|flags| flags & OFlags::RWMODE == mode);
    match () {
        () if closed(&NO_OUTPUT) => Err(Stop::new("standard output is closed")),
        () if is_only(rustix::stdio::stdout(), OFlags::RDONLY) => Err(Stop::new("standard output is open for reading alone")),
        () if reads && closed(&NO_INPUT) => Err(Stop::new("standard input is closed")),
        () if reads && is_only(rustix::stdio::stdin(), OFlags::WRONLY) => Err(Stop::new("standard input is open for writing alone")),
        () => Ok(()),
    }
}

extern "C" fn look() {
    NO_INPUT.store(fcntl_getfd(rustix::stdio::stdin()) == Err(Errno::BADF), Ordering::Relaxed);
    NO_OUTPUT.store(fcntl_getfd(rustix::stdio::stdout()) == Err(Errno::BADF), Ordering::Relaxed);
}

// SAFETY: the loader calls what stands there before the runtime begins; `look` makes two system calls, and needs no runtime.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;
