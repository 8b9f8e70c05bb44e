//! Zoho's data centres, and which hosts a token may be sent to.

use reqwest::Url;

use crate::config::{Config, DataCenter, Environment, bare};
use crate::error::{Error, Result, Status, one_line};

/// Where tokens come from and where calls go.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// `https://accounts…`
    pub(crate) accounts: String,
    /// `https://www.zohoapis…`, until a token reply names another one.
    pub(crate) api: String,
    /// The caller named the API host: a token reply can't change it.
    pinned: bool,
    named: Vec<String>,
}

impl Hosts {
    pub(crate) fn of(config: &Config) -> Result<Hosts> {
        let DataCenter { accounts, domain, .. } = config.data_center;
        let prefix = match config.environment {
            Environment::Production => "www",
            Environment::Sandbox => "sandbox",
            Environment::Developer => "developer",
        };
        let host = |url: &String| Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
        let named = config.api_domain.iter().chain(&config.accounts_url).filter_map(host);
        Ok(Hosts {
            accounts: config.accounts_url.clone().unwrap_or_else(|| format!("https://{accounts}")),
            api: config.api_domain.clone().unwrap_or_else(|| format!("https://{prefix}.{domain}")),
            pinned: config.api_domain.is_some(),
            named: named.chain(config.allow_hosts.iter().cloned()).collect(),
        })
    }

    /// Whether any request goes by https, so that certificates are needed. `asks`: whether the accounts host is asked for tokens.
    pub(crate) fn secure(&self, asks: bool) -> bool {
        (asks && self.accounts.starts_with("https:")) || self.api.starts_with("https:")
    }

    /// The API host that a token reply leads to: its own `api_domain` if that is Zoho's or one that the caller named.
    /// Any other would be sent every later token.
    pub(crate) fn follow(&self, api_domain: Option<&str>) -> Result<String> {
        let Some(domain) = api_domain.filter(|_| !self.pinned) else {
            return Ok(self.api.clone());
        };
        match Url::parse(domain).ok().filter(|url| self.trusts(url) && bare(url)) {
            Some(url) => Ok(url.origin().ascii_serialization()), // not as it came: paths are put behind it
            None => {
                let message = format!("the token reply's api_domain {} is neither Zoho's nor named in allow_hosts", one_line(domain));
                Err(Error::new(Status::Protocol, "api_domain_refused", message))
            }
        }
    }

    /// Zoho's API hosts by https; a host that the caller named by either.
    pub(crate) fn trusts(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        if self.named.iter().any(|named| named == host) {
            return matches!(url.scheme(), "http" | "https");
        }
        let zohos = DataCenter::ALL.iter().any(|center| host.strip_suffix(center.domain).is_some_and(|front| front.ends_with('.')));
        zohos && url.scheme() == "https" && url.port().is_none()
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
    fn a_pinned_api_domain_stays() {
        let hosts = hosts(&[("api_domain", "https://gateway.example")]);
        assert_eq!(hosts.follow(Some("https://www.zohoapis.eu")).unwrap(), "https://gateway.example");
    }

    #[test]
    fn a_host_that_the_caller_named_is_trusted() {
        let hosts = hosts(&[("accounts_url", "http://127.0.0.1:7001")]);
        assert_eq!(hosts.follow(Some("http://127.0.0.1:7001")).unwrap(), "http://127.0.0.1:7001");
    }
}
