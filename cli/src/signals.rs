//! Ctrl-C and its kin: the first cancels what runs, so that no half file is left; a second one ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zcrm::Cancel;

use crate::exit::Exit;

/// What a cancelled command may take to end. Only a read of standard input takes longer, or a reader of the output that doesn't read.
const GRACE: Duration = Duration::from_secs(1);

/// Whether a signal came.
pub struct Signalled(Arc<AtomicBool>);

impl Signalled {
    pub fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The token that a signal fires.
pub fn catch() -> io::Result<(Cancel, Signalled)> {
    let (cancel, was_first) = (Cancel::new(), Arc::new(AtomicBool::new(false)));
    // nohup has it ignored, so that what it starts outlives the terminal.
    let signals: &[i32] = if is_ignored(SIGHUP) { &[SIGINT, SIGTERM] } else { &[SIGINT, SIGTERM, SIGHUP] };
    for &signal in signals {
        // In this order: the first signal finds the flag unset, and sets it.
        signal_hook::flag::register_conditional_shutdown(signal, Exit::Signal as i32, was_first.clone())?;
        signal_hook::flag::register(signal, was_first.clone())?;
    }
    let mut waiting = Signals::new(signals)?;
    let fired = cancel.clone();
    std::thread::Builder::new().name("zcrm-signals".into()).spawn(move || {
        if waiting.forever().next().is_some() {
            fired.fire();
            std::thread::sleep(GRACE);
            std::process::exit(Exit::Signal as i32);
        }
    })?;
    Ok((cancel, Signalled(was_first)))
}

/// Whether whoever started this process has the signal ignored; no where the system doesn't tell.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
