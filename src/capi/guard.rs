//! The guard around every entry point: no panic leaves the library, and none is printed.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use super::handle::{self, Noun};
use super::status::{OK, zcrm_status};
use crate::error::{Error, Result, Status};
use crate::panics::{self, Caught};

thread_local! {
    /// Whether this thread is inside of an operation, perhaps in one of its callbacks.
    static IN_OPERATION: Cell<bool> = const { Cell::new(false) };
}

/// Runs an entry point that returns a status: failures and panics become a status and, where the caller wants one, an error object.
///
/// # Safety
/// `err` is NULL or may be written.
pub(super) unsafe fn status<E: Noun + From<Error>>(err: *mut *mut E, body: impl FnOnce() -> Result<()>) -> zcrm_status {
    #[cfg(unix)]
    let _uncancelled = super::thread::Uncancelled::new();
    let err = match handle::out_if_given(err, "err") {
        Ok(err) => err,
        Err(error) => return error.status() as zcrm_status,
    };
    let Err(error) = catch(body) else { return OK };
    let status = error.status() as zcrm_status;
    if let Some(err) = err {
        let given = value(std::ptr::null_mut(), || handle::give(E::from(error)));
        // SAFETY: not NULL, aligned, and the caller's contract.
        unsafe { err.write(given) };
    }
    status
}

/// Runs an entry point that can't fail; a panic gives `fallback`.
pub(super) fn value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    let _uncancelled = super::thread::Uncancelled::new();
    catch(|| Ok(body())).unwrap_or(fallback)
}

/// A panic inside of `body` becomes an error of the class `Panic`.
pub(super) fn catch<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    prepare();
    // What a panic leaves behind half done is the client's, which is poisoned, or the entry point's own, which is gone.
    panics::catch(body).unwrap_or_else(|panic| Err(panicked(&panic)))
}

/// Marks the thread as inside of an operation as long as the value lives.
pub(super) struct Inside {
    #[cfg(unix)]
    _sigpipe: Option<super::thread::Blocked>, // none under Miri, which knows no signals
}

impl Inside {
    /// Refused inside of an operation's callback: the thread is driving that operation.
    pub(super) fn enter() -> Result<Inside> {
        if thread_ends() {
            let message =
                "the thread is ending: in a destructor of its thread-local variables, or of static objects, no operation can be run any more";
            return Err(Error::new(Status::State, "thread_ends", message));
        }
        if IN_OPERATION.replace(true) {
            return Err(Error::new(Status::State, "reentrant", "an operation can't be started from inside a callback of another one"));
        }
        Ok(Inside {
            #[cfg(unix)]
            _sigpipe: (!cfg!(miri)).then(super::thread::Blocked::new),
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_OPERATION.set(false);
    }
}

/// Whether thread-local variables that an operation needs are destroyed: those of tokio, or the standard library's own, which come and go by
/// themselves and can't be asked.
fn thread_ends() -> bool {
    Handle::try_current().is_err_and(|e| e.is_thread_local_destroyed()) || panics::catch(|| std::thread::current().id()).is_err()
}

fn panicked(panic: &Caught) -> Error {
    Error::new(Status::Panic, "panic", format!("this is a bug in zcrm: {}", panic.text()))
}

/// What is the same for the whole process, done once, before the first entry point does anything.
///
/// Threads that this library starts take no signals of the host. And the standard library's panic hook doesn't print to the host's stderr for
/// panics that are caught, by a guard or on a thread of a batch.
///
/// The hook belongs to the copy of the standard library that is linked into this library: a shared library has its own, so no host, not
/// even one written in Rust, shares it. Panics that nobody here catches, which only a Rust program that links this crate can have, go to
/// the hook that was there before.
fn prepare() {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    // A hook can't be changed in a panic: the next entry does it. Nobody waits for the one that does, which a forked child may not have.
    if std::thread::panicking() || PREPARED.swap(true, Ordering::AcqRel) {
        return;
    }
    #[cfg(unix)]
    crate::threads::start_by(super::thread::without_signals);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !panics::note(info) {
            before(info);
        }
    }));
}
