//! How many API credits a command may spend.

use std::sync::atomic::{AtomicU64, Ordering};

use zcrm::{Error, Outcome, Result, Status};

/// Credits: one a request. A request that is tried again costs one more, which the call itself doesn't ask for.
pub struct Budget {
    most: u64,
    spent: AtomicU64,
}

impl Budget {
    pub fn new(most: Option<u64>) -> Budget {
        Budget { most: most.unwrap_or(u64::MAX), spent: AtomicU64::new(0) }
    }

    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Makes a call of one request, if a credit is left for it.
    pub fn spend<T>(&self, call: impl FnOnce() -> Result<Outcome<T>>) -> Result<Outcome<T>> {
        let taken = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| (spent < self.most).then(|| spent + 1));
        if taken.is_err() {
            return Err(Error::new(Status::RateLimited, SPENT, format!("the {} API credits of --credits are spent", self.most)));
        }
        let outcome = call();
        let attempts = u64::from(outcome.as_ref().map_or_else(|error| error.detail().attempts, |outcome| outcome.attempts));
        match attempts {
            0 => drop(self.spent.fetch_sub(1, Ordering::Relaxed)),
            more => drop(self.spent.fetch_add(more - 1, Ordering::Relaxed)),
        }
        outcome
    }
}

/// The reason of the error that a spent budget is.
pub const SPENT: &str = "credits_budget";
