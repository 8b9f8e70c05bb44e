//! Canaries: whatever the library shows during the tests is searched for secrets.

use std::sync::{Arc, Mutex, PoisonError};

use zcrm::Config;
use zcrm::config::{KEYS, LogLevel};

/// Every secret that a test of this program has set.
static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Hears what the library says: log lines, results, errors. Whatever held a secret is kept, and ends the test when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Canary(Arc<Heard>);

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Canary {
    /// Every log line of the config's clients is searched.
    pub fn listen(&self, config: &mut Config) {
        let canary = self.clone();
        config.set_log_fn(LogLevel::Trace, move |_, line| canary.hear(line));
    }

    pub fn hear(&self, said: &str) {
        if shows_a_secret(said) {
            self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(said.to_owned());
        }
    }

    /// What was heard and held a secret.
    pub fn found(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let found = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        assert!(found.is_empty() || std::thread::panicking(), "a secret is shown: {found:#?}");
    }
}

/// Panics when the text holds a secret of any test, or anything of a token's form.
pub fn check(said: &str) {
    Canary::default().hear(said);
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

/// The emulator's tokens are known by their form; of an access token its beginning is enough.
fn shows_a_secret(said: &str) -> bool {
    let set = SECRETS.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|secret| said.contains(secret));
    set || said.split("1000.").skip(1).any(|rest| rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count() >= 16)
}
