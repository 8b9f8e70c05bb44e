//! Zoho's data centres, and which hosts a token may be sent to.

use std::net::IpAddr;

use reqwest::Url;

use crate::config::{Config, DataCenter, Environment, NamedHost, bare};
use crate::error::{Error, Result, Status, one_line};

/// Where tokens come from and where calls go.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// `https://accounts…`
    pub accounts: String,
    /// `https://www.zohoapis…`, until a token reply names another one.
    pub api: String,
    /// The caller named the API host: a token reply can't change it.
    pinned: bool,
    named: Vec<NamedHost>,
    allow_http: bool,
}

impl Hosts {
    /// Refuses an `http://` that would send a token in the clear through a network, unless `allow_http` says that it may.
    pub fn of(config: &Config) -> Result<Hosts> {
        let DataCenter { accounts, domain, .. } = config.data_center;
        let prefix = match config.environment {
            Environment::Production => "www",
            Environment::Sandbox => "sandbox",
            Environment::Developer => "developer",
        };
        let given = [("api_domain", &config.api_domain), ("accounts_url", &config.accounts_url)];
        let hosts = given.iter().filter_map(|(setting, url)| Some((*setting, NamedHost::of(url.as_deref()?)?)));
        let named: Vec<_> = hosts.chain(config.allow_hosts.iter().map(|host| ("allow_hosts", host.clone()))).collect();
        let in_the_clear = |host: &NamedHost| host.scheme.as_deref() == Some("http") && !is_this_machine(&host.host);
        if let Some((setting, host)) = named.iter().find(|(_, host)| in_the_clear(host)).filter(|_| !config.allow_http) {
            let message = format!("setting {setting}: tokens would go to {} in the clear; use https, or set allow_http to on", one_line(&host.host));
            return Err(Error::new(Status::Config, "allow_http", message).with(|d| d.field = Some(setting)));
        }
        for (setting, url) in given.iter().filter_map(|(setting, url)| Some((*setting, url.as_deref()?))) {
            if is_ipv6_behind_a_proxy(config, url) {
                let problem = "https to an IPv6 address can't go through a proxy; use a host name, or let NO_PROXY name the address, with proxy=env";
                return Err(Error::new(Status::Config, "proxy_ipv6", format!("setting {setting}: {problem}")).with(|d| d.field = Some(setting)));
            }
        }
        Ok(Hosts {
            accounts: config.accounts_url.clone().unwrap_or_else(|| format!("https://{accounts}")),
            api: config.api_domain.clone().unwrap_or_else(|| format!("https://{prefix}.{domain}")),
            pinned: config.api_domain.is_some(),
            named: named.into_iter().map(|(_, host)| host).collect(),
            allow_http: config.allow_http,
        })
    }

    /// Whether any request goes by https, so that certificates are needed. `asks`: whether the accounts host is asked for tokens.
    pub(crate) fn secure(&self, asks: bool) -> bool {
        (asks && self.accounts.starts_with("https:")) || self.api.starts_with("https:")
    }

    /// The API host that a token reply leads to: its `api_domain` if that is Zoho's or one that the caller named, on whichever port. Any other host
    /// would get every later token.
    pub(crate) fn follow(&self, api_domain: Option<&str>) -> Result<String> {
        let Some(domain) = api_domain.filter(|_| !self.pinned) else {
            return Ok(self.api.clone());
        };
        match Url::parse(domain).ok().filter(|url| bare(url) && self.trusts(url, &self.accounts, |_| true)) {
            Some(url) => Ok(url.origin().ascii_serialization()), // not as it came: paths are put behind it
            None => {
                let message = format!("the token reply's api_domain {} is neither Zoho's (by https) nor named in allow_hosts", one_line(domain));
                Err(Error::new(Status::Protocol, "api_domain_refused", message))
            }
        }
    }

    /// Whether a redirect of a request to the API host `api` may be followed: to Zoho, or to a host and port that the caller named.
    pub(crate) fn redirects_to(&self, url: &Url, api: &str) -> bool {
        let same_port = |named: &NamedHost| match named.port {
            None => url.port().is_none(),
            Some(port) => url.port_or_known_default() == Some(port),
        };
        self.trusts(url, api, same_port)
    }

    /// Zoho's API hosts by https; a host that the caller named, by http if it was named so or if what led to it, `from`, went by http too.
    fn trusts(&self, url: &Url, from: &str, port: impl Fn(&NamedHost) -> bool) -> bool {
        let Some(host) = url.host_str() else { return false };
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        let by_http = url.scheme() == "http" && (self.allow_http || is_this_machine(host));
        let scheme = |named: &NamedHost| match named.scheme.as_deref() {
            _ if url.scheme() == "https" => true,
            Some(scheme) => by_http && scheme == "http",
            None => by_http && from.starts_with("http:"),
        };
        if self.named.iter().any(|named| named.host == host && scheme(named) && port(named)) {
            return true;
        }
        let zohos = DataCenter::ALL.iter().any(|center| host.strip_suffix(center.domain).is_some_and(|front| front.ends_with('.')));
        zohos && url.scheme() == "https" && url.port().is_none()
    }
}

/// Whether the HTTP library would have to name an IPv6 address to TLS behind a proxy, which it can't.
fn is_ipv6_behind_a_proxy(config: &Config, url: &str) -> bool {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some_and(|host| host.starts_with('[')));
    url.is_some_and(|url| config.proxy.as_ref().is_some_and(|proxies| proxies.of(&url).is_some()))
}

/// Whether what is sent to this host stays on this machine.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(settings: &[(&str, &str)]) -> Hosts {
        let mut config = Config::new();
        settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        Hosts::of(&config).unwrap()
    }

    #[test]
    fn a_data_centre_and_an_environment_give_both_hosts() {
        let hosts = hosts(&[("data_center", "ca"), ("environment", "sandbox")]);
        assert_eq!((hosts.accounts.as_str(), hosts.api.as_str()), ("https://accounts.zohocloud.ca", "https://sandbox.zohoapis.ca"));
    }

    #[test]
    fn api_domain_is_followed_to_zoho_alone() {
        let hosts = hosts(&[]);
        assert_eq!(hosts.follow(Some("https://www.zohoapis.eu")).unwrap(), "https://www.zohoapis.eu");
        assert_eq!(hosts.follow(Some("https:\\\\www.zohoapis.eu\\\n")).unwrap(), "https://www.zohoapis.eu");
        for evil in [
            "http://www.zohoapis.eu",
            "https://evilzohoapis.eu",
            "https://zohoapis.eu.evil.example",
            "https://10.0.0.1",
            "https://www.zohoapis.eu:8443",
            "https://u:p@www.zohoapis.eu",
            "https://www.zohoapis.eu/evil",
            "https://www.zohoapis.eu#evil",
            "",
        ] {
            assert_eq!(hosts.follow(Some(evil)).unwrap_err().reason(), "api_domain_refused", "{evil}");
        }
    }

    #[test]
    fn https_to_an_ipv6_address_is_refused_by_name_where_a_proxy_would_have_to_carry_it() {
        let made = |setting, url, proxy| {
            let mut config = Config::new();
            for (key, value) in [(setting, url), ("proxy", proxy)] {
                config.set(key, value).unwrap();
            }
            Hosts::of(&config)
        };
        for setting in ["api_domain", "accounts_url"] {
            for proxy in ["http://127.0.0.1:1", "socks5://127.0.0.1:1"] {
                let error = made(setting, "https://[::1]:8443", proxy).unwrap_err();
                assert_eq!((error.reason(), error.detail().field), ("proxy_ipv6", Some(setting)));
                assert!(made(setting, "http://[::1]:8080", proxy).is_ok() && made(setting, "https://127.0.0.1", proxy).is_ok());
            }
            assert!(made(setting, "https://[::1]:8443", "").is_ok());
        }
    }

    #[test]
    fn a_pinned_api_domain_stays() {
        let hosts = hosts(&[("api_domain", "https://gateway.example")]);
        assert_eq!(hosts.follow(Some("https://www.zohoapis.eu")).unwrap(), "https://gateway.example");
    }

    fn leads(settings: &[(&str, &str)], from: &str, to: &str) -> bool {
        hosts(settings).redirects_to(&Url::parse(to).unwrap(), from)
    }

    #[test]
    fn a_host_that_the_caller_named_is_trusted() {
        let hosts = hosts(&[("accounts_url", "http://127.0.0.1:7001")]);
        assert_eq!(hosts.follow(Some("http://127.0.0.1:7001")).unwrap(), "http://127.0.0.1:7001");
    }

    #[test]
    fn a_redirect_goes_to_the_port_that_was_named_and_no_other() {
        let api = "http://127.0.0.1:7001";
        for (allowed, to, may) in [
            ("", "http://127.0.0.1:7001/x", true),
            ("", "http://127.0.0.1:22/", false),
            ("", "http://2130706433:7002/", false),
            ("", "http://127.0.0.1.:7002/", false),
            ("127.0.0.1:7002", "http://127.0.0.1:7002/", true),
            ("files.example", "https://files.example/", true),
            ("files.example", "https://files.example:8443/", false),
            ("files.example:8443", "https://files.example:8443/", true),
            ("files.example:8443", "https://files.example/", false),
            ("files.example:443", "https://files.example/", true),
        ] {
            assert_eq!(leads(&[("api_domain", api), ("allow_hosts", allowed)], api, to), may, "{allowed}: {to}");
        }
    }

    #[test]
    fn what_came_by_https_never_leads_to_http_unless_the_host_was_given_so() {
        let api = [("api_domain", "https://gateway.example"), ("allow_http", "on")];
        for (allowed, to, may) in [
            ("", "http://gateway.example/", false),
            ("files.example", "http://files.example/", false),
            ("files.example:80", "http://files.example/", false),
            ("https://files.example", "http://files.example/", false),
            ("http://files.example", "http://files.example/", true),
            ("", "http://www.zohoapis.eu/", false),
        ] {
            let settings = [api.as_slice(), &[("allow_hosts", allowed)]].concat();
            assert_eq!(leads(&settings, "https://gateway.example", to), may, "{allowed}: {to}");
        }
        let asked = hosts(&[("accounts_url", "https://gateway.example"), ("allow_hosts", "localhost"), ("allow_http", "on")]);
        for to in ["http://gateway.example", "http://localhost:8080", "http://www.zohoapis.com"] {
            assert_eq!(asked.follow(Some(to)).unwrap_err().reason(), "api_domain_refused", "{to}");
        }
    }

    #[test]
    fn a_token_goes_in_the_clear_only_on_this_machine_or_where_it_is_allowed() {
        let made = |settings: &[(&str, &str)]| {
            let mut config = Config::new();
            settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
            Hosts::of(&config)
        };
        for setting in ["api_domain", "accounts_url", "allow_hosts"] {
            for here in [
                "http://127.0.0.1:1",
                "http://127.1.2.3",
                "http://localhost",
                "http://crm.localhost:8080",
                "http://[::1]:2",
                "http://[::ffff:127.0.0.1]",
            ] {
                assert!(made(&[(setting, here)]).is_ok(), "{setting} {here}");
            }
            for there in ["http://crm-emulator:8080", "http://www.zohoapis.eu", "http://0.0.0.0", "http://localhost.example", "http://[::2]"] {
                let error = made(&[(setting, there)]).unwrap_err();
                assert_eq!((error.reason(), error.detail().field), ("allow_http", Some(setting)), "{there}");
                assert!(made(&[(setting, there), ("allow_http", "on")]).is_ok());
            }
        }
        // A reply can't lead there either.
        let hosts = made(&[("accounts_url", "http://127.0.0.1:1"), ("allow_hosts", "files.example")]).unwrap();
        assert!(hosts.follow(Some("http://files.example")).is_err());
    }
}
