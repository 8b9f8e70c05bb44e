//! The table of settings: one row says all that there is to say of a setting.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::in_flight::{InFlight, InFlightKind};
use super::kinds::{
    Directories, Form, Header, Kind, MAX, Millis, MillisList, MillisOrNone, Path, PathOrEnv, Read, SecretHeader, SecretText, Text, number, word,
    word_list,
};
use super::proxy::{Proxies, Proxy};
use super::urls::{BaseUrl, HostList};
use super::{
    ApiVersion, BulkDelete, Check, DataCenter, Environment, LinkCarrier, LogFn, LogLevel, NamedHost, OnTwin, OnUnknown, Secret, Settle, TokenFn,
    TokenStore, UnknownLength,
};

/// One setting: what the description, the README and the error texts say of it.
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// Settings of one group belong together, in a form for example.
    pub group: &'static str,
    /// Its value when nobody sets it; empty = none.
    pub default: &'static str,
    /// Whether the value is a secret.
    pub secret: bool,
    pub(super) text: &'static str,
    words: fn() -> String,
    form: fn() -> Form,
    pub(super) put: fn(&mut Config, &str) -> Read<()>,
}

impl Key {
    /// What it does, with its unit and its words.
    pub fn help(&self) -> String {
        match ((self.words)(), self.form().unit) {
            (words, _) if !words.is_empty() => format!("{}: {words}", self.text),
            (_, Some("ms")) => format!("{}, in milliseconds", self.text),
            (_, Some("bytes")) => format!("{}, in bytes", self.text),
            _ => self.text.to_owned(),
        }
    }

    /// What a form can know of its value.
    pub fn form(&self) -> Form {
        (self.form)()
    }
}

/// A row: the field of [`Config`] (its key too, unless another one stands behind `as`), its type, its default as text, its kind, its help.
macro_rules! settings {
    ($($group:literal { $($field:ident $(as $key:literal)? : $type:ty = $default:expr, $kind:expr, $text:literal;)+ })+) => {
        /// Settings of a client. Made by [`Config::new`], filled by [`Config::set`].
        #[derive(Clone)]
        pub struct Config {
            $($(pub(crate) $field: $type,)+)+
            pub(crate) token_store: Option<Arc<dyn TokenStore>>,
            pub(crate) token_fn: Option<Arc<TokenFn>>,
            pub(crate) log_fn: Option<(LogLevel, Arc<LogFn>)>,
            /// Makes operations panic, for the tests of the panic guard.
            #[cfg(feature = "panic-probe")]
            pub(crate) panic_probe: bool,
        }

        impl Config {
            /// All settings at their defaults.
            pub fn new() -> Config {
                Config {
                    $($($field: $kind.read($default).expect("a default is a valid value"),)+)+
                    token_store: None,
                    token_fn: None,
                    log_fn: None,
                    #[cfg(feature = "panic-probe")]
                    panic_probe: false,
                }
            }
        }

        impl Config {
            /// Every secret that is set.
            pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
                [$($(secrets_in(&of::<$type, _>($kind), &self.$field),)+)+].into_iter().flatten()
            }
        }

        /// Every setting, in the order that a person reads them.
        pub const KEYS: &[Key] = &[$($(Key {
            name: key!($field $($key)?),
            group: $group,
            default: $default,
            secret: is_secret(&of::<$type, _>($kind)),
            text: $text,
            words: || of::<$type, _>($kind).words(),
            form: || of::<$type, _>($kind).form(),
            put: |config, text| {
                config.$field = $kind.read(text)?;
                Ok(())
            },
        },)+)+];
    };
}

macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

/// The kind of a row, which gives values of the row's type.
const fn of<T, K: Kind<Value = T>>(kind: K) -> K {
    kind
}

fn secrets_in<'v, K: Kind>(_: &K, value: &'v K::Value) -> Vec<&'v str> {
    K::secrets(value)
}

const fn is_secret<K: Kind>(_: &K) -> bool {
    K::SECRET
}

settings! {
    "hosts" {
        api_version: &'static ApiVersion = "v8", word(), "API version";
        data_center: &'static DataCenter = "us", word(), "Zoho's data centre";
        environment: Environment = "production", word(), "which of the organisation's copies";
        api_domain: Option<String> = "", BaseUrl,
            "API host as a URL, such as https://www.zohoapis.eu; pins it: the token reply's api_domain is not followed";
        accounts_url: Option<String> = "", BaseUrl, "accounts host as a URL, such as https://accounts.zoho.eu";
        allow_hosts: Vec<NamedHost> = "", HostList,
            "comma list of further hosts (host, host:port or https://host:port) that api_domain of a token reply, or a download's redirect, \
             may lead to";
        allow_http: bool = "off", word(),
            "whether api_domain, accounts_url and allow_hosts may be http:// for hosts other than this machine, which sends tokens in the clear";
    }
    "credentials" {
        access_token: Option<Secret> = "", SecretHeader,
            "an access token; used until Zoho refuses it or, beside a refresh token, until it expires";
        refresh_token: Option<Secret> = "", SecretText, "OAuth refresh token; needs client_id and client_secret";
        client_id: Option<String> = "", Text, "OAuth client id";
        client_secret: Option<Secret> = "", SecretText, "OAuth client secret";
        grant_code: Option<Secret> = "", SecretText, "one-time grant code, to be exchanged for a refresh token";
        redirect_uri: Option<String> = "", Text, "redirect URI that the grant code was made with; a self client has none";
        scope: Option<String> = "", Text, "comma list of scopes, for client credentials";
        soid: Option<String> = "", Text,
            "ZohoCRM.{organisation id}: with client_id and client_secret and no refresh token, client credentials are used";
        token_file: Option<PathBuf> = "", Path("path"),
            "file in which processes share one access token: made with mode 0600, locked while a token is asked for; a file beside it holds \
             their calls in flight";
    }
    "network" {
        ca_file: Option<PathBuf> = "", PathOrEnv, "PEM file of further CA certificates; the word env takes the path from SSL_CERT_FILE";
        os_roots: bool = "on", word(), "whether the system's CA certificates are trusted beside those of ca_file";
        proxy: Option<Proxies> = "", Proxy,
            "proxy URL (http://user:password@host:port, or https, socks5, socks5h); it carries no https to an IPv6 address; the word env takes it \
             from HTTPS_PROXY, https_proxy, ALL_PROXY and http_proxy, and heeds NO_PROXY, as they are when it is set";
        user_agent: String = concat!("zcrm/", env!("CARGO_PKG_VERSION")), Header, "the User-Agent header";
        connect_timeout as "connect_timeout_ms": Duration = "10000", Millis, "bound on connecting and the TLS handshake";
        stall_timeout as "stall_timeout_ms": Duration = "60000", Millis, "bound on a time without a byte in either direction";
        reply_timeout as "reply_timeout_ms": Duration = "60000", Millis, "bound on the whole of a reply that is no file, from its first byte";
        least_speed: u64 = "100", number(0, MAX, "bytes/s"),
            "bytes a second (0 = any) that a download must reach, over each stall_timeout_ms of waiting for it";
        token_timeout as "token_timeout_ms": Duration = "30000", Millis, "bound on one token request";
    }
    "calls" {
        call_timeout as "call_timeout_ms": Option<Duration> = "0", MillisOrNone, "bound (0 = none) on a whole call with its retries";
        max_retries: u32 = "3", number(0, 100, "attempts"), "further attempts of a call that may be repeated; 0 = none";
        retry_base as "retry_base_ms": Duration = "500", Millis, "first wait between attempts, doubled each time and halved at random";
        retry_max_wait as "retry_max_wait_ms": Duration = "60000", Millis,
            "longest single wait, a Retry-After included; a longer one ends the call";
        max_in_flight: InFlight = "auto", InFlightKind,
            "most API calls of one organisation at once, over all its clients in the process: auto (as many as Zoho accepts now, up to 25), auto:N \
             (up to N) or a number; fewer while Zoho answers 429";
        organisation: Option<String> = "", Text,
            "a label that says which clients share an organisation's limits: it is trusted, so one tenant must not choose another's; empty = those \
             with the same hosts and OAuth client (and soid), or with the same token or callback";
        credits_reserve: u64 = "0", number(0, MAX, "credits"), "API credits to leave to others: calls stop below it, with a resumable error";
    }
    "uploads" {
        attachment_max_bytes: u64 = "104857600", number(0, MAX, "bytes"), "largest attachment that is sent";
        photo_max_bytes: u64 = "10485760", number(0, MAX, "bytes"), "largest photo that is sent";
        photo_max_pixels: u64 = "10000000", number(0, MAX, "pixels"), "most pixels of a photo that is sent";
        unknown_length: UnknownLength = "spool", word(), "how a source without a length is sent";
        spool_dir: Option<PathBuf> = "", Path("directory"), "directory of the temporary file of unknown_length=spool; empty = the system's";
        link_carrier: LinkCarrier = "form", word(), "how a link is sent";
    }
    "settlement" {
        settle: Settle = "cheap", word(), "how an upload whose reply was lost is looked for";
        settle_waits as "settle_waits_ms": Vec<Duration> = "2000,8000,30000", MillisList,
            "waits between the looks for a lost upload, which may show late";
        settle_hash: bool = "on", word(), "whether what is found for a lost upload is downloaded and compared by its hash";
        on_unknown: OnUnknown = "settle_then_resend", word(), "a lost upload that is not found";
        on_twin: OnTwin = "report", word(), "a lost upload that shows after it was sent again";
    }
    "other" {
        memory_max_bytes: u64 = "104857600", number(0, MAX, "bytes"), "largest download that is held in memory";
        list_max_rows: u64 = "100000", number(0, MAX, "rows"), "most rows of one list; a longer one is an error, so that no list can fill the memory";
        bulk_delete: BulkDelete = "auto", word(), "deleting several attachments";
        allow_paths: Vec<PathBuf> = "", Directories, "directories, separated by ':', below which a step's JSON may name files; empty = none";
        checks_off: Vec<Check> = "", word_list(), "comma list of local checks to leave to Zoho, or all";
    }
}
