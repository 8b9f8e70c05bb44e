//! Attachments of a record: upload a file or a link, list, download, delete.

mod delete;
pub(crate) mod list;
mod settle;
mod sought;
mod upload;

use std::collections::HashSet;

use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::download;
use crate::error::{Error, Result, Status};
use crate::pages;
use crate::record::{Record, check_id};
use crate::transfer::{Sink, Source};

pub use crate::download::Downloaded;
pub use crate::pages::ListArgs;
pub use delete::Deleted;
use delete::Deletion;
pub(crate) use list::Listed;
pub use list::{Attachment, Page, Pages};

/// An attachment that Zoho has stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// It was there already and was not sent (`Call::if_exists`, `Call::again`).
    pub skipped: bool,
    /// The reply was lost, and the upload was found on the record.
    pub settled: bool,
    /// Zoho stored it under another name; known only when the record was listed.
    pub name_changed: bool,
    /// Further copies that sending it again made; with `on_twin=delete` they are deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twins: Vec<String>,
}

/// Stores a file or a link on the record. Success means that Zoho gave an id for it.
/// <https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html>
pub fn upload<'a>(client: &Client, record: &Record, source: impl Into<Source<'a>>, call: Call<'a>) -> Result<Outcome<Uploaded>> {
    record.check(client.config())?;
    match source.into() {
        Source::File(file) => upload::file(client, record, file, call),
        Source::Link { url, title } => upload::link(client, record, url, title, call),
    }
}

/// Lists the record's attachments: one page when `args` names one, else every page. None at all is an empty list.
/// <https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html>
pub fn list(client: &Client, record: &Record, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page>> {
    listed(client, record, args, call)?.try_map(Page::copied)
}

/// [`list`] with all texts in one piece of memory.
pub(crate) fn listed(client: &Client, record: &Record, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page<Listed>>> {
    let outcome = pages::run(client, list::of(client, record, args)?, args, call)?;
    Ok(outcome.map(Page::from))
}

/// The pages of the list one by one, from the one that `args` names or the first, so that memory doesn't grow with the list. Nothing is sent
/// yet. Deleting rows meanwhile, even every row of a page, hides no other.
pub fn pages(client: &Client, record: &Record, args: &ListArgs) -> Result<Pages> {
    pages::Pages::new(client, list::of(client, record, args)?, args).map(Pages)
}

/// Writes an attachment's bytes to the sink. A link is `Status::IsLink`: it has no bytes.
/// <https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html>
pub fn download<'a>(client: &Client, record: &Record, id: &str, sink: Sink<'a>, call: Call<'a>) -> Result<Outcome<Downloaded>> {
    record.check(client.config())?;
    check_id(client.config(), "attachment_id", id)?;
    let mut ask = Ask::get(record, "Attachments");
    ask.path.push(id);
    download::run(client, "attachment.download", record, ask, sink, call, &FILE)
}

/// Deletes attachments. An id that isn't there is an error, unless an earlier attempt of this very call, or a call before (`Call::again`), may have
/// deleted it; one that is given twice counts once.
/// <https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html>
pub fn delete(client: &Client, record: &Record, ids: &[&str], call: Call<'_>) -> Result<Outcome<Deleted>> {
    record.check(client.config())?;
    if ids.is_empty() {
        return Err(Error::argument("attachment_id", "no attachment id is given"));
    }
    ids.iter().try_for_each(|id| check_id(client.config(), "attachment_id", id))?;
    let mut seen = HashSet::new();
    let ids: Vec<&str> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let limits = client.limits(&call);
    client.run("attachment.delete", record, limits, call.trace_id.as_deref(), async |session| {
        let mut deletion = Deletion::new(client, session, record).again(call.again);
        match &ids[..] {
            [id] => deletion.one(id).await?,
            ids => deletion.several(ids).await?,
        }
        deletion.outcome()
    })
}

/// An attachment is any file.
const FILE: download::Expected = download::Expected { absent: no_such_attachment, begins: None };

fn no_such_attachment() -> Error {
    Error::new(Status::NotFound, "attachment_unknown", "the record has no such attachment")
}
