//! What servers say.

use http::{Response, StatusCode};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::Value;
use zcrm::Status;
use zcrm::fuzzing;

use super::{line, sound};

/// HTTP statuses that a reply may have: an input picks one by a letter, so that a corpus can be read.
const STATUSES: &[u16] = &[200, 201, 204, 207, 304, 400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503];

fn status(letter: Option<&u8>) -> StatusCode {
    let index = usize::from(letter.copied().unwrap_or_default().wrapping_sub(b'a')) % STATUSES.len();
    StatusCode::from_u16(STATUSES[index]).unwrap()
}

fn reply(status: StatusCode, body: &[u8]) -> Response<Vec<u8>> {
    let mut reply = Response::new(body.to_vec());
    *reply.status_mut() = status;
    reply
}

/// A letter for the status, then the body. No id is rounded, and none is made up.
pub fn list(data: &[u8]) {
    let Some((letter, body)) = data.split_first() else { return };
    match fuzzing::page(reply(status(Some(letter)), body)) {
        Ok(page) => {
            // What stands in fields that nobody reads may be more than Value takes: numbers, depth, bytes.
            let Ok(document) = serde_json::from_slice::<Value>(body) else { return };
            for (i, attachment) in page.attachments.iter().enumerate() {
                // The last of repeated keys counts for Value and is refused by us, so that rows are the same.
                let row = &document["data"][i];
                assert!(same(&row["id"], &attachment.id), "{} from {}", attachment.id, row["id"]);
                assert!(same(&row["File_Name"], &attachment.file_name));
                assert!(same_person(&row["Owner"], &attachment.owner_id));
                assert!(same_person(&row["Created_By"], &attachment.created_by_id));
                assert_eq!(attachment.is_link, !attachment.link_url.is_empty() || attachment.kind == "Link URL");
                if let Some(bytes) = attachment.bytes {
                    assert!(same(&row["Size"], &bytes.to_string()) || row["Size"].as_str().is_some_and(|text| text.parse() == Ok(bytes)));
                }
            }
        }
        Err(error) => sound(&error),
    }
}

fn same(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Number(value) => value.is_u64() && value.to_string() == text,
        other => other.is_null() && text.is_empty(),
    }
}

/// Whether it is the id of that user, who may be an object or an id alone. What can't be an id is left out; a number beyond 64 bits isn't known here.
fn same_person(user: &Value, id: &str) -> bool {
    let is_id = |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match if user.is_object() { &user["id"] } else { user } {
        Value::String(text) if is_id(text) => text == id,
        Value::Number(number) if number.is_u64() => number.to_string() == id,
        Value::Number(_) => id.is_empty() || is_id(id),
        _ => id.is_empty(),
    }
}

/// A letter for the status, a line for `Retry-After`, then the body: as a success, as many and as a refusal.
pub fn answer(data: &[u8]) {
    let Some((letter, rest)) = data.split_first() else { return };
    let (wait, body) = line(rest);
    let status = status(Some(letter));
    let mut reply = reply(status, body);
    if let Ok(wait) = HeaderValue::from_bytes(wait) {
        reply.headers_mut().insert(RETRY_AFTER, wait);
    }
    match fuzzing::answer(reply.clone()) {
        Ok((code, ..)) => assert_eq!(code, "SUCCESS"),
        Err(error) => {
            sound(&error);
            assert_eq!(error.detail().http_status, status.as_u16());
        }
    }
    match fuzzing::answers(reply.clone()) {
        Ok(codes) => {
            let document = serde_json::from_slice::<Value>(body).ok();
            assert!(document.is_none_or(|document| document["data"].as_array().map(Vec::len) == Some(codes.len())));
        }
        Err(error) => sound(&error),
    }
    let error = fuzzing::refusal(reply);
    sound(&error);
    match status.as_u16() {
        429 => assert_eq!(error.status(), Status::RateLimited),
        500.. => assert!(matches!(error.status(), Status::Server | Status::RateLimited)),
        _ => {}
    }
    assert!(error.detail().retry_after_ms >= -1);
}

/// A letter for the status, then the body. The token lives at most an hour, leads only to Zoho, and is in no error.
pub fn token(data: &[u8]) {
    let Some((letter, body)) = data.split_first() else { return };
    let document = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let secret = |key: &str| document[key].as_str().filter(|text| text.len() >= 8).map(str::to_owned);
    match fuzzing::token(reply(status(Some(letter)), body)) {
        Ok((token, lives, api)) => {
            assert!(!token.is_empty() && lives.as_secs() >= 1 && lives.as_secs() <= 3600);
            match api {
                Ok(api) => zohos(&api),
                Err(error) => sound(&error),
            }
        }
        Err(error) => {
            sound(&error);
            let json = error.to_json();
            for key in ["access_token", "refresh_token"] {
                // What the server repeats in its own words of the failure isn't ours to know.
                let Some(secret) = secret(key) else { continue };
                let repeated = ["error", "error_description"].iter().any(|word| document[word].to_string().contains(&secret));
                let ours = serde_json::to_string(&fuzzing::one_line(&secret)).unwrap();
                assert!(repeated || !json.contains(ours.trim_matches('"')) || KNOWN.contains(&secret.as_str()), "{secret} in {json}");
            }
        }
    }
}

/// Words that stand in errors of themselves.
const KNOWN: &[&str] = &["retryable", "attempts", "waited_ms", "api_code", "http_status", "accounts", "token_reply"];

/// Whether calls to this API host reach Zoho by https, and the path that they mean.
fn zohos(api: &str) {
    let url = reqwest::Url::parse(&format!("{api}/crm/v8/Contacts")).expect("an API host begins a URL");
    let host = url.host_str().unwrap_or_default();
    let known = ["com", "eu", "in", "com.au", "jp", "com.cn", "ca", "sa", "ae", "uk"].iter().any(|end| host.ends_with(&format!(".zohoapis.{end}")));
    assert!(known && url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && url.password().is_none(), "{api:?}");
    assert_eq!((url.path(), url.query(), url.fragment()), ("/crm/v8/Contacts", None, None), "{api:?}");
}

/// A line for the key, then the document. Its token is believed for an hour at most.
pub fn token_store(data: &[u8]) {
    let (key, document) = line(data);
    match fuzzing::stored_token(document, &String::from_utf8_lossy(key)) {
        Ok(lives) => assert!(lives.is_none_or(|lives| (1..=3600).contains(&lives.as_secs()))),
        Err(error) => {
            sound(&error);
            assert_eq!(error.reason(), "token_store");
        }
    }
}

/// A letter for the status, lines for `Content-Type`, `Content-Disposition` and `Content-Encoding`, then the body.
pub fn download(data: &[u8]) {
    let Some((letter, rest)) = data.split_first() else { return };
    let (kind, rest) = line(rest);
    let (disposition, rest) = line(rest);
    let (encoding, body) = line(rest);
    let mut reply = reply(status(Some(letter)), body);
    for (name, value) in [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition), (CONTENT_ENCODING, encoding)] {
        let value = HeaderValue::from_bytes(value).ok().filter(|value| !value.is_empty());
        value.map(|value| reply.headers_mut().insert(name, value));
    }
    match fuzzing::file(reply) {
        Ok(file) => {
            assert_eq!((file.data.as_deref(), file.bytes), (Some(body), body.len() as u64));
            safe(&file.file_name);
            assert!(!file.content_disposition.chars().any(char::is_control) && file.content_disposition.chars().count() <= 513);
            assert!(!(kind.eq_ignore_ascii_case(b"text/html") && disposition.is_empty()), "a page of HTML passed for a file");
        }
        Err(error) => sound(&error),
    }
}

/// A `Content-Disposition`.
pub fn file_name(data: &[u8]) {
    let name = fuzzing::file_name(data);
    safe(&name);
    let encoded: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
    assert_eq!(fuzzing::file_name(format!("attachment;filename*=UTF-8''{encoded}").as_bytes()), name, "not stable");
}

/// Whether a name is one path component that no system takes for anything else.
fn safe(name: &str) {
    assert!(name.len() <= 255, "{} bytes", name.len());
    assert!(!name.contains(['/', '\\', ':', '<', '>', '"', '|', '?', '*']) && !name.chars().any(char::is_control), "{name:?}");
    assert!(
        !name.chars().any(|c| "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)),
        "{name:?}"
    );
    assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']), "{name:?}");
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let numbered = (1..=9).any(|n| stem == format!("COM{n}") || stem == format!("LPT{n}"));
    assert!(!numbered && !["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()), "{name:?}");
    if !name.is_empty() {
        assert_eq!(std::path::Path::new(name).file_name(), Some(name.as_ref()), "{name:?}");
    }
}

/// A `Retry-After`.
pub fn retry_after(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let Some(wait) = fuzzing::retry_after(&value) else { return };
    let text = value.to_str().expect("what was read is text").trim();
    match text.parse::<u32>() {
        Ok(seconds) => assert_eq!(wait.as_secs(), u64::from(seconds)),
        Err(_) => assert!(wait.as_secs() < 1 << 38, "a date in {} s: {text}", wait.as_secs()),
    }
}

/// The first bytes of a file. What passes begins as one of the four formats does.
pub fn picture(data: &[u8]) {
    match fuzzing::picture(data) {
        Ok(()) => assert!([b"\x89PNG".as_slice(), b"\xff\xd8\xff", b"GIF8", b"BM"].iter().any(|magic| data.starts_with(magic))),
        Err(error) => {
            sound(&error);
            assert!(["photo_format", "photo_pixels"].contains(&error.reason()), "{error}");
        }
    }
}
