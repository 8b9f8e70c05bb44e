//! Failures below HTTP: what the connection, the TLS handshake and the clock can do.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::error::{Error, Status};

/// The class of a failed exchange, with the innermost causes in its text.
pub(super) fn of(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let (status, reason) = class(&error);
    let what = match reason {
        "connect" => "no connection",
        "connect_timeout" => "connecting takes too long",
        "tls" => "TLS refused",
        "reply_truncated" => "the reply was cut off",
        _ => "the connection broke",
    };
    Error::new(status, reason, format!("{what}: {}", causes(&error))).with(|d| {
        d.os_error = io_error(&error).and_then(io::Error::raw_os_error).unwrap_or(0);
        d.retryable = status != Status::Tls;
    })
}

/// A wait without a byte has reached its bound.
pub(super) fn stalled(bound: Duration, what: &str) -> Error {
    Error::new(Status::Timeout, "stalled", format!("{what} (nothing for {} ms)", bound.as_millis()))
}

fn class(error: &reqwest::Error) -> (Status, &'static str) {
    if chain(error).any(is_tls) {
        (Status::Tls, "tls")
    } else if error.is_connect() && error.is_timeout() {
        (Status::Timeout, "connect_timeout")
    } else if error.is_connect() {
        (Status::Network, "connect")
    } else if error.is_body() || error.is_decode() {
        (Status::Network, "reply_truncated")
    } else {
        (Status::Network, "connection_lost")
    }
}

/// Whether the TLS layer refused: a certificate, a version, a protocol violation.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    // `io::Error` hides what it wraps from `source()`, and may wrap another one.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

fn io_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    chain(error).find_map(|e| e.downcast_ref::<io::Error>())
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| (*e).source())
}

/// The texts of the causes, outermost first, each once.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in chain(error).skip(1).map(ToString::to_string) {
        if !texts.iter().any(|t| t.contains(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
