//! A step: one operation as JSON in and JSON out, for engines that load the library and know none of its types.
//!
//! [`describe`] says what there is, [`run`] does it. Input is untrusted: it names files only below the directories of the setting
//! `allow_paths`, and whatever is wrong with it is an error with its JSON path.

pub mod batch;
mod describe;
mod dispatch;
mod input;
mod operations;
mod output;
mod parse;
mod paths;
mod source_sink;

pub use describe::describe;
pub use dispatch::{check, run};
pub use output::{Attached, Base64, BatchDone, BatchItem, ItemStatus, LinkAttached, LinksAttached, StepDownloaded, StepResult};
pub use parse::text;

/// Most bytes of one step's JSON.
pub const MAX_INPUT_BYTES: usize = 16 << 20;
/// Most bytes of a file that travels inside the JSON as base64, in either direction.
pub const MAX_BASE64_BYTES: u64 = 8 << 20;
/// Most links, or attachment ids, of one step.
pub const MAX_ITEMS: usize = 100;
/// Most steps of one batch.
pub const MAX_STEPS: usize = 10_000;
