//! What Zoho's error codes and HTTP statuses mean, and what the user can do about each.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Status;
use crate::object::Object;

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

/// Whether the API documents this code, or knows it under more than one meaning.
pub(super) fn is_known(code: &str) -> bool {
    code == "INVALID_DATA" || CODES.iter().any(|(known, ..)| *known == code)
}

/// Whether such a failure may pass by itself.
pub(super) fn retryable(status: Status) -> bool {
    matches!(status, Status::RateLimited | Status::Server | Status::Timeout)
}

/// What a refusal means.
pub(super) fn class(http: StatusCode, code: &str, message: &str, details: Option<&RawValue>) -> (Status, &'static str) {
    let named = match code {
        "INVALID_DATA" => Some(invalid_data(message, details)),
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
        _ if message.contains("linked attachment") => (Status::IsLink, "is_link"),
        (Some(named), _) => named,
        (None, known) => known.unwrap_or((Status::Rejected, "rejected")),
    }
}

/// `INVALID_DATA` stands for a wrong module, record or attachment, a duplicate link and a bad file: the message and the path index tell.
fn invalid_data(message: &str, details: Option<&RawValue>) -> (Status, &'static str) {
    #[derive(Deserialize)]
    struct Details {
        resource_path_index: Option<u32>,
    }
    let message = message.to_ascii_lowercase();
    let index = details.and_then(|d| serde_json::from_str::<Object<Details>>(d.get()).ok()).and_then(|Object(details)| details.resource_path_index);
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

/// What an HTTP status means without a word of Zoho's.
pub(super) fn by_http(http: StatusCode) -> Option<(Status, &'static str)> {
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

/// What the user can do about it, where Zoho's own message doesn't say.
pub(super) fn hint(status: Status, reason: &str) -> &'static str {
    match (status, reason) {
        (Status::Auth, "token_refused") => "is it another data centre's or environment's token, or revoked?",
        (Status::Scope, _) => "the token needs the module's scope and ZohoCRM.modules.attachments",
        (Status::InvalidModule, _) => "use the module's API name",
        (Status::IsLink, _) => "the list gives its link_url",
        (Status::TooLarge, _) => "attachments may have 100 MiB, photos 10 MiB and 10 megapixels",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_entry() {
        for (i, (code, ..)) in CODES.iter().enumerate() {
            assert!(CODES[..i].iter().all(|(c, ..)| c != code), "{code}");
        }
    }
}
