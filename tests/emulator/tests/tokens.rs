//! The accounts server.
#![allow(missing_docs)]

mod common;
use common::*;
use std::time::Duration;
use zcrm_emulator::*;

fn refresh_body(c: &Credentials) -> String {
    format!("grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}", c.client_id, c.client_secret, c.refresh_token)
}

fn refresh(e: &Emulator) -> Got {
    token(e, &refresh_body(&e.credentials()))
}

fn works(e: &Emulator, access: &str) -> u16 {
    let authorization = format!("Zoho-oauthtoken {access}");
    send(e, "GET", &(attachments(e, "Contacts") + "?fields=id"), &[("Authorization", &authorization)], b"").status
}

#[test]
fn a_refresh_gives_an_access_token_and_no_refresh_token() {
    let e = start();
    let json = refresh(&e).json();
    assert_eq!((json["token_type"].as_str(), json["expires_in"].as_u64()), (Some("Bearer"), Some(3600)));
    assert_eq!(json["api_domain"], e.url());
    assert!(json.get("refresh_token").is_none());
    let access = json["access_token"].as_str().unwrap();
    let shape: Vec<usize> = access.split('.').map(str::len).collect();
    assert_eq!(shape, [4, 32, 32]);
    assert_eq!(works(&e, access), 200);
    let issued = &e.ledger().tokens_issued[0];
    assert_eq!((issued.grant.as_str(), issued.token.as_str()), ("refresh_token", &access[..12]));
}

#[test]
fn parameters_come_in_query_form_or_multipart() {
    let e = start();
    let c = e.credentials();
    assert!(send(&e, "POST", &format!("/oauth/v2/token?{}", refresh_body(&c)), &[], b"").json()["access_token"].is_string());
    let parts: [(&str, &[u8]); 4] = [
        (&field("grant_type"), b"refresh_token"),
        (&field("client_id"), c.client_id.as_bytes()),
        (&field("client_secret"), c.client_secret.as_bytes()),
        (&field("refresh_token"), c.refresh_token.as_bytes()),
    ];
    assert!(send(&e, "POST", "/oauth/v2/token", &[FORM], &form(&parts)).json()["access_token"].is_string());
    assert_eq!(e.ledger().requests[1].grant_type.as_deref(), Some("refresh_token"));
}

#[test]
fn failures_come_with_status_200() {
    let e = start();
    let c = e.credentials();
    let error = |c: &Credentials| {
        let got = token(&e, &refresh_body(c));
        assert_eq!(got.status, 200);
        got.json()["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(error(&Credentials { client_id: "1000.NO".into(), ..c.clone() }), "invalid_client");
    assert_eq!(error(&Credentials { client_secret: "no".into(), ..c.clone() }), "invalid_client_secret");
    assert_eq!(error(&Credentials { refresh_token: "no".into(), ..c.clone() }), "invalid_code");
    assert_eq!(error(&Credentials { refresh_token: e.credentials_of(2).refresh_token, ..c }), "invalid_code");
    assert_eq!(token(&e, "grant_type=password").json()["error"], "unsupported_grant_type");
}

#[test]
fn a_grant_code_works_once_and_for_three_minutes() {
    let e = start();
    let c = e.credentials();
    let exchange = |code: &str| {
        token(&e, &format!("grant_type=authorization_code&client_id={}&client_secret={}&code={code}", c.client_id, c.client_secret)).json()
    };
    let code = e.grant_code();
    let json = exchange(&code);
    assert!(json["access_token"].is_string() && json["refresh_token"].is_string());
    assert_eq!(exchange(&code)["error"], "invalid_code");
    let late = e.grant_code();
    e.advance(Duration::from_secs(181));
    assert_eq!(exchange(&late)["error"], "invalid_code");
}

#[test]
fn a_web_client_must_repeat_its_redirect_uri() {
    let e = start();
    let secret = e.credentials().client_secret;
    let web = e.world()["organisations"][0]["web_client_id"].as_str().unwrap().to_owned();
    let consent = |redirect: &str| {
        let query = format!("scope=ZohoCRM.modules.ALL&client_id={web}&response_type=code&access_type=offline&redirect_uri={redirect}");
        send(&e, "GET", &format!("/oauth/v2/auth?{query}"), &[], b"")
    };
    assert_eq!(consent("http://elsewhere").json()["error"], "invalid_redirect_uri");
    let code = || {
        let got = consent(REDIRECT_URI);
        let location = got.header("Location").unwrap().to_owned();
        assert!(got.status == 302 && location.contains("accounts-server=http%3A%2F%2F"));
        location.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let exchange = |code: &str, redirect: &str| {
        let body = format!("grant_type=authorization_code&client_id={web}&client_secret={secret}&code={code}&redirect_uri={redirect}");
        token(&e, &body).json()
    };
    assert_eq!(exchange(&code(), "")["error"], "invalid_redirect_uri");
    assert!(exchange(&code(), REDIRECT_URI)["refresh_token"].is_string());
    (0..8).for_each(|_| drop(code()));
    assert_eq!(consent(REDIRECT_URI).json()["error"], "access_denied");
}

#[test]
fn client_credentials_need_soid_and_scope() {
    let e = start();
    let c = e.credentials();
    let ask =
        |rest: &str| token(&e, &format!("grant_type=client_credentials&client_id={}&client_secret={}{rest}", c.client_id, c.client_secret)).json();
    assert_eq!(ask("&scope=ZohoCRM.modules.ALL")["error"], "missing_org_info");
    assert_eq!(ask(&format!("&soid=ZohoCRM.{}", c.org_id))["error"], "invalid_scope");
    let json = ask(&format!("&scope=ZohoCRM.modules.ALL,ZohoCRM.files.ALL&soid=ZohoCRM.{}", c.org_id));
    assert_eq!(json["scope"], "ZohoCRM.modules.ALL ZohoCRM.files.ALL");
    assert!(json.get("refresh_token").is_none());
    assert_eq!(works(&e, json["access_token"].as_str().unwrap()), 200);
}

#[test]
fn the_eleventh_token_in_ten_minutes_is_denied() {
    let e = start();
    (0..10).for_each(|_| assert!(refresh(&e).json()["access_token"].is_string()));
    let got = refresh(&e);
    assert_eq!((got.status, got.json()["error"].as_str(), got.json()["status"].as_str()), (400, Some("Access Denied"), Some("failure")));
    assert!(got.json()["error_description"].is_string());
    e.settings(|s| s.token_throttle_status = 200);
    assert_eq!(refresh(&e).status, 200);
    e.advance(Duration::from_secs(600));
    assert!(refresh(&e).json()["access_token"].is_string());
}

#[test]
fn the_sixteenth_token_invalidates_the_oldest() {
    let e = start();
    e.settings(|s| s.tokens_per_window = 100);
    let tokens: Vec<String> = (0..16).map(|_| refresh(&e).json()["access_token"].as_str().unwrap().to_owned()).collect();
    assert_eq!(works(&e, &tokens[0]), 401);
    assert_eq!(works(&e, &tokens[1]), 200);
    assert_eq!(works(&e, &tokens[15]), 200);
}

#[test]
fn expires_in_has_two_forms_and_any_value() {
    let e = start();
    e.settings(|s| s.expires_in = ExpiresIn::Legacy);
    let json = refresh(&e).json();
    assert_eq!((json["expires_in_sec"].as_u64(), json["expires_in"].as_u64()), (Some(3600), Some(3_600_000)));
    e.settings(|s| {
        s.expires_in = ExpiresIn::Seconds;
        s.expires_in_value = serde_json::json!("soon");
        s.api_domain = Some("https://www.zohoapis.eu".into());
    });
    let json = refresh(&e).json();
    assert_eq!((json["expires_in"].as_str(), json["api_domain"].as_str()), (Some("soon"), Some("https://www.zohoapis.eu")));
}

#[test]
fn revoking_a_refresh_token_ends_its_access_tokens() {
    let e = start();
    let access = refresh(&e).json()["access_token"].as_str().unwrap().to_owned();
    let path = format!("/oauth/v2/token/revoke?token={}", e.credentials().refresh_token);
    assert_eq!(send(&e, "POST", &path, &[], b"").json()["status"], "success");
    assert_eq!(works(&e, &access), 401);
    assert_eq!(refresh(&e).json()["error"], "invalid_code");
}

#[test]
fn the_twenty_first_refresh_token_deletes_the_oldest() {
    let e = start();
    let c = e.credentials();
    for _ in 0..20 {
        let code = e.grant_code();
        token(&e, &format!("grant_type=authorization_code&client_id={}&client_secret={}&code={code}", c.client_id, c.client_secret));
    }
    assert_eq!(refresh(&e).json()["error"], "invalid_code");
}

#[test]
fn a_sandbox_token_carries_the_sandbox_domain() {
    let e = start();
    let json = token(&e, &refresh_body(&e.credentials_of(3))).json();
    assert!(json["api_domain"].as_str().unwrap().starts_with("http://sandbox.localhost:"));
}

#[test]
fn server_info_names_the_data_centres() {
    let e = start();
    let json = send(&e, "GET", "/oauth/serverinfo", &[], b"").json();
    assert_eq!((json["result"].as_str(), json["locations"]["eu"].as_str()), (Some("success"), Some(e.url())));
}
