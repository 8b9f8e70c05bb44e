//! Paths, methods, authorisation, scopes, privileges, credits and concurrency.
#![allow(missing_docs)]

mod common;
use common::*;
use std::time::Duration;
use zcrm_emulator::*;

#[test]
fn unknown_paths_and_versions_are_404() {
    let e = start();
    let id = e.record("Contacts");
    for path in [
        format!("/crm/v8/Contacts/{id}/attachments"),
        format!("/crm/v8/Contacts/{id}/Photo"),
        format!("/crm/v8/Contacts/{id}/Attachments/"),
        format!("/crm/v9/Contacts/{id}/photo"),
        "/crm/v8".to_owned(),
        "/nothing".to_owned(),
    ] {
        assert_eq!(call(&e, "GET", &path).verdict(), (404, "INVALID_URL_PATTERN".into()), "{path}");
    }
}

#[test]
fn a_wrong_method_is_400() {
    let e = start();
    let path = attachments(&e, "Contacts");
    assert_eq!(call(&e, "PUT", &path).verdict(), (400, "INVALID_REQUEST_METHOD".into()));
    assert_eq!(call(&e, "POST", &format!("{path}/1")).verdict(), (400, "INVALID_REQUEST_METHOD".into()));
    assert_eq!(call(&e, "PATCH", &(record(&e, "Contacts") + "/photo")).verdict(), (400, "INVALID_REQUEST_METHOD".into()));
}

#[test]
fn unknown_modules_and_records_name_their_place_in_the_path() {
    let e = start();
    let id = e.record("Contacts");
    let got = call(&e, "GET", &format!("/crm/v8/Nonsense/{id}/Attachments?fields=id"));
    assert_eq!((got.verdict(), got.json()["details"]["resource_path_index"].as_u64()), ((400, "INVALID_MODULE".into()), Some(0)));
    assert_eq!(got.message(), "the module name given seems to be invalid");
    let got = call(&e, "GET", "/crm/v8/Documents/1/Attachments?fields=id");
    assert_eq!(got.message(), "The given module is not supported in API");
    for (module, record) in [("Contacts", "1"), ("Contacts", "abc"), ("Leads", id.as_str())] {
        let got = call(&e, "GET", &format!("/crm/v8/{module}/{record}/Attachments?fields=id"));
        assert_eq!((got.status, got.message().as_str()), (400, "the related id given seems to be invalid"));
        assert_eq!(got.json()["details"]["resource_path_index"], 1);
    }
    let got = call(&e, "DELETE", "/crm/v8/Contacts/1/photo");
    assert_eq!(got.message(), "the id given seems to be invalid");
}

#[test]
fn modules_that_came_later_are_refused_by_old_versions() {
    let e = start();
    let id = e.add_record("Appointments__s");
    let path = |version: &str| format!("/crm/{version}/Appointments__s/{id}/Attachments?fields=id");
    assert_eq!(call(&e, "GET", &path("v2.1")).verdict(), (400, "API_NOT_SUPPORTED".into()));
    assert_eq!(call(&e, "GET", &path("v3")).status, 204);
}

#[test]
fn the_scheme_word_must_be_zoho_oauthtoken() {
    let e = start();
    let path = attachments(&e, "Contacts") + "?fields=id";
    let token = e.access_token();
    let with = |value: String| send(&e, "GET", &path, &[("Authorization", &value)], b"").verdict();
    assert_eq!(with(format!("Bearer {token}")), (401, "AUTHENTICATION_FAILURE".into()));
    assert_eq!(with(token.clone()), (401, "AUTHENTICATION_FAILURE".into()));
    assert_eq!(with("Zoho-oauthtoken 1000.x.y".into()), (401, "INVALID_TOKEN".into()));
    assert_eq!(send(&e, "GET", &path, &[], b"").verdict(), (401, "AUTHENTICATION_FAILURE".into()));
    e.settings(|s| {
        s.accept_bearer = true;
        s.no_authorization = NoAuthorization::InvalidToken;
    });
    assert_eq!(send(&e, "GET", &path, &[], b"").verdict(), (401, "INVALID_TOKEN".into()));
    assert_eq!(with(format!("Bearer {token}")).0, 200);
}

#[test]
fn expired_tokens_are_invalid_and_a_fresh_one_is_handed_out() {
    let e = start();
    let old = e.access_token();
    e.expire_tokens();
    let path = attachments(&e, "Contacts") + "?fields=id";
    let authorization = format!("Zoho-oauthtoken {old}");
    assert_eq!(send(&e, "GET", &path, &[("Authorization", &authorization)], b"").verdict(), (401, "INVALID_TOKEN".into()));
    assert_ne!(e.access_token(), old);
    assert_eq!(call(&e, "GET", &path).status, 200);
    let fresh = e.access_token();
    e.advance(Duration::from_secs(3601));
    assert_ne!(e.access_token(), fresh);
}

#[test]
fn each_organisation_sees_only_its_own_records() {
    let e = start();
    let authorization = format!("Zoho-oauthtoken {}", e.access_token_of(2));
    let foreign = attachments(&e, "Contacts") + "?fields=id";
    let got = send(&e, "GET", &foreign, &[("Authorization", &authorization)], b"");
    assert_eq!(got.verdict(), (400, "INVALID_DATA".into()));
    let own = format!("/crm/v8/Contacts/{}/Attachments?fields=id", e.record_of(2, "Contacts"));
    assert_eq!(send(&e, "GET", &own, &[("Authorization", &authorization)], b"").status, 200);
}

#[test]
fn tokens_are_bound_to_environment_and_data_centre() {
    let e = start();
    let path = format!("/crm/v8/Contacts/{}/Attachments?fields=id", e.record_of(3, "Contacts"));
    let authorization = format!("Zoho-oauthtoken {}", e.access_token_of(3));
    let at = |host: &str| send(&e, "GET", &path, &[("Host", host), ("Authorization", &authorization)], b"").status;
    assert_eq!(at("127.0.0.1"), 401);
    assert_eq!(at("sandbox.localhost"), 204);
    let other = Emulator::start(Options { data_centre: "eu".into(), ..Options::default() }).unwrap();
    assert_ne!(other.credentials(), e.credentials());
    let authorization = bearer(&e);
    let got = send(&other, "GET", &(attachments(&other, "Contacts") + "?fields=id"), &[("Authorization", &authorization)], b"");
    assert_eq!(got.verdict(), (401, "INVALID_TOKEN".into()));
}

#[test]
fn a_client_can_ask_who_it_is() {
    let e = start();
    let user = call(&e, "GET", "/crm/v8/users?type=CurrentUser").json()["users"].clone();
    assert_eq!((user.as_array().unwrap().len(), user[0]["email"].as_str()), (1, Some("marta.keller@alpenglow.example")));
    assert_eq!(call(&e, "GET", "/crm/v8/org").json()["org"][0]["zgid"], e.credentials().org_id.as_str());
}

#[test]
fn scopes_are_checked() {
    let e = start();
    let path = attachments(&e, "Contacts") + "?fields=id";
    let with = |scope: &str| {
        let authorization = format!("Zoho-oauthtoken {}", e.access_token_with_scope(scope));
        send(&e, "GET", &path, &[("Authorization", &authorization)], b"").verdict()
    };
    let refused = (401, "OAUTH_SCOPE_MISMATCH".to_owned());
    assert_eq!(with("ZohoCRM.modules.ALL").0, 200);
    assert_eq!(with("ZohoCRM.modules.contacts.READ,ZohoCRM.modules.attachments.READ").0, 200);
    assert_eq!(with("ZohoCRM.modules.attachments.READ"), refused);
    assert_eq!(with("ZohoCRM.modules.contacts.ALL"), refused);
    assert_eq!(with("ZohoCRM.modules.leads.ALL ZohoCRM.modules.attachments.ALL"), refused);
    assert_eq!(with("ZohoCRM.modules.contacts.ALL,ZohoCRM.modules.attachments.CREATE"), refused);
    e.settings(|s| {
        s.scope_missing_status = 403;
        s.attachments_scope_alone = true;
    });
    assert_eq!(with("ZohoCRM.modules.attachments.READ").0, 200);
    assert_eq!(with("ZohoCRM.settings.ALL"), (403, "OAUTH_SCOPE_MISMATCH".into()));
}

#[test]
fn a_missing_privilege_is_told_in_two_ways() {
    let e = start();
    let path = format!("/crm/v8/Contacts/{}/Attachments", e.record_in_state(RecordState::Restricted));
    let got = upload(&e, &path, "a", b"x");
    assert_eq!((got.verdict(), got.message().as_str()), ((403, "NO_PERMISSION".into()), "Permission denied to upload attachment"));
    assert!(got.json()["details"]["permissions"].is_array());
    e.settings(|s| {
        s.permission_error = PermissionError::AuthorizationFailed;
        s.denied = vec!["photo.download".into()];
    });
    assert_eq!(call(&e, "GET", &(record(&e, "Contacts") + "/photo")).verdict(), (400, "AUTHORIZATION_FAILED".into()));
}

#[test]
fn credits_show_once_half_is_used_and_come_back_after_a_day() {
    let e = start();
    e.settings(|s| s.credits = 4);
    let path = attachments(&e, "Contacts") + "?fields=id";
    let remaining = || call(&e, "GET", &path).header("X-API-CREDITS-REMAINING").map(str::to_owned);
    assert_eq!(remaining(), None);
    assert_eq!(remaining().as_deref(), Some("2"));
    assert_eq!(remaining().as_deref(), Some("1"));
    assert_eq!(remaining().as_deref(), Some("0"));
    let got = call(&e, "GET", &path);
    assert_eq!(got.verdict(), (429, "TOO_MANY_REQUESTS".into()));
    assert_eq!((got.header("Retry-After"), got.header("X-API-CREDITS-REMAINING")), (None, Some("0")));
    e.settings(|s| {
        s.retry_after = Some("7".into());
        s.rate_limit_code = "RATE_LIMIT_EXCEEDED".into();
    });
    let got = call(&e, "GET", &path);
    assert_eq!((got.verdict().1.as_str(), got.header("Retry-After")), ("RATE_LIMIT_EXCEEDED", Some("7")));
    e.advance(Duration::from_secs(24 * 3600));
    assert_eq!(call(&e, "GET", &path).status, 200);
}

#[test]
fn a_call_over_the_concurrency_is_429() {
    use std::io::Write;
    let e = start();
    e.settings(|s| s.concurrency = 1);
    let path = attachments(&e, "Contacts");
    let authorization = bearer(&e);
    let body = form(&[(&file_part("a"), b"x")]);
    let whole = request(&e, "POST", &path, &[("Authorization", &authorization), FORM], &body);
    let mut slow = connect(&e);
    slow.write_all(&whole[..whole.len() - 5]).unwrap();
    while e.ledger().requests.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(call(&e, "GET", &format!("{path}?fields=id")).verdict(), (429, "TOO_MANY_REQUESTS".into()));
    slow.write_all(&whole[whole.len() - 5..]).unwrap();
    assert_eq!(read_reply(&mut slow).unwrap().status, 200);
    assert_eq!(call(&e, "GET", &format!("{path}?fields=id")).status, 200);
}

#[test]
fn unknown_parameters_are_recorded_and_ignored() {
    let e = start();
    assert_eq!(call(&e, "GET", &(attachments(&e, "Contacts") + "?fields=id&wrong=1%20")).status, 200);
    assert_eq!(e.ledger().requests[0].query, "fields=id&wrong=1%20");
}
