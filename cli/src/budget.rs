//! How many API credits a command may spend.

use std::sync::atomic::{AtomicU64, Ordering};

use zcrm::{Error, Outcome, Result, Status};

use crate::app::App;
use crate::exit::Stop;
use crate::output::About;

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
        self.counted(call, |outcome| outcome.attempts)
    }

    /// The next page of a list, for a credit; the end costs nothing.
    pub fn page<P>(&self, fetch: impl FnOnce() -> Result<Option<Outcome<P>>>) -> Result<Option<P>> {
        let page = self.counted(fetch, |page| page.as_ref().map_or(0, |page| page.attempts))?;
        Ok(page.map(|page| page.result))
    }

    fn counted<T>(&self, call: impl FnOnce() -> Result<T>, attempts: impl FnOnce(&T) -> u32) -> Result<T> {
        let taken = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| (spent < self.most).then(|| spent + 1));
        if taken.is_err() {
            return Err(Error::new(Status::RateLimited, SPENT, format!("the {} API credits of --credits are spent", self.most)));
        }
        let outcome = call();
        let attempts = u64::from(outcome.as_ref().map_or_else(|error| error.detail().attempts, attempts));
        match attempts {
            0 => drop(self.spent.fetch_sub(1, Ordering::Relaxed)),
            more => drop(self.spent.fetch_add(more - 1, Ordering::Relaxed)),
        }
        outcome
    }

    /// Says that it ended the command, if it did: `left` records were not done to the end.
    pub fn tell_spent(&self, app: &App, left: u64) -> std::result::Result<(), Stop> {
        if left == 0 || self.spent() < self.most {
            return Ok(());
        }
        let spent = self.spent();
        let message = format!("stopped at {spent} API credits, as --credits says; run the same command again for the other {left} records");
        app.out.failed(&About::default(), &Error::new(Status::RateLimited, SPENT, message))
    }
}

/// The reason of the error that a spent budget is.
pub const SPENT: &str = "credits_budget";
