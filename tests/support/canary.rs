//! Canaries: whatever the library shows during the tests is searched for secrets.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::{Mutex, PoisonError};

use zcrm::Config;
use zcrm::config::{KEYS, LogLevel};

/// Every secret that a test of this program has set.
static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Panics when the text holds a secret of any test, or anything of a token's form.
pub fn check(shown: &str) {
    let set = SECRETS.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|secret| shown.contains(secret));
    let formed = shown.split("1000.").skip(1).any(|rest| rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count() >= 16);
    assert!(!set && !formed, "a secret is shown: {shown}");
}

/// Sets a setting; a secret is looked for from now on.
pub fn set(config: &mut Config, key: &str, value: &str) {
    config.set(key, value).unwrap();
    if value.len() >= 8 && KEYS.iter().any(|k| k.name == key && k.secret) {
        let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
        if !secrets.iter().any(|known| known == value) {
            secrets.push(value.to_owned());
        }
    }
}

/// Every log line of the config's clients is searched.
pub fn listen(config: &mut Config) {
    config.set_log_fn(LogLevel::Trace, |_, line| check(line));
}
