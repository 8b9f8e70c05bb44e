//! What a call has done so far.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::doubt::Doubt;
use super::secrets::Secrets;
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
    /// The tokens of its failed attempts. Another one may be in use by now, and a reply may repeat any of them.
    pub(crate) tokens: RefCell<Vec<Arc<Secrets>>>,
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

    /// An attempt with this token has failed.
    pub(crate) fn has_tried(&self, token: &Arc<Secrets>) {
        let mut tokens = self.tokens.borrow_mut();
        if !tokens.contains(token) {
            tokens.push(token.clone());
        }
    }

    /// Time was spent in waiting.
    pub(super) fn add_wait(&self, time: Duration) {
        self.waited.set(self.waited.get() + time);
    }
}
