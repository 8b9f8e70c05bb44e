//! The settings of a client: string keys with one table that says what each means.

mod api_version;
mod settings;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};
pub(crate) use api_version::ApiVersion;
pub(crate) use settings::bare;
pub use settings::{KEYS, Key};

/// Text that is never shown: no `Display`, `Debug` says "** redacted **", wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("** redacted **")
    }
}

/// How a token is had from the host: called with `true` when the last one was refused.
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

/// Where log lines go: level (1 error … 5 trace) and one line without secrets.
pub type LogFn = dyn Fn(LogLevel, &str) + Send + Sync;

/// Level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// A call failed.
    Error = 1,
    /// Something was waited for or tried again.
    Warn = 2,
    /// One line for each call.
    Info = 3,
    /// One line for each HTTP exchange.
    Debug = 4,
    /// Inner steps.
    Trace = 5,
}

/// A local check that refuses a call before a byte is sent. Limits are Zoho's to decide, so each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Ids are digit strings.
    Id,
    /// The module's name can be an API name.
    Module,
    /// The module has record photos.
    PhotoModule,
    /// A file and a link aren't given together.
    FileAndLink,
    /// An attachment is at most `attachment_max_bytes`.
    AttachmentSize,
    /// An attachment isn't an `.exe`.
    AttachmentType,
    /// A photo is at most `photo_max_bytes`.
    PhotoSize,
    /// A photo has at most `photo_max_pixels`.
    PhotoPixels,
    /// A photo is PNG, JPEG, GIF or BMP by its first bytes.
    PhotoFormat,
    /// A link is http or https.
    LinkScheme,
    /// A link has at most 3000 characters.
    LinkLength,
    /// A link has no user name or password.
    LinkUserInfo,
    /// A link has no control characters or spaces.
    LinkControl,
    /// A link's title has at most 255 characters.
    TitleLength,
}

impl Check {
    /// Every check with the word that `checks_off` takes.
    pub const ALL: &'static [(&'static str, Check)] = &[
        ("id", Check::Id),
        ("module", Check::Module),
        ("photo_module", Check::PhotoModule),
        ("file_and_link", Check::FileAndLink),
        ("attachment_size", Check::AttachmentSize),
        ("attachment_type", Check::AttachmentType),
        ("photo_size", Check::PhotoSize),
        ("photo_pixels", Check::PhotoPixels),
        ("photo_format", Check::PhotoFormat),
        ("link_scheme", Check::LinkScheme),
        ("link_length", Check::LinkLength),
        ("link_user_info", Check::LinkUserInfo),
        ("link_control", Check::LinkControl),
        ("title_length", Check::TitleLength),
    ];
}

/// How a body whose length nobody knows is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownLength {
    /// Written to an unnamed temporary file first: its length is known then, and it can be sent again.
    Spool,
    /// Sent as it comes, in HTTP chunks. UNCONFIRMED whether Zoho takes them.
    Chunked,
}

/// How a link travels. Zoho's pages show a form, its SDKs a query; both are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkCarrier {
    /// `multipart/form-data` fields.
    Form,
    /// Query parameters of an empty POST.
    Query,
}

/// Whether several attachments are deleted by one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkDelete {
    /// One request, and one for each id where the server doesn't know that request (newest specification).
    Auto,
    /// One request for each id.
    Never,
}

/// How an upload whose reply was lost is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// By time, size and hash among the record's attachments.
    Cheap,
    /// Among those that were not there before: one list before each upload.
    Strict,
    /// Not at all: the outcome is unknown.
    Off,
}

/// What is done about a lost upload that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// It is sent again.
    SettleThenResend,
    /// The outcome is unknown, and the caller decides.
    NeverResend,
}

/// What is done about a copy that shows after the upload was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTwin {
    /// The result names it.
    Report,
    /// It is deleted, and the result names it.
    Delete,
}

/// Settings of a client. Made by [`Config::new`], filled by [`Config::set`].
#[derive(Clone)]
pub struct Config {
    pub(crate) api_version: String,
    pub(crate) data_center: String,
    pub(crate) environment: String,
    pub(crate) api_domain: Option<String>,
    pub(crate) accounts_url: Option<String>,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) access_token: Option<Secret>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) grant_code: Option<Secret>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) soid: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) os_roots: bool,
    pub(crate) proxy: Option<Secret>,
    pub(crate) user_agent: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) token_timeout: Duration,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) max_retries: u32,
    pub(crate) max_in_flight: u32,
    pub(crate) organisation: Option<String>,
    pub(crate) credits_reserve: u64,
    pub(crate) settle: Settle,
    pub(crate) settle_waits: Vec<Duration>,
    pub(crate) settle_hash: bool,
    pub(crate) on_unknown: OnUnknown,
    pub(crate) on_twin: OnTwin,
    pub(crate) retry_base: Duration,
    pub(crate) retry_max_wait: Duration,
    pub(crate) attachment_max_bytes: u64,
    pub(crate) photo_max_bytes: u64,
    pub(crate) photo_max_pixels: u64,
    pub(crate) memory_max_bytes: u64,
    pub(crate) list_max_rows: u64,
    pub(crate) unknown_length: UnknownLength,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) link_carrier: LinkCarrier,
    pub(crate) bulk_delete: BulkDelete,
    pub(crate) allow_paths: Vec<PathBuf>,
    pub(crate) checks_off: Vec<Check>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) token_store: Option<Arc<dyn TokenStore>>,
    pub(crate) token_fn: Option<Arc<TokenFn>>,
    pub(crate) log_fn: Option<(LogLevel, Arc<LogFn>)>,
    /// Makes operations panic, for the tests of the panic guard.
    #[cfg(feature = "panic-probe")]
    pub(crate) panic_probe: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

impl Config {
    /// All settings at their defaults.
    pub fn new() -> Config {
        let mut config = Config {
            api_version: String::new(),
            data_center: String::new(),
            environment: String::new(),
            api_domain: None,
            accounts_url: None,
            allow_hosts: Vec::new(),
            access_token: None,
            refresh_token: None,
            client_id: None,
            client_secret: None,
            grant_code: None,
            redirect_uri: None,
            scope: None,
            soid: None,
            ca_file: None,
            os_roots: true,
            proxy: None,
            user_agent: String::new(),
            connect_timeout: Duration::ZERO,
            stall_timeout: Duration::ZERO,
            token_timeout: Duration::ZERO,
            call_timeout: None,
            max_retries: 0,
            max_in_flight: 0,
            organisation: None,
            credits_reserve: 0,
            settle: Settle::Cheap,
            settle_waits: Vec::new(),
            settle_hash: true,
            on_unknown: OnUnknown::SettleThenResend,
            on_twin: OnTwin::Report,
            retry_base: Duration::ZERO,
            retry_max_wait: Duration::ZERO,
            attachment_max_bytes: 0,
            photo_max_bytes: 0,
            photo_max_pixels: 0,
            memory_max_bytes: 0,
            list_max_rows: 0,
            unknown_length: UnknownLength::Spool,
            spool_dir: None,
            link_carrier: LinkCarrier::Form,
            bulk_delete: BulkDelete::Auto,
            allow_paths: Vec::new(),
            checks_off: Vec::new(),
            token_file: None,
            token_store: None,
            token_fn: None,
            log_fn: None,
            #[cfg(feature = "panic-probe")]
            panic_probe: false,
        };
        // The table is the one place that knows the defaults.
        for key in KEYS.iter().filter(|k| !k.default.is_empty()) {
            (key.put)(&mut config, key.default).expect("a default is a valid value");
        }
        config
    }

    /// Sets `key` to `value`. An unknown key is an error that names the nearest known one; a wrong value names what it should be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(key) = KEYS.iter().find(|k| k.name == name) else {
            let shown = crate::error::one_line(name);
            let near = nearest(name, KEYS.iter().map(|k| k.name));
            return Err(Error::new(Status::Config, "unknown_key", format!("there is no setting {shown:?}; did you mean {near:?}?")));
        };
        if value.contains('\0') {
            return Err(bad_value(key, "holds a NUL byte"));
        }
        (key.put)(self, value).map_err(|problem| bad_value(key, &problem))
    }

    /// The host gives the tokens: called when one is needed, with `true` when the last one was refused. May be called on any thread.
    pub fn set_token_fn(&mut self, f: impl Fn(bool) -> std::result::Result<Secret, i32> + Send + Sync + 'static) {
        self.token_fn = Some(Arc::new(f));
    }

    /// Processes and machines share one access token through this store, in place of the setting `token_file`.
    pub fn set_token_store(&mut self, store: impl TokenStore + 'static) {
        self.token_store = Some(Arc::new(store));
    }

    /// Log lines up to `level` go to `f`. May be called on any thread.
    pub fn set_log_fn(&mut self, level: LogLevel, f: impl Fn(LogLevel, &str) + Send + Sync + 'static) {
        self.log_fn = Some((level, Arc::new(f)));
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
            f(level, &line());
        }
    }
}

fn bad_value(key: &Key, problem: &str) -> Error {
    // A secret's value stays out of the text; every other value is shown by the problem itself where it helps.
    Error::new(Status::Config, "bad_value", format!("setting {}: {problem}; it takes {}", key.name, key.help)).with(|d| d.field = Some(key.name))
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|k| distance(name, k)).unwrap_or_default()
}

/// Levenshtein's distance, over bytes: keys are ASCII.
fn distance(a: &str, b: &str) -> usize {
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
        assert!(error.to_string().contains("\"access_token\""), "{error}");
    }

    #[test]
    fn a_wrong_value_names_the_key_and_what_it_takes() {
        let error = Config::new().set("api_version", "v9").unwrap_err();
        assert_eq!(error.detail().field, Some("api_version"));
        assert!(error.to_string().contains("v2.1"), "{error}");
    }

    #[test]
    fn a_secret_value_is_not_in_the_error_that_refuses_it() {
        let error = Config::new().set("access_token", "canary\n").unwrap_err();
        assert!(!error.to_json().contains("canary"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "** redacted **");
    }

    #[test]
    fn a_domain_with_a_password_is_refused_without_showing_it() {
        let error = Config::new().set("api_domain", "https://u:canary@www.zohoapis.com").unwrap_err();
        assert!(!error.to_json().contains("canary"));
    }

    #[test]
    fn every_check_has_a_word_in_the_help_of_checks_off() {
        let help = KEYS.iter().find(|k| k.name == "checks_off").unwrap().help;
        assert!(Check::ALL.iter().all(|(word, _)| help.contains(word)));
    }
}
