//! Attachments of a record: upload a file or a link, list, download, delete.

use serde::Serialize;


/// An attachment that Zoho has stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// The attachment's id.
    pub id: String,
    /// The file name, or a link's title, that was sent; empty = Zoho takes the linked page's title.
    pub file_name: String,
    /// Bytes sent; 0 for a link.
    pub bytes: u64,
    /// SHA-256 of the bytes in hexadecimal, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The link's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
    /// When Zoho stored it, as Zoho writes it: ISO 8601 with an offset.
    pub created_time: String,
}

/// An attachment as the list shows it. Every field but `id` may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The attachment's id.
    pub id: String,
    /// File name, or a link's title.
    pub file_name: String,
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

/// What of a list is wanted. Default: every page, with every field that [`Attachment`] has.
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
pub struct Page {
    /// The entries.
    pub attachments: Vec<Attachment>,
    /// Whether the server has more after these.
    pub more_records: bool,
    /// The token of the next page, if the server gives tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A download that is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Downloaded {
    /// Bytes received.
    pub bytes: u64,
    /// SHA-256 of the bytes in hexadecimal, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The name that the server gives, made safe as a file name; empty = none.
    pub file_name: String,
    /// The MIME type that the server gives; empty = none.
    pub content_type: String,
    /// Whether the number of bytes could be held against a length that the server or the caller named.
    pub length_verified: bool,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<std::path::PathBuf>,
    /// The bytes, for a memory sink.
    #[serde(skip)]
    pub data: Option<Vec<u8>>,
}

/// Attachments that are deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Their ids.
    pub ids: Vec<String>,
}
