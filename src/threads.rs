//! The threads that this library starts: those of a batch, and those that look up host names.

use std::thread::Builder;

use once_cell::sync::OnceCell;

/// Of each thread, as the standard library has it. It would look into the environment for another one.
const STACK: usize = 2 << 20;

/// A thread that is to be started.
pub(crate) fn builder(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(STACK)
}

/// Runs what starts a thread, which inherits from it what belongs to the thread that starts it.
pub(crate) type Starter = fn(&mut dyn FnMut());

static STARTER: OnceCell<Starter> = OnceCell::new();

/// Threads are started by this from now on. The first one counts.
#[cfg(unix)]
pub(crate) fn start_by(starter: Starter) {
    let _ = STARTER.set(starter);
}

/// Runs `start`, which starts a thread.
pub(crate) fn start<T>(start: impl FnOnce() -> T) -> T {
    let Some(starter) = STARTER.get() else { return start() };
    let (mut start, mut started) = (Some(start), None);
    starter(&mut || started = start.take().map(|start| start()));
    started.expect("it was run")
}
