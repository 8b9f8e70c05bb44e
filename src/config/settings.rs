//! The table of settings: what each is called, what it is when nobody sets it, and how its text becomes a value.

use std::path::PathBuf;
use std::time::Duration;

use super::{BulkDelete, Check, Config, LinkCarrier, OnTwin, OnUnknown, Secret, Settle, UnknownLength};

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
    pub(super) put: Put,
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
        c.token_file = (!v.is_empty()).then(|| PathBuf::from(v));
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
    key("list_max_rows", "100000", "most rows of one list: one that goes on is an error, and no way to fill the memory", |c, v| {
        put_number(&mut c.list_max_rows, v)
    }),
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
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !bare(&url) {
        return Err(format!("{value:?} is not of the form https://host"));
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether a URL names a host and no more.
pub(crate) fn bare(url: &reqwest::Url) -> bool {
    url.path() == "/" && url.query().is_none() && url.fragment().is_none()
}

fn header_text(value: &str) -> std::result::Result<Secret, String> {
    if value.is_empty() || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err("is empty or holds characters that a header can't".into());
    }
    Ok(Secret::new(value))
}
