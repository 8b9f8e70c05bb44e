//! What belongs to one call, and what is known about it afterwards.

use std::time::Duration;

use serde::Serialize;

use crate::cancel::Cancel;
use crate::claimed::Claimed;
use crate::error::Result;

/// What an upload does when the record seems to have the attachment already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    /// It uploads without looking.
    #[default]
    Upload,
    /// It doesn't, when one of the same name and size (or the same link) is there.
    Skip,
    /// It doesn't, when one of the same name, size and bytes is there: that one is downloaded to be compared.
    SkipSameBytes,
}

/// Told how far a transfer is: bytes done, and all bytes if known. Returning `false` cancels the call.
pub type ProgressFn<'a> = dyn FnMut(u64, Option<u64>) -> bool + 'a;

/// Timeout, cancel token, progress and wishes of one call. `Call::default()` has none of them.
#[derive(Default)]
pub struct Call<'a> {
    /// Ends the call from another thread.
    pub cancel: Option<Cancel>,
    /// Bound on the whole call; `None` = the setting `call_timeout_ms`.
    pub timeout: Option<Duration>,
    /// Runs on the calling thread, at most about ten times a second, and at the end.
    pub progress: Option<&'a mut ProgressFn<'a>>,
    /// Whether the SHA-256 of what is sent or received is wanted. It costs about what TLS costs.
    pub sha256: bool,
    /// The SHA-256 that the bytes must have; otherwise the call fails, nothing is stored and no file appears.
    pub expected_sha256: Option<[u8; 32]>,
    /// The size that a download must have, as the list said.
    pub expected_bytes: Option<u64>,
    /// Attachment upload: what happens when it seems to be there already. A host asks for it when a job comes a second time.
    pub if_exists: IfExists,
    /// This call may have been made before, and nobody knows how it ended. What it does is looked for first, and isn't done twice: an
    /// attachment that has the upload's bytes is its work, what isn't there is deleted, a file that has the download's bytes is the download.
    pub again: bool,
    /// With `again`: attachments that other jobs own, and what this one finds or makes is added. `None` = every attachment may be this call's.
    pub claimed: Option<Claimed>,
    /// Photo upload: `workflow` keeps workflows from being triggered.
    pub restrict_triggers: Option<String>,
    /// Appears in the log lines of this call.
    pub trace_id: Option<String>,
}

/// What an operation gave, and what it took.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outcome<T> {
    /// The operation's id, such as `attachment.upload`.
    pub operation: &'static str,
    /// What it gave.
    pub result: T,
    /// HTTP requests made, token requests excluded.
    pub attempts: u32,
    /// Milliseconds waited: between attempts, for a place among the calls in flight, for a late upload to show.
    pub waited_ms: u64,
    /// Why it waited last: `in_flight`, `settling`, `same_upload` (another one in this process), or the reason of the failure that it retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_reason: Option<&'static str>,
    /// API credits that the organisation has left; Zoho says so once half of the day's are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits_remaining: Option<u64>,
}

impl<T> Outcome<T> {
    /// The same outcome with another result.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        let Outcome { operation, result, attempts, waited_ms, wait_reason, credits_remaining } = self;
        Outcome { operation, result: f(result), attempts, waited_ms, wait_reason, credits_remaining }
    }

    /// The same outcome with what can be made of its result.
    pub(crate) fn try_map<U>(self, f: impl FnOnce(T) -> Result<U>) -> Result<Outcome<U>> {
        let Outcome { operation, result, attempts, waited_ms, wait_reason, credits_remaining } = self;
        Ok(Outcome { operation, result: f(result)?, attempts, waited_ms, wait_reason, credits_remaining })
    }
}

impl<T> Outcome<Option<T>> {
    /// The outcome, if there is a result.
    pub(crate) fn transpose(self) -> Option<Outcome<T>> {
        let Outcome { operation, result, attempts, waited_ms, wait_reason, credits_remaining } = self;
        Some(Outcome { operation, result: result?, attempts, waited_ms, wait_reason, credits_remaining })
    }
}
