//! Attachments of a record: upload a file or a link, list, download, delete.

mod delete;
pub(crate) mod list;
mod pages;
mod settle;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::config::{Check, Config, LinkCarrier, Settle};
use crate::download;
use crate::error::{Error, Result, Status};
use crate::http::retry::Repeat;
use crate::http::{Session, reply};
use crate::record::Record;
use crate::transfer::{Bytes, Digest, Framing, HashKind, Input, Outgoing, Progress, Sink, Source};

pub use crate::download::Downloaded;
pub use delete::Deleted;
use delete::Deletion;
pub use list::{Attachment, ListArgs, Page};
pub use pages::Pages;
use settle::Settlement;

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
    /// It was there already and was not sent (`Call::if_exists`).
    pub skipped: bool,
    /// The reply was lost, and the upload was found on the record.
    pub settled: bool,
    /// Zoho stored it under another name; known only when the record was listed.
    pub name_changed: bool,
    /// Further copies that a repeated sending has made; with `on_twin=delete` they are gone again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twins: Vec<String>,
}

/// Stores a file or a link on the record. Success means that Zoho gave an id for it.
/// <https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html>
pub fn upload<'a>(client: &Client, record: &Record, source: Source<'a>, call: Call<'a>) -> Result<Outcome<Uploaded>> {
    client.check_record(record)?;
    check_source(client, &source)?;
    let limits = client.limits(&call);
    let file_name = source.file_name();
    let link_url = (!source.link_url.is_empty()).then_some(source.link_url);
    let mut ask = Ask { method: Method::POST, repeat: Repeat::Duplicates, ..Ask::get(record, "Attachments") };
    let mut framing = Framing::new()?;
    if let Some(url) = &link_url {
        put_link(client.config(), &mut ask, &mut framing, url, source.bytes.is_none().then_some(file_name.as_str()));
    }
    let has_file = source.bytes.is_some();
    if has_file {
        framing.file(&file_name, &source.content_type)?;
    }
    let input = source.bytes.map(Input::open).transpose()?;
    let has_body = has_file || client.config().link_carrier == LinkCarrier::Form;
    ask.content_type = has_body.then(|| framing.content_type());
    let link = link_url.as_deref();
    let uploaded = client.run("attachment.upload", limits, call.trace_id.as_deref(), async |session| {
        let mut body = match input {
            Some(input) => {
                let limit = Some(client.config().attachment_max_bytes);
                let input = input.sized(client.config(), limit, "attachment_size").await?;
                // What can't be read again has to be hashed now, to be known again if its reply is lost.
                let hashed = !input.is_repeatable() && client.config().settle_hash && client.config().settle != Settle::Off;
                let hash = call.sha256.then_some(HashKind::Sha256).or(hashed.then_some(HashKind::Fast));
                Some(Outgoing::file(framing, input, Progress::new(call.progress), Digest::new(hash, call.expected_sha256)))
            }
            None => has_body.then(|| Outgoing::form(framing)),
        };
        let bytes = body.as_ref().and_then(Outgoing::file_length).unwrap_or_default();
        let mut sending = Settlement::new(client, session, record, &file_name, bytes, link).but_not(call.claimed.clone());
        let stored = match sending.prepare(call.if_exists, body.as_mut()).await? {
            Some(stored) => stored,
            None => send(client, session, &ask, body.as_mut(), &mut sending).await?,
        };
        let (bytes, sha256) = body.filter(|_| !stored.skipped).map_or((bytes, None), |body| (body.sent(), body.sha256()));
        Ok((stored, bytes, sha256))
    })?;
    Ok(uploaded.map(|(stored, bytes, sha256)| Uploaded {
        id: stored.id,
        file_name,
        bytes,
        sha256,
        link_url,
        created_time: stored.created_time,
        skipped: stored.skipped,
        settled: stored.settled,
        name_changed: stored.name_changed,
        twins: stored.twins,
    }))
}

/// Sends until the upload is stored, is refused, or nobody can tell.
async fn send(
    client: &Client,
    session: &Session<'_>,
    ask: &Ask<'_>,
    mut body: Option<&mut Outgoing<'_>>,
    sending: &mut Settlement<'_, '_>,
) -> Result<Stored> {
    if let Some(body) = body.as_deref_mut() {
        body.rewind()?; // it may have been read to be hashed
    }
    session.meter.lost.set(false);
    loop {
        session.meter.unknown.set(true);
        let outcome = client.ask(session, ask, body.as_deref_mut(), async |response| stored(client, response).await).await;
        let stored = match outcome {
            Ok(stored) => sending.stored(stored, body.as_deref_mut()).await?,
            Err(error) if error.is_ambiguous() || sending.is_resent_link() => match sending.settle(error, body.as_deref_mut()).await? {
                Some(stored) => stored,
                None => continue,
            },
            Err(error) => {
                session.meter.unknown.set(false);
                return Err(error);
            }
        };
        session.meter.unknown.set(false);
        return Ok(stored);
    }
}

/// Lists the record's attachments: one page when `args` names one, else every page. None at all is an empty list.
/// <https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html>
pub fn list(client: &Client, record: &Record, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page>> {
    pages::run(client, record, args, call)
}

/// The pages of the list one by one, from the one that `args` names or the first, so that memory doesn't grow with the list. Nothing is sent
/// yet. What is deleted meanwhile, and be it every row that a page has told, hides no other.
pub fn pages(client: &Client, record: &Record, args: &ListArgs) -> Result<Pages> {
    Pages::new(client, record, args)
}

/// Writes an attachment's bytes to the sink, which takes at most `max_bytes`. A link is `Status::IsLink`: it has no bytes.
/// <https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html>
pub fn download<'a>(
    client: &Client,
    record: &Record,
    id: &str,
    sink: Sink<'a>,
    max_bytes: Option<u64>,
    call: Call<'a>,
) -> Result<Outcome<Downloaded>> {
    client.check_record(record)?;
    client.check_id("attachment_id", id)?;
    let mut ask = Ask::get(record, "Attachments");
    ask.path.push(id);
    download::run(client, "attachment.download", ask, sink, max_bytes, call, no_such_attachment)
}

/// Deletes attachments. An id that isn't there is an error, unless an earlier attempt of this very call may have deleted it.
/// <https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html>
pub fn delete(client: &Client, record: &Record, ids: &[&str], call: Call<'_>) -> Result<Outcome<Deleted>> {
    client.check_record(record)?;
    if ids.is_empty() {
        return Err(Error::argument("attachment_id", "no attachment id is given"));
    }
    ids.iter().try_for_each(|id| client.check_id("attachment_id", id))?;
    let limits = client.limits(&call);
    client.run("attachment.delete", limits, call.trace_id.as_deref(), async |session| {
        let mut deletion = Deletion::new(client, session, record);
        match ids {
            [id] => deletion.one(id).await?,
            ids => deletion.several(ids).await?,
        }
        deletion.outcome(ids.len())
    })
}

fn no_such_attachment() -> Error {
    Error::new(Status::NotFound, "attachment_unknown", "the record has no such attachment")
}

fn check_source(client: &Client, source: &Source<'_>) -> Result<()> {
    let config = client.config();
    let refuse = |check, status, reason, field, message: String| match config.checks(check) {
        true => Err(Error::new(status, reason, message).with(|d| d.field = Some(field))),
        false => Ok(()),
    };
    match (&source.bytes, source.link_url.as_str()) {
        (None, "") => return Err(Error::argument("source", "neither a file nor a link is given")),
        (Some(_), "") => {}
        (None, url) => check_link(client, url, &source.name)?,
        (Some(_), _) => {
            let message = "a file and a link are given together; attach them by two calls".to_owned();
            refuse(Check::FileAndLink, Status::Argument, "file_and_link", "source", message)?;
        }
    }
    let name = source.file_name();
    if source.bytes.is_some() && name.to_ascii_lowercase().ends_with(".exe") {
        refuse(Check::AttachmentType, Status::FileType, "attachment_type", "name", "Zoho takes every type of file but .exe".to_owned())?;
    }
    Ok(())
}

/// <https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html>: a link has at most 3000 characters, its title at most 255.
fn check_link(client: &Client, url: &str, title: &str) -> Result<()> {
    let parsed = reqwest::Url::parse(url).ok();
    let scheme = parsed.as_ref().is_some_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    let user_info = parsed.as_ref().is_some_and(|u| !u.username().is_empty() || u.password().is_some());
    let refused = [
        (
            Check::LinkControl,
            "link_control",
            "link_url",
            url.chars().any(|c| c.is_control() || c == ' '),
            "the link holds control characters or spaces",
        ),
        (Check::LinkScheme, "link_scheme", "link_url", !scheme, "the link is not an http or https URL"),
        (Check::LinkLength, "link_length", "link_url", url.chars().count() > 3000, "the link has over 3000 characters"),
        (
            Check::LinkUserInfo,
            "link_user_info",
            "link_url",
            user_info,
            "the link holds a user name or password, which every reader of the record would see",
        ),
        (Check::TitleLength, "title_length", "name", title.chars().count() > 255, "the link's title has over 255 characters"),
    ];
    for (check, reason, field, bad, message) in refused {
        if bad && client.config().checks(check) {
            return Err(Error::new(Status::InvalidLink, reason, format!("{field}: {message}")).with(|d| d.field = Some(field)));
        }
    }
    if !title.is_empty() && !client.version().link_titles {
        let message = format!("API {} takes no title for a link; leave the name empty", client.version().name);
        return Err(Error::new(Status::Version, "link_title", message).with(|d| d.field = Some("name")));
    }
    Ok(())
}

fn put_link(config: &Config, ask: &mut Ask<'_>, framing: &mut Framing, url: &str, title: Option<&str>) {
    let title = title.filter(|title| !title.is_empty());
    match config.link_carrier {
        LinkCarrier::Query => {
            ask.query.push(("attachmentUrl", url.to_owned()));
            ask.query.extend(title.map(|title| ("title", title.to_owned())));
        }
        LinkCarrier::Form => {
            framing.field("attachmentUrl", url);
            title.into_iter().for_each(|title| framing.field("title", title));
        }
    }
}

/// Where an upload has come to lie.
#[derive(Default)]
struct Stored {
    id: String,
    created_time: String,
    skipped: bool,
    settled: bool,
    name_changed: bool,
    twins: Vec<String>,
}

impl Stored {
    fn listed(entry: &Attachment) -> Stored {
        Stored { id: entry.id.clone(), created_time: entry.created_time.clone(), ..Stored::default() }
    }
}

/// The id that a successful upload must give: without one nothing is known to be stored.
async fn stored(client: &Client, mut response: crate::http::Response) -> Result<Stored> {
    #[derive(Deserialize)]
    struct User {
        id: String,
    }
    #[derive(Deserialize)]
    struct Details {
        id: String,
        #[serde(default, rename = "Created_Time")]
        created_time: String,
        #[serde(default, rename = "Created_By")]
        created_by: Option<User>,
    }
    let status = response.status();
    let body = response.bytes(reply::MOST).await?;
    let object = reply::success(status, response.headers(), &body)?;
    let details = object.details.as_ref().and_then(|details| serde_json::from_str::<Details>(details.get()).ok());
    let details = details.ok_or_else(|| reply::foreign(status, response.headers(), &body))?;
    details.created_by.into_iter().for_each(|user| client.learn_own_user(user.id));
    Ok(Stored { id: details.id, created_time: details.created_time, ..Stored::default() })
}

impl Source<'_> {
    /// The name to send: the one that was given, or the last part of a file's path.
    pub(crate) fn file_name(&self) -> String {
        match &self.bytes {
            Some(Bytes::File(path)) if self.name.is_empty() => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            _ => self.name.clone(),
        }
    }
}
