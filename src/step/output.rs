//! What a step gives.

use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::attachment::{Deleted, Downloaded, Page, Uploaded};
use crate::error::Detail;
use crate::photo::{PhotoDeleted, PhotoUploaded};
use crate::records;

/// The result of any step; in JSON only what is inside.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum StepResult {
    /// Of `attachment.upload`.
    Attached(Attached),
    /// Of `attachment.list`.
    Listed(Page),
    /// Of `attachment.download` and `photo.download`.
    Downloaded(StepDownloaded),
    /// Of `photo.upload`.
    PhotoUploaded(PhotoUploaded),
    /// Of `photo.delete`.
    PhotoDeleted(PhotoDeleted),
    /// Of `attachment.delete`.
    Deleted(Deleted),
    /// Of `record.list`.
    Records(records::Page),
    /// Of `batch`.
    Batch(BatchDone),
}

/// What was attached.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Attached {
    /// With `source`.
    One(Uploaded),
    /// With `links`.
    Links(LinksAttached),
}

/// Several links, each attached by itself. When none could be attached the step fails with the first one's error.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinksAttached {
    /// How many are attached.
    pub attached: usize,
    /// How many failed.
    pub failed: usize,
    /// Each link, in the order of the input.
    pub links: Vec<LinkAttached>,
}

/// What became of one link: it has either an attachment or an error.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinkAttached {
    /// Its URL.
    pub url: String,
    /// The attachment that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Uploaded>,
    /// Why it isn't attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Detail>,
}

/// How a batch ended, and each of its steps.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BatchDone {
    /// The counts.
    #[serde(flatten)]
    pub summary: Summary,
    /// Each step, in the order of the input.
    pub items: Vec<BatchItem>,
}

/// What became of a step of a batch.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BatchItem {
    /// Its key.
    pub key: String,
    /// What became of it.
    pub status: ItemStatus,
    /// It was done in an earlier run, and the journal knows its result.
    pub from_journal: bool,
    /// What it gave: the result of its operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub result: Option<Box<RawValue>>,
    /// Why it isn't done. Absent from a step that was not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Detail>,
}

/// How far a step of a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ItemStatus {
    /// It is done.
    Done,
    /// It was refused or failed.
    Failed,
    /// It failed, and nobody knows whether what it uploaded is stored.
    Unknown,
    /// It was not begun, or not ended, as the batch was stopped: the next run takes it up.
    Left,
}

/// A download that is complete.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StepDownloaded {
    /// What is known of it.
    #[serde(flatten)]
    pub file: Downloaded,
    /// The bytes, when the sink asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<Base64>,
}

impl From<Downloaded> for StepDownloaded {
    fn from(mut file: Downloaded) -> StepDownloaded {
        let base64 = file.data.take().map(Base64);
        StepDownloaded { file, base64 }
    }
}

/// Bytes that JSON shows as base64.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, with = "String", extend("contentEncoding" = "base64")))]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&base64::display::Base64Display::new(&self.0, &STANDARD))
    }
}

macro_rules! results {
    ($($variant:ident($inner:ty);)+) => {$(
        impl From<$inner> for StepResult {
            fn from(inner: $inner) -> StepResult {
                StepResult::$variant(inner)
            }
        }
    )+};
}

results! {
    Attached(Attached);
    Listed(Page);
    Downloaded(StepDownloaded);
    PhotoUploaded(PhotoUploaded);
    PhotoDeleted(PhotoDeleted);
    Deleted(Deleted);
    Records(records::Page);
    Batch(BatchDone);
}

/// How a batch ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Steps that are done, those of earlier runs included.
    pub done: u64,
    /// Of these, done in an earlier run.
    pub from_journal: u64,
    /// Steps that were refused or failed.
    pub failed: u64,
    /// Of these, uploads of which nobody knows whether they are stored.
    pub unknown: u64,
    /// Steps that were not begun, or not ended: the next run takes them up.
    pub left: u64,
    /// Why steps are left: `credits_budget`, `credits_exhausted`, `no_token`, `source` (a host's, that failed), `cancelled` or `call_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<&'static str>,
    /// API calls made.
    pub attempts: u64,
}
