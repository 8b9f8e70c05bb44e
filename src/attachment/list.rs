//! A page of the list of a record's attachments: what is asked for, and how the reply is read.

use std::fmt;

use reqwest::StatusCode;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Result, Status, one_line};
use crate::fallible;
use crate::http::{Response, reply, value};
use crate::transfer::safe_name;

/// Most bytes of a page: 200 entries have about 100 KB.
const MOST: usize = 8 << 20;

/// An attachment as the list shows it. Every field but `id` may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attachment {
    /// The attachment's id.
    pub id: String,
    /// File name as Zoho has it, or a link's title. Whoever uploaded it chose it: it may be a path or hold control characters.
    pub file_name: String,
    /// `file_name` made safe as the name of a file: no path, no control character, no device. Empty when nothing is left of it.
    pub safe_name: String,
    /// Size in bytes; `None` = the list doesn't say.
    pub bytes: Option<u64>,
    /// Whether it is a link.
    pub is_link: bool,
    /// The link's URL; empty for a file.
    pub link_url: String,
    /// As Zoho writes it: ISO 8601 with an offset.
    pub created_time: String,
    /// As Zoho writes it: ISO 8601 with an offset.
    pub modified_time: String,
    /// Id of the record it is attached to.
    pub parent_id: String,
    /// Owner's id.
    pub owner_id: String,
    /// Owner's name.
    pub owner_name: String,
    /// Id of the user who made it.
    pub created_by_id: String,
    /// Zoho's id of the stored bytes; empty for a link.
    pub file_id: String,
    /// `$type` as Zoho writes it; opaque.
    pub kind: String,
}

/// Which part of the list to fetch. Default: every page, with every field that [`Attachment`] has.
#[derive(Debug, Clone, Default)]
pub struct ListArgs {
    /// Comma list of API names; empty = what [`Attachment`] needs.
    pub fields: String,
    /// One page: its number, from 1; 0 = every page.
    pub page: u32,
    /// Entries a page, at most 200; 0 = 200.
    pub per_page: u32,
    /// One page: the token that the page before gave (API v7 and later).
    pub page_token: String,
}

/// Attachments of a record, in the order of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// The entries.
    pub attachments: Vec<Attachment>,
    /// Whether the server has more after these.
    pub more_records: bool,
    /// The token of the next page, if the server gives tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl ListArgs {
    /// Whether one page is named, and not all of them wanted.
    pub(super) fn is_one_page(&self) -> bool {
        self.page != 0 || !self.page_token.is_empty()
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(deserialize_with = "rows")]
    data: Vec<Attachment>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Info<'a> {
    #[serde(borrow)]
    more_records: Option<&'a RawValue>,
    #[serde(borrow)]
    next_page_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "File_Name")]
    file_name: Option<&'a RawValue>,
    #[serde(borrow, rename = "Size")]
    size: Option<&'a RawValue>,
    #[serde(borrow, rename = "Created_Time")]
    created_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "Modified_Time")]
    modified_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "Parent_Id")]
    parent: Option<&'a RawValue>,
    #[serde(borrow, rename = "Owner")]
    owner: Option<&'a RawValue>,
    #[serde(borrow, rename = "Created_By")]
    created_by: Option<&'a RawValue>,
    #[serde(borrow, rename = "$file_id")]
    file_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "$type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, rename = "$link_url")]
    link_url: Option<&'a RawValue>,
}

impl Row<'_> {
    /// The row as far as it can be read; `None` without an id, as then nothing can be done with it.
    fn read(self) -> Result<Option<Attachment>> {
        let Some(id) = value::id(self.id)? else { return Ok(None) };
        let ((owner_id, owner_name), (parent_id, _), (created_by_id, _)) = (named(self.owner)?, named(self.parent)?, named(self.created_by)?);
        let (kind, link_url) = (value::text(self.kind)?, value::text(self.link_url)?);
        let file_name = value::text(self.file_name)?;
        Ok(Some(Attachment {
            id,
            safe_name: safe_name(&file_name),
            file_name,
            bytes: value::text(self.size)?.parse().ok(),
            // `$type` has other words in other versions (UNCONFIRMED): the URL is what makes a link.
            is_link: !link_url.is_empty() || kind == "Link URL",
            link_url,
            created_time: value::text(self.created_time)?,
            modified_time: value::text(self.modified_time)?,
            parent_id,
            owner_id,
            owner_name,
            created_by_id,
            file_id: value::text(self.file_id)?,
            kind,
        }))
    }
}

/// Id and name of what a row refers to. In place of the object that is documented its id may stand, or its name.
fn named(value: Option<&RawValue>) -> Result<(String, String)> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
    }
    match value.and_then(|value| serde_json::from_str::<Named<'_>>(value.get()).ok()) {
        Some(named) => Ok((value::id(named.id)?.unwrap_or_default(), value::text(named.name)?)),
        None => Ok(value::id(value)?.map_or((String::new(), value::text(value)?), |id| (id, String::new()))),
    }
}

pub(crate) async fn parse(mut response: Response) -> Result<Page> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(Page::default());
    }
    let body = response.bytes(MOST).await?;
    // All of the text is checked for UTF-8 once: `from_slice` would do it string by string, which takes a tenth of the parsing.
    let text = String::from_utf8_lossy(&body);
    match serde_json::from_str::<Reply<'_>>(&text) {
        Ok(Reply { data, info }) => {
            let info = info.and_then(|info| serde_json::from_str::<Info<'_>>(info.get()).ok()).unwrap_or_default();
            let more_records = info.more_records.is_some_and(|more| matches!(more.get(), "true" | "\"true\""));
            let next_page_token = Some(value::text(info.next_page_token)?).filter(|token| !token.is_empty());
            Ok(Page { attachments: data, more_records, next_page_token })
        }
        Err(cause) if fallible::passed_on(&cause).is_some() => Err(fallible::passed_on(&cause).expect("it is one")),
        Err(cause) => Err(match reply::success(status, response.headers(), &body) {
            Err(error) if error.status() != Status::Protocol => error,
            _ => {
                let error = reply::foreign(status, response.headers(), &body);
                let message = one_line(&format!("the list can't be read ({cause}): {error}")); // the cause quotes the list
                error.with(|d| d.message = message)
            }
        }),
    }
}

/// The entries, in a list that grows as far as there is memory. `null` is none.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Attachment>, D::Error> {
    struct Rows;
    impl<'de> Visitor<'de> for Rows {
        type Value = Vec<Attachment>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_none<E: de::Error>(self) -> std::result::Result<Vec<Attachment>, E> {
            Ok(Vec::new())
        }
        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Vec<Attachment>, D::Error> {
            deserializer.deserialize_seq(self)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> std::result::Result<Vec<Attachment>, A::Error> {
            let mut rows = Vec::new();
            while let Some(row) = from.next_element::<Row<'_>>()? {
                fallible::reserve(&mut rows, 1).map_err(de::Error::custom)?;
                let row = row.read().map_err(de::Error::custom)?;
                rows.push(row.ok_or_else(|| de::Error::custom("an entry has no id"))?);
            }
            Ok(rows)
        }
    }
    deserializer.deserialize_option(Rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Option<Attachment> {
        serde_json::from_str::<Row<'_>>(json).unwrap().read().unwrap()
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
}
