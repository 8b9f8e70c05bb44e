//! The setting `proxy`: which request goes through which proxy. The environment is read as curl reads it, when the setting is set.

use std::net::IpAddr;

use reqwest::Url;

use super::Secret;
use super::kinds::{Form, Kind, Read, SecretText, shown};
use super::urls::can_be_there;
use crate::error::either;

const TAKES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// Proxies that can be used. A request that they are for never goes past them.
#[derive(Clone)]
pub(crate) struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
    direct: Vec<Direct>,
}

/// Hosts that are reached without a proxy: an entry of `NO_PROXY`.
#[derive(Clone)]
struct Direct {
    host: Hosts,
    port: Option<u16>,
}

#[derive(Clone)]
enum Hosts {
    All,
    /// This one and those below it.
    Domain(String),
    Range(IpAddr, u8),
}

impl Proxies {
    /// The proxy for a request, with its login.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.direct.iter().any(|direct| direct.is_for(url)))
    }

    /// Reads the variables. `get` gives their values.
    fn from_environment(get: impl Fn(&str) -> Option<String>) -> Read<Option<Proxies>> {
        let first = |names: &[&'static str]| names.iter().find_map(|name| get(name).filter(|value| !value.is_empty()).map(|value| (*name, value)));
        let proxy = |names: &[&'static str]| {
            let found = first(names).map(|(name, value)| usable(&value).map_err(|problem| format!("takes it from {name}, which {problem}")));
            found.transpose()
        };
        // Not HTTP_PROXY: where a program answers a web server, that is a header of the request.
        let https = proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
        let http = proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?;
        let direct = first(&["no_proxy", "NO_PROXY"]).map(|(_, hosts)| hosts).unwrap_or_default();
        let direct = direct.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).filter_map(Direct::read).collect();
        Ok((https.is_some() || http.is_some()).then_some(Proxies { https, http, direct }))
    }
}

impl Direct {
    fn read(entry: &str) -> Option<Direct> {
        if entry == "*" {
            return Some(Direct { host: Hosts::All, port: None });
        }
        if let Some(range) = range(entry) {
            return Some(Direct { host: range, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if host.starts_with('[') || !host.contains(':') => (host, Some(port.parse().ok()?)),
            _ => (entry, None),
        };
        let host = range(host).unwrap_or_else(|| Hosts::Domain(host.trim_matches('.').to_ascii_lowercase()));
        Some(Direct { host, port })
    }

    fn is_for(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
        let is_host = match (&self.host, host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Range(network, bits), Ok(address)) => is_within(address, *network, *bits),
            (Hosts::Domain(domain), Err(_)) => host.strip_suffix(domain.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.')),
            _ => false,
        };
        is_host && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

/// An address, or a range of addresses: `10.0.0.0/8`.
fn range(text: &str) -> Option<Hosts> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
    Some(Hosts::Range(address, bits))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0,
        _ => false,
    }
}

/// The URL of a proxy that can be used. Without a scheme it is http, as for curl. The text isn't shown: it may hold a password.
fn usable(text: &str) -> Read<Url> {
    let text = text.trim();
    let form = "is not a URL of the form http://user:password@host:port";
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let (authority, behind) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    if !TAKES.contains(&scheme.as_str()) {
        return Err(format!("begins with {}; {} can be used", shown(&scheme), either(TAKES.into_iter())));
    }
    // What was meant for the user or the password would end the host, and another one be the proxy.
    if behind.contains('@') {
        return Err(r"holds a sign in its user name or password (/ \ ? or #) that has to be percent-encoded".into());
    }
    if rest.len() == text.len() && behind.len() > 1 {
        return Err(form.into()); // http:/host would be a host of the name http
    }
    let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|_| form)?;
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) || !can_be_there(&url) {
        return Err("names no host and port".into());
    }
    if text.contains('\u{fffd}') {
        return Err("isn't UTF-8".into());
    }
    Ok(url)
}

/// A proxy's URL, or the word `env`: what the variables say at this moment.
pub(super) struct Proxy;

impl Kind for Proxy {
    type Value = Option<Proxies>;
    const SECRET: bool = true;

    fn secrets(value: &Option<Proxies>) -> Vec<&str> {
        value.iter().flat_map(|proxies| [&proxies.https, &proxies.http]).flatten().map(Url::as_str).collect()
    }

    fn read(&self, text: &str) -> Read<Option<Proxies>> {
        if text.trim_matches(' ') == "env" {
            // A value that isn't UTF-8 isn't passed by: it can't be used, and is refused.
            return Proxies::from_environment(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
        }
        if text.is_empty() {
            return Ok(None);
        }
        let secret = SecretText.read(text.trim_matches(' '))?;
        let url = usable(secret.as_ref().map_or("", Secret::expose))?;
        Ok(Some(Proxies { https: Some(url.clone()), http: Some(url), direct: Vec::new() }))
    }

    fn form(&self) -> Form {
        SecretText.form()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::from_environment(get).unwrap()?;
        proxies.of(&Url::parse(url).unwrap()).map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let crm = "https://www.zohoapis.eu";
        assert_eq!(through(&[("HTTPS_PROXY", "proxy.corp:3128")], crm).as_deref(), Some("http://proxy.corp:3128/"));
        assert_eq!(through(&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")], crm).as_deref(), Some("http://a:1/"));
        assert_eq!(through(&[("ALL_PROXY", "socks5h://a:1")], crm).as_deref(), Some("socks5h://a:1"));
        assert_eq!(through(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://a:1")], crm).as_deref(), Some("http://a:1/"));
        assert_eq!(through(&[("HTTP_PROXY", "http://a:1")], "http://crm.example"), None);
        assert_eq!(through(&[("http_proxy", "http://a:1")], "http://crm.example").as_deref(), Some("http://a:1/"));
        assert_eq!(through(&[], crm), None);
    }

    #[test]
    fn no_proxy_names_domains_addresses_ranges_and_ports() {
        let direct = |no_proxy: &str, url: &str| through(&[("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", no_proxy)], url).is_none();
        for (no_proxy, url) in [
            ("*", "https://www.zohoapis.eu"),
            ("zohoapis.eu", "https://www.zohoapis.eu"),
            (".zohoapis.eu", "https://www.zohoapis.eu"),
            ("x, WWW.ZOHOAPIS.EU ,y", "https://www.zohoapis.eu"),
            ("x www.zohoapis.eu:443", "https://www.zohoapis.eu"),
            ("127.0.0.1", "https://127.0.0.1:8443"),
            ("127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("127.0.0.0/8", "https://127.9.9.9"),
            ("0.0.0.0/0", "https://127.9.9.9"),
            ("::1", "https://[::1]:8443"),
            ("[::1]:8443", "https://[::1]:8443"),
            ("fe80::/10", "https://[fe80::1]"),
        ] {
            assert!(direct(no_proxy, url), "{no_proxy} {url}");
        }
        for (no_proxy, url) in [
            ("zohoapis.eu", "https://evilzohoapis.eu"),
            ("www.zohoapis.eu:8443", "https://www.zohoapis.eu"),
            ("127.0.0.1:1", "https://127.0.0.1:8443"),
            ("10.0.0.0/8", "https://127.9.9.9"),
            ("zohoapis.eu.example", "https://zohoapis.eu"),
        ] {
            assert!(!direct(no_proxy, url), "{no_proxy} {url}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_and_never_shown() {
        for text in [
            "htp://canary@a:1",
            "httpss://a:1",
            "ftp://a:1",
            "ws://a:1",
            "or://a:1",
            "file:///canary",
            "http://:3128",
            "proxy corp",
            "http://a:99999",
            "http://",
            "://a",
            "socks4://a:1",
            "http://user:p\u{fffd}ss@a:1",
            "http://a\u{fffd}:1",
            "  ",
            "//a:1",
            "http:/a:1",
            "http:a:1",
            "http://user:12/canary@a:1",
            "http://user?canary@a:1",
            "http://user#canary@a:1",
            r"http://CORP\user:canary@a:1",
            "http://a..b:1",
            "http://*:1",
        ] {
            let problem = Proxy.read(text).err().expect(text);
            assert!(!problem.contains("canary"), "{problem}");
            let variables = |name: &str| (name == "HTTPS_PROXY").then(|| text.to_owned());
            assert!(Proxies::from_environment(variables).err().expect(text).contains("HTTPS_PROXY"), "{text}");
        }
        for text in [
            "a:1/",
            "http://user:pass@a:1",
            "HTTP://a:1",
            " http://a:1 ",
            "a:1",
            "http://a:1/path?x",
            "socks5://a",
            "socks5h://u:p@a:1080",
            "socks5://10.0.0.1",
            "socks5://[::1]:1",
            "https://a",
        ] {
            assert!(Proxy.read(text).unwrap().is_some(), "{text}");
        }
        assert!(Proxy.read("").unwrap().is_none());
        let host = |proxies: Proxies| proxies.https.and_then(|url| url.host_str().map(str::to_owned));
        assert_ne!(Proxy.read(" env ").unwrap().and_then(host).as_deref(), Some("env"));
    }
}
