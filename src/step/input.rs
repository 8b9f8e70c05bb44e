//! What a step's JSON may say. These types parse it, and the JSON Schemas of the description are made from them: by a test, so that the
//! library doesn't carry what makes them.
//!
//! A field that is `null` counts as not given: engines fill in forms that way.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use super::{MAX_BASE64_BYTES, MAX_ITEMS};
use crate::call;
use crate::error::{Error, Result, Status};

/// Declares the input of operations: what all of them have, and what each has beside that.
macro_rules! inputs {
    ($($(#[$meta:meta])* $name:ident = $id:literal { $($fields:tt)* })+) => {$(
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
            /// The record's id.
            pub(super) record_id: Id,
            $($fields)*
            /// Bound on the whole step with its retries, in milliseconds. A bound of the host still holds.
            #[serde(default, deserialize_with = "at_least_1")]
            #[cfg_attr(test, schemars(range(min = 1)))]
            pub(super) timeout_ms: Option<u64>,
            /// Stands in the log lines of this step.
            pub(super) trace_id: Option<String>,
        }
    )+};
}

inputs! {
    /// # Attach a file or links
    ///
    /// Stores a file, a link or several links as attachments of a record.
    #[cfg_attr(test, schemars(extend("oneOf" = file_or_links())))]
    AttachmentUpload = "attachment.upload" {
        /// The file or the link to attach.
        pub(super) source: Option<Source>,
        /// Several links, each to become an attachment of its own.
        #[serde(default, deserialize_with = "some")]
        #[cfg_attr(test, schemars(length(min = 1, max = MAX_ITEMS)))]
        pub(super) links: Option<Vec<Object<Link>>>,
        /// What happens when the record seems to have the attachment already: for a job that comes a second time.
        pub(super) if_exists: Option<IfExists>,
        /// Whether the result shall have the SHA-256 of the file. It costs time.
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the file must have; with another one nothing is stored.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # List attachments
    ///
    /// Lists the attachments of a record, files and links: every page, or one.
    AttachmentList = "attachment.list" {
        /// Comma list of the API names of the fields to ask for; those of the result when not given.
        pub(super) fields: Option<String>,
        /// One page: its number. Every page when neither this nor page_token is given.
        #[serde(default, deserialize_with = "at_least_1")]
        #[cfg_attr(test, schemars(range(min = 1)))]
        pub(super) page: Option<u32>,
        /// Attachments a page.
        #[serde(default, deserialize_with = "per_page")]
        #[cfg_attr(test, schemars(range(min = 1, max = 200)))]
        pub(super) per_page: Option<u32>,
        /// One page: next_page_token of the page before (API v7 and later).
        pub(super) page_token: Option<String>,
    }

    /// # Download an attachment
    ///
    /// Writes an attachment's bytes to a file, or gives a small one inside the result. A link has no bytes: its URL is in the list.
    AttachmentDownload = "attachment.download" {
        /// The attachment's id.
        pub(super) attachment_id: Id,
        /// Where the file goes.
        pub(super) sink: Sink,
        /// The size that the file must have, in bytes, as the list said.
        pub(super) expected_bytes: Option<u64>,
        /// Whether the result shall have the SHA-256 of the file. It costs time.
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the file must have; with another one no file appears.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Set the photo
    ///
    /// Stores a picture as the photo of a record, in place of the one it has.
    PhotoUpload = "photo.upload" {
        /// The picture: PNG, JPEG, GIF or BMP, at most 10 MB and 10 megapixels.
        pub(super) source: Picture,
        /// workflow keeps workflows from being triggered.
        pub(super) restrict_triggers: Option<Triggers>,
        /// Whether the result shall have the SHA-256 of the picture. It costs time.
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the picture must have; with another one nothing is stored.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Download the photo
    ///
    /// Writes a record's photo to a file, or gives it inside the result.
    PhotoDownload = "photo.download" {
        /// Where the picture goes.
        pub(super) sink: Sink,
        /// The size that the picture must have, in bytes.
        pub(super) expected_bytes: Option<u64>,
        /// Whether the result shall have the SHA-256 of the picture. It costs time.
        pub(super) sha256: Option<bool>,
        /// The SHA-256 that the picture must have; with another one no file appears.
        pub(super) expected_sha256: Option<Sha256>,
    }

    /// # Delete the photo
    ///
    /// Deletes the photo of a record.
    PhotoDelete = "photo.delete" {}

    /// # Delete attachments
    ///
    /// Deletes one attachment of a record, or several.
    AttachmentDelete = "attachment.delete" {
        /// The attachments' ids.
        #[serde(deserialize_with = "some_ids")]
        #[cfg_attr(test, schemars(length(min = 1, max = MAX_ITEMS)))]
        pub(super) attachment_ids: Vec<Id>,
    }
}

/// Says in the schema what `AttachmentUpload::what` checks.
#[cfg(test)]
fn file_or_links() -> Value {
    one_of(&[("a file or a link", &["source"], &["links"]), ("several links", &["links"], &["source"])])
}

impl AttachmentUpload {
    /// Exactly one of `source` and `links`.
    pub(super) fn what(source: Option<Source>, links: Option<Vec<Object<Link>>>) -> Result<std::result::Result<Source, Vec<Link>>> {
        match (source, links) {
            (Some(source), None) => Ok(Ok(source)),
            (None, Some(links)) => Ok(Err(links.into_iter().map(|Object(link)| link).collect())),
            (None, None) => Err(refused("source", "is missing; give source, or links for several links")),
            (Some(_), Some(_)) => Err(refused("links", "stands beside source; give one of the two")),
        }
    }
}

/// A JSON object. serde alone would take an array of the fields' values as well.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(transparent))]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> std::result::Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        from.deserialize_map(Fields(PhantomData))
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
            Value::Number(_) => Err(de::Error::custom("is a number; put the id in quotes, because a number of this size loses its last digits")),
            _ => Err(de::Error::custom("is not a string of digits")),
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
        let mut sum = [0; 32];
        let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        for (i, byte) in sum.iter_mut().enumerate().filter(|_| digits) {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap_or_default();
        }
        if digits { Ok(Sha256(sum)) } else { Err(de::Error::custom("is not 64 hexadecimal digits")) }
    }
}

/// What an upload does when the record seems to have the attachment already.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum IfExists {
    /// It uploads without looking.
    Upload,
    /// It doesn't, when one of the same name and size (or the same link) is there.
    Skip,
    /// It doesn't, when one of the same name, size and bytes is there: that one is downloaded to be compared.
    SkipSameBytes,
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
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Triggers {
    /// Workflows.
    Workflow,
}

/// A small file inside the JSON: standard base64, with or without padding.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, with = "String", extend("contentEncoding" = "base64", "pattern" = "^[A-Za-z0-9+/]*={0,2}$", "maxLength" = MAX_BASE64_BYTES.div_ceil(3) * 4)))]
pub(super) struct Content(Vec<u8>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Content, D::Error> {
        const LENIENT: GeneralPurpose =
            GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
        let text = String::deserialize(from)?;
        if text.len() as u64 > MAX_BASE64_BYTES.div_ceil(3) * 4 {
            return Err(de::Error::custom(format!("stands for more than {MAX_BASE64_BYTES} bytes; give the file by its path")));
        }
        // The crate's own message quotes what it stumbled over, which is a part of a file.
        LENIENT.decode(text).map(Content).map_err(|_| de::Error::custom("is not base64 of the standard alphabet, in one piece without line ends"))
    }
}

/// Where the bytes of an attachment come from: exactly one of path, url and base64.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Object<SourceFields>")]
pub(super) enum Source {
    File { path: String, name: String, content_type: String },
    Bytes { content: Vec<u8>, name: String, content_type: String },
    Link(Link),
}

/// A picture: exactly one of path and base64.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Object<PictureFields>")]
pub(super) struct Picture(pub(super) Source);

/// A link to attach.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// The URL: http or https, without a user name or password.
    #[serde(deserialize_with = "filled")]
    #[cfg_attr(test, schemars(length(min = 1, max = 3000)))]
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
    #[cfg_attr(test, schemars(length(min = 1, max = 3000)))]
    url: Option<String>,
    base64: Option<Content>,
    /// File name under which it is stored; needed with base64, with path its last part when not given.
    name: Option<String>,
    /// MIME type of the file; application/octet-stream when not given.
    content_type: Option<String>,
    /// Title of a link; the page's own when not given.
    #[cfg_attr(test, schemars(length(max = 255)))]
    title: Option<String>,
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(extend("oneOf" = one_of(&[("a picture by its path", &["path"], &["base64"]), ("a picture inside the JSON", &["base64", "name"], &["path"])]))))]
struct PictureFields {
    /// Path of a file below one of the directories of the setting allow_paths.
    #[cfg_attr(test, schemars(length(min = 1)))]
    path: Option<String>,
    base64: Option<Content>,
    /// File name under which it is sent; needed with base64, with path its last part when not given.
    name: Option<String>,
    /// MIME type of the picture; application/octet-stream when not given.
    content_type: Option<String>,
}

/// What a `TryFrom` finds: the text begins with the field's name, and [`parse`] makes a path of it.
type Problem = String;

impl TryFrom<Object<SourceFields>> for Source {
    type Error = Problem;

    fn try_from(Object(from): Object<SourceFields>) -> std::result::Result<Source, Problem> {
        let SourceFields { path, url, base64, name, content_type, title } = from;
        if url.is_none() {
            absent("title", &title, "belongs to a link; a file has a name")?;
            return file(path, base64, name, content_type, "path, url and base64");
        }
        absent("path", &path, "stands beside url; give one of path, url and base64")?;
        absent("base64", &base64, "stands beside url; give one of path, url and base64")?;
        absent("name", &name, "belongs to a file; a link has a title")?;
        absent("content_type", &content_type, "belongs to a file, not to a link")?;
        let url = url.filter(|url| !url.is_empty()).ok_or("url: is empty")?;
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
) -> std::result::Result<Source, Problem> {
    let content_type = content_type.unwrap_or_default();
    match (path, content) {
        (Some(_), Some(_)) => Err(format!("base64: stands beside path; give one of {kinds}")),
        (None, None) => Err(format!("give one of {kinds}")),
        (Some(path), None) if path.is_empty() => Err("path: is empty".into()),
        (Some(path), None) => Ok(Source::File { path, name: name.unwrap_or_default(), content_type }),
        (None, Some(Content(content))) => {
            let name = name.ok_or("name: is missing; a file inside the JSON needs one")?;
            Ok(Source::Bytes { content, name, content_type })
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
#[cfg_attr(test, schemars(extend("oneOf" = one_of(&[("a file", &["path"], &["base64"]), ("the result itself", &["base64"], &["path", "overwrite"])]))))]
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
    #[cfg_attr(test, schemars(range(min = 1)))]
    max_bytes: Option<u64>,
}

impl TryFrom<Object<SinkFields>> for Sink {
    type Error = Problem;

    fn try_from(Object(from): Object<SinkFields>) -> std::result::Result<Sink, Problem> {
        let SinkFields { path, overwrite, base64, max_bytes } = from;
        match (path, base64) {
            (_, Some(false)) => Err("base64: is false; it is true or not given".into()),
            (Some(_), Some(true)) => Err("base64: stands beside path; give one of path and base64".into()),
            (None, None) => Err("give one of path and base64".into()),
            (Some(path), None) if path.is_empty() => Err("path: is empty".into()),
            (Some(path), None) => Ok(Sink::File { path, overwrite: overwrite.unwrap_or_default(), max_bytes }),
            (None, Some(true)) => {
                absent("overwrite", &overwrite, "belongs to path")?;
                Ok(Sink::Base64 { max_bytes: max_bytes.unwrap_or(MAX_BASE64_BYTES).min(MAX_BASE64_BYTES) })
            }
        }
    }
}

fn absent<T>(field: &str, value: &Option<T>, problem: &str) -> std::result::Result<(), Problem> {
    if value.is_some() { Err(format!("{field}: {problem}")) } else { Ok(()) }
}

/// JSON Schema of alternatives: in each some fields are given and others are not. `null` is not given.
#[cfg(test)]
fn one_of(alternatives: &[(&str, &[&str], &[&str])]) -> Value {
    let branch = |(title, given, absent): &(&str, &[&str], &[&str])| {
        let mut properties = serde_json::Map::new();
        properties.extend(given.iter().map(|field| ((*field).to_owned(), json!({"not": {"type": "null"}}))));
        properties.extend(absent.iter().map(|field| ((*field).to_owned(), json!({"type": "null"}))));
        json!({"title": title, "required": given, "properties": properties})
    };
    alternatives.iter().map(branch).collect()
}

fn at_least_1<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default + PartialEq>(from: D) -> std::result::Result<Option<T>, D::Error> {
    match Option::<T>::deserialize(from)? {
        Some(number) if number == T::default() => Err(de::Error::custom("is 0; it is at least 1, or not given")),
        number => Ok(number),
    }
}

fn per_page<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(from)? {
        Some(number) if !(1..=200).contains(&number) => Err(de::Error::custom(format!("is {number}; it is 1 to 200, or not given"))),
        number => Ok(number),
    }
}

fn filled<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() { Err(de::Error::custom("is empty")) } else { Ok(text) }
}

fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Option<Vec<T>>, D::Error> {
    Option::<Vec<T>>::deserialize(from)?.map(counted).transpose()
}

fn some_ids<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<Id>, D::Error> {
    counted(Vec::deserialize(from)?)
}

fn counted<T, E: de::Error>(items: Vec<T>) -> std::result::Result<Vec<T>, E> {
    match items.len() {
        0 => Err(de::Error::custom("is empty")),
        n if n > MAX_ITEMS => Err(de::Error::custom(format!("has {n} entries; at most {MAX_ITEMS} are taken"))),
        _ => Ok(items),
    }
}

/// Reads a step's JSON, an object, as `T`; what is wrong with it is an error with its JSON path.
pub(super) fn parse<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T> {
    let mut from = serde_json::Deserializer::from_str(json);
    let Object(parsed) = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let path = error.path().to_string();
        located(path.trim_matches('.'), &error.into_inner())
    })?;
    from.end().map_err(|error| located("", &error))?;
    Ok(parsed)
}

/// The step input is refused: `path` is where, as in `links[2].url`; empty is the whole.
pub(super) fn refused(path: &str, problem: impl fmt::Display) -> Error {
    let (where_, json_path) = match path {
        "" => ("the step".to_owned(), "$".to_owned()),
        path if path.starts_with('[') => (format!("the step{path}"), format!("${path}")),
        path => (path.to_owned(), format!("$.{path}")),
    };
    Error::new(Status::Argument, "step_input", format!("{where_}: {problem}")).with(|d| d.details = details(&json_path))
}

/// `{"json_path":…}`, as Zoho's own errors have it.
pub(super) fn details(json_path: &str) -> Option<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(&json!({"json_path": crate::error::one_line(json_path)})).ok()
}

fn located(path: &str, error: &serde_json::Error) -> Error {
    if !error.is_data() {
        return refused("", format_args!("is not valid JSON: {error}"));
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // serde's words for a field; the path has an unknown one already. Ours begin with "field: ".
    if let Some((_, rest)) = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        return refused(path, format_args!("is not a field here{}", rest.replace(", expected", "; there is")));
    }
    let named = |word: &str| text.strip_prefix(word).and_then(|rest| rest.strip_prefix(" field `")?.strip_suffix('`'));
    if let Some(field) = named("missing") {
        return refused(&inside(path, field), "is missing");
    }
    if let Some(field) = named("duplicate") {
        return refused(&inside(path, field), "is given twice");
    }
    // The value itself is left out: it may be a file's bytes.
    for start in ["invalid type: string \"", "invalid value: string \""] {
        if let Some((_, expected)) = text.strip_prefix(start).and_then(|rest| rest.rsplit_once("\", expected ")) {
            return refused(path, format_args!("is a string, not {expected}"));
        }
    }
    match text.split_once(": ") {
        Some((field, problem)) if !field.contains(' ') && !field.is_empty() => refused(&inside(path, field), problem),
        _ => refused(path, text),
    }
}

/// The path of a field of the object at `path`.
fn inside(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}
