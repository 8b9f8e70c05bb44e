//! The list of a record's attachments: what is asked for, and how a row is read.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::error::Result;
use crate::fallible;
use crate::http::value::{self, Text};
use crate::object::Object;
use crate::pages::{self, List, ListArgs, Rows};
use crate::record::{Record, is_id};
use crate::shape::{Path, Values};
use crate::text::{Arena, Span};
use crate::transfer::safe_name;

/// What is asked for when the caller names no fields. The list refuses to come without any from v3 on, and gives the others null or not at all.
const FIELDS: &str = "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url";

/// An attachment as the list shows it. Every field but `id` may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Attachment"))]
pub struct Attachment<T = String> {
    /// The attachment's id.
    pub id: T,
    /// File name as Zoho has it, or a link's title. Whoever uploaded it chose it: it may be a path or hold control characters.
    pub file_name: T,
    /// `file_name` made safe as the name of a file: no path, no control character, no device. Empty when nothing is left of it.
    pub safe_name: T,
    /// Size in bytes; `None` = the list doesn't say.
    pub bytes: Option<u64>,
    /// Whether it is a link.
    pub is_link: bool,
    /// The link's URL; empty for a file.
    pub link_url: T,
    /// As Zoho writes it: ISO 8601 with an offset.
    pub created_time: T,
    /// As Zoho writes it: ISO 8601 with an offset.
    pub modified_time: T,
    /// Id of the record it is attached to.
    pub parent_id: T,
    /// Owner's id.
    pub owner_id: T,
    /// Owner's name.
    pub owner_name: T,
    /// Id of the user who made it.
    pub created_by_id: T,
    /// Zoho's id of the stored bytes; empty for a link.
    pub file_id: T,
    /// `$type` as Zoho writes it; opaque.
    pub kind: T,
}

impl<T> Attachment<T> {
    /// The same with other texts.
    pub(crate) fn try_map<'t, U, E>(&'t self, mut text: impl FnMut(&'t T) -> std::result::Result<U, E>) -> std::result::Result<Attachment<U>, E> {
        Ok(Attachment {
            id: text(&self.id)?,
            file_name: text(&self.file_name)?,
            safe_name: text(&self.safe_name)?,
            bytes: self.bytes,
            is_link: self.is_link,
            link_url: text(&self.link_url)?,
            created_time: text(&self.created_time)?,
            modified_time: text(&self.modified_time)?,
            parent_id: text(&self.parent_id)?,
            owner_id: text(&self.owner_id)?,
            owner_name: text(&self.owner_name)?,
            created_by_id: text(&self.created_by_id)?,
            file_id: text(&self.file_id)?,
            kind: text(&self.kind)?,
        })
    }

    /// The same with other texts, all of which can be had.
    pub(crate) fn map<'t, U>(&'t self, mut text: impl FnMut(&'t T) -> U) -> Attachment<U> {
        let Ok(row) = self.try_map(|t| Ok::<_, Infallible>(text(t)));
        row
    }
}

/// Attachments as a reply gives them: all of their texts in one piece of memory.
pub(crate) type Listed = Rows<Attachment<Span>>;

impl Listed {
    /// Each with its texts where they are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Attachment<&str>> {
        self.list.iter().map(|row| row.map(|span| self.texts.get(*span)))
    }

    /// Each with texts of its own.
    pub(super) fn copied(&self) -> Result<Vec<Attachment>> {
        let mut all = Vec::new();
        fallible::reserve(&mut all, self.list.len())?;
        self.iter().try_for_each(|row| row.try_map(|text| fallible::copy(text)).map(|row| all.push(row)))?;
        Ok(all)
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

/// Attachments of a record, in the order of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Page"))]
pub struct Page<A = Vec<Attachment>> {
    /// The entries.
    pub attachments: A,
    /// Whether the server has more after these.
    pub more_records: bool,
    /// The token of the next page, if the server gives tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl Page<Listed> {
    /// With texts of its own for each attachment.
    pub(crate) fn copied(self) -> Result<Page> {
        let Page { attachments, more_records, next_page_token } = self;
        Ok(Page { attachments: attachments.copied()?, more_records, next_page_token })
    }
}

impl From<pages::Page<Attachment<Span>>> for Page<Listed> {
    fn from(page: pages::Page<Attachment<Span>>) -> Page<Listed> {
        Page { attachments: page.rows, more_records: page.more_records, next_page_token: page.next_page_token }
    }
}

/// The pages of a record's attachments, one at a time, so that memory doesn't grow with the list but for its ids.
pub struct Pages(pub(super) pages::Pages<Attachment<Span>>);

impl Pages {
    /// The next page, with the attachments that no page before it had; `None` at the end. After an error the same page is asked for again.
    ///
    /// Timeout, cancel token and trace id of `call` are those of this page.
    pub fn next(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page>>> {
        self.next_listed(call)?.map(|outcome| outcome.try_map(Page::copied)).transpose()
    }

    pub(crate) fn next_listed(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page<Listed>>>> {
        Ok(self.0.next(call)?.map(|outcome| outcome.map(Page::from)))
    }
}

/// The list of the record's attachments, with these fields: those of [`Attachment`] when there are none.
pub(super) fn of(client: &Client, record: &Record, args: &ListArgs) -> Result<List> {
    record.check(client.config())?;
    let version = client.api_version();
    let wanted = (!args.fields.is_empty()).then(|| args.fields.clone());
    Ok(List {
        operation: "attachment.list",
        module: record.module.clone(),
        record_id: Some(record.id.clone()),
        fields: wanted.map(and_the_link).or_else(|| version.fields_mandatory.then(|| FIELDS.to_owned())),
        has_tokens: |version| version.page_tokens,
    })
}

/// The caller's fields and the one that tells links from files: without it each entry would be called a file.
fn and_the_link(fields: String) -> String {
    const LINK: &str = "$link_url";
    if fields.split(',').any(|field| field.trim() == LINK) { fields } else { format!("{fields},{LINK}") }
}

/// A row in the JSON: with values that are as documented, or with any (`TOLERANT`).
#[derive(Deserialize)]
pub(crate) struct Row<'a, const TOLERANT: bool> {
    #[serde(borrow, default)]
    id: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "File_Name")]
    file_name: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Size")]
    size: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Created_Time")]
    created_time: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Modified_Time")]
    modified_time: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Parent_Id")]
    parent: Reference<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Owner")]
    owner: Reference<'a, TOLERANT>,
    #[serde(borrow, default, rename = "Created_By")]
    created_by: Reference<'a, TOLERANT>,
    #[serde(borrow, default, rename = "$file_id")]
    file_id: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "$type")]
    kind: Text<'a, TOLERANT>,
    #[serde(borrow, default, rename = "$link_url")]
    link_url: Text<'a, TOLERANT>,
}

impl pages::Row for Attachment<Span> {
    type Json<'a, const TOLERANT: bool> = Row<'a, TOLERANT>;

    fn read<const TOLERANT: bool>(row: Row<'_, TOLERANT>, texts: &mut Arena) -> Result<Option<Self>> {
        if !is_id(&row.id.0) {
            return Ok(None);
        }
        let mut text = |text: &Cow<'_, str>| texts.push(text);
        let file_name = text(&row.file_name.0)?;
        Ok(Some(Attachment {
            id: text(&row.id.0)?,
            safe_name: match safe_name(&row.file_name.0) {
                Cow::Borrowed(_) => file_name,
                changed => text(&changed)?,
            },
            file_name,
            bytes: row.size.0.parse().ok(),
            // `$type` has other words in other versions (UNCONFIRMED): the URL is what makes a link.
            is_link: !row.link_url.0.is_empty() || row.kind.0 == "Link URL",
            link_url: text(&row.link_url.0)?,
            created_time: text(&row.created_time.0)?,
            modified_time: text(&row.modified_time.0)?,
            parent_id: text(&row.parent.id)?,
            owner_id: text(&row.owner.id)?,
            owner_name: text(&row.owner.name)?,
            created_by_id: text(&row.created_by.id)?,
            file_id: text(&row.file_id.0)?,
            kind: text(&row.kind.0)?,
        }))
    }

    const VALUES: &'static [Path] = &[
        ("id", ""),
        ("File_Name", ""),
        ("Size", ""),
        ("Created_Time", ""),
        ("Modified_Time", ""),
        ("Parent_Id", "id"),
        ("Owner", "id"),
        ("Owner", "name"),
        ("Created_By", "id"),
        ("$file_id", ""),
        ("$type", ""),
        ("$link_url", ""),
    ];

    fn json<'t>(values: &Values<'t>) -> Row<'t, false> {
        let [id, file_name, size, created_time, modified_time, parent, owner, owner_name, created_by, file_id, kind, link_url, ..] =
            values.map(Cow::Borrowed);
        Row {
            id: Text(id),
            file_name: Text(file_name),
            size: Text(size),
            created_time: Text(created_time),
            modified_time: Text(modified_time),
            parent: ReferenceFields { id: Text(parent), name: Text::default() }.into(),
            owner: ReferenceFields { id: Text(owner), name: Text(owner_name) }.into(),
            created_by: ReferenceFields { id: Text(created_by), name: Text::default() }.into(),
            file_id: Text(file_id),
            kind: Text(kind),
            link_url: Text(link_url),
        }
    }

    fn id<'r>(&'r self, texts: &'r Arena) -> &'r str {
        texts.get(self.id)
    }

    fn moved(self, by: u32) -> Self {
        self.map(|span| span.moved(by))
    }
}

/// Id and name of what a row refers to. In place of the object that is documented its id may stand, or its name.
#[derive(Default)]
struct Reference<'a, const TOLERANT: bool> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
}

/// The object that is documented.
#[derive(Deserialize)]
struct ReferenceFields<'a, const TOLERANT: bool> {
    #[serde(borrow, default)]
    id: Text<'a, TOLERANT>,
    #[serde(borrow, default)]
    name: Text<'a, TOLERANT>,
}

impl<'a, const TOLERANT: bool> From<ReferenceFields<'a, TOLERANT>> for Reference<'a, TOLERANT> {
    fn from(fields: ReferenceFields<'a, TOLERANT>) -> Self {
        Reference { id: Some(fields.id.0).filter(|id| is_id(id)).unwrap_or_default(), name: fields.name.0 }
    }
}

impl<'a, const TOLERANT: bool> From<Cow<'a, str>> for Reference<'a, TOLERANT> {
    fn from(text: Cow<'a, str>) -> Self {
        if is_id(&text) { Reference { id: text, name: "".into() } } else { Reference { id: "".into(), name: text } }
    }
}

impl<'de: 'a, 'a, const TOLERANT: bool> Deserialize<'de> for Reference<'a, TOLERANT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        if !TOLERANT {
            return deserializer.deserialize_any(Documented).map(|other| Reference { id: other.id, name: other.name });
        }
        let value = Option::<&RawValue>::deserialize(deserializer)?;
        let object = value.and_then(|value| serde_json::from_str::<Object<ReferenceFields<'_, TOLERANT>>>(value.get()).ok());
        Ok(object.map_or_else(|| value::borrowed(value).into(), |Object(fields)| fields.into()))
    }
}

/// An object, or null.
struct Documented;

impl<'de> Visitor<'de> for Documented {
    type Value = Reference<'de, false>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        ReferenceFields::deserialize(MapAccessDeserializer::new(map)).map(Reference::from)
    }
    fn visit_unit<E: de::Error>(self) -> std::result::Result<Self::Value, E> {
        Ok(Reference::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row as it is read where nothing is odd; where something is, as the tolerant reading has it.
    fn row(json: &str) -> Option<Attachment> {
        let tolerant = read::<true>(json).unwrap();
        if let Ok(strict) = read::<false>(json) {
            assert_eq!(strict, tolerant, "{json}");
        }
        tolerant
    }

    fn read<const TOLERANT: bool>(json: &str) -> serde_json::Result<Option<Attachment>> {
        let mut texts = Arena::EMPTY;
        let row = pages::Row::read(serde_json::from_str::<Row<'_, TOLERANT>>(json)?, &mut texts).unwrap();
        Ok(row.map(|row: Attachment<Span>| row.map(|span| texts.get(*span).to_owned())))
    }

    #[test]
    fn an_id_is_exact_as_a_string_and_as_a_number() {
        for json in [r#"{"id":"9007199254740993"}"#, r#"{"id":9007199254740993}"#] {
            assert_eq!(row(json).unwrap().id, "9007199254740993");
        }
        assert_eq!(row(r#"{"id":123456789012345678901}"#).unwrap().id, "123456789012345678901", "by its digits, which no double could hold");
        for json in [r#"{"id":1.5}"#, r#"{"id":""}"#, r#"{"id":null}"#, r#"{"id":"x"}"#, r#"{"File_Name":"x"}"#] {
            assert_eq!(row(json), None, "{json}");
        }
    }

    #[test]
    fn a_size_is_read_in_every_form_and_every_other_field_may_be_absent_or_odd() {
        let size = |json: &str| row(json).unwrap().bytes;
        assert_eq!(size(r#"{"id":"1","Size":"1048576"}"#), Some(1_048_576));
        assert_eq!(size(r#"{"id":"1","Size":1048576}"#), Some(1_048_576));
        for odd in ["null", "5.0", r#""5 KB""#, "-1", "[1]", "99999999999999999999"] {
            assert_eq!(size(&format!(r#"{{"id":"1","Size":{odd},"Parent_Id":null,"Owner":null,"File_Name":null}}"#)), None, "{odd}");
        }
        let odd = row(r#"{"id":"1","Owner":"Somebody","Parent_Id":7,"Created_By":[],"File_Name":{},"Created_Time":3,"$link_url":false,"$type":1}"#)
            .unwrap();
        assert_eq!((odd.owner_name.as_str(), odd.parent_id.as_str(), odd.file_name.as_str(), odd.is_link), ("Somebody", "7", "", false));
        assert_eq!(row(r#"{"id":"1","File_Name":"a\ud83d.txt"}"#).unwrap().file_name, "a\u{fffd}.txt");
    }

    #[test]
    fn a_link_is_known_by_its_url() {
        assert!(row(r#"{"id":"1","$link_url":"https://zoho.com","$type":"whatever"}"#).unwrap().is_link);
        assert!(!row(r#"{"id":"1","$link_url":null,"$type":"File"}"#).unwrap().is_link);
    }

    /// What a page gives: its attachments, whether there are more, and the next token.
    fn page<const TOLERANT: bool>(json: &str) -> Option<Page> {
        let page = if TOLERANT { pages::tolerated::<Attachment<Span>>(json) } else { pages::documented(json) }.ok()?;
        Some(Page::from(page).copied().unwrap())
    }

    const KEYS: &[&str] =
        &["id", "File_Name", "Size", "Created_Time", "Modified_Time", "Parent_Id", "Owner", "Created_By", "$file_id", "$type", "$link_url", "$state"];
    const VALUES: &[&str] = &[
        r#""123""#,
        r#""""#,
        r#""a\u00fc\n\"b\u0000\ud83d\ude00""#,
        r#""a\ud83d.txt""#,
        r#""../grün?.txt""#,
        r#""Link URL""#,
        "\"a\nb\"",
        "7",
        "0",
        "-0",
        "-1",
        "5.0",
        "1e3",
        "1e999",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901",
        "01",
        "null",
        "true",
        "false",
        "nul",
        "[]",
        "{}",
        r#"["1","x"]"#,
        "[[[[]]]]",
        r#"{"id":"1","name":"x"}"#,
        r#"{"id":2,"name":null,"email":{}}"#,
        r#"{"id":"x"}"#,
        r#"{"id":1.5,"name":[]}"#,
        r#"{"id":"1","id":"2"}"#,
        r#"{"name":"\udc00"}"#,
        r#""\q""#,
        "",
        "]",
    ];
    const INFOS: &[&str] = &["", r#","info":null"#, r#","info":{"more_records":true,"next_page_token":"t"}"#, r#","info":[]"#];

    #[test]
    fn what_is_read_fast_is_read_alike_by_the_tolerant_reading() {
        let mut seed = 1_u64;
        let mut any = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let (mut fast, mut slow) = (0, 0);
        for _ in 0..40_000 {
            let (alike, keys) = (any(3) > 0, [any(KEYS.len()), any(KEYS.len())]);
            let mut row = |id: usize| {
                let key = |of: usize, other: usize| KEYS[if alike { keys[of] } else { other }];
                let mut fields: Vec<_> = (0..if alike { 2 } else { any(3) })
                    .map(|of| format!(r#""{}":{}"#, key(of, any(KEYS.len())), VALUES[any(VALUES.len())]))
                    .collect();
                fields.extend((any(8) > 0).then(|| format!(r#""id":{}"{id}""#, if any(9) > 0 { "" } else { " " })));
                format!("{{{}}}", fields.join(","))
            };
            let rows: Vec<_> = (1..4).map(&mut row).collect();
            let json = format!(r#"{{"data":[{}]{}}}"#, rows[..any(4)].join(","), INFOS[any(INFOS.len())]);
            let tolerant = page::<true>(&json);
            match page::<false>(&json) {
                Some(strict) => {
                    assert_eq!(Some(strict), tolerant, "{json}");
                    fast += 1;
                }
                None => slow += usize::from(tolerant.is_some()),
            }
        }
        assert!(fast > 2_000 && slow > 500, "{fast} {slow}");
    }
}
