//! Which requests a fault hits, and which faults are refused.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::json;
use zcrm_emulator::*;

fn post_fault(e: &Emulator, script: serde_json::Value) -> (u16, String) {
    let got = control(e, "POST", "faults", &script.to_string());
    (got.status, got.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_fault_hits_only_the_record_it_is_bound_to() {
    let e = start();
    let (one, two) = (e.add_record("Contacts"), e.add_record("Contacts"));
    e.script(Requests::of("attachment.upload").record(&two), [Fault::status(503)]);
    assert_eq!(upload(&e, &format!("/crm/v8/Contacts/{one}/Attachments"), "a", b"x").status, 200);
    assert_eq!(upload(&e, &format!("/crm/v8/Contacts/{two}/Attachments"), "a", b"x").status, 503);
    assert_eq!(e.faults_left("attachment.upload"), 0);
}

#[test]
fn a_fault_hits_only_the_file_name_it_is_bound_to() {
    let e = start();
    let path = attachments(&e, "Accounts");
    e.script(Requests::of("attachment.upload").file_name("b.txt"), [Fault::reset_before_store(), Fault::status(503).after_store()]);
    let send_b = || try_send(&e, "POST", &path, &[("Authorization", &bearer(&e)), FORM], &form(&[(&file_part("b.txt"), b"x")]));
    assert_eq!(upload(&e, &path, "a.txt", b"x").status, 200);
    assert!(send_b().is_none());
    assert_eq!(send_b().unwrap().status, 503);
    assert_eq!(upload(&e, &path, "b.txt", b"x").status, 200);
    assert_eq!(e.attachments("Accounts", &e.record("Accounts")).len(), 3);
    assert_eq!(e.ledger().faults_fired.len(), 2);
}

#[test]
fn a_fault_hits_only_the_organisation_or_token_it_is_bound_to() {
    let e = start();
    let list = |token: &str, organisation: usize| {
        let path = format!("/crm/v8/Contacts/{}/Attachments?fields=id", e.record_of(organisation, "Contacts"));
        send(&e, "GET", &path, &[("Authorization", &format!("Zoho-oauthtoken {token}"))], b"").status
    };
    let other = e.access_token_with_scope("ZohoCRM.modules.ALL");
    e.script(Requests::of("*").organisation(2), [Fault::status(500)]);
    e.script(Requests::of("attachment.list").token(&other), [Fault::status(429)]);
    assert_eq!((list(&e.access_token(), 1), list(&other, 1), list(&e.access_token_of(2), 2)), (200, 429, 500));
}

#[test]
fn a_token_request_is_known_by_its_client_or_its_refresh_token() {
    let e = start();
    let ask = |organisation: usize| {
        let c = e.credentials_of(organisation);
        let form = format!("grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}", c.client_id, c.client_secret, c.refresh_token);
        token(&e, &form).status
    };
    e.script(Requests::of("token").organisation(2), [Fault::status(503)]);
    e.script(Requests::of("token").token(&e.credentials_of(1).refresh_token), [Fault::none(), Fault::status(502)]);
    assert_eq!((ask(1), ask(2), ask(1), ask(2)), (200, 503, 502, 200));
}

#[test]
fn the_closest_bound_fault_comes_first_and_the_star_last() {
    let e = start();
    let id = e.record("Accounts");
    e.script("*", [Fault::status(501)]);
    e.script("attachment.list", [Fault::status(502)]);
    e.script(Requests::of("attachment.list").record(&id), [Fault::status(503)]);
    let list = || call(&e, "GET", &(attachments(&e, "Accounts") + "?fields=id")).status;
    assert_eq!((list(), list(), list(), list()), (503, 502, 501, 204));
}

#[test]
fn a_fault_for_always_stays() {
    let e = start();
    let list = || call(&e, "GET", &(attachments(&e, "Accounts") + "?fields=id")).status;
    let script =
        json!({"operation": "attachment.list", "always": true, "faults": [{"kind": "status", "status": 503}, {"kind": "status", "status": 500}]});
    assert_eq!(post_fault(&e, script).0, 200);
    assert_eq!((list(), list(), list()), (503, 500, 500));
    control(&e, "DELETE", "faults", "");
    assert_eq!(list(), 204);
}

#[test]
fn a_mistyped_fault_is_refused_and_the_right_word_named() {
    let e = start();
    for (script, word) in [
        (json!({"operation": "atachment.list", "faults": []}), "perhaps attachment.list"),
        (json!({"operation": "attachment.uploads", "faults": []}), "perhaps attachment.upload"),
        (json!({"operation": "token", "fault": []}), "perhaps faults"),
        (json!({"faults": []}), "`operation` is missing"),
        (json!({"operation": "token"}), "`faults` is missing"),
        (json!({"operation": "token", "faults": [{"kind": "statsu"}]}), "faults[0]: there is no kind \"statsu\"; perhaps status"),
        (json!({"operation": "token", "faults": [{"kind": "truncate", "byte": 1}]}), "perhaps bytes"),
        (json!({"operation": "token", "faults": [{"kind": "none", "ms": 1}]}), "no field of none"),
        (json!({"operation": "photo.upload", "faults": [{"kind": "rename", "name": "x"}]}), "for attachment.upload only"),
    ] {
        let (status, error) = post_fault(&e, script.clone());
        assert_eq!(status, 400, "{script}");
        assert!(error.contains(word), "{script}: {error}");
    }
    assert!(control(&e, "GET", "faults", "").json().as_array().unwrap().is_empty());
}

#[test]
fn a_fault_of_an_organisation_that_is_not_there_is_refused() {
    let e = start();
    let script = |number: usize| json!({"operation": "photo.delete", "organisation": number, "faults": [{"kind": "status", "status": 503}]});
    for wrong in [0, 77] {
        let (status, error) = post_fault(&e, script(wrong));
        assert!(status == 400 && error.contains(&format!("there is no {wrong}")), "{error}");
    }
    let made = e.add_organisation("Mine");
    assert_eq!(post_fault(&e, script(made)).0, 200);
}

#[test]
fn what_is_no_http_is_refused() {
    let e = start();
    for fault in [
        json!({"kind": "status", "status": 0}),
        json!({"kind": "status", "status": 99}),
        json!({"kind": "status_early", "status": 600}),
        json!({"kind": "html", "status": 1000}),
        json!({"kind": "head", "status": 65535}),
        json!({"kind": "body", "body_base64": "!!"}),
        json!({"kind": "deep", "status": 400, "depth": 1e12 as u64}),
        json!({"kind": "edit", "set": {"data": 1}}),
    ] {
        assert_eq!(post_fault(&e, json!({"operation": "attachment.list", "faults": [fault]})).0, 400, "{fault}");
    }
}

#[test]
#[should_panic(expected = "perhaps attachment.list is meant")]
fn the_library_refuses_a_mistyped_operation_too() {
    start().script("atachment.list", [Fault::none()]);
}

#[test]
fn readme_names_every_kind_and_every_operation() {
    let readme = include_str!("../README.md");
    for word in Fault::kinds().chain(OPERATIONS.iter().copied()) {
        assert!(readme.contains(&format!("`{word}`")), "{word}");
    }
}
