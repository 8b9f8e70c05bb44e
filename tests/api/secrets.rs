//! Replies that repeat what they were asked with: the token and the credentials are in no error, log line or result.

use base64::Engine;
use serde_json::json;
use zcrm::attachment::{self, ListArgs};
use zcrm::config::Secret;
use zcrm::{Call, Client, Config, Record, Sink, Status, auth};
use zcrm_emulator::{Emulator, Fault, Options};

use crate::server::{Server, reply};
use crate::support::{World, canary, client, why, world_with};

/// A world, and the token of its client.
fn told() -> (World, String) {
    let w = world_with(&[("max_retries", "1")]);
    let token = w.emulator.access_token();
    let client = client(&w.emulator, &[("access_token", &token), ("max_retries", "1"), ("retry_base_ms", "10"), ("settle", "off")]);
    (World { client, ..w }, token)
}

/// The status of a list that is answered so, twice; whatever is shown is searched.
fn listed(w: &World, fault: Fault) -> Status {
    w.emulator.script("attachment.list", [fault.clone(), fault]);
    let failed = why(attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default())).0;
    w.emulator.clear_script(); // a refusal isn't repeated
    failed
}

#[test]
fn a_refusal_that_repeats_the_token_is_shown_without_it() {
    let (w, token) = told();
    let header = format!("Zoho-oauthtoken {token}");
    for body in [
        json!({"code": "INVALID_DATA", "message": format!("what is {header}?"), "details": {}}),
        json!({"code": "INVALID_DATA", "message": "", "details": {"headers": {"Authorization": header}}}),
        json!({"code": format!("OF_{token}"), "message": "", "details": {}}),
    ] {
        assert_eq!(listed(&w, Fault::body(400, body.to_string().as_bytes())), Status::Rejected);
        assert_eq!(listed(&w, Fault::body(503, body.to_string().as_bytes())), Status::Server, "and in the line about the retry");
    }
    assert_eq!(listed(&w, Fault::body(403, format!("<pre>Authorization: {header}</pre>").as_bytes())), Status::Forbidden);
    let page = Fault::body(403, b"x").with_header("Content-Type", &format!("text/html; of={token}"));
    assert_eq!(listed(&w, page), Status::Forbidden);
}

#[test]
fn a_token_that_the_length_of_a_shown_text_cuts_in_two_is_not_shown_in_part() {
    let (w, token) = told();
    for before in (340..520).step_by(12) {
        let page = format!("{}{token}{}", "x".repeat(before), "y".repeat(3000));
        assert_eq!(listed(&w, Fault::body(403, page.as_bytes())), Status::Forbidden);
    }
}

#[test]
fn a_piece_of_the_token_or_another_form_of_it_is_not_shown_either() {
    let (w, token) = told();
    let escaped: String = token.bytes().map(|b| format!("\\u00{b:02x}")).collect();
    let encoded: String = token.bytes().map(|b| format!("%{b:02X}")).collect();
    for (form, looked_for) in [
        (token[..40].to_owned(), token[5..25].to_owned()),
        (token[5..].to_owned(), token[5..25].to_owned()),
        (token.to_uppercase(), token[5..25].to_uppercase()),
        (escaped, token[5..25].to_owned()),
        (encoded.clone(), encoded[15..75].to_owned()),
    ] {
        let code = format!(r#"{{"code":"OF_{form}","message":"what is {form}?","details":{{"of":"{form}"}}}}"#);
        w.emulator.script("attachment.list", [Fault::body(400, code.as_bytes())]);
        let error = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
        assert!(!error.to_json().contains(&looked_for), "{error}");
        assert!(error.detail().api_code.contains("********"), "{error}");
    }
}

#[test]
fn the_password_of_a_proxy_that_repeats_it_is_not_shown() {
    let basic = base64::engine::general_purpose::STANDARD.encode("user:canary-password");
    let page = format!("<html>Proxy-Authorization: Basic {basic} (canary-password)");
    let proxy = Server::start(move |_| Some(reply("502 Bad Gateway", "Content-Type: text/html\r\n", &page)));
    let w = world_with(&[]);
    let via = client(&w.emulator, &[("proxy", &format!("http://user:canary-password@{}", proxy.address)), ("max_retries", "0")]);
    let error = attachment::list(&via, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
    assert!(error.to_string().contains("Proxy-Authorization"), "the page is shown: {error}");
    assert!(!error.to_json().contains(&basic[4..20]) && !error.to_json().contains("canary-password"), "{error}");
}

#[test]
fn a_success_that_cannot_be_read_is_shown_without_the_token() {
    let (w, token) = told();
    for body in [format!("<html>{token}"), json!({"data": [{"Owner": token}]}).to_string()] {
        assert_eq!(listed(&w, Fault::body(200, body.as_bytes())), Status::Protocol);
    }
    w.emulator.script("attachment.upload", [Fault::body(200, json!({"code": "SUCCESS", "details": {"id": [token]}}).to_string().as_bytes())]);
    assert_eq!(why(w.upload("a", b"a")).0, Status::OutcomeUnknown);
    let ids = [w.attach("a", b"a"), w.attach("b", b"b")];
    let refused = json!({"code": "NO_PERMISSION", "message": token, "details": {"token": token}});
    w.emulator.script("attachment.delete", [Fault::body(200, json!({"data": [refused, refused]}).to_string().as_bytes())]);
    assert_eq!(why(attachment::delete(&w.client, &w.contact, &[&ids[0], &ids[1]], Call::default())).0, Status::Forbidden);
}

#[test]
fn headers_of_a_download_that_repeat_the_token_are_shown_without_it() {
    let (w, token) = told();
    let id = w.attach("a", b"a");
    let download = |name: &str, value: &str| {
        w.emulator.script("attachment.download", [Fault::body(200, b"bytes").with_header(name, value)]);
        attachment::download(&w.client, &w.contact, &id, Sink::memory(), Call::default())
    };
    assert_eq!(why(download("Content-Encoding", &token)).0, Status::Protocol);
    let named = download("Content-Disposition", &format!("attachment; filename=\"{token}\"; filename*=UTF-8''{token}")).unwrap();
    canary::check(&serde_json::to_string(&named).unwrap());
    assert_eq!(named.result.data.as_deref(), Some(b"bytes".as_slice()));
}

#[test]
fn a_reply_that_repeats_an_earlier_token_of_the_call_is_shown_without_it() {
    let tokens = ["0123456789abcdef", "fedcba9876543210"].map(|hex| format!("1000.{hex}{hex}.{hex}{hex}"));
    let page = |code: &str| json!({"code": code, "message": format!("{} {}", &tokens[0][3..45], &tokens[1][3..45]), "details": {}}).to_string();
    let (refusal, last) = (page("INVALID_TOKEN"), page("INVALID_DATA"));
    let server = Server::start(move |seen| match seen.nth {
        0 => Some(reply("401 Unauthorized", "Content-Type: application/json\r\n", &refusal)),
        _ => Some(reply("400 Bad Request", "Content-Type: application/json\r\n", &last)),
    });
    let mut config = Config::new();
    config.set("api_domain", &server.url()).unwrap();
    config.set_token_fn(move |refused| Ok(Secret::new(tokens[usize::from(refused)].as_str())));
    canary::Canary::default().listen(&mut config);
    let client = Client::new(config).unwrap();
    let error = attachment::list(&client, &Record::new("Contacts", "1"), &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!((error.status(), server.requests()), (Status::Rejected, 2));
    for hex in ["0123456789abcdef", "fedcba9876543210"] {
        assert!(!error.to_json().contains(hex), "{error}");
    }
}

/// A token that the token endpoint gives.
const NEW: &str = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef";

#[test]
fn a_token_endpoint_that_repeats_the_credentials_is_shown_without_them() {
    let e = Emulator::start(Options::default()).unwrap();
    let (c, code) = (e.credentials(), e.grant_code());
    let mut config = Config::new();
    // No api_domain: it is the token reply that names it.
    for (key, value) in [("accounts_url", e.url()), ("max_retries", "1"), ("retry_base_ms", "1"), ("client_id", &c.client_id)] {
        config.set(key, value).unwrap();
    }
    for (key, value) in [("client_secret", &c.client_secret), ("refresh_token", &c.refresh_token), ("grant_code", &code)] {
        canary::set(&mut config, key, value);
    }
    canary::Canary::default().listen(&mut config);
    let contact = Record::new("Contacts", e.record("Contacts"));
    for secret in [&c.client_secret, &c.refresh_token, &code] {
        for reply in [
            json!({"error": format!("invalid_client {secret}")}),
            json!({"error": "access_denied", "error_description": format!("client_secret={secret}")}),
            json!({"access_token": "1000.new", "expires_in": 3600, "api_domain": format!("https://{secret}.example")}),
            json!({"access_token": NEW, "expires_in": 3600, "api_domain": format!("https://{NEW}.example")}),
        ] {
            for http in [200, 500] {
                e.script("token", (0..4).map(|_| Fault::body(http, reply.to_string().as_bytes())));
                if secret != &code {
                    why(attachment::list(&Client::new(config.clone()).unwrap(), &contact, &ListArgs::default(), Call::default()));
                }
                if secret != &c.refresh_token {
                    why(auth::exchange(&config, Call::default()));
                }
                e.clear_script();
            }
        }
    }
}

#[test]
fn a_secret_that_is_shown_is_found() {
    let found = |text: &str| std::panic::catch_unwind(|| canary::check(text)).is_err();
    canary::set(&mut Config::new(), "client_secret", "a-secret-of-this-test");
    assert!(found("client_secret=a-secret-of-this-test;") && found("Zoho-oauthtoken 1000.0123456789abcdef0123456789abcdef.x"));
    assert!(!found("the client id is 1000.ABCDEF, and 1000.12 are not enough"));
}

#[test]
fn a_secret_in_a_log_line_ends_the_test_of_its_world() {
    let shown = std::panic::catch_unwind(|| {
        let w = world_with(&[]);
        w.canary.hear("Zoho-oauthtoken 1000.0123456789abcdef0123456789abcdef.x");
        assert_eq!(w.canary.found().len(), 1);
    });
    assert!(shown.is_err());
}
