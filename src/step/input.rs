//! What a step's JSON may say. These types parse it, and the JSON Schemas of the description are made from them: by a test, so that the
//! library doesn't carry what makes them.
//!
//! A field that is `null` counts as not given: engines fill in forms that way.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

#[cfg(test)]
use super::parse::MOST;
use super::parse::{Problem, at_least_1, filled, filled_if_given, refused, some, some_ids, some_steps, up_to, whole, word};
#[cfg(test)]
use super::source_sink::one_of;
use super::source_sink::{Link, Picture, Sink, Source};
#[cfg(test)]
use super::{MAX_ITEMS, MAX_STEPS};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::{call, transfer};

/// Declares the input of operations: what all of them have, the record where it is about one, and what each has beside that.
macro_rules! inputs {
    ($($(#[$meta:meta])* $name:ident = $id:literal $(($record_id:ident))? { $($fields:tt)* })+) => {$(
        #[derive(Debug, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub(super) struct $name {
            /// The operation.
            #[serde(rename = "operation")]
            #[cfg_attr(test, schemars(extend("const" = $id)))]
            _operation: String,
            /// API name of the module, such as Contacts or a custom module's name.
            #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_]{0,99}$")))]
            pub(super) module: String,
            $(
                /// The record's id.
                pub(super) $record_id: Id,
            )?
            $($fields)*
            /// Bound on the whole step with its retries, in milliseconds. The host's own bound still applies.
            #[serde(default, deserialize_with = "at_least_1")]
            #[cfg_attr(test, schemars(range(min = 1, max = MOST)))]
            pub(super) timeout_ms: Option<u64>,
            /// Whether the step may have been done before, as when a queue delivers a job a second time: zcrm first looks for its effect, and doesn't
            /// repeat it.
            #[cfg_attr(test, schemars(extend("default" = false)))]
            pub(super) again: Option<bool>,
            /// Appears in the log lines of this step.
            pub(super) trace_id: Option<String>,
        }
    )+};
}

inputs! {
    /// # Attach a file or links
    ///
    /// Stores a file, a link or several links as attachments of a record.
    #[cfg_attr(test, schemars(extend("oneOf" = file_or_links())))]
    AttachmentUpload = "attachment.upload" (record_id) {
        /// The file or the link to attach.
        pub(super) source: Option<Source>,
        /// Several links, each to become an attachment of its own.
        #[serde(default, deserialize_with = "some")]
        #[cfg_attr(test, schemars(length(min = 1, max = MAX_ITEMS)))]
        pub(super) links: Option<Vec<Object<Link>>>,
        /// What happens when the record seems to have the attachment already: for a job that comes a second time.
        #[cfg_attr(test, schemars(extend("default" = "upload")))]
        pub(super) if_exists: Option<IfExists>,
        /// Whether the result has the SHA-256 of the file. It costs time.
        #[cfg_attr(test, schemars(extend("default" = false)))]
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the file must have; with another one nothing is stored.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # List attachments
    ///
    /// Lists the attachments of a record, files and links: every page, or one.
    #[cfg_attr(test, schemars(extend("not" = number_and_token())))]
    AttachmentList = "attachment.list" (record_id) {
        /// Comma list of the API names of the fields to ask for; those of the result when not given.
        pub(super) fields: Option<String>,
        /// One page: its number. Every page when neither this nor page_token is given.
        #[serde(default, deserialize_with = "up_to::<_, { u32::MAX }>")]
        #[cfg_attr(test, schemars(range(min = 1, max = u32::MAX)))]
        pub(super) page: Option<u32>,
        /// Attachments a page.
        #[serde(default, deserialize_with = "up_to::<_, 200>")]
        #[cfg_attr(test, schemars(range(min = 1, max = 200)))]
        pub(super) per_page: Option<u32>,
        /// One page: next_page_token of the page before (API v7 and later).
        pub(super) page_token: Option<String>,
    }

    /// # Download an attachment
    ///
    /// Writes an attachment's bytes to a file, or gives a small one inside the result. A link has no bytes: its URL is in the list.
    AttachmentDownload = "attachment.download" (record_id) {
        /// The attachment's id.
        pub(super) attachment_id: Id,
        /// Where the file goes.
        pub(super) sink: Sink,
        /// The size that the file must have, in bytes, as the list said.
        #[serde(default, deserialize_with = "whole")]
        #[cfg_attr(test, schemars(range(min = 0, max = MOST)))]
        pub(super) expected_bytes: Option<u64>,
        /// Whether the result has the SHA-256 of the file. It costs time.
        #[cfg_attr(test, schemars(extend("default" = false)))]
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the file must have; with another one no file appears.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Set the photo
    ///
    /// Stores a picture as the photo of a record, replacing any it has.
    PhotoUpload = "photo.upload" (record_id) {
        /// The picture: PNG, JPEG, GIF or BMP, at most 10 MB and 10 megapixels.
        pub(super) source: Picture,
        /// workflow keeps workflows from being triggered.
        pub(super) restrict_triggers: Option<Triggers>,
        /// Whether the result has the SHA-256 of the picture. It costs time.
        #[cfg_attr(test, schemars(extend("default" = false)))]
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the picture must have; with another one nothing is stored.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Download the photo
    ///
    /// Writes a record's photo to a file, or gives it inside the result.
    PhotoDownload = "photo.download" (record_id) {
        /// Where the picture goes.
        pub(super) sink: Sink,
        /// The size that the picture must have, in bytes.
        #[serde(default, deserialize_with = "whole")]
        #[cfg_attr(test, schemars(range(min = 0, max = MOST)))]
        pub(super) expected_bytes: Option<u64>,
        /// Whether the result has the SHA-256 of the picture. It costs time.
        #[cfg_attr(test, schemars(extend("default" = false)))]
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the picture must have; with another one no file appears.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Delete the photo
    ///
    /// Deletes the photo of a record.
    PhotoDelete = "photo.delete" (record_id) {}

    /// # Delete attachments
    ///
    /// Deletes one attachment of a record, or several.
    AttachmentDelete = "attachment.delete" (record_id) {
        /// The attachments' ids.
        #[serde(deserialize_with = "some_ids")]
        #[cfg_attr(test, schemars(length(min = 1, max = MAX_ITEMS)))]
        pub(super) attachment_ids: Vec<Id>,
    }

    /// # List a module's records
    ///
    /// Lists the records of a module by their ids: every page, or one. Each page costs an API credit. Zoho lists the first 100,000 records of a
    /// module.
    #[cfg_attr(test, schemars(extend("not" = number_and_token())))]
    RecordList = "record.list" {
        /// One page: its number, among the first 2,000 records. Every page when neither this nor page_token is given.
        #[serde(default, deserialize_with = "up_to::<_, { u32::MAX }>")]
        #[cfg_attr(test, schemars(range(min = 1, max = u32::MAX)))]
        pub(super) page: Option<u32>,
        /// Records a page.
        #[serde(default, deserialize_with = "up_to::<_, 200>")]
        #[cfg_attr(test, schemars(range(min = 1, max = 200)))]
        pub(super) per_page: Option<u32>,
        /// One page: next_page_token of the page before (API v3 and later).
        pub(super) page_token: Option<String>,
    }
}

/// # Many steps at once
///
/// Runs steps of any other operation, several at a time. Run again with its journal, it goes on where it was and sends only what its record doesn't
/// show yet. It is done when `left` is 0: else `stopped` says why, and the next run with the journal does the rest.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The operation.
    #[serde(rename = "operation")]
    #[cfg_attr(test, schemars(extend("const" = "batch")))]
    _operation: String,
    /// The steps. One that is refused or fails doesn't keep the others from being run.
    #[serde(deserialize_with = "some_steps")]
    #[cfg_attr(test, schemars(length(min = 1, max = MAX_STEPS)))]
    pub(super) steps: Vec<Object<BatchStep>>,
    /// Path of a file, at or below one of the setting allow_paths, that remembers what was begun and done. It is made when it isn't there. A journal
    /// belongs to one run of a job, which goes on with it after a crash. Begin a new file for the next run: the batch doesn't send again what the
    /// journal lists as done.
    #[serde(default, deserialize_with = "filled_if_given")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(super) journal: Option<String>,
    /// Steps at once; when not given as many as the setting max_in_flight lets in, which applies as well.
    #[serde(default, deserialize_with = "up_to::<_, 256>")]
    #[cfg_attr(test, schemars(range(min = 1, max = 256)))]
    pub(super) parallel: Option<u32>,
    /// API calls after which no further step is begun.
    #[serde(default, deserialize_with = "at_least_1")]
    #[cfg_attr(test, schemars(range(min = 1, max = MOST)))]
    pub(super) credits: Option<u64>,
    /// Bound on the whole batch, in milliseconds: steps that are not done by then are left. The host's own bound still applies.
    #[serde(default, deserialize_with = "at_least_1")]
    #[cfg_attr(test, schemars(range(min = 1, max = MOST)))]
    pub(super) timeout_ms: Option<u64>,
    /// Whether the batch may have been run before, without a journal that knows of it: zcrm first looks for the effect of each step, and doesn't
    /// repeat it.
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(super) again: Option<bool>,
    /// Appears in the log lines of every step that has none of its own.
    pub(super) trace_id: Option<String>,
}

/// A step of a batch.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct BatchStep {
    /// The caller's name for the step: unique in the batch, and the same when the batch is run again.
    #[serde(deserialize_with = "filled")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(super) key: String,
    /// The step, as it would be given by itself. A download in a batch goes to a file.
    #[cfg_attr(test, schemars(schema_with = "alone"))]
    pub(super) step: Box<RawValue>,
}

/// A step that may stand in a batch. Its other fields are those of its operation, which each has a schema of its own.
#[cfg(test)]
fn alone(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let ids: Vec<&str> = super::dispatch::OPERATIONS.iter().map(|(id, _)| *id).collect();
    schemars::json_schema!({
        "type": "object",
        "required": ["operation"],
        "properties": {
            "operation": {"type": "string", "enum": ids},
            "sink": {"not": {"type": "object", "required": ["base64"], "properties": {"base64": {"const": true}}}},
        },
    })
}

/// Says in the schema what `Attach::of` checks.
#[cfg(test)]
fn file_or_links() -> Value {
    one_of(&[("a file or a link", &["source"], &["links"]), ("several links", &["links"], &["source"])])
}

/// A page is named by its number or by its token.
#[cfg(test)]
fn number_and_token() -> Value {
    let given = serde_json::json!({"page": {"type": "integer"}, "page_token": {"type": "string", "minLength": 1}});
    serde_json::json!({"required": ["page", "page_token"], "properties": given})
}

impl AttachmentUpload {
    /// What [`Attach::of`] will say.
    pub(super) fn check(&self) -> Result<()> {
        let (source, links) = (self.source.is_some(), self.links.is_some());
        if source == links { Err(Attach::refusal(source, links)) } else { Ok(()) }
    }
}

/// What an upload attaches.
pub(super) enum Attach {
    One(Source),
    Links(Vec<Link>),
}

impl Attach {
    /// Exactly one of `source` and `links`.
    pub(super) fn of(source: Option<Source>, links: Option<Vec<Object<Link>>>) -> Result<Attach> {
        match (source, links) {
            (Some(source), None) => Ok(Attach::One(source)),
            (None, Some(links)) => Ok(Attach::Links(links.into_iter().map(|Object(link)| link).collect())),
            (source, links) => Err(Attach::refusal(source.is_some(), links.is_some())),
        }
    }

    fn refusal(source: bool, links: bool) -> Error {
        match source && links {
            true => refused("links", "stands beside source; give one of the two"),
            false => refused("source", "is missing; give source, or links for several links"),
        }
    }
}

/// An id of Zoho's. A JSON number is refused: it does not fit a double, so engines would change its last digits.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, extend("pattern" = "^[0-9]{1,32}$")))]
pub(super) struct Id(pub(super) String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Id, D::Error> {
        match Value::deserialize(from)? {
            Value::String(id) => Ok(Id(id)),
            Value::Number(_) => Err(Problem::here("is a number; put the id in quotes, because a number of this size loses its last digits")),
            _ => Err(Problem::here("is not a string of digits")),
        }
    }
}

/// A SHA-256 in hexadecimal.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, with = "String", extend("pattern" = "^[0-9a-fA-F]{64}$")))]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Sha256, D::Error> {
        let text = String::deserialize(from)?;
        transfer::sha256_from_hex(&text).map(Sha256).ok_or_else(|| Problem::here("is not 64 hexadecimal digits"))
    }
}

/// What an upload does when the record seems to have the attachment already.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename_all = "snake_case"))]
pub(super) enum IfExists {
    /// It uploads without looking.
    Upload,
    /// It doesn't, when one of the same name and size (or the same link) is there.
    Skip,
    /// It doesn't, when one of the same name, size and bytes is there: that one is downloaded to be compared.
    SkipSameBytes,
}

impl<'de> Deserialize<'de> for IfExists {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<IfExists, D::Error> {
        word(from, &[("upload", IfExists::Upload), ("skip", IfExists::Skip), ("skip_same_bytes", IfExists::SkipSameBytes)])
    }
}

impl From<IfExists> for call::IfExists {
    fn from(given: IfExists) -> call::IfExists {
        match given {
            IfExists::Upload => call::IfExists::Upload,
            IfExists::Skip => call::IfExists::Skip,
            IfExists::SkipSameBytes => call::IfExists::SkipSameBytes,
        }
    }
}

/// What a photo's upload may keep from being triggered.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename_all = "lowercase"))]
pub(super) enum Triggers {
    /// Workflows.
    Workflow,
}

impl<'de> Deserialize<'de> for Triggers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Triggers, D::Error> {
        word(from, &[("workflow", Triggers::Workflow)])
    }
}
