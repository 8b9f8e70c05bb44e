//! Reports to the caller how far a transfer is.

use std::time::{Duration, Instant};

use crate::call::ProgressFn;
use crate::caller;
use crate::error::{Error, Result};

/// The callback runs at most this often, so that it can be a network heartbeat or a redrawn line.
const EVERY: Duration = Duration::from_millis(100);

/// Counts a transfer's bytes and tells the caller.
pub(crate) struct Progress<'a> {
    tell: Option<&'a mut ProgressFn<'a>>,
    done: u64,
    total: Option<u64>,
    told_at: Option<Instant>,
    told: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(tell: Option<&'a mut ProgressFn<'a>>) -> Progress<'a> {
        Progress { tell, done: 0, total: None, told_at: None, told: 0 }
    }

    /// Begins, or begins again, with this many bytes to do.
    pub(crate) fn start(&mut self, total: Option<u64>) -> Result<()> {
        (self.done, self.total) = (0, total);
        self.report()
    }

    pub(crate) fn add(&mut self, bytes: usize) -> Result<()> {
        self.done += bytes as u64;
        if self.tell.is_some() && self.told_at.is_none_or(|at| at.elapsed() >= EVERY) {
            return self.report();
        }
        Ok(())
    }

    /// All is done: the last report is the whole.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.total = Some(self.done);
        if self.told == self.done && self.done > 0 { Ok(()) } else { self.report() }
    }

    fn report(&mut self) -> Result<()> {
        if let Some(tell) = &mut self.tell {
            (self.told_at, self.told) = (Some(Instant::now()), self.done);
            if !caller::runs(|| tell(self.done, self.total)) {
                return Err(Error::cancelled());
            }
        }
        Ok(())
    }
}
