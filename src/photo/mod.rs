//! The photo of a record: upload, download, delete. A record has at most one.

pub(crate) mod image;

use reqwest::Method;
use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::download::{self, Downloaded};
use crate::error::{Error, Result, Status};
use crate::http::doubt::Deed;
use crate::http::{Response, reply};
use crate::record::Record;
use crate::transfer::{Digest, File, Framing, HashKind, Input, Outgoing, Progress, Sink};

/// A photo that Zoho has stored. It has no id of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhotoUploaded {
    /// The file name that was sent.
    pub file_name: String,
    /// Bytes sent.
    pub bytes: u64,
    /// SHA-256 of the bytes in hexadecimal, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The record has no photo any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhotoDeleted {}

/// Stores the record's photo, replacing any it has. PNG, JPEG, GIF or BMP, at most 10 MB and 10 megapixels.
/// <https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html>
pub fn upload<'a>(client: &Client, record: &Record, file: File<'a>, call: Call<'a>) -> Result<Outcome<PhotoUploaded>> {
    check(client, record)?;
    let mut framing = Framing::new()?;
    framing.file(&file.name, &file.content_type)?;
    let mut ask = Ask { method: Method::POST, deed: Some(Deed::Change), content_type: Some(framing.content_type()), ..Ask::get(record, "photo") };
    ask.query.extend(call.restrict_triggers.clone().map(|triggers| ("restrict_triggers", triggers)));
    let limits = client.limits(&call);
    client.run("photo.upload", record, limits, call.trace_id.as_deref(), async |session| {
        let config = client.config();
        let mut input = Input::new(file.bytes).sized(config, config.photo_max_bytes, "photo_size").await?;
        image::check(config, &mut input)?;
        let mut body =
            Outgoing::file(framing, input, Progress::new(call.progress), Digest::new(call.sha256.then_some(HashKind::Sha256), call.expected_sha256));
        client.ask(session, &ask, Some(&mut body), succeeded).await?;
        Ok(PhotoUploaded { file_name: file.name, bytes: body.sent(), sha256: body.sha256() })
    })
}

/// Writes the record's photo to the sink. No photo is `Status::NotFound`.
/// <https://www.zoho.com/crm/developer/docs/api/v8/download-image.html>
pub fn download<'a>(client: &Client, record: &Record, sink: Sink<'a>, call: Call<'a>) -> Result<Outcome<Downloaded>> {
    check(client, record)?;
    let absent = || Error::new(Status::NotFound, "no_photo", "the record has no photo");
    let expected = download::Expected { absent, begins: Some(image::begins) };
    download::run(client, "photo.download", record, Ask::get(record, "photo"), sink, call, &expected)
}

/// Deletes the record's photo. Whether Zoho refuses when there is none is UNCONFIRMED; its answer is passed on.
/// <https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html>
pub fn delete(client: &Client, record: &Record, call: Call<'_>) -> Result<Outcome<PhotoDeleted>> {
    check(client, record)?;
    let ask = Ask { method: Method::DELETE, deed: Some(Deed::Change), ..Ask::get(record, "photo") };
    let limits = client.limits(&call);
    client.run("photo.delete", record, limits, call.trace_id.as_deref(), async |session| {
        match client.ask(session, &ask, None, succeeded).await {
            Err(error) if error.status() == Status::NotFound && call.again => {}
            outcome => outcome?,
        }
        Ok(PhotoDeleted {})
    })
}

/// Whether the module's records may have photos in the client's API version, as far as this library knows.
pub fn offered(client: &Client, module: &str) -> bool {
    client.api_version().check_photo_module(client.config(), module).is_ok()
}

fn check(client: &Client, record: &Record) -> Result<()> {
    record.check(client.config())?;
    client.api_version().check_photo_module(client.config(), &record.module)
}

async fn succeeded(response: &mut Response) -> Result<()> {
    let status = response.status();
    let body = response.bytes(reply::MOST).await?;
    reply::success(status, response.headers(), &body).map(|_| ())
}
