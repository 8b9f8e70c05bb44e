//! What belongs to one call alone, and what is known of it afterwards.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cancel::Cancel;

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
    /// Photo upload: `workflow` keeps workflows from being triggered.
    pub restrict_triggers: Option<String>,
    /// Stands in the log lines of this call.
    pub trace_id: Option<String>,
}

/// What an operation gave, and what it took.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Outcome<T> {
    /// The operation's id, such as `attachment.upload`.
    pub operation: &'static str,
    /// What it gave.
    pub result: T,
    /// HTTP requests made, token requests excluded.
    pub attempts: u32,
    /// Milliseconds waited between them.
    pub waited_ms: u64,
}
