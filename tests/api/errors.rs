//! Every error that the API documents arrives as its own status, with Zoho's words beside it.

use serde_json::{Value, json};
use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Error, Record, Status};
use zcrm_emulator::{Fault, RecordState};

use crate::support::{client, why, world, world_with};

/// The error of a list that is answered so.
fn answered(http: u16, code: &str, message: &str, details: &Value) -> Error {
    let w = world_with(&[("max_retries", "0")]);
    let body = json!({"code": code, "details": details, "message": message, "status": "error"}).to_string();
    w.emulator.script("attachment.list", [Fault::body(http, body.as_bytes()).with_header("Content-Type", "application/json;charset=UTF-8")]);
    attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err()
}

#[test]
fn every_documented_error_has_its_status_and_keeps_zohos_words() {
    let none = json!({});
    let path = |index| json!({"resource_path_index": index});
    for (http, code, message, details, status) in [
        (400, "INVALID_MODULE", "the module name given seems to be invalid", path(0), Status::InvalidModule),
        (400, "INVALID_MODULE", "The given module is not supported in API", none.clone(), Status::InvalidModule),
        (400, "INVALID_DATA", "the related id given seems to be invalid", path(1), Status::InvalidRecord),
        (400, "INVALID_DATA", "the id given seems to be invalid", json!({"id": "1"}), Status::InvalidRecord),
        (404, "INVALID_DATA", "the id given seems to be invalid", path(3), Status::NotFound),
        (400, "INVALID_DATA", "Attachment link already exists", none.clone(), Status::DuplicateLink),
        (400, "INVALID_DATA", "invalid file type", none.clone(), Status::FileType),
        (400, "INVALID_URL_PATTERN", "the given attachment URL is incorrect", none.clone(), Status::InvalidLink),
        (404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one", none.clone(), Status::Unsupported),
        (400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one", none.clone(), Status::Unsupported),
        (400, "API_NOT_SUPPORTED", "The API is not supported in this version", json!({"supported_version": 3}), Status::Unsupported),
        (400, "AUTHORIZATION_FAILED", "User does not have sufficient privilege to read attachments", none.clone(), Status::Forbidden),
        (403, "NO_PERMISSION", "permission denied", json!({"permissions": ["Crm_Implied_Api_Access"]}), Status::Forbidden),
        (400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", json!({"param_name": "fields"}), Status::Rejected),
        (400, "MANDATORY_NOT_FOUND", "required field not found", none.clone(), Status::Rejected),
        (400, "INVALID_REQUEST", "unable to process your request", none.clone(), Status::Rejected),
        (400, "UNABLE_TO_PARSE_DATA_TYPE", "either the request body or parameters is in wrong format", none.clone(), Status::Rejected),
        (401, "AUTHENTICATION_FAILURE", "Authentication failed", none.clone(), Status::Auth),
        (401, "INVALID_TOKEN", "invalid oauth token", none.clone(), Status::Auth),
        (401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL", none.clone(), Status::Scope),
        (403, "OAUTH_SCOPE_MISMATCH", "required oauth scope is missing", none.clone(), Status::Scope),
        (400, "DOWNLOAD_NOT_ALLOWED", "As it is a linked attachment, you can not download it", none.clone(), Status::IsLink),
        (413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "Please check if the size of the file is in the correct range", none.clone(), Status::TooLarge),
        (415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "please check if the file size is in the correct range", none.clone(), Status::TooLarge),
        (413, "BODY_SIZE_REACHED", "Request body size exceeds the maximum limit of 100MB", none.clone(), Status::TooLarge),
        (400, "FILE_SIZE_EXCEEDS", "Total file size should not exceed - 20 mb.", none.clone(), Status::TooLarge),
        (400, "RECORD_LOCKED", "You cannot perform this operation as the record is locked.", none.clone(), Status::RecordLocked),
        (400, "NOT_APPROVED", "cannot get the record image that is not approved yet", none.clone(), Status::NotApproved),
        (400, "NOT_REVIEWED", "", none.clone(), Status::NotApproved),
        (400, "CANNOT_PERFORM_ACTION", "", none.clone(), Status::NotApproved),
        (400, "CANNOT_PROCESS", "", none.clone(), Status::Rejected),
        (400, "VIRUS_DETECTED", "Unable to process your request. Virus has been detected.", none.clone(), Status::Virus),
        (400, "STORAGE_SPACE_EXCEEDED", "", none.clone(), Status::StorageFull),
        (400, "failure_in_attachment_handling", "Problem in uploading attachment. kindly upload the file properly", none.clone(), Status::Rejected),
        (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "", none.clone(), Status::Page),
        (400, "PAGINATION_LIMIT_EXCEEDED", "", none.clone(), Status::Page),
        (400, "EXPIRED_VALUE", "", none.clone(), Status::Page),
        (400, "TOKEN_BOUND_DATA_MISMATCH", "", none.clone(), Status::Page),
        (429, "TOO_MANY_REQUESTS", "Many requests fired in concurrent than the allowed limit.", none.clone(), Status::RateLimited),
        (429, "RATE_LIMIT_EXCEEDED", "API rate limit exceeded. Please retry after some time", none.clone(), Status::RateLimited),
        (500, "INTERNAL_ERROR", "Internal Server Error", none.clone(), Status::Server),
        (500, "INTERNAL_SERVER_ERROR", "Internal server error occurred.", none.clone(), Status::Server),
        (503, "SERVICE_UNAVAILABLE", "Service temporarily unavailable. Please try again later", none.clone(), Status::Server),
        (400, "SOMETHING_NEW", "a code that nobody has seen yet", json!({"a": [1, 2]}), Status::Rejected),
    ] {
        let error = answered(http, code, message, &details);
        let d = error.detail();
        assert_eq!((d.status, d.http_status, d.api_code.as_str(), d.api_message.as_str()), (status, http, code, message));
        assert_eq!(serde_json::from_str::<Value>(d.details.as_ref().unwrap().get()).unwrap(), details, "{code}");
        let document: Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!((&document["details"], &document["status"], &document["name"]), (&details, &json!(status as i32), &json!(status.name())));
    }
}

#[test]
fn the_wrong_path_segment_is_named_in_the_details() {
    let w = world();
    let error = |record: Record| attachment::list(&w.client, &record, &ListArgs::default(), Call::default()).unwrap_err();
    let index = |error: &Error| serde_json::from_str::<Value>(error.detail().details.as_ref().unwrap().get()).unwrap()["resource_path_index"].clone();
    let unknown_record = error(Record::new("Contacts", "1234567890123456789"));
    assert_eq!((unknown_record.status(), index(&unknown_record)), (Status::InvalidRecord, json!(1)));
    let unknown_module = error(Record::new("Nonsense", w.contact.id.clone()));
    assert_eq!((unknown_module.status(), index(&unknown_module)), (Status::InvalidModule, json!(0)));
}

#[test]
fn the_servers_own_limits_are_told_when_the_checks_are_off() {
    use zcrm_emulator::TooLarge;
    for form in [TooLarge::Json, TooLarge::EarlyJson, TooLarge::Html] {
        let w = world_with(&[("checks_off", "all")]);
        w.emulator.settings(|s| (s.file_limit, s.body_limit, s.too_large) = (1_000_000, 1_100_000, form));
        let error = w.upload("a.bin", &vec![7; 8_000_000]).unwrap_err();
        assert_eq!((error.status(), error.detail().http_status), (Status::TooLarge, 413), "{form:?}: {error}");
        assert_eq!(w.stored(), []);
    }
}

#[test]
fn a_virus_a_full_storage_and_a_restricted_record_have_their_own_status() {
    let w = world();
    let eicar = concat!(r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*");
    assert_eq!(why(w.upload("a", eicar.as_bytes())).0, Status::Virus);
    w.emulator.settings(|s| s.storage_limit = Some(1));
    assert_eq!(why(w.upload("a", b"12345")).0, Status::StorageFull);
    w.emulator.set_record_state("Contacts", &w.contact.id, RecordState::Restricted);
    assert_eq!(why(w.upload("a", b"1")).0, Status::Forbidden);
}

#[test]
fn a_missing_scope_is_its_own_status_and_asks_for_no_token() {
    for http in [401, 403] {
        let w = world();
        w.emulator.settings(|s| s.scope_missing_status = http);
        let token = w.emulator.access_token_with_scope("ZohoCRM.modules.leads.READ");
        let narrow = client(&w.emulator, &[("access_token", &token)]);
        let failed = attachment::list(&narrow, &w.contact, &ListArgs::default(), Call::default());
        assert_eq!(why(failed), (Status::Scope, "scope_missing"));
        assert_eq!(w.requests("attachment.list").len(), 1);
    }
}

#[test]
fn garbage_in_place_of_http_is_a_network_error() {
    let w = world_with(&[("max_retries", "0")]);
    w.emulator.script("attachment.list", [Fault::garbage()]);
    let failed = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default());
    assert_eq!(why(failed).0, Status::Network);
}

#[test]
fn an_error_of_an_intermediary_is_told_in_one_line_of_bounded_length() {
    let w = world_with(&[("max_retries", "0")]);
    let page = format!("<html>\r\n<h1>Forbidden</h1>{}", "x".repeat(100_000));
    w.emulator.script("attachment.list", [Fault::body(403, page.as_bytes()).with_header("Content-Type", "text/html")]);
    let error = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!(error.status(), Status::Forbidden);
    let text = error.to_string();
    assert!(text.contains("Forbidden") && text.chars().count() < 700 && !text.contains(['\r', '\n']), "{text}");
}

#[test]
fn a_page_that_says_not_found_is_no_word_of_zohos() {
    let w = world_with(&[("max_retries", "0")]);
    let id = w.attach("a", b"a");
    let page = || [Fault::body(404, b"").with_body("text/html", "<html>Not Found</html>")];
    let operations = ["attachment.list", "attachment.download", "attachment.delete", "photo.upload"];
    operations.iter().for_each(|operation| w.emulator.script(operation, page()));
    let errors = [
        attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err(),
        attachment::download(&w.client, &w.contact, &id, zcrm::Sink::memory(), Call::default()).unwrap_err(),
        attachment::delete(&w.client, &w.contact, &[&id], Call::default()).unwrap_err(),
        zcrm::photo::upload(&w.client, &w.contact, zcrm::File::memory("p.png", zcrm_emulator::PNG), Call::default()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.status(), error.detail().http_status), (Status::Protocol, 404), "{error}");
        assert!(["api_domain", "data_center", "prox"].iter().all(|hint| error.to_string().contains(hint)), "{error}");
    }
}

#[test]
fn an_error_names_its_record_and_the_module_that_is_probably_meant() {
    let w = world();
    let list = |module: &str, id: &str| attachment::list(&w.client, &Record::new(module, id), &ListArgs::default(), Call::default()).unwrap_err();
    for (module, meant) in [("Potentials", "Deals"), ("contacts", "Contacts"), ("Kontakte", "Contacts")] {
        let error = list(module, "3652397000000649013");
        assert_eq!(error.status(), Status::InvalidModule, "{error}");
        assert!(error.to_string().contains(&format!("{module} 3652397000000649013")) && error.to_string().contains(&format!("{meant:?}")), "{error}");
    }
    assert!(list("Contacts", "3652397000000649013").to_string().contains("Contacts 3652397000000649013"));
    assert!(list("My Contact", "1").to_string().contains("a module's API name"));
}
