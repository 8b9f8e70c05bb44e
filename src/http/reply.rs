//! Replies that say no: every error that the API is documented to send, as a status.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exchange::Response;
use super::{codes, value};
use crate::error::{Error, Result, Status, one_line};
use crate::object::Object;
use crate::text;

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
    /// Whether it reports success: by its code and its status.
    pub(crate) fn is_success(&self) -> bool {
        self.code == "SUCCESS" && self.status.eq_ignore_ascii_case("success")
    }

    /// Whether it reports a refusal, in the shape that Zoho's have: gateways answer in JSON, too, with numbers for codes and without details.
    fn is_refusal(&self) -> bool {
        let is_word = self.code.starts_with(|c: char| c.is_ascii_alphabetic()) && self.code != "SUCCESS";
        let has_details = self.details.as_ref().is_some_and(|details| details.get().starts_with('{'));
        let is_error = self.status.eq_ignore_ascii_case("error");
        is_word && ((is_error && codes::is_known(&self.code)) || (has_details && (is_error || self.status.is_empty())))
    }

    /// The id in the details, which an answer about an attachment has.
    pub(crate) fn id(&self) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
        }
        let details = self.details.as_ref().and_then(|details| serde_json::from_str::<Object<Details<'_>>>(details.get()).ok());
        value::id(details.and_then(|Object(details)| details.id))
    }
}

#[derive(Deserialize)]
struct Wrapped {
    data: Vec<Object<ApiObject>>,
}

/// Most bytes of a reply that holds no list: an object has some hundred. Its texts are copied as they are parsed.
pub(crate) const MOST: usize = 256 << 10;

/// Most bytes, and levels, that an error's details may have to be passed on.
const MOST_DETAILS: usize = 16 << 10;
const DEEPEST_DETAILS: u32 = 64;

/// The reason of a refusal whose words were cut off.
pub(super) const CUT_OFF: &str = "reply_truncated";

/// The error that a reply with a failing HTTP status stands for.
pub(crate) async fn refusal(response: &mut Response) -> Error {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let error = match response.bytes(MOST).await {
        Ok(body) => match object(&body).filter(ApiObject::is_refusal) {
            Some(object) => of_object(status, object),
            None => foreign(status, response.headers(), &body),
        },
        // Its status still counts. Where another request is harmless, `retry` makes one to get the words.
        Err(broken) if broken.detail().retryable => cut_off(status, &broken),
        Err(_) => foreign(status, response.headers(), b""),
    };
    error.with_wait(retry_after)
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
    match serde_json::from_str::<Object<Wrapped>>(&text::lossy(body)) {
        Ok(Object(Wrapped { data })) if data.iter().all(|Object(object)| is_verdict(object)) => {
            Ok(data.into_iter().map(|Object(object)| object).collect())
        }
        Ok(_) => Err(foreign(status, headers, body)),
        Err(_) => Err(object(body).filter(ApiObject::is_refusal).map_or_else(|| foreign(status, headers, body), |o| of_object(status, o))),
    }
}

/// The object, if there is exactly one and it is Zoho's; with two it would be open which one counts.
fn object(body: &[u8]) -> Option<ApiObject> {
    let body = text::lossy(body);
    let object = match serde_json::from_str::<Object<Wrapped>>(&body) {
        Ok(Object(Wrapped { mut data })) => data.pop().filter(|_| data.is_empty()),
        Err(_) => serde_json::from_str(&body).ok(),
    };
    object.map(|Object(object)| object).filter(is_verdict)
}

fn is_verdict(object: &ApiObject) -> bool {
    object.is_success() || object.is_refusal()
}

/// The error of an object that says no.
pub(crate) fn of_object(http: StatusCode, object: ApiObject) -> Error {
    let (status, reason) = codes::class(http, &object.code, &object.message, object.details.as_deref());
    let hint = codes::hint(status, reason);
    let separator = if hint.is_empty() { "" } else { "; " };
    let message = format!("Zoho answered {} {}: {}{separator}{hint}", http.as_u16(), object.code, object.message);
    Error::new(status, reason, message).with(|d| {
        d.http_status = http.as_u16();
        d.retryable = codes::retryable(status);
        (d.api_code, d.api_message) = (one_line(&object.code), one_line(&object.message));
        d.details = object.details.filter(|details| is_modest(details.get()));
    })
}

/// Whether a host's parser can take a server's JSON: it may be a recursive one, and know no text but Unicode and no number but a double.
fn is_modest(json: &str) -> bool {
    let (bytes, mut at, mut depth) = (json.as_bytes(), 0, 0);
    while let Some(byte) = bytes.get(at).filter(|_| bytes.len() <= MOST_DETAILS && depth <= DEEPEST_DETAILS) {
        let end = at + token(&bytes[at..]);
        let is_plain = match byte {
            b'"' => serde_json::from_str::<String>(&json[at..end]).is_ok(),
            b'-' | b'0'..=b'9' => json[at..end].parse().is_ok_and(f64::is_finite),
            b'[' | b'{' => {
                depth += 1;
                true
            }
            b']' | b'}' => {
                depth -= 1;
                true
            }
            _ => true,
        };
        if !is_plain {
            return false;
        }
        at = end;
    }
    at == bytes.len()
}

/// The length of the text or the number at the beginning, or of the one sign.
fn token(json: &[u8]) -> usize {
    let length = match json[0] {
        b'"' => {
            let mut escaped = false;
            let ends = |byte: &u8| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            };
            json[1..].iter().position(ends).map(|at| at + 2)
        }
        b'-' | b'0'..=b'9' => json.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')),
        _ => Some(1),
    };
    length.unwrap_or(json.len())
}

/// A body that the API doesn't send: an intermediary's page, or an answer of another shape. Only Zoho can say that something isn't there, or can't
/// be done.
pub(crate) fn foreign(http: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    foreign_from("the server", "api_domain", http, headers, body)
}

/// The same from a server that a setting names.
pub(crate) fn foreign_from(server: &str, setting: &str, http: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let kind = text_of(headers, CONTENT_TYPE).unwrap_or("no Content-Type");
    let shown = one_line(text::lossy(&body[..body.len().min(2048)]).trim());
    let shown = if shown.is_empty() { shown } else { format!(": {shown}") };
    let target = text_of(headers, LOCATION).filter(|_| http.is_redirection()).map(redirection).unwrap_or_default();
    let message = format!("{server} answered {} with something that isn't Zoho's ({}){target}{shown}", http.as_u16(), one_line(kind));
    unworded(http, setting, message)
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
    unworded(http, "api_domain", format!("the server answered {}, and its reply was cut off: {broken}", http.as_u16())).with(|d| d.reason = CUT_OFF)
}

/// The error of an answer that isn't Zoho's: its HTTP status counts, as far as a front server may decide it.
fn unworded(http: StatusCode, setting: &str, message: String) -> Error {
    let told = codes::by_http(http).filter(|(status, _)| !matches!(status, Status::NotFound | Status::Unsupported));
    let (status, reason) = told.unwrap_or((Status::Protocol, "unexpected_reply"));
    let hint = format!("; does another server answer? Look at {setting}, data_center and the proxies between");
    Error::new(status, reason, message).with(|d| {
        d.message += if told.is_none() { &hint } else { "" };
        d.http_status = http.as_u16();
        d.retryable = codes::retryable(status);
    })
}

/// Seconds, which some servers give with a fraction: the whole one that it ends in.
fn whole_seconds(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    whole.parse::<u32>().ok().filter(|_| is_fraction)?.checked_add(fraction.bytes().any(|b| b != b'0').into())
}

/// `Retry-After` in seconds or as a date; nonsense is as if it were absent. A date is the server's, and counts from its own clock where the
/// reply has a `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Some(seconds) = whole_seconds(asked) {
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
        for (asked, seconds) in [("2.5", 3), ("1.0", 1), ("0.4", 1), ("0.000", 0), ("7.000000000000000000001", 8), (" 2.5 ", 3)] {
            assert_eq!(parsed(asked), Some(Duration::from_secs(seconds)), "{asked}");
        }
        for nonsense in ["-1", "abc", "", "99999999999999999999", "4294967295.5", "2.", ".5", "2.5.1", "1.-5", "1.5s", "1e3", "2,5"] {
            assert_eq!(parsed(nonsense), None, "{nonsense}");
        }
    }

    fn class_of(http: u16, body: &str) -> (Status, &'static str) {
        let http = StatusCode::from_u16(http).unwrap();
        let error = match object(body.as_bytes()).filter(ApiObject::is_refusal) {
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
            (r#"{"code":"INVALID_DATA","details":null,"message":"?","status":"error"}"#, "invalid_data"),
        ];
        for (body, reason) in cases {
            assert_eq!(class_of(400, body).1, reason, "{body}");
        }
    }

    #[test]
    fn what_gateways_answer_in_json_is_no_word_of_zohos() {
        for body in [
            r#"{"code":5,"message":"Not Found","details":[]}"#,
            r#"{"code":"not_found","message":"no route","details":[]}"#,
            r#"{"code":404,"message":"no route","details":{},"status":"error"}"#,
            r#"{"code":"404","message":"no route","status":"error"}"#,
            r#"{"code":"ROUTE_NOT_FOUND","message":"no route","status":"error"}"#,
            r#"{"code":"TOO_MANY_REQUESTS","message":"slow down"}"#,
            r#"{"status":404,"error":"Not Found","path":"/"}"#,
        ] {
            assert_eq!(class_of(404, body), (Status::Protocol, "unexpected_reply"), "{body}");
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
}
