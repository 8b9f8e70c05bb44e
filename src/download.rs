//! A download, of an attachment or of a photo: one reply's bytes into a sink.

use std::path::PathBuf;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::error::{Error, Result, Status, one_line};
use crate::http::{Response, Session, framing, reply};
use crate::record::Record;
use crate::text;
use crate::transfer::{self, Digest, Disposition, HashKind, Incoming, Progress, Received, Sink, To};

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
    /// Whether the number of bytes was checked against a length from the server or the caller.
    pub length_verified: bool,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The bytes, for a memory sink.
    #[serde(skip)]
    pub data: Option<Vec<u8>>,
}

/// What is expected of a download.
pub(crate) struct Expected {
    /// What an empty answer (204) means.
    pub(crate) absent: fn() -> Error,
    /// Whether such a file can begin so.
    pub(crate) begins: Option<fn(&[u8]) -> bool>,
}

/// Runs the download that `ask` stands for.
pub(crate) fn run<'a>(
    client: &Client,
    operation: &'static str,
    record: &Record,
    mut ask: Ask<'_>,
    mut sink: Sink<'a>,
    call: Call<'a>,
    expected: &Expected,
) -> Result<Outcome<Downloaded>> {
    ask.redirect = true;
    let limits = client.limits(&call);
    if matches!(sink.to, To::Memory) {
        sink.max_bytes.get_or_insert(client.config().memory_max_bytes);
    }
    let digest = Digest::new(call.sha256.then_some(HashKind::Sha256), call.expected_sha256);
    let mut incoming = Incoming::open(sink, call.again, call.expected_bytes, Progress::new(call.progress), digest)?;
    client.run(operation, record, limits, call.trace_id.as_deref(), async |session| {
        let head = fetch(client, session, &ask, &mut incoming, expected).await?;
        Ok(head.with(incoming.finish()?))
    })
}

/// Gets the bytes, in as many attempts as it takes; what is known of them is checked by `Incoming::finish`.
pub(crate) async fn fetch(
    client: &Client,
    session: &Session<'_>,
    ask: &Ask<'_>,
    incoming: &mut Incoming<'_>,
    expected: &Expected,
) -> Result<FileHead> {
    client
        .ask(session, ask, None, async |response: &mut Response| {
            let taken = take(response, incoming, expected).await;
            session.meter.spent.set(incoming.is_spent());
            taken
        })
        .await
}

/// What the head of the reply says of the file.
pub(crate) struct FileHead {
    file_name: String,
    content_disposition: String,
    content_type: String,
}

impl FileHead {
    pub(crate) fn with(self, received: Received) -> Downloaded {
        let FileHead { file_name, content_disposition, content_type } = self;
        let Received { bytes, sha256, length_verified, finished } = received;
        Downloaded { bytes, sha256, file_name, content_disposition, content_type, length_verified, path: finished.path, data: finished.data }
    }
}

/// Takes a reply in, if it is the file and nothing else.
pub(crate) async fn take(response: &mut Response, incoming: &mut Incoming<'_>, expected: &Expected) -> Result<FileHead> {
    if response.status() == StatusCode::NO_CONTENT {
        return Err((expected.absent)().with(|d| d.http_status = 204));
    }
    let headers = response.headers();
    framing::check(headers)?;
    response.check_coding()?;
    if response.status() != StatusCode::OK || !is_whole(headers, response.length()) {
        return Err(not_the_file(response, "it is not the whole file").await);
    }
    let head = Head::of(headers);
    let (file, trusted) = (head.file(), head.is_named_file());
    if !trusted && !head.can_be_file() {
        return Err(not_the_file(response, "it is a page or an answer").await);
    }
    if let Some(begins) = expected.begins
        && !begins(response.peek(transfer::FIRST).await?)
    {
        return Err(not_the_file(response, "it doesn't begin as a picture does").await);
    }
    if !trusted && transfer::begins_as_an_answer(response.peek(transfer::FIRST).await?) {
        return Err(not_the_file(response, "it begins as a page or an answer does").await);
    }
    incoming.start(response.length())?;
    while let Some(chunk) = response.chunk().await? {
        incoming.write(&chunk)?;
    }
    incoming.end()?;
    Ok(file)
}

/// What the head of a reply says of the body.
struct Head<'h> {
    disposition: Disposition,
    /// The first one, as it came.
    content_disposition: &'h [u8],
    /// Whether there is no other, which might say something else.
    alone: bool,
    /// The first one; empty = none.
    content_type: String,
    /// All of them, in lower case and without parameters: there should be one.
    types: Vec<String>,
}

impl Head<'_> {
    fn of(headers: &HeaderMap) -> Head<'_> {
        let mut dispositions = headers.get_all(CONTENT_DISPOSITION).into_iter().map(|v| v.as_bytes());
        let content_disposition = dispositions.next().unwrap_or_default();
        let types: Vec<_> = headers.get_all(CONTENT_TYPE).into_iter().map(|v| text::lossy(v.as_bytes())).collect();
        let bare = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Head {
            disposition: Disposition::parse(content_disposition),
            content_disposition,
            alone: dispositions.all(|other| other == content_disposition),
            content_type: types.first().map(|kind| kind.clone().into_owned()).unwrap_or_default(),
            types: types.iter().flat_map(|kind| kind.split(',').map(bare)).filter(|kind| !kind.is_empty()).collect(),
        }
    }

    /// Zoho names every file, and names its own answers `response.json`, without the `filename*` that files have. What is named so is a file
    /// whatever its type: it may well be a page of HTML.
    fn is_named_file(&self) -> bool {
        let Disposition { kind, file_name, extended } = &self.disposition;
        self.alone && kind == "attachment" && !file_name.is_empty() && (*extended || !file_name.eq_ignore_ascii_case("response.json"))
    }

    /// Whether a body that isn't named as a file can be one by its type.
    fn can_be_file(&self) -> bool {
        // Whatever their prefixes and suffixes: application/xhtml+xml, application/problem+json, text/x-json.
        let is_answer = |kind: &String| kind.contains("html") || kind.contains("json") || kind == "text/plain" || kind.starts_with("multipart/");
        !self.types.is_empty() && !self.types.iter().any(is_answer)
    }

    fn file(&self) -> FileHead {
        FileHead {
            file_name: self.disposition.file_name.clone(),
            content_disposition: one_line(&text::lossy(self.content_disposition)),
            content_type: one_line(&self.content_type),
        }
    }
}

/// Whether a reply of status 200 and this length doesn't call itself a part: nobody asked for a range.
fn is_whole(headers: &HeaderMap, length: Option<u64>) -> bool {
    headers.get_all(CONTENT_RANGE).into_iter().all(|range| {
        let range = range.to_str().ok().and_then(|r| r.strip_prefix("bytes ")).and_then(|r| r.split_once('/'));
        let whole = range.and_then(|(part, whole)| Some((part, whole.parse::<u64>().ok()?)));
        whole.is_some_and(|(part, whole)| whole > 0 && length == Some(whole) && part == format!("0-{}", whole - 1))
    })
}

/// Zoho's own refusal, if that is what came in place of the file; else what seems to have answered.
async fn not_the_file(response: &mut Response, why: &str) -> Error {
    let status = response.status();
    let body = match response.bytes(reply::MOST).await {
        Ok(body) => body,
        Err(error) if error.status() == Status::TooLarge => Bytes::new(),
        Err(error) => return error,
    };
    match reply::success(status, response.headers(), &body) {
        Err(refusal) if !refusal.detail().api_code.is_empty() => return refusal,
        _ => {}
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("no Content-Type");
    let shown = one_line(text::lossy(&body[..body.len().min(256)]).trim());
    let message = format!(
        "what the server sent ({}, {}) is not saved as the file: {why}. A proxy or a login page seems to answer in Zoho's place; check api_domain, \
         and what stands between. It begins: {shown}",
        status.as_u16(),
        one_line(kind)
    );
    Error::new(Status::Protocol, "not_the_file", message).with(|d| d.http_status = status.as_u16())
}
