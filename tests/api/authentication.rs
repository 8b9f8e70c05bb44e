//! Tokens: given, asked for, renewed, refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use serde_json::json;
use zcrm::attachment::{self, ListArgs};
use zcrm::config::Secret;
use zcrm::{Call, Client, Config, Error, Record, Result, Status, auth};
use zcrm_emulator::{Emulator, ExpiresIn, Fault, NoAuthorization, Options};

use crate::support::{client, config, refreshing, refreshing_client, why, world};

fn emulator() -> Emulator {
    Emulator::start(Options::default()).unwrap()
}

fn list(client: &Client, emulator: &Emulator) -> Result<()> {
    attachment::list(client, &Record::new("Contacts", emulator.record("Contacts")), &ListArgs::default(), Call::default()).map(drop)
}

fn token_requests(emulator: &Emulator) -> usize {
    emulator.ledger().requests.iter().filter(|r| r.operation == "token").count()
}

#[test]
fn a_refresh_token_gives_one_access_token_for_many_calls() {
    let e = emulator();
    let client = refreshing_client(&e);
    (0..20).for_each(|_| list(&client, &e).unwrap());
    assert_eq!(token_requests(&e), 1);
}

#[test]
fn secrets_travel_in_the_body_and_never_in_the_url() {
    let e = emulator();
    list(&refreshing_client(&e), &e).unwrap();
    let request = e.ledger().requests.into_iter().find(|r| r.operation == "token").unwrap();
    assert_eq!((request.query.as_str(), request.path.as_str()), ("", "/oauth/v2/token"));
}

#[test]
fn an_expired_token_is_renewed_once_and_the_call_goes_on() {
    let e = emulator();
    let client = refreshing_client(&e);
    for _ in 0..3 {
        list(&client, &e).unwrap();
        e.expire_tokens();
    }
    list(&client, &e).unwrap();
    assert_eq!(token_requests(&e), 4);
}

#[test]
fn two_hundred_and_fifty_six_threads_that_meet_an_expired_token_renew_it_once() {
    let e = emulator();
    e.settings(|s| s.concurrency = 300);
    let client = refreshing_client(&e);
    list(&client, &e).unwrap();
    e.expire_tokens();
    e.clear_ledger();
    std::thread::scope(|scope| {
        for _ in 0..256 {
            scope.spawn(|| list(&client, &e).unwrap());
        }
    });
    assert_eq!(token_requests(&e), 1);
}

#[test]
fn an_upload_refused_for_its_token_is_sent_again_whole() {
    let w = world();
    let client = refreshing_client(&w.emulator);
    list(&client, &w.emulator).unwrap();
    w.emulator.expire_tokens();
    let content = crate::support::bytes(400_000);
    attachment::upload(&client, &w.contact, zcrm::File::memory("a", &content), Call::default()).unwrap();
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[0].bytes == content);
    assert_eq!(w.stored().len(), 1);
}

#[test]
fn a_token_that_is_refused_again_right_after_its_renewal_ends_the_call() {
    let e = emulator();
    let client = refreshing_client(&e);
    e.script("attachment.list", [Fault::status(401), Fault::status(401), Fault::none()]);
    let error = list(&client, &e).unwrap_err();
    assert_eq!((error.status(), error.detail().attempts), (Status::Auth, 2));
    assert!(error.to_string().contains("data centre"), "{error}");
    assert_eq!(token_requests(&e), 2);
}

#[test]
fn a_given_token_that_is_refused_says_so_and_stays_refused() {
    let e = emulator();
    let client = client(&e, &[]);
    e.expire_tokens();
    assert_eq!(why(list(&client, &e)), (Status::Auth, "token_refused"));
    assert_eq!(why(list(&client, &e)), (Status::Auth, "token_refused"));
    assert_eq!(e.ledger().requests.len(), 1, "the second call knows without asking");
}

#[test]
fn both_codes_of_a_refused_token_are_understood() {
    for form in [NoAuthorization::AuthenticationFailure, NoAuthorization::InvalidToken] {
        let e = emulator();
        e.settings(|s| s.no_authorization = form);
        let client = client(&e, &[("access_token", "1000.nonsense")]);
        assert_eq!(why(list(&client, &e)).0, Status::Auth, "{form:?}");
    }
}

#[test]
fn a_given_token_is_used_first_beside_a_refresh_token() {
    let e = emulator();
    let (given, mut settings) = (e.access_token(), refreshing(&e));
    settings.push(("access_token", given));
    let client = client(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    list(&client, &e).unwrap();
    assert_eq!(token_requests(&e), 0);
    e.expire_tokens();
    list(&client, &e).unwrap();
    assert_eq!(token_requests(&e), 1);
}

#[test]
fn the_hosts_callback_is_asked_and_told_when_its_token_was_refused() {
    let e = Arc::new(emulator());
    let asked = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let mut config = Config::new();
    config.set("api_domain", e.url()).unwrap();
    let (theirs, count) = (e.clone(), asked.clone());
    let stale = e.access_token();
    config.set_token_fn(move |refused| {
        count.0.fetch_add(1, Ordering::SeqCst);
        count.1.fetch_add(usize::from(refused), Ordering::SeqCst);
        Ok(Secret::new(if refused { theirs.access_token() } else { stale.clone() }))
    });
    let client = Client::new(config).unwrap();
    list(&client, &e).unwrap();
    assert_eq!(asked.1.load(Ordering::SeqCst), 0);
    e.expire_tokens();
    list(&client, &e).unwrap();
    assert_eq!(asked.1.load(Ordering::SeqCst), 1);
}

#[test]
fn the_hosts_callback_that_fails_is_named_with_what_it_returned() {
    let e = emulator();
    let mut config = Config::new();
    config.set("api_domain", e.url()).unwrap();
    config.set_token_fn(|_| Err(77));
    let error = list(&Client::new(config).unwrap(), &e).unwrap_err();
    assert_eq!((error.status(), error.detail().callback_status), (Status::Callback, 77));
    assert!(e.ledger().requests.is_empty());
}

#[test]
fn a_callback_that_gives_no_bytes_is_an_error_and_nothing_is_sent() {
    let e = emulator();
    let mut config = Config::new();
    config.set("api_domain", e.url()).unwrap();
    config.set_token_fn(|_| Ok(Secret::new("")));
    assert_eq!(why(list(&Client::new(config).unwrap(), &e)), (Status::Callback, "token_callback"));
    assert!(e.ledger().requests.is_empty());
}

#[test]
fn a_callback_that_gives_what_no_header_can_hold_is_an_error_and_nothing_is_sent() {
    let e = emulator();
    for token in ["  ", "\t", " 1000.a", "1000.a\n", "1000.a ", "\u{feff}1000.a", "1000.\u{e4}", "1000.a\tb"] {
        let mut config = Config::new();
        config.set("api_domain", e.url()).unwrap();
        config.set_token_fn(move |_| Ok(Secret::new(token)));
        assert_eq!(why(list(&Client::new(config).unwrap(), &e)), (Status::Auth, "token_malformed"), "{token:?}");
    }
    assert!(e.ledger().requests.is_empty());
}

#[test]
fn the_hosts_callback_may_wait_for_another_call_that_asks_it_too() {
    let e = emulator();
    let both = Arc::new(Barrier::new(2));
    let token = e.access_token();
    let mut config = Config::new();
    config.set("api_domain", e.url()).unwrap();
    config.set_token_fn(move |_| {
        both.wait(); // for ever, if one lock were held around the callback
        Ok(Secret::new(token.clone()))
    });
    let client = Client::new(config).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| list(&client, &e).unwrap());
        }
    });
}

#[test]
fn a_reply_whose_token_cannot_be_sent_is_an_error_and_is_not_kept() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let mut settings = refreshing(&e);
    settings.extend([("token_file", file.to_str().unwrap().to_owned()), ("max_retries", "0".to_owned())]);
    let client = client(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    e.script("token", [Fault::body(200, br#"{"access_token":"1000.a\nb","expires_in":3600}"#)]);
    assert_eq!(why(list(&client, &e)), (Status::Auth, "token_malformed"));
    list(&client, &e).unwrap();
}

#[test]
fn client_credentials_give_a_token_for_the_organisation() {
    let e = emulator();
    let c = e.credentials();
    let soid = format!("ZohoCRM.{}", c.org_id);
    let settings = [("client_id", c.client_id.as_str()), ("client_secret", &c.client_secret), ("soid", &soid), ("scope", "ZohoCRM.modules.ALL")];
    list(&client(&e, &settings), &e).unwrap();
    assert_eq!(e.ledger().tokens_issued[0].grant, "client_credentials");
}

#[test]
fn a_grant_code_is_exchanged_once_for_a_refresh_token_that_works() {
    let e = emulator();
    let c = e.credentials();
    let code = e.grant_code();
    let with_code = config(&e, &[("client_id", &c.client_id), ("client_secret", &c.client_secret), ("grant_code", &code)]);
    let granted = auth::exchange(&with_code, Call::default()).unwrap().result;
    let refresh = granted.refresh_token.unwrap();
    let settings = [("client_id", c.client_id.as_str()), ("client_secret", &c.client_secret), ("refresh_token", refresh.expose())];
    list(&client(&e, &settings), &e).unwrap();
    assert_eq!(granted.api_domain, e.url());
    let used = auth::exchange(&with_code, Call::default()).unwrap_err();
    assert_eq!((used.status(), used.reason(), used.detail().attempts), (Status::Auth, "invalid_code", 1));
}

#[test]
fn failures_of_the_token_endpoint_are_told_apart() {
    let e = emulator();
    let c = e.credentials();
    for (id, secret, refresh, reason) in [
        (c.client_id.as_str(), c.client_secret.as_str(), "1000.wrong", "invalid_code"),
        ("1000.UNKNOWN", &c.client_secret, &c.refresh_token, "invalid_client"),
        (&c.client_id, "wrong", &c.refresh_token, "invalid_client_secret"),
    ] {
        let client = client(&e, &[("client_id", id), ("client_secret", secret), ("refresh_token", refresh)]);
        let error = list(&client, &e).unwrap_err();
        assert_eq!((error.status(), error.reason(), error.detail().http_status), (Status::Auth, reason, 200));
        assert!(error.to_string().contains(e.url()), "the accounts host is named: {error}");
        assert!(!error.to_json().contains(&c.client_secret) && !error.to_json().contains(&c.refresh_token));
    }
}

#[test]
fn the_throttle_is_known_by_its_shape_in_any_language_and_asked_no_more() {
    for http in [400, 200] {
        let e = emulator();
        e.settings(|s| {
            (s.tokens_per_window, s.token_throttle_status) = (0, http);
            (s.token_throttle_error, s.token_throttle_description) = ("访问被拒绝".into(), "您连续请求次数过多。请稍后重试。".into());
        });
        let client = refreshing_client(&e);
        let error = list(&client, &e).unwrap_err();
        assert_eq!((error.status(), error.reason()), (Status::RateLimited, "token_throttled"), "{error}");
        assert!(error.retry_after().is_some_and(|wait| wait.as_secs() == 600));
        assert_eq!(why(list(&client, &e)), (Status::RateLimited, "token_throttled"));
        assert_eq!(token_requests(&e), 1);
    }
}

#[test]
fn token_requests_that_never_left_are_not_counted_as_asked() {
    let e = emulator();
    let mut settings = crate::support::refreshing(&e);
    settings.push(("accounts_url", "http://127.0.0.1:1".to_owned())); // nobody listens there
    settings.push(("max_retries", "0".to_owned()));
    let client = client(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    for _ in 0..20 {
        assert_eq!(why(list(&client, &e)), (Status::Network, "connect"));
    }
}

#[test]
fn tokens_are_never_asked_for_more_often_than_zoho_allows() {
    let e = emulator();
    let client = refreshing_client(&e);
    for _ in 0..20 {
        e.expire_tokens();
        let _ = list(&client, &e);
    }
    assert!(token_requests(&e) <= 8, "{}", token_requests(&e));
    assert_eq!(why(list(&client, &e)), (Status::RateLimited, "token_throttled"));
}

#[test]
fn a_token_reply_in_either_unit_or_of_nonsense_neither_storms_nor_lives_for_days() {
    for (form, value) in [
        (ExpiresIn::Legacy, json!(null)),
        (ExpiresIn::Seconds, json!(3600)),
        (ExpiresIn::Seconds, json!(0)),
        (ExpiresIn::Seconds, json!(-1)),
        (ExpiresIn::Seconds, json!("3600")),
        (ExpiresIn::Seconds, json!(1e12)),
    ] {
        let e = emulator();
        e.settings(|s| (s.expires_in, s.expires_in_value) = (form, value.clone()));
        let client = refreshing_client(&e);
        (0..5).for_each(|_| list(&client, &e).unwrap());
        assert_eq!(token_requests(&e), 1, "{form:?} {value}");
    }
}

#[test]
fn a_token_endpoint_that_fails_is_asked_again_and_never_taken_for_an_answer() {
    let e = emulator();
    e.script("token", [Fault::status(500), Fault::html(502), Fault::reset_before_store(), Fault::none()]);
    list(&refreshing_client(&e), &e).unwrap();
    assert_eq!(token_requests(&e), 4);
    for fault in [Fault::body(200, b""), Fault::body(200, b"<html>"), Fault::body(200, b"{}"), Fault::body(200, br#"{"access_token":""}"#)] {
        let e = emulator();
        e.script("token", [fault.clone()]);
        let error: Error = list(&refreshing_client(&e), &e).unwrap_err();
        assert!(matches!(error.status(), Status::Auth | Status::Protocol), "{fault:?}: {error}");
    }
}

#[test]
fn what_a_gateway_asks_to_wait_before_the_next_token_request_is_heeded() {
    let e = emulator();
    e.script("token", [Fault::body(429, br#"{"message":"API rate limit exceeded"}"#).with_header("Retry-After", "86400")]);
    let error: Error = list(&refreshing_client(&e), &e).unwrap_err();
    assert_eq!((error.status(), error.detail().retry_after_ms), (Status::RateLimited, 86_400_000), "{error}");
    assert_eq!(token_requests(&e), 1);
}

/// What gateways and other servers answer to the token request, and what becomes of the call.
#[test]
fn a_token_reply_that_is_not_zohos_is_named_by_its_host_and_nothing_is_made_of_its_json() {
    for (status, body) in [(200, "<html>"), (404, ""), (404, r#"{"message":"no Route matched with those values"}"#), (200, r#"{"data":{}}"#)] {
        let e = emulator();
        e.script("token", [Fault::body(status, body.as_bytes())]);
        let error: Error = list(&refreshing_client(&e), &e).unwrap_err();
        assert_eq!((error.status(), error.reason()), (Status::Protocol, "token_reply"), "{status} {body}: {error}");
        let text = error.to_string();
        assert!(text.starts_with(e.url()) && text.contains("accounts_url") && !text.contains("api_domain"), "{text}");
    }
}

#[test]
fn a_code_with_a_description_is_that_code_and_no_throttle() {
    for (word, status, reason) in [
        ("invalid_client", Status::Auth, "invalid_client"),
        ("invalid_code", Status::Auth, "invalid_code"),
        ("unauthorized_client", Status::Auth, "token_refused_by_accounts"),
        ("Zugriff verweigert", Status::RateLimited, "token_throttled"),
    ] {
        let e = emulator();
        let body = json!({"error": word, "error_description": "more about it"}).to_string();
        e.script("token", [Fault::body(400, body.as_bytes())]);
        assert_eq!(why(list(&refreshing_client(&e), &e)), (status, reason), "{word}");
    }
}

#[test]
fn a_token_endpoint_that_is_silent_is_left_within_its_bound_and_all_who_wait_are_told() {
    let e = emulator();
    e.script("token", (0..8).map(|_| Fault::stall(zcrm_emulator::StallAt::BeforeReply)));
    let mut settings = refreshing(&e);
    settings.extend([("token_timeout_ms", "300".to_owned()), ("max_retries", "0".to_owned())]);
    let client = client(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(why(list(&client, &e)), (Status::Timeout, "token_timeout")));
        }
    });
    assert!(token_requests(&e) <= 2, "those who waited share the failure: {}", token_requests(&e));
}

#[test]
fn api_domain_of_the_reply_is_followed_to_a_named_host_alone() {
    let e = emulator();
    let other = emulator();
    let settings = refreshing(&e);
    let build = |pinned: bool, allowed: &str| {
        let mut config = Config::new();
        config.set("accounts_url", e.url()).unwrap();
        settings.iter().for_each(|(k, v)| config.set(k, v).unwrap());
        if pinned {
            config.set("api_domain", e.url()).unwrap();
        }
        config.set("allow_hosts", allowed).unwrap();
        config.set("max_retries", "0").unwrap();
        Client::new(config).unwrap()
    };
    // The same host as accounts_url: followed, to another port.
    e.settings(|s| s.api_domain = Some(other.url().to_owned()));
    assert_eq!(why(list(&build(false, ""), &e)).0, Status::Auth, "the other emulator got the call and knows no such token");
    assert_eq!(other.ledger().requests.len(), 2, "once, and once with a new token");
    // Pinned: not followed.
    list(&build(true, ""), &e).unwrap();
    assert_eq!(other.ledger().requests.len(), 2);
    // A foreign host: refused, unless named.
    e.settings(|s| s.api_domain = Some(other.url().replace("127.0.0.1", "localhost")));
    assert_eq!(why(list(&build(false, ""), &e)), (Status::Protocol, "api_domain_refused"));
    assert_eq!(why(list(&build(false, "localhost"), &e)).0, Status::Auth);
    assert_eq!(other.ledger().requests.len(), 4);
}

#[test]
fn settings_that_do_not_fit_together_are_refused_at_once() {
    let refuse = |settings: &[(&str, &str)]| {
        let mut config = Config::new();
        settings.iter().for_each(|(k, v)| config.set(k, v).unwrap());
        Client::new(config).map(drop).unwrap_err()
    };
    assert_eq!(refuse(&[]).reason(), "credentials");
    assert!(refuse(&[("refresh_token", "x")]).to_string().contains("client_id"));
    assert!(refuse(&[("client_id", "x"), ("client_secret", "y")]).to_string().contains("refresh_token"));
}
