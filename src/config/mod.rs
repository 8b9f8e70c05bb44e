//! The settings of a client: string keys with one table that says what each means.

mod api_version;
mod data_center;
mod in_flight;
mod kinds;
mod log;
mod profile;
mod proxy;
mod secret;
mod settings;
mod urls;
mod words;

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::caller;
use crate::error::{Error, Result, Status, in_one_line, one_line};
pub(crate) use api_version::ApiVersion;
pub(crate) use data_center::DataCenter;
pub(crate) use in_flight::InFlight;
pub use kinds::Form;

pub use log::{LogFn, LogLevel};
pub use profile::{DEFAULT_PROFILE, Profile};
pub use secret::Secret;
pub use settings::{Config, KEYS, Key};
pub(crate) use urls::{NamedHost, bare};
pub use words::{BulkDelete, Check, Environment, LinkCarrier, OnTwin, OnUnknown, Settle, UnknownLength};

/// How a token is had from the host: called with `true` when the last one was refused. An error is the number that the host's own code returned, or
/// 0 where that succeeded and what it gave can't be read.
pub type TokenFn = dyn Fn(bool) -> std::result::Result<Secret, i32> + Send + Sync;

/// A place where processes and machines keep one access token together, so that each expiry costs one token request in all.
///
/// It keeps one document, which is secret. May be called on any thread.
pub trait TokenStore: Send + Sync {
    /// The document as it was last put; `None` when there is none.
    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>>;
    /// Puts the document in the place of the old one, whole or not at all. A failure of the class `Io`, here or of the lock, is logged, and the
    /// call goes on with the token that it has; any other is the call's.
    fn put(&self, document: &[u8]) -> Result<()>;
    /// Takes the lock that all who share the store respect; `false` when somebody has it. It must end with its holder's process.
    fn try_lock(&self) -> Result<bool>;
    /// Gives the lock back.
    fn unlock(&self);
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

impl Config {
    /// Sets `key` to `value`. An unknown key is an error that names the nearest known one; a wrong value names what it should be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let key = KEYS.iter().find(|k| k.name == name).ok_or_else(|| unknown_key(name))?;
        if value.contains('\0') {
            return Err(bad_value(key, "holds a NUL byte"));
        }
        (key.put)(self, value).map_err(|problem| bad_value(key, &problem))
    }

    /// The host gives the tokens: called when one is needed, with `true` when the last one was refused. May be called on any thread.
    /// Gives back the one that it replaces.
    pub fn set_token_fn(&mut self, f: impl Fn(bool) -> std::result::Result<Secret, i32> + Send + Sync + 'static) -> Option<Arc<TokenFn>> {
        self.token_fn.replace(Arc::new(f))
    }

    /// Processes and machines share one access token through this store, in place of the setting `token_file`.
    /// Gives back the one that it replaces.
    pub fn set_token_store(&mut self, store: impl TokenStore + 'static) -> Option<Arc<dyn TokenStore>> {
        self.token_store.replace(Arc::new(store))
    }

    /// Log lines up to `level` go to `f`. May be called on any thread.
    /// Gives back the one that it replaces.
    pub fn set_log_fn(&mut self, level: LogLevel, f: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Option<Arc<LogFn>> {
        self.log_fn.replace((level, Arc::new(f))).map(|(_, f)| f)
    }

    /// Refuses what is no folder where one is named. One that isn't there may be made yet, and a call that needs it says so.
    pub(crate) fn check_folders(&self) -> Result<()> {
        let spool = self.spool_dir.iter().map(|folder| ("spool_dir", folder));
        let mut all = spool.chain(self.allow_paths.iter().map(|folder| ("allow_paths", folder)));
        let Some((setting, folder)) = all.find(|(_, folder)| folder.metadata().is_ok_and(|there| !there.is_dir())) else { return Ok(()) };
        let message = format!("setting {setting}: {} is no folder; name one", one_line(&folder.display().to_string()));
        Err(Error::new(Status::Config, "no_folder", message).with(|d| d.field = Some(setting)))
    }

    /// Whether a local check is wanted.
    pub(crate) fn checks(&self, check: Check) -> bool {
        !self.checks_off.contains(&check)
    }

    /// One log line; `line` is only made when somebody listens at this level.
    pub(crate) fn log(&self, level: LogLevel, line: impl FnOnce() -> String) {
        if let Some((max, f)) = &self.log_fn
            && level <= *max
        {
            let line = in_one_line(&line());
            caller::runs(|| f(level, &line));
        }
    }
}

/// A key that can't be one isn't shown: a secret may stand there, with key and value turned round.
fn unknown_key(name: &str) -> Error {
    let longest = KEYS.iter().map(|k| k.name.len()).max().unwrap_or_default();
    let could_be = name.len() <= longest && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let shown = if could_be { format!("{name:?}") } else { "of this name (which isn't shown, as it may be a secret)".to_owned() };
    let near = nearest(name, KEYS.iter().map(|k| k.name));
    Error::new(Status::Config, "unknown_key", format!("there is no setting {shown}; did you mean {near:?}?"))
}

/// A secret's value stays out of the text; every other value is shown by the problem itself where it helps.
fn bad_value(key: &Key, problem: &str) -> Error {
    let about = if key.form().words.is_empty() { key.help() } else { key.text.to_owned() }; // the problem has the words
    Error::new(Status::Config, "bad_value", format!("setting {}: {problem} ({about})", key.name)).with(|d| d.field = Some(key.name))
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|k| distance(name, k)).unwrap_or_default()
}

/// Edits from one word to the other. `a` may be anything a caller wrote: its length is bounded, so that the work is.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let a = &a.as_bytes()[..a.len().min(64)];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(*x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = Config::new().set("acces_token", "x").unwrap_err();
        assert_eq!(error.status(), Status::Config);
        assert!(error.to_string().contains("\"acces_token\"") && error.to_string().contains("\"access_token\""), "{error}");
        assert!(Config::new().set("API-Version", "x").unwrap_err().to_string().contains("\"api_version\""));
    }

    #[test]
    fn a_secret_in_the_place_of_the_key_is_not_shown() {
        for secret in ["1000.canary", "canarycanarycanarycanary", "CANARY", "canary\n", "canary7", "çanary"] {
            let error = Config::new().set(secret, "access_token").unwrap_err();
            assert!(!error.to_json().to_lowercase().contains("anary"), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_names_the_key_and_what_it_takes() {
        let error = Config::new().set("api_version", "v1").unwrap_err();
        assert_eq!(error.detail().field, Some("api_version"));
        assert!(error.to_string().contains("v2.1, v3") && error.to_string().contains("\"v1\""), "{error}");
        let said = |key: &str| Config::new().set(key, "x").unwrap_err().to_string();
        assert_eq!(said("environment"), "setting environment: \"x\" is not production, sandbox or developer (which of the organisation's copies)");
        assert!(said("max_retries").starts_with("setting max_retries: \"x\" is not a whole number from 0 to 100 (further attempts"));
    }

    #[test]
    fn a_secret_value_is_not_in_the_error_that_refuses_it() {
        for key in KEYS.iter().filter(|key| key.secret) {
            let error = Config::new().set(key.name, "canary\n1").unwrap_err();
            assert!(error.to_string().contains(key.name) && !error.to_json().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_secret_in_the_place_of_another_value_is_not_shown() {
        const PATHS: &[&str] = &["ca_file", "token_file", "spool_dir", "allow_paths"]; // which a file's error has to name
        for key in KEYS.iter().filter(|key| !PATHS.contains(&key.name)) {
            for wrong in ["1000.canary7canary7canary7canary7", "https://u:canary7@a.example/canary7", "canary7canary7canary7canary7://x"] {
                let Err(error) = Config::new().set(key.name, wrong) else { continue };
                assert!(error.to_string().contains(key.name) && !error.to_json().contains("canary7"), "{error}");
            }
        }
    }

    #[test]
    fn every_word_of_a_setting_is_in_its_help_and_its_form_and_is_taken() {
        for key in KEYS {
            for word in key.form().words {
                assert!(key.help().contains(word), "{}: {word}", key.name);
                Config::new().set(key.name, word).unwrap();
            }
        }
    }

    #[test]
    fn the_bounds_of_a_number_are_taken_and_what_is_beyond_them_is_not() {
        for key in KEYS.iter().filter(|key| key.form().kind == "integer") {
            let (min, max) = (key.form().minimum.unwrap(), key.form().maximum.unwrap());
            let set = |n: i128| Config::new().set(key.name, &n.to_string()).is_ok();
            assert!(set(min.into()) && set(max.into()) && !set(i128::from(min) - 1) && !set(i128::from(max) + 1), "{}", key.name);
        }
    }
}
