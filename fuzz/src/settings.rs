//! What a host says: settings, and links to attach.

use std::sync::LazyLock;

use zcrm::config::KEYS;
use zcrm::{Call, Cancel, Client, Config, Error, Record, Source, attachment};

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
    // Between a scheme and its host any number of slashes counts as two.
    let behind = url.split_once(':').map_or("", |(_, rest)| rest.trim_start_matches(['/', '\\']));
    let authority = behind.split(['/', '?', '#', '\\']).next().unwrap_or_default();
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
        let secret = KEYS.iter().any(|key| key.name == name && key.secret) && is_unlike_words(value);
        if let Err(error) = config.set(name, value) {
            sound(&error);
            assert!(!secret || !shows(&error, value), "{value:?} in {error}");
            assert!(error.detail().field.is_some() || error.reason() == "unknown_key");
        } else if secret {
            secrets.push(value);
        }
    }
    if let Err(error) = Client::new(config) {
        sound(&error);
        assert!(!secrets.iter().any(|secret| shows(&error, secret)), "a secret in {error}");
    }
}

/// Whether a text can't be in an error by itself, as "access_token" is.
fn is_unlike_words(value: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| value.bytes().any(|b| kind(&b));
    value.len() >= 8 && has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && !KEYS.iter().any(|key| key.help().contains(value))
}

fn shows(error: &Error, secret: &str) -> bool {
    let written = serde_json::to_string(secret).unwrap();
    error.to_json().contains(written.trim_matches('"'))
}
