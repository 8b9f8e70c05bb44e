//! What a call has done so far.

use std::cell::Cell;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::doubt::Doubt;

/// What a call has done so far; read after it ended, however it ended.
#[derive(Default)]
pub(crate) struct Meter {
    /// API requests made.
    pub(crate) attempts: Cell<u32>,
    /// Time waited between them.
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
    /// Time was spent in waiting, for this reason.
    pub(crate) fn waited_for(&self, reason: &'static str, time: Duration) {
        self.waited.set(self.waited.get() + time);
        self.wait_reason.set(Some(reason));
    }
}
