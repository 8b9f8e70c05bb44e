//! A line of a journal.

use std::borrow::Cow;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The first line says what wrote the others. A version of 2 has a `done` line without what its `begin` line says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Line<'l> {
    Journal {
        version: u32,
    },
    /// Begun: the hash tells whether the key stands for the same step the next time, and the source whether its file is still the same.
    Begin {
        #[serde(borrow)]
        key: Cow<'l, str>,
        #[serde(borrow)]
        step: Cow<'l, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceFile>,
    },
    /// Ended well, with the outcome's JSON.
    Done {
        #[serde(borrow)]
        key: Cow<'l, str>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        step: Option<Cow<'l, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceFile>,
        #[serde(borrow)]
        outcome: &'l RawValue,
    },
    /// Ended with a refusal: nothing is stored, and the next run tries again.
    Failed {
        #[serde(borrow)]
        key: Cow<'l, str>,
    },
}

pub(super) const VERSION: u32 = 3;
/// Read, and written again as [`VERSION`].
pub(super) const OLD: u32 = 2;
/// How every journal begins.
pub(super) const HEAD: &[u8] = br#"{"journal":{"version":"#;

impl Line<'_> {
    pub(super) fn parse(line: &[u8]) -> serde_json::Result<Line<'_>> {
        serde_json::from_slice(line)
    }

    /// Its text, with the line end.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("a line is JSON");
        text.push(b'\n');
        text
    }

    /// The key that it tells of; none of the first line.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Line::Journal { .. } => None,
            Line::Begin { key, .. } | Line::Done { key, .. } | Line::Failed { key } => Some(key),
        }
    }
}

/// By what one sees that a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceFile {
    bytes: u64,
    modified_ns: i64,
}

impl SourceFile {
    pub(crate) fn of(file: &Metadata) -> SourceFile {
        let since = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        SourceFile { bytes: file.len(), modified_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }
}

/// The ids of the attachments that an outcome tells of.
pub(super) fn attachments(outcome: &RawValue) -> impl Iterator<Item = String> {
    #[derive(Deserialize)]
    struct Outcome {
        result: Attached,
    }
    #[derive(Deserialize)]
    struct Attached {
        id: Option<String>,
        #[serde(default)]
        links: Vec<Link>,
    }
    #[derive(Deserialize)]
    struct Link {
        attachment: Option<Stored>,
    }
    #[derive(Deserialize)]
    struct Stored {
        id: String,
    }
    let outcome = serde_json::from_str::<Outcome>(outcome.get()).ok();
    outcome.into_iter().flat_map(|Outcome { result }| {
        let links = result.links.into_iter().filter_map(|link| link.attachment.map(|stored| stored.id));
        result.id.into_iter().chain(links)
    })
}
