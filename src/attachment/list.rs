//! A page of the list of a record's attachments: what is asked for, and how the reply is read.

use std::fmt;

use reqwest::StatusCode;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{Result, Status, one_line};
use crate::fallible;
use crate::http::{Response, reply};
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
    /// Id of the record it hangs on.
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
struct Reply {
    #[serde(deserialize_with = "rows")]
    data: Vec<Attachment>,
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    more_records: bool,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "text")]
    id: String,
    #[serde(default, rename = "File_Name", deserialize_with = "text")]
    file_name: String,
    #[serde(default, rename = "Size", deserialize_with = "text")]
    size: String,
    #[serde(default, rename = "Created_Time", deserialize_with = "text")]
    created_time: String,
    #[serde(default, rename = "Modified_Time", deserialize_with = "text")]
    modified_time: String,
    #[serde(default, rename = "Parent_Id")]
    parent: Option<Named>,
    #[serde(default, rename = "Owner")]
    owner: Option<Named>,
    #[serde(default, rename = "Created_By")]
    created_by: Option<Named>,
    #[serde(default, rename = "$file_id", deserialize_with = "text")]
    file_id: String,
    #[serde(default, rename = "$type", deserialize_with = "text")]
    kind: String,
    #[serde(default, rename = "$link_url", deserialize_with = "text")]
    link_url: String,
}

#[derive(Deserialize, Default)]
struct Named {
    #[serde(default, deserialize_with = "text")]
    id: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
}

impl From<Row> for Attachment {
    fn from(row: Row) -> Attachment {
        let (owner, created_by) = (row.owner.unwrap_or_default(), row.created_by.unwrap_or_default());
        Attachment {
            // `$type` has other words in other versions (UNCONFIRMED): the URL is what makes a link.
            is_link: !row.link_url.is_empty() || row.kind == "Link URL",
            bytes: row.size.parse().ok(),
            id: row.id,
            safe_name: safe_name(&row.file_name),
            file_name: row.file_name,
            link_url: row.link_url,
            created_time: row.created_time,
            modified_time: row.modified_time,
            parent_id: row.parent.unwrap_or_default().id,
            owner_id: owner.id,
            owner_name: owner.name,
            created_by_id: created_by.id,
            file_id: row.file_id,
            kind: row.kind,
        }
    }
}

pub(crate) async fn parse(mut response: Response) -> Result<Page> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(Page::default());
    }
    let body = response.bytes(MOST).await?;
    // All of the text is checked for UTF-8 once: `from_slice` would do it string by string, which takes a tenth of the parsing.
    let parsed = std::str::from_utf8(&body).map_err(de::Error::custom).and_then(serde_json::from_str::<Reply>);
    match parsed {
        Ok(reply) => {
            let info = reply.info.unwrap_or(Info { more_records: false, next_page_token: None });
            Ok(Page { attachments: reply.data, more_records: info.more_records, next_page_token: info.next_page_token })
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

/// The entries, in a list that grows as far as there is memory.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Attachment>, D::Error> {
    struct Rows;
    impl<'de> Visitor<'de> for Rows {
        type Value = Vec<Attachment>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> std::result::Result<Vec<Attachment>, A::Error> {
            let mut rows = Vec::new();
            while let Some(row) = from.next_element::<Row>()? {
                fallible::reserve(&mut rows, 1).map_err(de::Error::custom)?;
                rows.push(row.into());
            }
            Ok(rows)
        }
    }
    deserializer.deserialize_seq(Rows)
}

/// A string, or a whole number as its digits (ids and sizes come as either), or null as nothing. A fraction is refused, never rounded.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string, a whole number or null")
        }
        fn visit_str<E: de::Error>(self, v: &str) -> std::result::Result<String, E> {
            fallible::copy(v).map_err(de::Error::custom)
        }
        fn visit_string<E: de::Error>(self, v: String) -> std::result::Result<String, E> {
            Ok(v)
        }
        fn visit_u64<E: de::Error>(self, v: u64) -> std::result::Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_unit<E: de::Error>(self) -> std::result::Result<String, E> {
            Ok(String::new())
        }
    }
    deserializer.deserialize_any(Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> serde_json::Result<Attachment> {
        serde_json::from_str::<Row>(json).map(Attachment::from)
    }

    #[test]
    fn an_id_is_exact_as_a_string_and_as_a_number() {
        for json in [r#"{"id":"9007199254740993"}"#, r#"{"id":9007199254740993}"#] {
            assert_eq!(row(json).unwrap().id, "9007199254740993");
        }
        assert_eq!(row(r#"{"id":18446744073709551615}"#).unwrap().id, "18446744073709551615");
        assert!(row(r#"{"id":123456789012345678901}"#).is_err(), "a number that only a double could hold");
        assert!(row(r#"{"id":1.5}"#).is_err());
    }

    #[test]
    fn a_size_is_read_in_every_form_and_every_other_field_may_be_absent() {
        let size = |json| row(json).unwrap().bytes;
        assert_eq!(size(r#"{"id":"1","Size":"1048576"}"#), Some(1_048_576));
        assert_eq!(size(r#"{"id":"1","Size":1048576}"#), Some(1_048_576));
        assert_eq!(size(r#"{"id":"1","Size":null,"Parent_Id":null,"Owner":null,"File_Name":null}"#), None);
        assert!(row(r#"{"File_Name":"x"}"#).is_err());
    }

    #[test]
    fn a_link_is_known_by_its_url() {
        assert!(row(r#"{"id":"1","$link_url":"https://zoho.com","$type":"whatever"}"#).unwrap().is_link);
        assert!(!row(r#"{"id":"1","$link_url":null,"$type":"File"}"#).unwrap().is_link);
    }
}
