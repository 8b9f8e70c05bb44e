//! What a host says: settings, and links to attach.

use std::sync::LazyLock;

use zcrm::config::KEYS;
use zcrm::{Call, Cancel, Client, Config, Record, Source, attachment};

use super::{line, sound};

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let mut config = Config::new();
    config.set("access_token", "1000.canary-of-the-link-target").unwrap();
    config.set("api_domain", "http://127.0.0.1:9").unwrap();
    Client::new(config).unwrap()
});

/// A line for the URL, then the title.
pub fn link(data: &[u8]) {
    let (url, title) = line(data);
    let (Ok(url), Ok(title)) = (std::str::from_utf8(url), std::str::from_utf8(title)) else { return };
    let cancel = Cancel::new();
    cancel.fire(); // before the first request
    let call = Call { cancel: Some(cancel), ..Call::default() };
    let error = attachment::upload(&CLIENT, &Record::new("Contacts", "1"), Source::link(url, title), call).expect_err("nothing is sent");
    sound(&error);
    if error.reason() != "cancelled" {
        return assert!(url.is_empty() || error.reason().starts_with("link") || error.reason() == "title_length", "{error}");
    }
    assert!(url.chars().count() <= 3000 && title.chars().count() <= 255);
    assert!(!url.chars().any(|c| c.is_control() || c == ' '), "{url:?}");
    assert!(url.to_ascii_lowercase().starts_with("http"), "{url:?}");
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#', '\\']).find(|part| !part.is_empty()).unwrap_or_default());
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    assert!(user.trim_matches(':').is_empty(), "{url:?} holds {user:?}");
}

/// Lines for two keys (a number or a name), each with its value behind `=`.
pub fn setting(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut config = Config::new();
    let mut secrets = Vec::new();
    for line in text.lines().take(8) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.parse().ok().and_then(|n: usize| KEYS.get(n)).map_or(name, |key| key.name);
        // Files of this machine are no input.
        if matches!(name, "ca_file" | "token_file" | "proxy") && value == "env" {
            continue;
        }
        let secret = KEYS.iter().any(|key| key.name == name && key.secret) && value.len() >= 8;
        if let Err(error) = config.set(name, value) {
            sound(&error);
            let shown = serde_json::to_string(value).unwrap();
            assert!(!secret || !error.to_json().contains(shown.trim_matches('"')) || is_in_help(value), "{value:?} in {error}");
            assert!(error.detail().field.is_some() || error.reason() == "unknown_key");
        } else if secret {
            secrets.push(value);
        }
    }
    if let Err(error) = Client::new(config) {
        sound(&error);
        assert!(!secrets.iter().any(|secret| error.to_json().contains(secret) && !is_in_help(secret)), "a secret in {error}");
    }
}

/// Words of the library itself.
fn is_in_help(value: &str) -> bool {
    KEYS.iter().any(|key| key.help.contains(value) || key.name.contains(value))
        || "retryable retry_after_ms request_sent callback_status".contains(value)
}
