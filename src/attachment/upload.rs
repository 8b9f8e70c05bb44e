//! The upload of a file or a link: one request, repeated only when it is known that nothing was stored.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::settle::{Earlier, Settlement};
use super::sought::parsed;
use super::{Attachment, Uploaded};
use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::config::{Check, Config, LinkCarrier, Settle};
use crate::error::{Error, Result, Status};
use crate::fallible::copy;
use crate::http::doubt::Deed;
use crate::http::{Response, Session, reply, value};
use crate::object::Object;
use crate::record::{Record, is_id};
use crate::transfer::{Digest, File, Framing, HashKind, Input, Outgoing, Progress};

pub(super) fn file<'a>(client: &Client, record: &Record, file: File<'a>, call: Call<'a>) -> Result<Outcome<Uploaded>> {
    let config = client.config();
    check_type(config, &file.name)?;
    let mut framing = Framing::new()?;
    framing.file(&file.name, &file.content_type)?;
    let ask = Ask { content_type: Some(framing.content_type()), ..post(record) };
    let (name, earlier) = (&file.name, Earlier::of(&call));
    let outcome = client.run("attachment.upload", record, client.limits(&call), call.trace_id.as_deref(), async |session| {
        let input = Input::new(file.bytes).sized(config, config.attachment_max_bytes, "attachment_size").await?;
        let input = if earlier.is_asked() { input.kept(config).await? } else { input };
        // What can't be read again has to be hashed now, to be known again if its reply is lost.
        let hashed = !input.is_repeatable() && config.settle_hash && config.settle != Settle::Off;
        let hash = call.sha256.then_some(HashKind::Sha256).or(hashed.then_some(HashKind::Fast));
        let mut body = Outgoing::file(framing, input, Progress::new(call.progress), Digest::new(hash, call.expected_sha256));
        let length = body.file_length();
        let settlement = Settlement::begin(client, session, record, name, length, None, earlier).await;
        let stored = store(client, session, &ask, Some(&mut body), settlement).await?;
        let (bytes, sha256) = if stored.skipped { (length.unwrap_or_default(), None) } else { (body.sent(), body.sha256()) };
        Ok(Uploaded { bytes, sha256, ..stored })
    })?;
    Ok(outcome.map(|uploaded| Uploaded { file_name: file.name, ..uploaded }))
}

pub(super) fn link(client: &Client, record: &Record, url: String, title: String, call: Call<'_>) -> Result<Outcome<Uploaded>> {
    check_link(client, &url, &title)?;
    let mut ask = post(record);
    let form = put_link(client.config(), &mut ask, &url, &title)?;
    let outcome = client.run("attachment.upload", record, client.limits(&call), call.trace_id.as_deref(), async |session| {
        let mut body = form.map(Outgoing::form);
        let settlement = Settlement::begin(client, session, record, &title, None, Some(&url), Earlier::of(&call)).await;
        store(client, session, &ask, body.as_mut(), settlement).await
    })?;
    Ok(outcome.map(|uploaded| Uploaded { file_name: title, link_url: Some(url), ..uploaded }))
}

fn post(record: &Record) -> Ask<'_> {
    Ask { method: Method::POST, deed: Some(Deed::Upload), ..Ask::get(record, "Attachments") }
}

/// What became of the upload: what was there before, where that counts, or what is stored.
async fn store(
    client: &Client,
    session: &Session<'_>,
    ask: &Ask<'_>,
    mut body: Option<&mut Outgoing<'_>>,
    mut settlement: Settlement<'_, '_>,
) -> Result<Uploaded> {
    match settlement.prepare(body.as_deref_mut()).await? {
        Some(there) => Ok(there),
        None => send(client, session, ask, body, &mut settlement).await,
    }
}

/// Sends until the upload is stored, is refused, or nobody can tell.
async fn send(
    client: &Client,
    session: &Session<'_>,
    ask: &Ask<'_>,
    mut body: Option<&mut Outgoing<'_>>,
    settlement: &mut Settlement<'_, '_>,
) -> Result<Uploaded> {
    if let Some(body) = body.as_deref_mut() {
        body.rewind()?; // it may have been read to be hashed
    }
    loop {
        let outcome = client.ask(session, ask, body.as_deref_mut(), async |response: &mut Response| read_reply(client, response).await).await;
        let stored = match outcome {
            Ok(stored) => settlement.stored(stored, body.as_deref_mut()).await?,
            Err(error) if settlement.is_in_doubt(&error) => match settlement.settle(error, body.as_deref_mut()).await? {
                Some(stored) => stored,
                None => continue,
            },
            Err(error) => return Err(error),
        };
        session.meter.doubt.ends(Deed::Upload);
        return Ok(stored);
    }
}

/// Zoho takes every type of file but one.
fn check_type(config: &Config, name: &str) -> Result<()> {
    if name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("exe")) && config.checks(Check::AttachmentType) {
        let error = Error::new(Status::FileType, "attachment_type", "Zoho takes every type of file but .exe");
        return Err(error.with(|d| d.field = Some("name")));
    }
    Ok(())
}

/// <https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html>: a link has at most 3000 characters, its title at most 255.
fn check_link(client: &Client, url: &str, title: &str) -> Result<()> {
    let parsed = parsed(url);
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
    if !title.is_empty() && !client.api_version().link_titles {
        let message = format!("API {} takes no title for a link; leave the name empty", client.api_version().name);
        return Err(Error::new(Status::Version, "link_title", message).with(|d| d.field = Some("name")));
    }
    Ok(())
}

/// Puts the link where the settings have it: into the query, or into the form that this gives.
fn put_link(config: &Config, ask: &mut Ask<'_>, url: &str, title: &str) -> Result<Option<Framing>> {
    let fields = [("attachmentUrl", url), ("title", title)].into_iter().filter(|(_, value)| !value.is_empty());
    match config.link_carrier {
        LinkCarrier::Query => {
            ask.query.extend(fields.map(|(name, value)| (name, value.to_owned())));
            Ok(None)
        }
        LinkCarrier::Form => {
            let mut framing = Framing::new()?;
            fields.for_each(|(name, value)| framing.field(name, value));
            ask.content_type = Some(framing.content_type());
            Ok(Some(framing))
        }
    }
}

impl Uploaded {
    pub(super) fn listed(entry: &Attachment) -> Uploaded {
        Uploaded { id: entry.id.clone(), created_time: entry.created_time.clone(), ..Uploaded::default() }
    }
}

/// What the reply to a successful upload says.
#[derive(Debug, PartialEq)]
struct UploadReply {
    id: String,
    created_time: String,
    /// Who attached it.
    user: Option<String>,
}

async fn read_reply(client: &Client, response: &mut Response) -> Result<Uploaded> {
    let body = response.bytes(reply::MOST).await?;
    let UploadReply { id, created_time, user } = documented(&body).unwrap_or_else(|| tolerated(response.status(), response.headers(), &body))?;
    user.into_iter().for_each(|id| client.learn_own_user(id));
    Ok(Uploaded { id, created_time, ..Uploaded::default() })
}

/// The same as [`tolerated`], of what is written as Zoho documents it, in a third of the time. `None` of any other.
fn documented(body: &[u8]) -> Option<Result<UploadReply>> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: [Object<Verdict<'a>>; 1],
    }
    #[derive(Deserialize)]
    struct Verdict<'a> {
        code: &'a str,
        status: &'a str,
        #[serde(borrow)]
        details: Object<Details<'a>>,
    }
    #[derive(Deserialize)]
    struct Details<'a> {
        id: &'a str,
        #[serde(rename = "Created_Time")]
        created_time: &'a str,
        #[serde(borrow, rename = "Created_By")]
        created_by: Object<User<'a>>,
    }
    #[derive(Deserialize)]
    struct User<'a> {
        id: &'a str,
    }
    let body = std::str::from_utf8(body).ok()?; // once, and not for each text
    let Object(Reply { data: [Object(Verdict { code, status, details })] }) = serde_json::from_str(body).ok()?;
    let Object(Details { id, created_time, created_by: Object(User { id: user }) }) = details;
    let is_so = code == "SUCCESS" && status == "success" && is_id(id) && is_id(user);
    let copied = || Ok(UploadReply { id: copy(id)?, created_time: copy(created_time)?, user: Some(copy(user)?) });
    is_so.then(copied)
}

/// The id, without which nothing is known to be stored, and the rest as far as it can be read.
fn tolerated(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<UploadReply> {
    #[derive(Deserialize)]
    struct Details<'a> {
        #[serde(borrow, rename = "Created_Time")]
        created_time: Option<&'a RawValue>,
        #[serde(borrow, rename = "Created_By")]
        created_by: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct User<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let object = reply::success(status, headers, body)?;
    let id = object.id()?.ok_or_else(|| reply::foreign(status, headers, body))?;
    let details = object.details.as_ref().and_then(|details| serde_json::from_str::<Object<Details<'_>>>(details.get()).ok());
    let (created_time, created_by) = details.map_or((None, None), |Object(details)| (details.created_time, details.created_by));
    let user = created_by.and_then(|user| serde_json::from_str::<Object<User<'_>>>(user.get()).ok());
    Ok(UploadReply { id, created_time: value::text(created_time)?, user: value::id(user.and_then(|Object(user)| user.id))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{"data":[{"code":"SUCCESS","details":{"Modified_Time":"2026-01-02T03:04:05+00:00","Modified_By":{"name":"Ä","id":"7"},
        "Created_Time":"2026-01-02T03:04:05+00:00","id":"3652397000000649013","Created_By":{"name":"Ä","id":"7"}},"message":"attachment uploaded
        Successfully","status":"success"}]}"#;

    #[test]
    fn what_is_read_fast_is_what_is_read_tolerantly() {
        let reply = REPLY.replace("\n        ", " ");
        let others = [
            ("", ""),
            (r#""7""#, "7"),
            (r#""3652397000000649013""#, "3652397000000649013"),
            (r#""3652397000000649013""#, "\"\""),
            (r#""3652397000000649013""#, "null"),
            (r#""Created_Time":"2026-01-02T03:04:05+00:00""#, r#""Created_Time":null"#),
            (r#""Created_Time":"2026-01-02T03:04:05+00:00""#, r#""Created_Time":"2026\u002d01""#),
            (r#""Created_By":{"name":"Ä","id":"7"}"#, r#""Created_By":"Ä""#),
            (r#""Created_By":{"name":"Ä","id":"7"}"#, r#""Created_By":{"name":"Ä","id":"x"}"#),
            ("success", "SUCCESS"),
            ("success", "error"),
            ("SUCCESS", "DUPLICATE_DATA"),
            ("}]}", "},{}]}"),
            ("}]}", r#"}],"data":[]}"#),
            ("]}", "]} "),
            ("]}", "]"),
        ];
        let read_fast = others.iter().filter(|(part, other)| {
            let reply = reply.replace(part, other);
            let tolerated = tolerated(StatusCode::OK, &HeaderMap::new(), reply.as_bytes());
            let documented = documented(reply.as_bytes());
            if let Some(documented) = &documented {
                assert_eq!(documented.as_ref().ok(), tolerated.as_ref().ok(), "{reply}");
            }
            documented.is_some()
        });
        assert_eq!(read_fast.count(), 2, "the documented reply, and with a blank behind it");
    }
}
