//! Replies that say no: every error that the API is documented to send, as a status.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exchange::Response;
use super::value;
use crate::error::{Error, Result, Status, one_line};

/// A success or error object of the API, as a whole body or inside `data[]`.
#[derive(Deserialize)]
pub(crate) struct ApiObject {
    #[serde(default, deserialize_with = "value::loose")]
    pub(crate) code: String,
    #[serde(default, deserialize_with = "value::loose")]
    status: String,
    #[serde(default, deserialize_with = "value::loose")]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Option<Box<RawValue>>,
}

impl ApiObject {
    /// The word of success. A code that says so beside a status that doesn't is none.
    pub(crate) fn is_success(&self) -> bool {
        self.code == "SUCCESS" && self.status.eq_ignore_ascii_case("success")
    }

    /// The word of refusal: an error by its status, or without one by the shape that Zoho's have.
    fn is_refusal(&self) -> bool {
        let known = || self.details.is_some() || self.code == "INVALID_DATA" || CODES.iter().any(|(code, ..)| *code == self.code);
        let is_error = self.status.eq_ignore_ascii_case("error") || (self.status.is_empty() && known());
        is_error && !self.code.is_empty() && self.code != "SUCCESS"
    }

    /// The id in the details, which an answer about an attachment has.
    pub(crate) fn id(&self) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
        }
        let details = self.details.as_ref().and_then(|details| serde_json::from_str::<Details<'_>>(details.get()).ok());
        value::id(details.and_then(|details| details.id))
    }
}

#[derive(Deserialize)]
struct Wrapped {
    data: Vec<ApiObject>,
}

/// Every code that the API documents for these calls. <https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html>
/// `INVALID_DATA` means many things and `INVALID_URL_PATTERN` two: they are told apart below.
const CODES: &[(&str, Status, &str)] = &[
    ("INVALID_TOKEN", Status::Auth, "token_refused"),
    ("AUTHENTICATION_FAILURE", Status::Auth, "authentication_failed"),
    ("OAUTH_SCOPE_MISMATCH", Status::Scope, "scope_missing"),
    ("NO_PERMISSION", Status::Forbidden, "no_permission"),
    ("AUTHORIZATION_FAILED", Status::Forbidden, "authorization_failed"),
    ("INVALID_MODULE", Status::InvalidModule, "module_invalid"),
    ("DOWNLOAD_NOT_ALLOWED", Status::IsLink, "is_link"),
    ("FILE_SIZE_MORE_THAN_ALLOWED_SIZE", Status::TooLarge, "file_too_large"),
    ("FILE_SIZE_EXCEEDS", Status::TooLarge, "note_files_too_large"),
    ("BODY_SIZE_REACHED", Status::TooLarge, "body_too_large"),
    ("STORAGE_SPACE_EXCEEDED", Status::StorageFull, "storage_full"),
    ("VIRUS_DETECTED", Status::Virus, "virus"),
    ("RECORD_LOCKED", Status::RecordLocked, "record_locked"),
    ("NOT_APPROVED", Status::NotApproved, "not_approved"),
    ("NOT_REVIEWED", Status::NotApproved, "not_reviewed"),
    ("CANNOT_PERFORM_ACTION", Status::NotApproved, "cannot_perform_action"),
    ("CANNOT_PROCESS", Status::Rejected, "photo_rejected"),
    ("MANDATORY_NOT_FOUND", Status::Rejected, "mandatory_missing"),
    ("REQUIRED_PARAM_MISSING", Status::Rejected, "parameter_missing"),
    ("INVALID_REQUEST", Status::Rejected, "request_invalid"),
    ("BAD_REQUEST", Status::Rejected, "request_invalid"),
    ("INVALID_REQUEST_METHOD", Status::Unsupported, "method_invalid"),
    ("API_NOT_SUPPORTED", Status::Unsupported, "api_not_supported"),
    ("URL_RULE_NOT_CONFIGURED", Status::Unsupported, "url_unknown"),
    ("UNABLE_TO_PARSE_DATA_TYPE", Status::Rejected, "unparsable"),
    ("failure_in_attachment_handling", Status::Rejected, "attachment_handling_failed"),
    ("ALREADY_USED", Status::Rejected, "already_used"),
    ("NOT_ALLOWED", Status::Forbidden, "not_allowed"),
    ("LIMIT_REACHED", Status::Rejected, "limit_reached"),
    ("LIMIT_EXCEEDED", Status::Rejected, "limit_exceeded"),
    ("TOO_MANY_REQUESTS", Status::RateLimited, "too_many_requests"),
    ("RATE_LIMIT_EXCEEDED", Status::RateLimited, "rate_limit_exceeded"),
    ("DISCRETE_PAGINATION_LIMIT_EXCEEDED", Status::Page, "page_needs_token"),
    ("PAGINATION_LIMIT_EXCEEDED", Status::Page, "pages_exhausted"),
    ("EXPIRED_VALUE", Status::Page, "page_token_expired"),
    ("TOKEN_BOUND_DATA_MISMATCH", Status::Page, "page_token_mismatch"),
    ("INTERNAL_ERROR", Status::Server, "internal_error"),
    ("INTERNAL_SERVER_ERROR", Status::Server, "internal_error"),
    ("SERVICE_UNAVAILABLE", Status::Server, "service_unavailable"),
];

/// Most bytes of a reply that holds no list: an object has some hundred. Its texts are copied as they are parsed.
pub(crate) const MOST: usize = 256 << 10;

/// Most bytes, and levels, of an error's details that are handed on.
const MOST_DETAILS: usize = 16 << 10;
const DEEPEST_DETAILS: u32 = 64;

/// The reason of a refusal whose words were cut off.
pub(super) const CUT_OFF: &str = "reply_truncated";

/// The error that a reply with a failing HTTP status stands for.
pub(crate) async fn refusal(mut response: Response) -> Error {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let error = match response.bytes(MOST).await {
        Ok(body) => match object(&body).filter(ApiObject::is_refusal) {
            Some(object) => of_object(status, object),
            None => foreign(status, response.headers(), &body),
        },
        // It still has its status. What the words would have said is worth another request where that is harmless: see `retry`.
        Err(broken) if broken.detail().retryable => cut_off(status, &broken),
        Err(_) => foreign(status, response.headers(), b""),
    };
    error.with(|d| d.retry_after_ms = retry_after.map_or(-1, |wait| wait.as_millis().try_into().unwrap_or(i64::MAX)))
}

/// The one object of a successful reply; `data[]` with one entry or bare. A failing object inside HTTP 200 is the error it names.
pub(crate) fn success(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<ApiObject> {
    match object(body) {
        Some(object) if object.is_success() => Ok(object),
        Some(object) => Err(of_object(status, object)),
        None => Err(foreign(status, headers, body)),
    }
}

/// The objects of a reply that has one for each item.
pub(crate) fn objects(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Vec<ApiObject>> {
    match serde_json::from_str::<Wrapped>(&value::body(body)) {
        Ok(Wrapped { data }) if data.iter().all(is_verdict) => Ok(data),
        Ok(_) => Err(foreign(status, headers, body)),
        Err(_) => Err(object(body).filter(ApiObject::is_refusal).map_or_else(|| foreign(status, headers, body), |o| of_object(status, o))),
    }
}

/// Exactly one object that is Zoho's word; two would leave open which one is meant.
fn object(body: &[u8]) -> Option<ApiObject> {
    let body = value::body(body);
    let object = match serde_json::from_str::<Wrapped>(&body) {
        Ok(Wrapped { mut data }) => data.pop().filter(|_| data.is_empty()),
        Err(_) => serde_json::from_str::<ApiObject>(&body).ok(),
    };
    object.filter(is_verdict)
}

fn is_verdict(object: &ApiObject) -> bool {
    object.is_success() || object.is_refusal()
}

/// The error of an object that says no.
pub(crate) fn of_object(http: StatusCode, object: ApiObject) -> Error {
    let (status, reason) = class(http, &object);
    let hint = hint(status, reason);
    let separator = if hint.is_empty() { "" } else { "; " };
    let message = format!("Zoho answered {} {}: {}{separator}{hint}", http.as_u16(), object.code, object.message);
    Error::new(status, reason, message).with(|d| {
        d.http_status = http.as_u16();
        d.retryable = retryable(status);
        (d.api_code, d.api_message) = (one_line(&object.code), one_line(&object.message));
        d.details = object.details.filter(|details| is_modest(details.get()));
    })
}

/// Whether a host's parser, which may be a recursive one, can take a server's JSON.
fn is_modest(json: &str) -> bool {
    let (mut depth, mut within_text, mut escaped) = (0, false, false);
    json.len() <= MOST_DETAILS
        && json.bytes().all(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = within_text,
                b'"' => within_text = !within_text,
                b'[' | b'{' if !within_text => depth += 1,
                b']' | b'}' if !within_text => depth -= 1,
                _ => {}
            }
            depth <= DEEPEST_DETAILS
        })
}

fn retryable(status: Status) -> bool {
    matches!(status, Status::RateLimited | Status::Server | Status::Timeout)
}

fn class(http: StatusCode, object: &ApiObject) -> (Status, &'static str) {
    let named = match object.code.as_str() {
        "INVALID_DATA" => Some(invalid_data(object)),
        // 400: the attached URL; 404: the address of the call itself.
        "INVALID_URL_PATTERN" if http == StatusCode::BAD_REQUEST => Some((Status::InvalidLink, "link_invalid")),
        "INVALID_URL_PATTERN" => Some((Status::Unsupported, "url_unknown")),
        code => CODES.iter().find(|(c, ..)| *c == code).map(|(_, status, reason)| (*status, *reason)),
    };
    match (named, by_http(http)) {
        // These two are known by the status, whatever the code: the 429 body is not documented, a 5xx may carry any.
        (Some((status, reason)), Some((Status::RateLimited | Status::Server, _))) if retryable(status) => (status, reason),
        (_, Some(known @ (Status::RateLimited | Status::Server, _))) => known,
        // Before v8 the code of this refusal is not documented (UNCONFIRMED); its message is.
        _ if object.message.contains("linked attachment") => (Status::IsLink, "is_link"),
        (Some(named), _) => named,
        (None, known) => known.unwrap_or((Status::Rejected, "rejected")),
    }
}

/// `INVALID_DATA` stands for a wrong module, record or attachment, a duplicate link and a bad file: the message and the path index tell.
fn invalid_data(object: &ApiObject) -> (Status, &'static str) {
    #[derive(Deserialize)]
    struct Details {
        resource_path_index: Option<u32>,
    }
    let message = object.message.to_ascii_lowercase();
    let index = object.details.as_ref().and_then(|d| serde_json::from_str::<Details>(d.get()).ok()).and_then(|d| d.resource_path_index);
    match index {
        _ if message.contains("link already exists") => (Status::DuplicateLink, "link_exists"),
        _ if message.contains("file type") => (Status::FileType, "file_type"),
        _ if message.contains("more than one file") => (Status::Rejected, "several_files"),
        _ if message.contains("not contain any file") => (Status::Rejected, "file_missing"),
        Some(0) => (Status::InvalidModule, "module_invalid"),
        Some(3) => (Status::NotFound, "attachment_unknown"),
        _ if message.contains("record not deleted") => (Status::NotFound, "attachment_unknown"),
        Some(1) => (Status::InvalidRecord, "record_invalid"),
        _ if message.contains("id given seems to be invalid") => (Status::InvalidRecord, "record_invalid"),
        _ => (Status::Rejected, "invalid_data"),
    }
}

fn by_http(http: StatusCode) -> Option<(Status, &'static str)> {
    match http.as_u16() {
        401 => Some((Status::Auth, "unauthorized")),
        403 => Some((Status::Forbidden, "forbidden")),
        404 => Some((Status::NotFound, "not_found")),
        405 => Some((Status::Unsupported, "method_invalid")),
        408 => Some((Status::Timeout, "request_timeout")),
        413 => Some((Status::TooLarge, "body_too_large")),
        415 => Some((Status::FileType, "media_type")),
        429 => Some((Status::RateLimited, "rate_limited")),
        500..=599 => Some((Status::Server, "server_error")),
        _ => None,
    }
}

/// A body that the API doesn't send: an intermediary's page, or an answer of another shape. That something isn't there, or can't be done,
/// nobody but Zoho can say.
pub(crate) fn foreign(http: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let kind = text_of(headers, CONTENT_TYPE).unwrap_or("no Content-Type");
    let shown = one_line(value::body(&body[..body.len().min(2048)]).trim());
    let target = text_of(headers, LOCATION).filter(|_| http.is_redirection()).map(redirection).unwrap_or_default();
    let message = format!("the server answered {} with something that isn't Zoho's ({}){target}: {shown}", http.as_u16(), one_line(kind));
    unworded(http, "unexpected_reply", message)
}

/// Where a redirect leads, without what its query may give away.
fn redirection(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let target = target.split_once("://").map_or(target.to_owned(), |(scheme, rest)| format!("{scheme}://{}", after_user_info(rest)));
    format!(", a redirect to {} that isn't followed", one_line(&target))
}

fn after_user_info(rest: &str) -> &str {
    let host_ends = rest.find('/').unwrap_or(rest.len());
    rest[..host_ends].rfind('@').map_or(rest, |at| &rest[at + 1..])
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn cut_off(http: StatusCode, broken: &Error) -> Error {
    unworded(http, CUT_OFF, format!("the server answered {}, and its reply was cut off: {broken}", http.as_u16())).with(|d| d.reason = CUT_OFF)
}

/// The error of an answer without a word of Zoho's: its HTTP status tells, as far as a front server may decide it.
fn unworded(http: StatusCode, reason: &'static str, message: String) -> Error {
    let told = by_http(http).filter(|(status, _)| !matches!(status, Status::NotFound | Status::Unsupported));
    let (status, reason) = told.unwrap_or((Status::Protocol, reason));
    let hint = if told.is_none() { "; does another server answer? Look at api_domain, data_center and the proxies between" } else { "" };
    Error::new(status, reason, message).with(|d| {
        d.message += hint;
        d.http_status = http.as_u16();
        d.retryable = retryable(status);
    })
}

/// What the user can do about it, where Zoho's own message doesn't say.
fn hint(status: Status, reason: &str) -> &'static str {
    match (status, reason) {
        (Status::Auth, "token_refused") => "is it another data centre's or environment's token, or revoked?",
        (Status::Scope, _) => "the token needs the module's scope and ZohoCRM.modules.attachments",
        (Status::InvalidModule, _) => "use the module's API name",
        (Status::IsLink, _) => "the list gives its link_url",
        (Status::TooLarge, _) => "attachments may have 100 MiB, photos 10 MiB and 10 megapixels",
        _ => "",
    }
}

/// `Retry-After` in seconds or as a date; nonsense is as if it were absent. A date is the server's, and counts from its own clock where the
/// reply has a `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]))
    }

    #[test]
    fn a_date_to_retry_after_counts_from_the_servers_own_clock() {
        let header = |text| HeaderValue::from_static(text);
        for (date, until) in [
            ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:02 GMT"),
            ("Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:02 GMT"),
            ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed Oct 21 07:28:02 2015"),
        ] {
            let headers = HeaderMap::from_iter([(DATE, header(date)), (RETRY_AFTER, header(until))]);
            assert_eq!(retry_after(&headers), Some(Duration::from_secs(2)), "{until}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_nonsense_ignored() {
        assert_eq!(parsed("7"), Some(Duration::from_secs(7)));
        assert_eq!(parsed("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(parsed("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(1 << 30));
        for nonsense in ["-1", "abc", "", "99999999999999999999"] {
            assert_eq!(parsed(nonsense), None, "{nonsense}");
        }
    }

    fn class_of(http: u16, body: &str) -> (Status, &'static str) {
        let http = StatusCode::from_u16(http).unwrap();
        let error = match object(body.as_bytes()) {
            Some(object) => of_object(http, object),
            None => foreign(http, &HeaderMap::new(), body.as_bytes()),
        };
        (error.status(), error.reason())
    }

    #[test]
    fn invalid_data_is_told_apart_by_the_path_index_and_the_message() {
        let cases = [
            (r#"{"code":"INVALID_DATA","details":{"resource_path_index":1},"message":"the related id given seems to be invalid"}"#, "record_invalid"),
            (r#"{"code":"INVALID_DATA","details":{"resource_path_index":3},"message":"record not deleted"}"#, "attachment_unknown"),
            (r#"{"code":"INVALID_DATA","details":{"resource_path_index":0},"message":"x"}"#, "module_invalid"),
            (r#"{"data":[{"code":"INVALID_DATA","details":{},"message":"Attachment link already exists"}]}"#, "link_exists"),
            (r#"{"code":"INVALID_DATA","details":{},"message":"invalid file type"}"#, "file_type"),
            (r#"{"code":"INVALID_DATA","details":{"id":"1"},"message":"the id given seems to be invalid"}"#, "record_invalid"),
            (r#"{"code":"INVALID_DATA","details":null,"message":"?"}"#, "invalid_data"),
        ];
        for (body, reason) in cases {
            assert_eq!(class_of(400, body).1, reason, "{body}");
        }
    }

    #[test]
    fn a_429_is_a_rate_limit_whatever_its_body() {
        for body in ["", "<html>", r#"{"code":"SOMETHING_NEW","details":{},"message":""}"#, r#"{"code":"NO_PERMISSION","message":""}"#] {
            assert_eq!(class_of(429, body).0, Status::RateLimited, "{body}");
        }
    }

    #[test]
    fn a_page_of_an_intermediary_is_named_by_its_status_and_shown_in_one_line() {
        let error = foreign(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>\r\n<h1>Bad gateway</h1>");
        assert_eq!((error.status(), error.detail().http_status), (Status::Server, 502));
        assert!(error.to_string().contains("Bad gateway") && !error.to_string().contains('\n'));
    }

    #[test]
    fn a_failing_object_inside_http_200_is_an_error() {
        let ok = StatusCode::OK;
        assert!(success(ok, &HeaderMap::new(), br#"{"data":[{"code":"INVALID_DATA","details":{},"message":"","status":"error"}]}"#).is_err());
        assert!(
            success(ok, &HeaderMap::new(), br#"{"data":[{"code":"SUCCESS","status":"success"},{"code":"SUCCESS","status":"success"}]}"#).is_err()
        );
        assert!(success(ok, &HeaderMap::new(), b"[]").is_err());
        assert!(
            success(ok, &HeaderMap::new(), br#"{"code":"SUCCESS","details":{},"message":"photo uploaded successfully","status":"success"}"#).is_ok()
        );
    }

    #[test]
    fn each_code_has_one_entry() {
        for (i, (code, ..)) in CODES.iter().enumerate() {
            assert!(CODES[..i].iter().all(|(c, ..)| c != code), "{code}");
        }
    }
}
