//! The two ends of a transfer as a step names them: where the bytes come from, and where they go.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, Deserialize, Deserializer};

use super::MAX_BASE64_BYTES;
#[cfg(test)]
use super::parse::MOST;
use super::parse::{Problem, at_least_1, filled};
use crate::fallible;
use crate::object::Object;

/// Where the bytes of an attachment come from: exactly one of path, url and base64.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Object<SourceFields>")]
pub(super) enum Source {
    File(File),
    Link(Link),
}

/// A file to upload. An empty name is the last part of its path.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) name: String,
    pub(super) content_type: String,
}

impl File {
    /// Of a file that isn't in the step itself.
    pub(super) fn path(&self) -> Option<&str> {
        match &self.bytes {
            Bytes::Path(path) => Some(path),
            Bytes::Content(_) => None,
        }
    }

    /// The name under which it is sent.
    pub(super) fn sent_name(&self) -> Cow<'_, str> {
        let of_path = || self.path().and_then(|path| Path::new(path).file_name()).map(OsStr::to_string_lossy).unwrap_or_default();
        if self.name.is_empty() { of_path() } else { Cow::Borrowed(&self.name) }
    }
}

/// The bytes of a file to upload.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum Bytes {
    /// In the file of this path.
    Path(String),
    /// In the step itself.
    Content(Vec<u8>),
}

/// A picture: exactly one of path and base64.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Object<PictureFields>")]
pub(super) struct Picture(pub(super) File);

/// A link to attach.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// The URL: http or https, without a user name or password.
    #[serde(deserialize_with = "filled")]
    #[cfg_attr(test, schemars(length(min = 1, max = 3000), extend("pattern" = URL)))]
    pub(super) url: String,
    /// Title under which the link stands in the record; the page's own when not given.
    #[cfg_attr(test, schemars(length(max = 255)))]
    pub(super) title: Option<String>,
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(extend("oneOf" = one_of(&[
    ("a file by its path", &["path"], &["url", "base64", "title"]),
    ("a link", &["url"], &["path", "base64", "name", "content_type"]),
    ("a small file inside the JSON", &["base64", "name"], &["path", "url", "title"]),
]))))]
struct SourceFields {
    /// Path of a file below one of the directories of the setting allow_paths.
    #[cfg_attr(test, schemars(length(min = 1)))]
    path: Option<String>,
    /// URL of a link: http or https, without a user name or password.
    #[cfg_attr(test, schemars(length(min = 1, max = 3000), extend("pattern" = URL)))]
    url: Option<String>,
    /// The bytes of a small file, as base64.
    base64: Option<Content>,
    /// File name under which it is stored; needed with base64, with path its last part when not given.
    #[cfg_attr(test, schemars(extend("not" = control())))]
    name: Option<String>,
    /// MIME type of the file; application/octet-stream when not given.
    #[cfg_attr(test, schemars(extend("pattern" = MIME_TYPE)))]
    content_type: Option<String>,
    /// Title of a link; the page's own when not given.
    #[cfg_attr(test, schemars(length(max = 255)))]
    title: Option<String>,
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(extend("oneOf" = a_picture())))]
struct PictureFields {
    /// Path of a file below one of the directories of the setting allow_paths.
    #[cfg_attr(test, schemars(length(min = 1)))]
    path: Option<String>,
    /// The bytes of a small file, as base64.
    base64: Option<Content>,
    /// File name under which it is sent; needed with base64, with path its last part when not given.
    #[cfg_attr(test, schemars(extend("not" = control())))]
    name: Option<String>,
    /// MIME type of the picture; application/octet-stream when not given.
    #[cfg_attr(test, schemars(extend("pattern" = MIME_TYPE)))]
    content_type: Option<String>,
}

impl TryFrom<Object<SourceFields>> for Source {
    type Error = Problem;

    fn try_from(Object(from): Object<SourceFields>) -> std::result::Result<Source, Problem> {
        let SourceFields { path, url, base64, name, content_type, title } = from;
        if url.is_none() {
            absent("title", &title, "belongs to a link; a file has a name")?;
            return file(path, base64, name, content_type, "path, url and base64").map(Source::File);
        }
        absent("path", &path, "stands beside url; give one of path, url and base64")?;
        absent("base64", &base64, "stands beside url; give one of path, url and base64")?;
        absent("name", &name, "belongs to a file; a link has a title")?;
        absent("content_type", &content_type, "belongs to a file, not to a link")?;
        let url = url.filter(|url| !url.is_empty()).ok_or(Problem::of("url", "is empty"))?;
        Ok(Source::Link(Link { url, title }))
    }
}

impl TryFrom<Object<PictureFields>> for Picture {
    type Error = Problem;

    fn try_from(Object(from): Object<PictureFields>) -> std::result::Result<Picture, Problem> {
        file(from.path, from.base64, from.name, from.content_type, "path and base64").map(Picture)
    }
}

fn file(
    path: Option<String>,
    content: Option<Content>,
    name: Option<String>,
    content_type: Option<String>,
    kinds: &str,
) -> std::result::Result<File, Problem> {
    let content_type = content_type.unwrap_or_default();
    match (path, content) {
        (Some(_), Some(_)) => Err(Problem::of("base64", format!("stands beside path; give one of {kinds}"))),
        (None, None) => Err(Problem::of("", format!("has none of its kinds; give one of {kinds}"))),
        (Some(path), None) if path.is_empty() => Err(Problem::of("path", "is empty")),
        (Some(path), None) => Ok(File { bytes: Bytes::Path(path), name: name.unwrap_or_default(), content_type }),
        (None, Some(Content(content))) => {
            let name = name.filter(|name| !name.is_empty()).ok_or(Problem::of("name", "is missing; a file inside the JSON needs one"))?;
            Ok(File { bytes: Bytes::Content(content), name, content_type })
        }
    }
}

/// Where the bytes of a download go: a file, or the result itself.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Object<SinkFields>")]
pub(super) enum Sink {
    File { path: String, overwrite: bool, max_bytes: Option<u64> },
    Base64 { max_bytes: u64 },
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(extend("oneOf" = a_file_or_the_result())))]
struct SinkFields {
    /// Path of the file, in a directory that exists and lies at or below one of the setting allow_paths. The file appears only when complete.
    #[cfg_attr(test, schemars(length(min = 1)))]
    path: Option<String>,
    /// Whether a file of that name is replaced.
    overwrite: Option<bool>,
    /// Puts the bytes into the result as base64.
    #[cfg_attr(test, schemars(extend("enum" = [true, null])))]
    base64: Option<bool>,
    /// Most bytes to take; a larger file is an error.
    #[serde(default, deserialize_with = "at_least_1")]
    #[cfg_attr(test, schemars(range(min = 1, max = MOST)))]
    max_bytes: Option<u64>,
}

impl TryFrom<Object<SinkFields>> for Sink {
    type Error = Problem;

    fn try_from(Object(from): Object<SinkFields>) -> std::result::Result<Sink, Problem> {
        let SinkFields { path, overwrite, base64, max_bytes } = from;
        match (path, base64) {
            (_, Some(false)) => Err(Problem::of("base64", "is false; it must be true, or left out")),
            (Some(_), Some(true)) => Err(Problem::of("base64", "stands beside path; give one of path and base64")),
            (None, None) => Err(Problem::of("", "has none of its kinds; give one of path and base64")),
            (Some(path), None) if path.is_empty() => Err(Problem::of("path", "is empty")),
            (Some(path), None) => Ok(Sink::File { path, overwrite: overwrite.unwrap_or_default(), max_bytes }),
            (None, Some(true)) => {
                absent("overwrite", &overwrite, "belongs to path")?;
                Ok(Sink::Base64 { max_bytes: max_bytes.unwrap_or(MAX_BASE64_BYTES).min(MAX_BASE64_BYTES) })
            }
        }
    }
}

fn absent<T>(field: &'static str, value: &Option<T>, problem: &str) -> std::result::Result<(), Problem> {
    if value.is_some() { Err(Problem::of(field, problem)) } else { Ok(()) }
}

/// A small file inside the JSON: standard base64, with or without padding.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, with = "String", extend("contentEncoding" = "base64", "pattern" = BASE64)))]
#[cfg_attr(test, schemars(extend("maxLength" = MOST_CHARACTERS, "anyOf" = without_a_byte_more())))]
pub(super) struct Content(Vec<u8>);

/// Of the most bytes that a file may have, with padding.
const MOST_CHARACTERS: u64 = MAX_BASE64_BYTES.div_ceil(3) * 4;

/// What the engine below takes: pieces of four, and at the end two or three signs, which padding may follow.
#[cfg(test)]
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}={0,2}|[A-Za-z0-9+/]{3}=?)?$";

/// What an attached link may look like. What is behind it, and whether its host can be, no pattern says.
#[cfg(test)]
const URL: &str = concat!(
    r"^[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7F-\x9F/?#\\@:<>^|\[\]]+)",
    r"(:([0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#][^\x00-\x20\x7F-\x9F]*)?$"
);

#[cfg(test)]
const MIME_TYPE: &str = "^([A-Za-z0-9!#$&^_.+-]+/[ -~]+)?$";

/// A name goes out with its quotes and line ends escaped, and with no other control character.
#[cfg(test)]
fn control() -> serde_json::Value {
    serde_json::json!({"type": "string", "pattern": r"[\x00-\x09\x0B\x0C\x0E-\x1F\x7F-\x9F]"})
}

/// As many characters without padding stand for a byte more than with it.
#[cfg(test)]
fn without_a_byte_more() -> serde_json::Value {
    serde_json::json!([{"maxLength": MOST_CHARACTERS - 1}, {"pattern": "=$"}])
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Content, D::Error> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
        );
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Content;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a string")
            }
            /// Decoded where it stands: it may be large.
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Content, E> {
                let too_large = || Problem::here(format!("stands for more than {MAX_BASE64_BYTES} bytes; give the file by its path"));
                if text.len() as u64 > MOST_CHARACTERS {
                    return Err(too_large());
                }
                let mut bytes = fallible::zeroed(base64::decoded_len_estimate(text.len())).map_err(de::Error::custom)?;
                let decoded = LENIENT.decode_slice(text, &mut bytes);
                // The crate's own message quotes what it stumbled over, which is a part of a file.
                let n = decoded.map_err(|_| Problem::here("is not base64 of the standard alphabet, in one piece without line ends"))?;
                if n as u64 > MAX_BASE64_BYTES {
                    return Err(too_large());
                }
                bytes.truncate(n);
                Ok(Content(bytes))
            }
        }
        from.deserialize_str(Text)
    }
}

#[cfg(test)]
fn a_picture() -> serde_json::Value {
    one_of(&[("a picture by its path", &["path"], &["base64"]), ("a picture inside the JSON", &["base64", "name"], &["path"])])
}

#[cfg(test)]
fn a_file_or_the_result() -> serde_json::Value {
    one_of(&[("a file", &["path"], &["base64"]), ("the result itself", &["base64"], &["path", "overwrite"])])
}

/// JSON Schema of alternatives: in each some fields are given and others are not. `null` is not given.
#[cfg(test)]
pub(super) fn one_of(alternatives: &[(&str, &[&str], &[&str])]) -> serde_json::Value {
    let branch = |(title, given, absent): &(&str, &[&str], &[&str])| {
        let mut properties = serde_json::Map::new();
        // A file inside the JSON needs a name that says something; beside a path it may be empty.
        let filled = |field: &str| {
            if field == "name" { serde_json::json!({"type": "string", "minLength": 1}) } else { serde_json::json!({"not": {"type": "null"}}) }
        };
        properties.extend(given.iter().map(|field| ((*field).to_owned(), filled(field))));
        properties.extend(absent.iter().map(|field| ((*field).to_owned(), serde_json::json!({"type": "null"}))));
        serde_json::json!({"title": title, "required": given, "properties": properties})
    };
    alternatives.iter().map(branch).collect()
}
