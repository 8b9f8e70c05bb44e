//! The settings of a client: string keys with one table that says what each means.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::auth::{FileStore, TokenStore};
use crate::error::{Error, Result, Status};

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
    pub(crate) unknown_length: UnknownLength,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) link_carrier: LinkCarrier,
    pub(crate) bulk_delete: BulkDelete,
    pub(crate) allow_paths: Vec<PathBuf>,
    pub(crate) checks_off: Vec<Check>,
    pub(crate) token_store: Option<Arc<dyn TokenStore>>,
    pub(crate) token_fn: Option<Arc<TokenFn>>,
    pub(crate) log_fn: Option<(LogLevel, Arc<LogFn>)>,
}

/// One setting: what `describe`, the README and the error texts say of it.
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// Its value when nobody sets it; empty = none.
    pub default: &'static str,
    /// Whether the value is a secret.
    pub secret: bool,
    /// What it does, with unit and values.
    pub help: &'static str,
    put: fn(&mut Config, &str) -> std::result::Result<(), String>,
}

/// Every setting, in the order that a person reads them.
pub const KEYS: &[Key] = &[
    key("api_version", "v8", "API version: v2, v2.1, v3, v4, v5, v6, v7 or v8", |c, v| put_word(&mut c.api_version, v, API_VERSIONS)),
    key("data_center", "us", "Zoho's data centre: us, eu, in, au, jp, cn, ca, sa, ae or uk (ae and uk UNCONFIRMED for CRM)", |c, v| {
        put_word(&mut c.data_center, v, DATA_CENTERS)
    }),
    key("environment", "production", "production, sandbox or developer", |c, v| {
        put_word(&mut c.environment, v, &["production", "sandbox", "developer"])
    }),
    key("api_domain", "", "API host as a URL, such as https://www.zohoapis.eu; pins it: the token reply's api_domain is not followed", |c, v| {
        c.api_domain = Some(base_url(v)?);
        Ok(())
    }),
    key("accounts_url", "", "accounts host as a URL, such as https://accounts.zoho.eu", |c, v| {
        c.accounts_url = Some(base_url(v)?);
        Ok(())
    }),
    key("allow_hosts", "", "comma list of further host names that api_domain of a token reply, or a download's redirect, may lead to", |c, v| {
        c.allow_hosts = list(v).map(str::to_ascii_lowercase).collect();
        Ok(())
    }),
    secret("access_token", "an access token; alone it is used until Zoho refuses it, beside a refresh token it is only the first one", |c, v| {
        c.access_token = Some(header_text(v)?);
        Ok(())
    }),
    secret("refresh_token", "OAuth refresh token; needs client_id and client_secret", |c, v| {
        c.refresh_token = Some(Secret::new(v));
        Ok(())
    }),
    key("client_id", "", "OAuth client id", |c, v| put_some(&mut c.client_id, v)),
    secret("client_secret", "OAuth client secret", |c, v| {
        c.client_secret = Some(Secret::new(v));
        Ok(())
    }),
    secret("grant_code", "one-time grant code, to be exchanged for a refresh token", |c, v| {
        c.grant_code = Some(Secret::new(v));
        Ok(())
    }),
    key("redirect_uri", "", "redirect URI that the grant code was made with; a self client has none", |c, v| put_some(&mut c.redirect_uri, v)),
    key("scope", "", "comma list of scopes, for client credentials", |c, v| put_some(&mut c.scope, v)),
    key("soid", "", "ZohoCRM.{organisation id}: with client_id and client_secret and no refresh token, client credentials are used", |c, v| {
        put_some(&mut c.soid, v)
    }),
    key("token_file", "", "file in which processes share one access token: made with mode 0600, locked while a token is asked for", |c, v| {
        c.token_store = if v.is_empty() { None } else { Some(Arc::new(FileStore::new(v))) };
        Ok(())
    }),
    key("ca_file", "", "PEM file of further CA certificates; the word env takes the path from SSL_CERT_FILE", |c, v| {
        c.ca_file = match v {
            "env" => std::env::var_os("SSL_CERT_FILE").map(PathBuf::from),
            path => Some(PathBuf::from(path)),
        };
        Ok(())
    }),
    key("os_roots", "on", "on or off: whether the system's CA certificates are trusted beside those of ca_file", |c, v| {
        put_switch(&mut c.os_roots, v)
    }),
    secret("proxy", "proxy URL (http://user:password@host:port); the word env takes it from HTTPS_PROXY and its kin", |c, v| {
        c.proxy = Some(Secret::new(v));
        Ok(())
    }),
    key("user_agent", concat!("zcrm/", env!("CARGO_PKG_VERSION")), "the User-Agent header", |c, v| {
        c.user_agent = header_text(v)?.expose().to_owned();
        Ok(())
    }),
    key("connect_timeout_ms", "10000", "bound on connecting and the TLS handshake, in milliseconds", |c, v| put_ms(&mut c.connect_timeout, v)),
    key("stall_timeout_ms", "60000", "bound on a time without a byte in either direction, in milliseconds", |c, v| put_ms(&mut c.stall_timeout, v)),
    key("token_timeout_ms", "30000", "bound on one token request, in milliseconds", |c, v| put_ms(&mut c.token_timeout, v)),
    key("call_timeout_ms", "0", "bound on a whole call with its retries, in milliseconds; 0 = none", |c, v| {
        let ms = number(v)?;
        c.call_timeout = (ms > 0).then(|| Duration::from_millis(ms));
        Ok(())
    }),
    key("max_retries", "3", "further attempts of a call that may be repeated; 0 = none", |c, v| {
        c.max_retries = u32::try_from(number(v)?).ok().filter(|n| *n <= 100).ok_or("is over 100")?;
        Ok(())
    }),
    key("retry_base_ms", "500", "first wait between attempts, doubled each time and halved at random, in milliseconds", |c, v| {
        put_ms(&mut c.retry_base, v)
    }),
    key("retry_max_wait_ms", "60000", "longest single wait, a Retry-After included; a longer one ends the call, in milliseconds", |c, v| {
        put_ms(&mut c.retry_max_wait, v)
    }),
    key(
        "max_in_flight",
        "4",
        "most API calls of one organisation at once, over all its clients in the process; fewer while Zoho answers 429",
        |c, v| {
            c.max_in_flight = u32::try_from(number(v)?).ok().filter(|n| (1..=1000).contains(n)).ok_or("is not between 1 and 1000")?;
            Ok(())
        },
    ),
    key("organisation", "", "a label that says which clients share an organisation's limits; empty = those with the same credentials", |c, v| {
        put_some(&mut c.organisation, v)
    }),
    key("credits_reserve", "0", "API credits to leave to others: calls stop below it, with a resumable error", |c, v| {
        put_number(&mut c.credits_reserve, v)
    }),
    key(
        "settle",
        "cheap",
        "how an upload whose reply was lost is looked for: cheap (by time, size and hash; costs nothing until then), strict (one list before each upload: exact) or off",
        |c, v| {
            c.settle = word(v, &[("cheap", Settle::Cheap), ("strict", Settle::Strict), ("off", Settle::Off)])?;
            Ok(())
        },
    ),
    key("settle_waits_ms", "2000,8000,30000", "waits between the looks for a lost upload, which may show late, in milliseconds", |c, v| {
        c.settle_waits = list(v).map(|ms| number(ms).map(Duration::from_millis)).collect::<std::result::Result<_, _>>()?;
        Ok(())
    }),
    key("settle_hash", "on", "on or off: whether what is found for a lost upload is downloaded and compared by its hash", |c, v| {
        put_switch(&mut c.settle_hash, v)
    }),
    key("on_unknown", "settle_then_resend", "a lost upload that is not found: settle_then_resend or never_resend", |c, v| {
        c.on_unknown = word(v, &[("settle_then_resend", OnUnknown::SettleThenResend), ("never_resend", OnUnknown::NeverResend)])?;
        Ok(())
    }),
    key("on_twin", "report", "a lost upload that shows after it was sent again: report or delete", |c, v| {
        c.on_twin = word(v, &[("report", OnTwin::Report), ("delete", OnTwin::Delete)])?;
        Ok(())
    }),
    key("attachment_max_bytes", "104857600", "largest attachment that is sent, in bytes", |c, v| put_number(&mut c.attachment_max_bytes, v)),
    key("photo_max_bytes", "10485760", "largest photo that is sent, in bytes", |c, v| put_number(&mut c.photo_max_bytes, v)),
    key("photo_max_pixels", "10000000", "most pixels of a photo that is sent", |c, v| put_number(&mut c.photo_max_pixels, v)),
    key("memory_max_bytes", "104857600", "largest download that is held in memory, in bytes", |c, v| put_number(&mut c.memory_max_bytes, v)),
    key("unknown_length", "spool", "how a source without a length is sent: spool (temporary file first) or chunked (UNCONFIRMED at Zoho)", |c, v| {
        c.unknown_length = word(v, &[("spool", UnknownLength::Spool), ("chunked", UnknownLength::Chunked)])?;
        Ok(())
    }),
    key("spool_dir", "", "directory of the temporary file of unknown_length=spool; empty = the system's", |c, v| {
        c.spool_dir = (!v.is_empty()).then(|| PathBuf::from(v));
        Ok(())
    }),
    key("link_carrier", "form", "how a link is sent: form (multipart fields) or query", |c, v| {
        c.link_carrier = word(v, &[("form", LinkCarrier::Form), ("query", LinkCarrier::Query)])?;
        Ok(())
    }),
    key("bulk_delete", "auto", "deleting several attachments: auto (one request where the server takes it; UNCONFIRMED in v8) or never", |c, v| {
        c.bulk_delete = word(v, &[("auto", BulkDelete::Auto), ("never", BulkDelete::Never)])?;
        Ok(())
    }),
    key("allow_paths", "", "directories, separated by ':', below which a step's JSON may name files; empty = none", |c, v| {
        c.allow_paths = std::env::split_paths(v).filter(|p| !p.as_os_str().is_empty()).collect();
        Ok(())
    }),
    key(
        "checks_off",
        "",
        "comma list of local checks to leave to Zoho, or all: id, module, photo_module, file_and_link, attachment_size, attachment_type, photo_size, \
         photo_pixels, photo_format, link_scheme, link_length, link_user_info, link_control, title_length",
        put_checks_off,
    ),
];

const API_VERSIONS: &[&str] = &["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"];
const DATA_CENTERS: &[&str] = &["us", "eu", "in", "au", "jp", "cn", "ca", "sa", "ae", "uk"];

type Put = fn(&mut Config, &str) -> std::result::Result<(), String>;

const fn key(name: &'static str, default: &'static str, help: &'static str, put: Put) -> Key {
    Key { name, default, secret: false, help, put }
}

const fn secret(name: &'static str, help: &'static str, put: Put) -> Key {
    Key { name, default: "", secret: true, help, put }
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
            unknown_length: UnknownLength::Spool,
            spool_dir: None,
            link_carrier: LinkCarrier::Form,
            bulk_delete: BulkDelete::Auto,
            allow_paths: Vec::new(),
            checks_off: Vec::new(),
            token_store: None,
            token_fn: None,
            log_fn: None,
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

    /// Processes and machines share one access token through this store.
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

fn put_word(to: &mut String, value: &str, allowed: &[&str]) -> std::result::Result<(), String> {
    if !allowed.contains(&value) {
        return Err(format!("{:?} is not one of {}", crate::error::one_line(value), allowed.join(", ")));
    }
    value.clone_into(to);
    Ok(())
}

fn word<T: Copy>(value: &str, allowed: &[(&str, T)]) -> std::result::Result<T, String> {
    allowed.iter().find(|(w, _)| *w == value).map(|(_, t)| *t).ok_or_else(|| format!("{:?} is none of its words", crate::error::one_line(value)))
}

fn put_some(to: &mut Option<String>, value: &str) -> std::result::Result<(), String> {
    *to = (!value.is_empty()).then(|| value.to_owned());
    Ok(())
}

fn put_switch(to: &mut bool, value: &str) -> std::result::Result<(), String> {
    *to = word(value, &[("on", true), ("off", false)])?;
    Ok(())
}

fn put_ms(to: &mut Duration, value: &str) -> std::result::Result<(), String> {
    *to = match number(value)? {
        0 => return Err("0 would mean no time at all".into()),
        ms => Duration::from_millis(ms),
    };
    Ok(())
}

fn put_number(to: &mut u64, value: &str) -> std::result::Result<(), String> {
    *to = number(value)?;
    Ok(())
}

fn number(value: &str) -> std::result::Result<u64, String> {
    const MAX: u64 = 1 << 50; // far above any sense, far below where adding two would overflow
    let n = value.parse::<u64>().ok().filter(|n| *n <= MAX);
    n.ok_or_else(|| format!("{:?} is not a whole number", crate::error::one_line(value)))
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|s| !s.is_empty())
}

fn put_checks_off(config: &mut Config, value: &str) -> std::result::Result<(), String> {
    let mut off = Vec::new();
    for name in list(value) {
        match name {
            "all" => off.extend(Check::ALL.iter().map(|(_, check)| *check)),
            name => off.push(word(name, Check::ALL)?),
        }
    }
    config.checks_off = off;
    Ok(())
}

/// `scheme://host[:port]` without a path: what the API calls a domain.
fn base_url(value: &str) -> std::result::Result<String, String> {
    // A URL that can't be parsed isn't shown: it may hold a password.
    let url = reqwest::Url::parse(value).map_err(|e| format!("is not a URL ({e})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user name or password".into());
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.path() != "/" || url.query().is_some() {
        return Err(format!("{value:?} is not of the form https://host"));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

fn header_text(value: &str) -> std::result::Result<Secret, String> {
    if value.is_empty() || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err("is empty or holds characters that a header can't".into());
    }
    Ok(Secret::new(value))
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
