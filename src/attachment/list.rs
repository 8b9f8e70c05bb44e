//! The list of a record's attachments: what is asked for, and how a row is read.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::error::Result;
use crate::http::value;
use crate::pages::{self, List, ListArgs};
use crate::record::Record;
use crate::transfer::safe_name;

/// What is asked for when the caller names no fields. The list refuses to come without any from v3 on, and gives the others null or not at all.
const FIELDS: &str = "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url";

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

impl From<pages::Page<Attachment>> for Page {
    fn from(page: pages::Page<Attachment>) -> Page {
        Page { attachments: page.rows, more_records: page.more_records, next_page_token: page.next_page_token }
    }
}

/// The pages of a record's attachments, one at a time, so that memory doesn't grow with the list but for its ids.
pub struct Pages(pub(super) pages::Pages<Attachment>);

impl Pages {
    /// The next page, with the attachments that no page before it had; `None` at the end. After an error the same page is asked for again.
    ///
    /// Timeout, cancel token and trace id of `call` are those of this page.
    pub fn next(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page>>> {
        Ok(self.0.next(call)?.map(|outcome| outcome.map(Page::from)))
    }
}

/// The list of the record's attachments, with these fields: those of [`Attachment`] when there are none.
pub(super) fn of(client: &Client, record: &Record, args: &ListArgs) -> Result<List> {
    record.check(client.config())?;
    let version = client.version();
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

#[derive(Deserialize)]
pub(crate) struct Row<'a> {
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

impl pages::Row for Attachment {
    type Json<'a> = Row<'a>;

    fn read(row: Row<'_>) -> Result<Option<Attachment>> {
        let Some(id) = value::id(row.id)? else { return Ok(None) };
        let ((owner_id, owner_name), (parent_id, _), (created_by_id, _)) = (named(row.owner)?, named(row.parent)?, named(row.created_by)?);
        let (kind, link_url) = (value::text(row.kind)?, value::text(row.link_url)?);
        let file_name = value::text(row.file_name)?;
        Ok(Some(Attachment {
            id,
            safe_name: safe_name(&file_name),
            file_name,
            bytes: value::text(row.size)?.parse().ok(),
            // `$type` has other words in other versions (UNCONFIRMED): the URL is what makes a link.
            is_link: !link_url.is_empty() || kind == "Link URL",
            link_url,
            created_time: value::text(row.created_time)?,
            modified_time: value::text(row.modified_time)?,
            parent_id,
            owner_id,
            owner_name,
            created_by_id,
            file_id: value::text(row.file_id)?,
            kind,
        }))
    }

    fn id(&self) -> &str {
        &self.id
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Option<Attachment> {
        pages::Row::read(serde_json::from_str::<Row<'_>>(json).unwrap()).unwrap()
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
