//! The control paths: who may use them, what they list, and what they refuse.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;
use zcrm_emulator::*;

fn with(e: &Emulator, headers: &[(&str, &str)]) -> u16 {
    send(e, "GET", "/_emulator/world", headers, b"").status
}

#[test]
fn a_page_of_another_site_may_neither_read_nor_change() {
    let e = start();
    let own = address(&e);
    assert_eq!(with(&e, &[("Host", "evil.example")]), 403);
    assert_eq!(with(&e, &[("Host", "evil.example"), ("Origin", "http://evil.example")]), 403);
    assert_eq!(with(&e, &[("Host", &own), ("Origin", "http://evil.example")]), 403);
    assert_eq!(with(&e, &[("Host", &own), ("Origin", "null")]), 403);
    assert_eq!(with(&e, &[("Host", &own), ("Sec-Fetch-Site", "cross-site")]), 403);
    let fault = json!({"operation": "*", "faults": [{"kind": "garbage"}]}).to_string();
    let got = send(&e, "POST", "/_emulator/faults", &[("Origin", "http://evil.example"), ("Content-Type", "text/plain")], fault.as_bytes());
    assert_eq!((got.status, e.faults_left("*")), (403, 0));
    assert!(got.json()["error"].as_str().unwrap().contains("evil.example"));
}

#[test]
fn its_own_names_and_pages_are_let_in() {
    let e = start();
    let own = address(&e);
    let port = own.rsplit(':').next().unwrap();
    assert_eq!(with(&e, &[("Host", &format!("localhost:{port}"))]), 200);
    assert_eq!(with(&e, &[("Host", &own), ("Origin", &format!("http://{own}")), ("Sec-Fetch-Site", "same-origin")]), 200);
    assert_eq!(with(&e, &[("Host", "crm-emulator:8080")]), 403);
    e.settings(|s| s.public_name = Some("crm-emulator".into()));
    assert_eq!(with(&e, &[("Host", "crm-emulator:8080")]), 200);
}

fn domain(e: &Emulator, host: &str, organisation: usize) -> Value {
    let c = e.credentials_of(organisation);
    let form = format!("grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}", c.client_id, c.client_secret, c.refresh_token);
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    send(e, "POST", "/oauth/v2/token", &[("Host", host), kind], form.as_bytes()).json()["api_domain"].clone()
}

#[test]
fn tokens_name_the_public_name() {
    let e = Emulator::start(Options { public_name: Some("crm".into()), ..Options::default() }).unwrap();
    let port = e.url().rsplit(':').next().unwrap().to_owned();
    assert_eq!(e.url(), format!("http://crm:{port}"));
    let local = Emulator::start(Options::default()).unwrap();
    local.settings(|s| s.public_name = Some("crm:9000".into()));
    assert_eq!(domain(&local, "x", 1), "http://crm:9000");
    assert_eq!(domain(&local, "x", 3), "http://sandbox.crm:9000");
    local.reset();
    assert_eq!(domain(&local, "x", 1), local.url());
}

#[test]
fn on_all_addresses_tokens_name_what_the_client_asked() {
    let e = Emulator::start(Options { host: "0.0.0.0".parse().unwrap(), ..Options::default() }).unwrap();
    assert!(e.url().starts_with("http://127.0.0.1:"));
    assert_eq!(domain(&e, "crm-emulator:8080", 1), "http://crm-emulator:8080");
    assert_eq!(domain(&e, "10.0.0.7:8080", 3), "http://sandbox.localhost:8080");
}

#[test]
fn a_control_body_is_bounded() {
    let e = start();
    let mut tcp = connect(&e);
    let own = address(&e);
    tcp.write_all(format!("PATCH /_emulator/settings HTTP/1.1\r\nHost: {own}\r\nContent-Length: 400000000\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 413);
    let mut tcp = connect(&e);
    tcp.write_all(format!("PATCH /_emulator/settings HTTP/1.1\r\nHost: {own}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..17 {
        let _ = tcp.write_all(chunk.as_bytes()); // the answer may come before the last
    }
    assert_eq!(read_reply(&mut tcp).unwrap().status, 413);
}

#[test]
fn a_head_that_is_begun_must_end() {
    let e = start();
    e.settings(|s| s.head_timeout_ms = 50);
    let mut tcp = connect(&e);
    tcp.write_all(b"GET /crm/v8/").unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 408);
    let mut tcp = connect(&e);
    let (mut written, byte) = (0, b"x");
    tcp.write_all(b"GET /").unwrap();
    // A byte now and then doesn't keep it open.
    while tcp.write_all(byte).is_ok() && written < 1000 {
        written += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(written < 1000);
}

#[test]
fn a_body_that_stops_moving_ends() {
    let e = start();
    e.settings(|s| s.body_pause_ms = 50);
    let mut tcp = connect(&e);
    tcp.write_all(b"POST /oauth/v2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    assert_eq!(tcp.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_index_lists_every_path_of_the_readme_and_the_other_way_round() {
    let e = start();
    let readme = include_str!("../README.md");
    let index = control(&e, "GET", "", "").json();
    let paths = index["paths"].as_array().unwrap();
    for path in paths.iter().map(|p| p["path"].as_str().unwrap()) {
        assert!(readme.contains(path), "{path} isn't in README");
    }
    for word in readme.split(['`', ' ', '[', '\n']).filter(|w| w.starts_with("/_emulator/")) {
        assert!(paths.iter().any(|p| p["path"] == word), "{word} isn't listed");
    }
    assert_eq!(send(&e, "GET", "/_emulator", &[], b"").json(), index);
}

#[test]
fn unknown_paths_are_404_and_other_methods_405() {
    let e = start();
    assert_eq!(control(&e, "GET", "nothing", "").status, 404);
    assert_eq!(control(&e, "POST", "tokens/nothing", "").status, 404);
    let got = control(&e, "DELETE", "settings", "");
    assert_eq!((got.status, got.json()["error"].as_str()), (405, Some("/_emulator/settings takes GET, PATCH, not DELETE")));
}

#[test]
fn health_is_told_and_the_clock_is_read() {
    let e = start();
    assert_eq!(control(&e, "GET", "health", "").status, 200);
    let before = control(&e, "GET", "clock", "").json();
    let after = control(&e, "POST", "clock/advance", "{\"ms\":600000}").json();
    assert_eq!((&before["ahead_ms"], &after["ahead_ms"]), (&json!(0), &json!(600_000)));
    assert!(after["ms"].as_u64().unwrap() >= before["ms"].as_u64().unwrap() + 600_000);
    for wrong in ["{}", "{\"ms\":-1}", "{\"ms\":18446744073709551615}", "{\"ms\":\"1\"}", "[]"] {
        assert_eq!(control(&e, "POST", "clock/advance", wrong).status, 400, "{wrong}");
    }
    assert_eq!(control(&e, "GET", "clock", "").json()["ahead_ms"], 600_000);
}

#[test]
fn a_mistyped_word_of_a_control_request_is_refused() {
    let e = start();
    for (path, body, word) in [
        ("tokens/access", json!({"organization": 2}), "organization"),
        ("tokens/access", json!({"scope": 5}), "string"),
        ("tokens/expire", json!({"organisation": 99}), "there is no 99"),
        ("records", json!({"module": "Leads", "sate": "locked"}), "sate"),
        ("records?organization=2", json!({"module": "Leads"}), "perhaps organisation"),
        ("organisations", json!({"record": []}), "record"),
    ] {
        let got = control(&e, "POST", path, &body.to_string());
        let error = got.json()["error"].as_str().unwrap().to_owned();
        assert!(got.status == 400 && error.contains(word), "{path} {body}: {error}");
    }
}

#[test]
fn a_key_that_is_given_twice_is_refused() {
    let e = start();
    for (method, path, body, key) in [
        ("PATCH", "settings", r#"{"credits":1,"credits":2}"#, "credits"),
        ("POST", "faults", r#"{"operation":"token","operation":"photo.delete","faults":[]}"#, "operation"),
        ("POST", "faults", r#"{"operation":"token","faults":[{"kind":"status","status":503,"status":200}]}"#, "status"),
        ("POST", "records", r#"{"module":"Leads","module":"Contacts"}"#, "module"),
    ] {
        let got = control(&e, method, path, body);
        assert!(got.status == 400 && got.json()["error"].as_str().unwrap().contains(&format!("{key}: is given twice")), "{body}");
    }
    assert_eq!(control(&e, "GET", "settings", "").json()["credits"], 5_000_000);
}

#[test]
fn a_test_makes_a_world_of_its_own() {
    let e = start();
    let wanted = json!({"name": "Mine", "records": [{"module": "Contacts", "name": "Ann", "count": 2}, {"module": "Leads", "state": "locked"}]});
    let made = control(&e, "POST", "organisations", &wanted.to_string()).json();
    let records = made["records"].as_array().unwrap();
    assert_eq!((records.len(), &records[1]["name"], &records[2]["state"]), (3, &json!("Ann"), &json!("locked")));
    let c = &made["credentials"];
    let word = |key: &str| c[key].as_str().unwrap();
    let form = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        word("client_id"),
        word("client_secret"),
        word("refresh_token")
    );
    let fresh = token(&e, &form).json()["access_token"].as_str().unwrap().to_owned();
    let path = format!("/crm/v8/Contacts/{}/Attachments?fields=id", records[0]["id"].as_str().unwrap());
    let list = |token: &str| send(&e, "GET", &path, &[("Authorization", &format!("Zoho-oauthtoken {token}"))], b"").status;
    assert_eq!((list(&fresh), list(made["access_token"].as_str().unwrap()), list(&e.access_token())), (204, 204, 400));
    let number = made["organisation"].as_u64().unwrap() as usize;
    assert_eq!(e.record_of(number, "Contacts"), records[0]["id"]);
    control(&e, "POST", "tokens/expire", &json!({"organisation": number}).to_string());
    assert_eq!((list(&fresh), call(&e, "GET", &(attachments(&e, "Contacts") + "?fields=id")).status), (401, 200));
    let other = e.add_organisation("Another");
    assert!(other == number + 1 && e.credentials_of(other) != e.credentials_of(number));
}

#[test]
fn the_ledger_of_an_organisation_has_nothing_of_another() {
    let e = start();
    let own = e.add_organisation("Mine");
    let id = e.add_record_of(own, "Contacts");
    let path = format!("/crm/v8/Contacts/{id}/Attachments");
    e.script(Requests::of("attachment.upload").organisation(own), [Fault::status_after_store(503)]);
    let authorization = format!("Zoho-oauthtoken {}", e.access_token_of(own));
    send(&e, "POST", &path, &[("Authorization", &authorization), FORM], &form(&[(&file_part("mine.txt"), b"x")]));
    upload(&e, &attachments(&e, "Accounts"), "other.txt", b"x");
    for organisation in [1, own] {
        let c = e.credentials_of(organisation);
        let form = format!("grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}", c.client_id, c.client_secret, c.refresh_token);
        token(&e, &form);
    }
    let ledger = control(&e, "GET", &format!("ledger?organisation={own}"), "").json();
    let counts = ["requests", "stored", "tokens_issued", "faults_fired"].map(|k| ledger[k].as_array().unwrap().len());
    assert_eq!((counts, &ledger["stored"][0]["name"]), ([2, 1, 1, 1], &json!("mine.txt")));
    assert_eq!(e.ledger_of(1).stored.len(), 1);
    assert_eq!(control(&e, "GET", "ledger?organisation=99", "").status, 400);
}

#[test]
fn a_world_that_can_not_be_is_refused_whole() {
    let e = start();
    let count = e.world()["organisations"].as_array().unwrap().len();
    for wrong in [
        json!({"recrods": []}),
        json!({"records": [{"name": "x"}]}),
        json!({"records": [{"module": "a/b"}]}),
        json!({"records": [{"module": "Leads"}, {"module": "Leads", "state": "odd"}]}),
        json!({"records": [{"module": "Leads", "count": 1_000_000_000_000_u64}]}),
    ] {
        assert_eq!(control(&e, "POST", "organisations", &wrong.to_string()).status, 400, "{wrong}");
    }
    assert_eq!(e.world()["organisations"].as_array().unwrap().len(), count);
}

#[test]
fn settings_out_of_bounds_are_refused_by_name_and_none_is_changed() {
    let e = start();
    for (wrong, text) in [
        (json!({"credits": 5, "chaos_per_mille": 1001}), "chaos_per_mille: is over 1000"),
        (json!({"credits": 5, "scope_missing_status": 99}), "scope_missing_status: status: 99"),
        (json!({"credits": 5, "credit": 1}), "perhaps credits"),
        (json!({"credits": 5, "empty_list": "odd"}), "empty_list: unknown variant"),
        (json!({"credits": 5, "head_limit": 0}), "head_limit: is too little"),
        (json!({"token_lifetime_s": u64::MAX}), "token_lifetime_s: is over"),
        (json!({"credits": 5, "denied": ["photo.uplod"]}), "perhaps photo.upload"),
    ] {
        let got = control(&e, "PATCH", "settings", &wrong.to_string());
        let error = got.json()["error"].as_str().unwrap().to_owned();
        assert!(got.status == 400 && error.contains(text), "{wrong}: {error}");
    }
    assert_eq!(control(&e, "GET", "settings", "").json()["credits"], 5_000_000);
}
