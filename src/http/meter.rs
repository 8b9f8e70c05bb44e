//! What a call has done so far.

use std::cell::Cell;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::doubt::Doubt;
use crate::call::Outcome;

/// What a call has done so far; read after it ended, however it ended.
#[derive(Default)]
pub(crate) struct Meter {
    /// API requests made.
    pub(crate) attempts: Cell<u32>,
    /// Time waited, before them and between them.
    pub(crate) waited: Cell<Duration>,
    /// Why it waited last.
    pub(crate) wait_reason: Cell<Option<&'static str>>,
    /// The server's clock, in the last reply.
    pub(crate) date: Cell<Option<HeaderValue>>,
    /// API credits that are left, once Zoho says so.
    pub(crate) credits: Cell<Option<u64>>,
    /// What is asked for, and whether it may be done.
    pub(crate) doubt: Doubt,
    /// Whether bytes of the reply have gone to the caller's writer: no attempt can follow.
    pub(crate) spent: Cell<bool>,
    /// Whether the lane's connection must not be used again.
    pub(crate) broken: Cell<bool>,
}

impl Meter {
    /// What a call gave, with what it took.
    pub(crate) fn outcome<T>(&self, operation: &'static str, result: T) -> Outcome<T> {
        Outcome {
            operation,
            result,
            attempts: self.attempts.get(),
            waited_ms: self.waited.get().as_millis() as u64,
            wait_reason: self.wait_reason.get(),
            credits_remaining: self.credits.get(),
        }
    }

    /// Time was spent in waiting.
    pub(super) fn add_wait(&self, time: Duration) {
        self.waited.set(self.waited.get() + time);
    }
}
