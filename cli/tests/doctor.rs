//! doctor, against each way of being wrong.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::world::{World, world};
use support::{bare, ran};
use zcrm_emulator::{Credentials, Emulator, Fault, Options};

/// Settings of a login, some of which a test changes.
fn login(w: &World) -> Vec<(&'static str, String)> {
    let Credentials { client_id, client_secret, refresh_token, .. } = w.emulator.credentials();
    let url = w.emulator.url().to_owned();
    vec![
        ("client_id", client_id),
        ("client_secret", client_secret),
        ("refresh_token", refresh_token),
        ("accounts_url", url.clone()),
        ("api_domain", url),
    ]
}

fn other(settings: Vec<(&'static str, String)>, key: &'static str, value: impl Into<String>) -> Vec<(&'static str, String)> {
    settings.into_iter().filter(|(known, _)| *known != key).chain([(key, value.into())]).collect()
}

fn only_token(w: &World, token: &str) -> Vec<(&'static str, String)> {
    vec![("access_token", token.to_owned()), ("accounts_url", w.emulator.url().to_owned()), ("api_domain", w.emulator.url().to_owned())]
}

/// Its findings, by what was looked at.
fn doctor(w: &World, settings: &[(&'static str, String)], arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut command = bare(w, &[&["--json", "doctor"], arguments].concat());
    command.envs(settings.iter().map(|(key, value)| (format!("ZCRM_{}", key.to_uppercase()), value)));
    let ran = ran(&mut command);
    assert_eq!(ran.err, "");
    (ran.json(), ran.code)
}

/// The one thing that is wrong, and what to do.
#[track_caller]
fn wrong(w: &World, settings: &[(&'static str, String)], check: &str, found: &str, advice: &str) {
    let (findings, code) = doctor(w, settings, &[]);
    let bad: Vec<&Value> = findings.iter().filter(|finding| finding["ok"] == false).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert!(bad.len() == 1 && bad[0]["check"] == check && code == Some(1), "{findings:#?}");
    assert!(text(&bad[0]["found"]).contains(found) && text(&bad[0]["do"]).contains(advice), "{:#}", bad[0]);
}

#[test]
fn when_all_is_right_every_line_is_ok() {
    let w = world();
    let (findings, code) = doctor(&w, &login(&w), &["Contacts", "Deals"]);
    assert!(findings.iter().all(|finding| finding["ok"] == true) && code == Some(0), "{findings:#?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["settings", "data centre", "proxy", "DNS", "http", "clock", "token", "scopes", "access", "access", "concurrency"]);
}

#[test]
fn an_access_token_alone_is_looked_at_too() {
    let w = world();
    let (findings, code) = doctor(&w, &only_token(&w, &w.emulator.access_token()), &[]);
    assert!(findings.iter().all(|finding| finding["ok"] == true) && code == Some(0), "{findings:#?}");
}

#[test]
fn lines_for_a_person_say_what_to_do() {
    let w = world();
    let settings = other(login(&w), "client_secret", "wrong");
    let mut command = bare(&w, &["doctor"]);
    command.envs(settings.iter().map(|(key, value)| (format!("ZCRM_{}", key.to_uppercase()), value)));
    let ran = ran(&mut command);
    assert!(ran.code == Some(1) && ran.out.contains("BAD  token") && ran.out.contains("-> copy the client secret"), "{}", ran.out);
}

#[test]
fn invalid_client_is_an_id_that_this_data_centre_does_not_know() {
    let w = world();
    wrong(&w, &other(login(&w), "client_id", "1000.NOBODY"), "token", "invalid_client: the client id is unknown", "data centre");
    let elsewhere = Emulator::start(Options { data_centre: "eu".to_owned(), ..Options::default() }).unwrap();
    let theirs = elsewhere.credentials();
    let settings = other(other(login(&w), "client_id", theirs.client_id), "client_secret", theirs.client_secret);
    wrong(&w, &settings, "token", "invalid_client: ", "data centre");
}

#[test]
fn invalid_client_secret_is_told_from_an_unknown_client() {
    let w = world();
    wrong(&w, &other(login(&w), "client_secret", "wrong"), "token", "knows the client id", "secret");
}

#[test]
fn the_causes_of_invalid_code_are_told_apart() {
    let w = world();
    wrong(&w, &other(login(&w), "refresh_token", "1000.half"), "token", "hasn't the form of a token", "copy it again");
    wrong(&w, &other(login(&w), "refresh_token", w.emulator.access_token()), "token", "holds an access token", "zcrm login");
    let of_another_client = w.emulator.credentials_of(2).refresh_token;
    wrong(&w, &other(login(&w), "refresh_token", of_another_client), "token", "client id and secret are right", "zcrm login");
}

#[test]
fn the_causes_of_invalid_token_are_told_apart() {
    let w = world();
    wrong(&w, &only_token(&w, "1000.half"), "token", "hasn't the form of a token", "copy it again");
    let token = w.emulator.access_token();
    w.emulator.expire_tokens();
    wrong(&w, &only_token(&w, &token), "access", "over an hour old", "zcrm login");
    let elsewhere = Emulator::start(Options { data_centre: "eu".to_owned(), ..Options::default() }).unwrap();
    wrong(&w, &other(login(&w), "api_domain", elsewhere.url()), "access", &format!("good at {}", w.emulator.url()), "api_domain");
}

#[test]
fn a_missing_scope_is_named() {
    let w = world();
    let token = w.emulator.access_token_with_scope("ZohoCRM.modules.contacts.READ");
    wrong(&w, &only_token(&w, &token), "access", "scope", "ZohoCRM.modules.attachments.ALL");
}

#[test]
fn a_module_that_is_not_there_is_told() {
    let w = world();
    let (findings, code) = doctor(&w, &login(&w), &["Contacts", "Nonsense"]);
    let access: Vec<&Value> = findings.iter().filter(|finding| finding["check"] == "access").collect();
    assert!(access[0]["ok"] == true && access[1]["ok"] == false && code == Some(1), "{findings:#?}");
}

#[test]
fn a_clock_that_is_off_is_told() {
    let w = world();
    w.emulator.advance(Duration::from_secs(4000));
    wrong(&w, &login(&w), "clock", "behind Zoho", "NTP");
}

#[test]
fn a_host_that_is_not_there_and_one_without_a_name_are_told_apart() {
    let w = world();
    wrong(&w, &other(other(login(&w), "api_domain", "http://127.0.0.1:1"), "accounts_url", "http://127.0.0.1:1"), "http", "127.0.0.1", "proxy");
    wrong(&w, &other(other(login(&w), "api_domain", "http://nothing.invalid"), "allow_http", "on"), "DNS", "nothing.invalid", "api_domain");
}

#[test]
fn a_certificate_that_nobody_trusts_is_told() {
    let tls = Emulator::start(Options { tls: true, ..Options::default() }).unwrap();
    let w = World::of(Emulator::start(Options::default()).unwrap(), &[]);
    wrong(&w, &other(other(login(&w), "api_domain", tls.url()), "accounts_url", tls.url()), "TLS", "certificate", "ca_file");
}

#[test]
fn too_many_token_requests_are_told() {
    let w = world();
    w.emulator.settings(|s| s.tokens_per_window = 0);
    wrong(&w, &login(&w), "token", "ten token requests", "wait ten minutes");
}

#[test]
fn calls_at_once_that_are_refused_are_counted() {
    let w = world();
    w.emulator.settings(|s| s.concurrency = 1);
    w.emulator.always("attachment.list", Fault::delay(300));
    let (findings, _) = doctor(&w, &login(&w), &[]);
    let last = findings.last().unwrap();
    assert!(last["check"] == "concurrency" && last["ok"] == false && last["do"].as_str().unwrap().contains("max_in_flight"), "{last:#}");
}

#[test]
fn without_credentials_it_says_how_to_get_some() {
    let w = world();
    let url = w.emulator.url().to_owned();
    wrong(&w, &[("api_domain", url)], "settings", "credentials", "zcrm login");
}
