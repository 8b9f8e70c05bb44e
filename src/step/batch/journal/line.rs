//! A line of a journal.

use std::borrow::Cow;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use serde::de::IgnoredAny;
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

/// Whether a line tells of this key.
pub(super) fn tells_of(line: &[u8], key: &str) -> bool {
    // Nearly every line begins so, with a key that stands there as it is; a million of them need not be read to their ends.
    let rest = BEGINNINGS.iter().find_map(|beginning| line.strip_prefix(*beginning));
    if let Some((rest, end)) = rest.and_then(|rest| memchr::memchr2(b'"', b'\\', rest).map(|end| (rest, end)))
        && rest[end] == b'"'
    {
        return rest[..end] == *key.as_bytes();
    }
    Line::parse(line).is_ok_and(|line| line.key() == Some(key))
}

const BEGINNINGS: [&[u8]; 3] = [br#"{"begin":{"key":""#, br#"{"done":{"key":""#, br#"{"failed":{"key":""#];

/// A `done` line of this version as a journal that is opened needs it: its key, and the attachments that it tells of. `None` for any other line.
pub(super) fn done(line: &[u8]) -> Option<(Cow<'_, str>, Vec<Cow<'_, str>>)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Line<'l> {
        #[serde(borrow)]
        Done(Done<'l>),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Done<'l> {
        #[serde(borrow)]
        key: Cow<'l, str>,
        #[serde(rename = "step")]
        _step: IgnoredAny,
        #[serde(rename = "source", default)]
        _source: Option<SourceFile>,
        #[serde(borrow)]
        outcome: Outcome<'l>,
    }
    if !line.starts_with(BEGINNINGS[1]) {
        return None;
    }
    let Line::Done(Done { key, outcome, .. }) = serde_json::from_slice(line).ok()?;
    Some((key, outcome.attachments()))
}

/// The ids of the attachments that an outcome tells of.
pub(super) fn attachments(outcome: &RawValue) -> Vec<Cow<'_, str>> {
    serde_json::from_str::<Outcome>(outcome.get()).map(Outcome::attachments).unwrap_or_default()
}

#[derive(Deserialize)]
struct Outcome<'o> {
    #[serde(borrow)]
    result: Attached<'o>,
}

#[derive(Deserialize)]
struct Attached<'o> {
    #[serde(borrow)]
    id: Option<Cow<'o, str>>,
    #[serde(borrow, default)]
    links: Vec<Link<'o>>,
}

#[derive(Deserialize)]
struct Link<'o> {
    #[serde(borrow)]
    attachment: Option<Stored<'o>>,
}

#[derive(Deserialize)]
struct Stored<'o> {
    #[serde(borrow)]
    id: Cow<'o, str>,
}

impl<'o> Outcome<'o> {
    fn attachments(self) -> Vec<Cow<'o, str>> {
        let links = self.result.links.into_iter().filter_map(|link| link.attachment.map(|stored| stored.id));
        self.result.id.into_iter().chain(links).collect()
    }
}
