//! A download, of an attachment or of a photo: one reply's bytes into a sink.

use std::path::PathBuf;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::error::{Error, Result, Status};
use crate::http::{Response, Session, reply};
use crate::transfer::{self, Digest, HashKind, Incoming, Progress, Received, Sink, To};

/// A download that is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Downloaded {
    /// Bytes received.
    pub bytes: u64,
    /// SHA-256 of the bytes in hexadecimal, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The name that the server gives, made safe as a file name; empty = none.
    pub file_name: String,
    /// The server's `Content-Disposition`, as it came.
    pub content_disposition: String,
    /// The MIME type that the server gives; empty = none.
    pub content_type: String,
    /// Whether the number of bytes could be held against a length that the server or the caller named.
    pub length_verified: bool,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The bytes, for a memory sink.
    #[serde(skip)]
    pub data: Option<Vec<u8>>,
}

/// Runs the download that `ask` stands for; `absent` is what an empty answer (204) means.
pub(crate) fn run<'a>(
    client: &Client,
    operation: &'static str,
    mut ask: Ask<'_>,
    mut sink: Sink<'a>,
    call: Call<'a>,
    absent: fn() -> Error,
) -> Result<Outcome<Downloaded>> {
    ask.redirect = true;
    let limits = client.limits(&call);
    if matches!(sink.to, To::Memory) {
        sink.max_bytes.get_or_insert(client.config().memory_max_bytes);
    }
    let digest = Digest::new(call.sha256.then_some(HashKind::Sha256), call.expected_sha256);
    let mut incoming = Incoming::open(sink, call.expected_bytes, Progress::new(call.progress), digest)?;
    client.run(operation, limits, call.trace_id.as_deref(), async |session| {
        let named = fetch(client, session, &ask, &mut incoming, absent).await?;
        Ok(named.with(incoming.finish()?))
    })
}

/// Gets the bytes, in as many attempts as it takes; what is known of them is checked by `Incoming::finish`.
pub(crate) async fn fetch(
    client: &Client,
    session: &Session<'_>,
    ask: &Ask<'_>,
    incoming: &mut Incoming<'_>,
    absent: fn() -> Error,
) -> Result<Named> {
    client
        .ask(session, ask, None, async |response| {
            let taken = take(response, incoming, absent).await;
            session.meter.spent.set(incoming.is_spent());
            taken
        })
        .await
}

/// What the head of the reply says of the file.
pub(crate) struct Named {
    file_name: String,
    content_disposition: String,
    content_type: String,
}

impl Named {
    pub(crate) fn with(self, received: Received) -> Downloaded {
        let Named { file_name, content_disposition, content_type } = self;
        let Received { bytes, sha256, length_verified, stored } = received;
        Downloaded { bytes, sha256, file_name, content_disposition, content_type, length_verified, path: stored.path, data: stored.data }
    }
}

pub(crate) async fn take(mut response: Response, incoming: &mut Incoming<'_>, absent: fn() -> Error) -> Result<Named> {
    if response.status() == StatusCode::NO_CONTENT {
        return Err(absent().with(|d| d.http_status = 204));
    }
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING).filter(|e| *e != "identity") {
        let message = format!("the file comes encoded ({encoding:?}) although only identity was asked for; it is not saved");
        return Err(Error::new(Status::Protocol, "content_encoding", message));
    }
    if isnt_the_file(response.headers()) {
        return Err(not_the_file(response).await);
    }
    let named = named(response.headers());
    incoming.start(response.length())?;
    while let Some(chunk) = response.chunk().await? {
        incoming.write(&chunk)?;
    }
    incoming.end()?;
    Ok(named)
}

/// Zoho names every file in `Content-Disposition`, and names its JSON answers `response.json` without the `filename*` that files have.
/// A page of HTML without a name is a proxy's or a login; a file may well be HTML or JSON.
fn isnt_the_file(headers: &HeaderMap) -> bool {
    let (kind, disposition) = (text(headers, CONTENT_TYPE).to_ascii_lowercase(), text(headers, CONTENT_DISPOSITION).to_ascii_lowercase());
    let answer = disposition.contains("filename=response.json") && !disposition.contains("filename*");
    match kind.split(';').next().unwrap_or_default().trim() {
        "text/html" => disposition.is_empty(),
        "application/json" => disposition.is_empty() || answer,
        _ => false,
    }
}

async fn not_the_file(mut response: Response) -> Error {
    let status = response.status();
    match response.bytes(reply::MOST).await {
        Ok(body) => reply::success(status, response.headers(), &body)
            .err()
            .unwrap_or_else(|| Error::new(Status::Protocol, "not_the_file", "the server answered with a word of success in place of the file")),
        Err(error) => error,
    }
}

fn named(headers: &HeaderMap) -> Named {
    let disposition = headers.get(CONTENT_DISPOSITION).map(|v| v.as_bytes()).unwrap_or_default();
    Named {
        file_name: transfer::from_disposition(disposition),
        content_disposition: crate::error::one_line(&String::from_utf8_lossy(disposition)),
        content_type: text(headers, CONTENT_TYPE),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).unwrap_or_default()
}
