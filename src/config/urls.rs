//! Settings that name hosts.

use std::net::IpAddr;

use rustls::pki_types::DnsName;

use super::kinds::{Form, Kind, Read, Text, entries};

/// `scheme://host[:port]` without a path: what the API calls a domain.
pub(super) struct BaseUrl;

impl Kind for BaseUrl {
    type Value = Option<String>;

    /// The text isn't shown: a password or a token may stand in a URL.
    fn read(&self, text: &str) -> Read<Option<String>> {
        let Some(text) = Text.read(text)? else { return Ok(None) };
        if !text.is_ascii() {
            return Err("holds letters beyond ASCII, which no host's name has; write it as xn--…".into());
        }
        let url = reqwest::Url::parse(&text).map_err(|_| "is not a URL of the form https://host")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user name or password".into());
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("is not of the form https://host".into());
        }
        if !bare(&url) {
            return Err("is not of the form https://host: a path, a query or a fragment stands behind the host".into());
        }
        if url.port() == Some(0) {
            return Err("has the port 0, where nothing can listen".into());
        }
        if !can_be_there(&url) {
            return Err("names no host that can be there".into());
        }
        Ok(Some(url.origin().ascii_serialization()))
    }

    fn form(&self) -> Form {
        Form::text(Some("uri"))
    }
}

/// Whether the host is an address, or a name as DNS and certificates have them.
pub(super) fn can_be_there(url: &reqwest::Url) -> bool {
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok(); // the URL of a socks proxy doesn't tell
    url.host_str().is_none_or(|host| is_address(host) || DnsName::try_from(host).is_ok())
}

/// Whether a URL names a host and no more.
pub(crate) fn bare(url: &reqwest::Url) -> bool {
    url.path() == "/" && url.query().is_none() && url.fragment().is_none()
}

/// A host that the caller named: `host`, `host:port`, or a URL of no more than these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedHost {
    /// `None`: nobody said, so that http is as good as what led to it, and no better.
    pub(crate) scheme: Option<String>,
    pub(crate) host: String,
    /// `None`: the scheme's own.
    pub(crate) port: Option<u16>,
}

impl NamedHost {
    /// The host of a URL that [`BaseUrl`] took.
    pub(crate) fn of(url: &str) -> Option<NamedHost> {
        let url = reqwest::Url::parse(url).ok()?;
        Some(NamedHost { scheme: Some(url.scheme().to_owned()), host: url.host_str()?.to_owned(), port: url.port() })
    }
}

/// Hosts, separated by commas.
pub(super) struct HostList;

impl Kind for HostList {
    type Value = Vec<NamedHost>;

    fn read(&self, text: &str) -> Read<Vec<NamedHost>> {
        let read = |(i, entry): (usize, &str)| {
            let url = if entry.contains("://") { entry.to_owned() } else { format!("https://{entry}") };
            let named = BaseUrl.read(&url).ok().flatten().and_then(|url| NamedHost::of(&url)).filter(|named| !named.host.contains('*'));
            let named = named.ok_or_else(|| format!("entry {} is not a host, host:port or https://host:port", i + 1))?;
            Ok(if entry.contains("://") { named } else { NamedHost { scheme: None, ..named } })
        };
        entries(text).enumerate().map(read).collect()
    }

    fn form(&self) -> Form {
        Form { kind: "list", format: Some("host"), separator: Some(","), ..Form::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_host_and_no_more_and_is_never_shown() {
        assert_eq!(BaseUrl.read("https://www.zohoapis.eu/").unwrap().as_deref(), Some("https://www.zohoapis.eu"));
        for wrong in [
            "www.zohoapis.eu",
            "https://",
            "https://u:canary@www.zohoapis.com",
            "https://www.zohoapis.com/?token=canary",
            "https://www.zohoapis.com/canary",
            "https://www.zohoapis.com#canary",
            "ftp://canary.example",
            "https://www.zohoapis.com:0",
            "https://*.zohoapis.com",
            "https://www..com",
            "https://.",
            "https://-canary-",
            "https://m\u{fc}nchen.example",
        ] {
            let problem = BaseUrl.read(wrong).unwrap_err();
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn a_host_is_named_with_or_without_port_and_scheme_and_with_nothing_else() {
        let named = |scheme: Option<&str>, host: &str, port| NamedHost { scheme: scheme.map(Into::into), host: host.into(), port };
        let read = HostList.read("Files.Example, files.example:8443,http://[::1]:80, https://10.0.0.1:1").unwrap();
        let all = [
            named(None, "files.example", None),
            named(None, "files.example", Some(8443)),
            named(Some("http"), "[::1]", None),
            named(Some("https"), "10.0.0.1", Some(1)),
        ];
        assert_eq!(read, all);
        for wrong in ["*.example", "https://u:canary@a", "a/b", "https://a/?canary", "canary b", "ftp://a", "a:99999"] {
            let problem = HostList.read(&format!("a.example, {wrong}")).unwrap_err();
            assert!(problem.contains("entry 2") && !problem.contains("canary"), "{problem}");
        }
    }
}
