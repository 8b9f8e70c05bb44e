//! A line of a journal.

use std::borrow::Cow;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::shape::{Path, Shape};
use crate::text::plain_length;

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
    let rest = [BEGIN, DONE, FAILED].iter().find_map(|beginning| line.strip_prefix(beginning.as_bytes()));
    if let Some((rest, end)) = rest.and_then(|rest| Some((rest, end_of_plain_text(rest)?))) {
        return rest[..end] == *key.as_bytes();
    }
    Line::parse(line).is_ok_and(|line| line.key() == Some(key))
}

const BEGIN: &str = r#"{"begin":{"key":""#;
const DONE: &str = r#"{"done":{"key":""#;
const FAILED: &str = r#"{"failed":{"key":""#;

/// A `begin` or `done` line that is, byte for byte, as this version writes it: the same as [`Line::parse`] gives, in a tenth of the time.
pub(super) struct Written<'l> {
    pub(super) key: &'l str,
    pub(super) step: &'l str,
    pub(super) source: Option<SourceFile>,
    /// How it was done, as JSON; `None` = it was begun.
    pub(super) outcome: Option<&'l str>,
}

impl Written<'_> {
    /// `None` for any other line, and for a key that is written with escapes. Whether the outcome is JSON isn't looked at.
    pub(super) fn read(line: &[u8]) -> Option<Written<'_>> {
        let line = std::str::from_utf8(line).ok()?;
        let (is_done, rest) = match line.strip_prefix(BEGIN) {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix(DONE)?),
        };
        let (key, rest) = plain_text(rest)?;
        let (step, rest) = plain_text(rest.strip_prefix(r#","step":""#)?)?;
        let (source, rest) = match rest.strip_prefix(r#","source":{"bytes":"#) {
            None => (None, rest),
            Some(rest) => {
                let (bytes, rest) = number(rest)?;
                let (modified_ns, rest) = number(rest.strip_prefix(r#","modified_ns":"#)?)?;
                (Some(SourceFile { bytes, modified_ns: modified_ns.try_into().ok()? }), rest.strip_prefix('}')?)
            }
        };
        let rest = rest.strip_suffix("}}")?;
        let outcome = if is_done { Some(rest.strip_prefix(r#","outcome":"#)?) } else { None };
        (is_done || rest.is_empty()).then_some(Written { key, step, source, outcome })
    }
}

/// A text of JSON without escapes, and what stands behind its end.
fn plain_text(rest: &str) -> Option<(&str, &str)> {
    let end = end_of_plain_text(rest.as_bytes())?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// Where the quote stands that ends a text of JSON. `None` of a text with escapes, or with what would need one.
fn end_of_plain_text(rest: &[u8]) -> Option<usize> {
    let end = plain_length(rest);
    (rest.get(end) == Some(&b'"')).then_some(end)
}

/// A whole number as JSON has it, and what stands behind it. `None` of one with more digits than every number of 64 bits can have.
fn number(rest: &str) -> Option<(u64, &str)> {
    let (digits, rest) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
    let is_plain = digits == "0" || !digits.starts_with('0') && (1..=19).contains(&digits.len());
    is_plain.then(|| (digits.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), rest))
}

/// Reads which attachments outcomes tell of. Most outcomes look like the one before.
#[derive(Default)]
pub(super) struct Attachments {
    shape: Option<Shape>,
}

const ID: &[Path] = &[("result", "id")];

impl Attachments {
    /// Tells the ids of those that an outcome tells of. An error where it is no JSON.
    pub(super) fn of(&mut self, outcome: &str, mut tell: impl FnMut(&str)) -> serde_json::Result<()> {
        if let Some(id) = self.shape.as_ref().and_then(|shape| one_id(shape, outcome)) {
            tell(id);
            return Ok(());
        }
        let ids = attachments(outcome)?;
        ids.iter().for_each(|id| tell(id));
        self.shape = if ids.len() == 1 { Shape::of(outcome, ID) } else { None };
        Ok(())
    }
}

/// The one id of an outcome that looks so.
fn one_id<'o>(shape: &Shape, outcome: &'o str) -> Option<&'o str> {
    let ([id, ..], end) = shape.read(outcome, 0)?;
    (!id.is_empty() && end == outcome.len()).then_some(id)
}

fn attachments(outcome: &str) -> serde_json::Result<Vec<Cow<'_, str>>> {
    match serde_json::from_str(outcome).map(Outcome::attachments) {
        Err(e) if e.is_data() => serde_json::from_str::<IgnoredAny>(outcome).map(|_| Vec::new()), // another shape: it tells of none
        ids => ids,
    }
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
    attachment: Option<AttachmentId<'o>>,
}

#[derive(Deserialize)]
struct AttachmentId<'o> {
    #[serde(borrow)]
    id: Cow<'o, str>,
}

impl<'o> Outcome<'o> {
    fn attachments(self) -> Vec<Cow<'o, str>> {
        let links = self.result.links.into_iter().filter_map(|link| link.attachment.map(|attachment| attachment.id));
        self.result.id.into_iter().chain(links).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_read_as_it_was_written_is_what_a_parser_reads() {
        let done = r#"{"done":{"key":"ü k","step":"5e","source":{"bytes":5,"modified_ns":6},"outcome":{"result":{"id":"7"},"a":"}}"}}}"#;
        let begin = r#"{"begin":{"key":"ü k","step":"5e","source":{"bytes":5,"modified_ns":6}}}"#;
        let without = |line: &str| line.replace(r#","source":{"bytes":5,"modified_ns":6}"#, "");
        let as_written = [done.to_owned(), begin.to_owned(), without(done), without(begin)];
        let changes = [
            ("ü", r"\u00fc"),
            ("ü", "\u{1}"),
            ("5e", r#"5\"e"#),
            (":5,", ":05,"),
            (":5,", ":-5,"),
            (":6}", ":6.0}"),
            (":6}", ":18446744073709551615}"),
        ];
        let more = [("}}", "}"), ("}}", "} }"), ("}}", "}}}"), (",\"step", ", \"step"), ("\"step", "\"stop"), (",\"outcome", ",\"x\":1,\"outcome")];
        let others = as_written.iter().flat_map(|line| changes.iter().chain(&more).map(move |(part, other)| line.replacen(part, other, 1)));
        let mut read = 0;
        for line in as_written.iter().cloned().chain(others) {
            let Some(written) = Written::read(line.as_bytes()) else { continue };
            let parsed = match Line::parse(line.as_bytes()) {
                Ok(Line::Begin { key, step, source }) => (key, step, source, None),
                Ok(Line::Done { key, step, source, outcome }) => (key, step.unwrap(), source, Some(outcome.get())),
                _ => {
                    assert!(attachments(written.outcome.unwrap()).is_err(), "{line}");
                    continue;
                }
            };
            let Written { key, step, source, outcome } = written;
            assert_eq!((Cow::Borrowed(key), Cow::Borrowed(step), source, outcome), parsed, "{line}");
            read += 1;
        }
        assert!(read >= as_written.len(), "{read}");
    }

    #[test]
    fn an_outcome_that_looks_like_the_one_before_tells_what_it_would_tell_alone() {
        let first = r#"{"operation":"a","result":{"id":"7","name":"x"},"attempts":1}"#;
        let changes = [
            ("", ""),
            (r#""7""#, r#""8""#),
            (r#""7""#, r#""\u0037""#),
            (r#""7""#, r#""""#),
            (r#""7""#, "7"),
            (r#""7""#, "null"),
            (r#""7""#, "true"),
            ("x", "a longer name"),
            ("x", "\n"),
            ("1}", "1}}"),
            ("1}", "1"),
            ("1}", "01}"),
            ("1}", "-1.5}"),
            ("name", "id"),
            ("result", "other"),
        ];
        for (part, other) in changes {
            let outcome = first.replacen(part, other, 1);
            let (mut attachments, mut ids) = (Attachments::default(), Vec::new());
            attachments.of(first, |_| {}).unwrap();
            let read = attachments.of(&outcome, |id| ids.push(id.to_owned()));
            let alone = super::attachments(&outcome);
            assert_eq!(read.is_ok(), alone.is_ok(), "{outcome}");
            assert_eq!(ids, alone.unwrap_or_default(), "{outcome}");
        }
    }
}
