//! Failures below HTTP: what the connection, the TLS handshake and the clock can do. Each names the host and says what to look at.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::Url;
use rustls::{AlertDescription, CertificateError};

use super::lookup::Unresolved;
use crate::config::Config;
use crate::error::{Error, Status, systems_words};

/// The way out where a connection was made and then failed.
const BETWEEN: &str = "; look at the network, and at what stands between (a proxy, a firewall)";

/// The settings that name hosts.
const HOSTS: &str = "api_domain, accounts_url or data_center";

/// Where a request goes.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    proxy: Option<String>,
    connect_timeout: Duration,
}

impl Target {
    pub(super) fn of(url: &Url, config: &Config) -> Target {
        let proxy = config.proxy.as_ref().and_then(|proxies| proxies.of(url)).map(host_and_port);
        Target { url: url.clone(), proxy, connect_timeout: config.connect_timeout }
    }

    fn at(&self) -> String {
        host_and_port(&self.url)
    }

    /// What the connection goes to.
    fn next(&self) -> String {
        self.proxy.as_ref().map_or_else(|| self.at(), |proxy| format!("the proxy {proxy}"))
    }

    /// The settings that say where that is.
    fn settings(&self) -> &'static str {
        if self.proxy.is_some() { "proxy" } else { HOSTS }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.at())?;
        self.proxy.iter().try_for_each(|proxy| write!(to, " (through the proxy {proxy})"))
    }
}

fn host_and_port(url: &Url) -> String {
    let port = url.port_or_known_default().or_else(|| url.scheme().starts_with("socks").then_some(1080));
    format!("{}:{}", url.host_str().unwrap_or_default(), port.unwrap_or_default())
}

/// The class of a failed exchange, and what the user can do about it.
pub(super) fn of(error: &reqwest::Error, target: &Target) -> Error {
    let (status, reason, message) = classified(error, target);
    Error::new(status, reason, message).with(|d| {
        d.os_error = systems(error).and_then(io::Error::raw_os_error).unwrap_or(0);
        d.retryable = status != Status::Tls;
    })
}

/// A wait without a byte has reached its bound.
pub(super) fn stalled(bound: Duration, target: &Target, what: &str) -> Error {
    Error::new(Status::Timeout, "stalled", format!("{target} {what} (nothing for {} ms){BETWEEN}", bound.as_millis()))
}

/// No answer has come, or not all of its head.
pub(super) fn unanswered(bound: Duration, target: &Target) -> Error {
    Error::new(Status::Timeout, "stalled", format!("{target} hasn't answered within {} ms{BETWEEN}", bound.as_millis()))
}

/// A reply that goes on, but takes longer than it may.
pub(super) fn slow(target: &Target, what: String) -> Error {
    Error::new(Status::Timeout, "too_slow", format!("{target} {what}"))
}

fn classified(error: &reqwest::Error, target: &Target) -> (Status, &'static str, String) {
    if let Some(tls) = find_tls(error) {
        let is_proxys =
            target.proxy.is_some() && (target.url.scheme() == "http" || chain(error).any(|e| e.to_string().contains("underlying connection")));
        return (Status::Tls, "tls", refused_tls(tls, &if is_proxys { target.next() } else { target.to_string() }));
    }
    if error.is_connect() && error.is_timeout() {
        let (next, ms) = (target.next(), target.connect_timeout.as_millis());
        let message = format!("no connection to {next} within {ms} ms (connect_timeout_ms): is the network up, and does a firewall let it through?");
        return (Status::Timeout, "connect_timeout", message);
    }
    if let Some(unresolved) = find::<Unresolved>(error) {
        return no_address(unresolved, target);
    }
    if error.is_connect() {
        return (Status::Network, "connect", no_connection(error, target));
    }
    let hyper = find::<hyper::Error>(error);
    if error.is_body() || error.is_decode() {
        return (Status::Network, "reply_truncated", format!("the reply of {target} was cut off before its end{BETWEEN}"));
    }
    if hyper.is_some_and(hyper::Error::is_parse) {
        let message = format!("{target} answered with something that isn't HTTP: does another service listen there? Look at {}", target.settings());
        return (Status::Network, "connection_lost", message);
    }
    (Status::Network, "connection_lost", format!("the connection to {target} broke before the reply had come{BETWEEN}"))
}

fn no_address(unresolved: &Unresolved, target: &Target) -> (Status, &'static str, String) {
    let next = target.next();
    match unresolved {
        // By socks5, it is looked up here.
        Unresolved::Unknown(host, _) if target.proxy.is_some() && target.url.host_str() == Some(host) => {
            let message =
                format!("no connection to {target}: its host name isn't known here; let the proxy look it up (socks5h), or look at {HOSTS}");
            (Status::Network, "connect", message)
        }
        Unresolved::Unknown(..) => {
            let settings = target.settings();
            (Status::Network, "connect", format!("no connection to {next}: the host name isn't known; look at {settings}, and at this machine's DNS"))
        }
        Unresolved::NoThread(_) => {
            let message =
                format!("no connection to {next}: the system gives no thread to look its name up (is a limit on processes or threads reached?)");
            (Status::Network, "no_thread", message)
        }
    }
}

fn no_connection(error: &reqwest::Error, target: &Target) -> String {
    let (next, settings) = (target.next(), target.settings());
    let is_tls_alone = target.proxy.is_none() && target.url.scheme() == "https";
    let says = |words: &[&str]| chain(error).any(|e| words.iter().any(|word| e.to_string().contains(word)));
    let cause = systems(error).map(|cause| (cause.kind(), cause));
    match cause {
        Some((io::ErrorKind::ConnectionRefused, _)) => {
            format!("no connection to {next}: nobody listens there (connection refused); look at {settings}, and whether it runs")
        }
        Some((io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable, _)) => {
            format!("no connection to {next}: there is no way to it; is the network up?")
        }
        Some((kind, cause)) if cause.to_string() == "tls handshake eof" || (kind == io::ErrorKind::ConnectionReset && is_tls_alone) => {
            format!("the connection to {target} broke off in the TLS handshake; does it speak https, by TLS 1.2 or 1.3?{BETWEEN}")
        }
        Some((io::ErrorKind::ConnectionReset, _)) => format!("the connection to {target} broke off before it could be used{BETWEEN}"),
        Some((_, cause)) if cause.raw_os_error().is_some() => format!("no connection to {next}: {}", words(cause)),
        // The HTTP library can't name an address to TLS behind a tunnel.
        _ if target.proxy.is_some() && target.url.host_str().is_some_and(|host| host.starts_with('[')) => {
            format!("{} can't be reached by https through {next}, as it is an IPv6 address; the reply that names it must name a host", target.at())
        }
        // It was connected to, and refused to go on.
        _ if target.proxy.is_some() && says(&["authorization required", "credentials not accepted", "user/pass authentication"]) => {
            format!("{next} lets nobody through to {} without another login; look at the user and the password in proxy", target.at())
        }
        _ if target.proxy.is_some() && says(&["underlying connection"]) => {
            format!("no connection to {next}: it isn't reached; look at {settings}, and whether it runs")
        }
        _ if target.proxy.is_some() => format!("{next} makes no connection to {}; look at proxy, and at what it allows", target.at()),
        _ => format!("no connection to {next}; look at {settings}"),
    }
}

/// What the system said, whatever it is wrapped in.
fn systems<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let inner = |cause: &&'a io::Error| cause.get_ref().and_then(|inner| inner.downcast_ref());
    std::iter::successors(find(error), inner).last()
}

fn words(cause: &io::Error) -> String {
    systems_words(&cause.to_string()).to_lowercase()
}

fn refused_tls(error: &rustls::Error, by: &str) -> String {
    use CertificateError as C;
    use rustls::Error as E;
    let (problem, look_at) = match error {
        E::InvalidCertificate(C::UnknownIssuer) => (
            "its certificate is of an authority that isn't trusted here",
            "set ca_file to that authority's certificate if it is your own, or a proxy's",
        ),
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => ("its certificate has expired", "look at this machine's clock, too"),
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => ("its certificate isn't valid yet", "look at this machine's clock"),
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            ("its certificate is for another name", "look at the host's name")
        }
        // The type of this one isn't public.
        E::InvalidCertificate(C::Other(other)) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "its certificate is an authority's own, and no server's (openssl req -x509 makes such)",
            "let that authority sign one for the host, and name the authority's in ca_file",
        ),
        E::InvalidCertificate(C::Revoked) => ("its certificate was revoked", "this may be an attack"),
        E::InvalidCertificate(_) | E::NoCertificatesPresented => ("its certificate can't be checked", "look at the certificate, and at ca_file"),
        E::AlertReceived(AlertDescription::ProtocolVersion) | E::PeerIncompatible(_) => {
            ("it speaks no version of TLS, or no cipher, that is safe", "TLS 1.2 with forward secrecy is the least")
        }
        E::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::AccessDenied) => {
            ("it wants a certificate of the client", "none is sent")
        }
        E::AlertReceived(_) => ("it refused the handshake", "does it serve this host's name, by TLS 1.2 or 1.3?"),
        E::InvalidMessage(_) => ("what it sends isn't TLS", "does it speak http and not https, or does a proxy answer for it?"),
        _ => ("the handshake or its encryption failed", "look at what stands between"),
    };
    format!("TLS to {by} refused: {problem}; {look_at}")
}

/// What the TLS layer refused: a certificate, a version, a protocol violation.
fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(tls_in)
}

fn tls_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    // `io::Error` hides what it wraps from `source()`, and may wrap another one.
    let wrapped = || error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| tls_in(inner));
    error.downcast_ref::<rustls::Error>().or_else(wrapped)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|e| e.downcast_ref::<T>())
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| (*e).source())
}
