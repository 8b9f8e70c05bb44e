//! A request as it came from the wire, and how to look into it.

use std::sync::Arc;

use percent_encoding::percent_decode;

use crate::fault::Fault;
use crate::multipart::{self, Part};
use crate::reply::Blob;
use crate::world::Environment;

/// The head of a request.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query as sent.
    pub query: String,
    /// Minor version: 0 or 1.
    pub minor: u8,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The first header of a name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// A header holds a word of a comma list.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.header(name).is_some_and(|v| v.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
    }

    /// The body is chunked.
    pub fn is_chunked(&self) -> bool {
        self.has_word("Transfer-Encoding", "chunked")
    }

    /// The announced length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.header("Content-Length")?.trim().parse().ok()
    }

    /// The framing is unambiguous, as RFC 9112 wants it: one Host, one readable length, never both ways of framing.
    pub fn is_sound(&self) -> bool {
        let all = |name: &str| self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).count();
        let lengths = all("Content-Length");
        let readable = lengths == 0 || (lengths == 1 && self.content_length().is_some());
        let both = lengths > 0 && all("Transfer-Encoding") > 0;
        let unknown_coding = all("Transfer-Encoding") > 0 && !self.is_chunked();
        let host = self.minor == 0 || all("Host") == 1;
        self.path.starts_with('/') && readable && !both && !unknown_coding && host
    }

    /// The client will go on using the connection.
    pub fn keeps_alive(&self) -> bool {
        match self.minor {
            0 => self.has_word("Connection", "keep-alive"),
            _ => !self.has_word("Connection", "close"),
        }
    }

    /// The environment the host name asks for.
    pub fn environment(&self) -> Environment {
        match self.header("Host").and_then(|h| h.split('.').next()) {
            Some("sandbox") => Environment::Sandbox,
            Some("developer") => Environment::Developer,
            _ => Environment::Production,
        }
    }

    /// The access token of the Authorization header, with the scheme word before it.
    pub fn authorization(&self) -> Option<(&str, &str)> {
        self.header("Authorization")?.split_once(' ')
    }

    /// Query parameters, decoded.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        form_pairs(self.query.as_bytes())
    }

    /// The first query parameter of a name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query_pairs().into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// A whole request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its number in the ledger.
    pub seq: u64,
    /// Head.
    pub head: Head,
    /// Body; empty when it was over the limit.
    pub body: Arc<Vec<u8>>,
    /// The body was over the limit and not kept.
    pub oversize: bool,
    /// Parts of a multipart body, or what is wrong with it.
    pub parts: Option<Result<Vec<Part>, String>>,
    /// The fault that fires.
    pub fault: Fault,
}

impl Request {
    /// The content type without parameters, in lower case.
    pub fn content_type(&self) -> String {
        let value = self.head.header("Content-Type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Splits a multipart body into its parts.
    pub fn split(&mut self) {
        let boundary = self.head.header("Content-Type").and_then(multipart::boundary);
        if self.content_type().starts_with("multipart/") && !self.oversize {
            self.parts = Some(match boundary {
                Some(boundary) => multipart::parse(&self.body, &boundary),
                None => Err("no boundary in Content-Type".into()),
            });
        }
    }

    /// The parts, if the body was multipart and whole.
    pub fn good_parts(&self) -> &[Part] {
        match &self.parts {
            Some(Ok(parts)) => parts,
            _ => &[],
        }
    }

    /// A part's content without copying.
    pub fn blob(&self, part: &Part) -> Blob {
        Blob::window(self.body.clone(), part.range.0, part.range.1)
    }

    /// Parameters of every carrier: query, urlencoded body, multipart fields; the first of a name counts.
    pub fn all_parameters(&self) -> Vec<(String, String)> {
        let mut all = self.head.query_pairs();
        if self.content_type() == "application/x-www-form-urlencoded" {
            all.extend(form_pairs(&self.body));
        }
        for part in self.good_parts().iter().filter(|p| p.filename.is_none()) {
            all.push((part.name.clone(), String::from_utf8_lossy(part.content(&self.body)).into_owned()));
        }
        all
    }
}

/// Decodes `a=b&c=d`.
pub fn form_pairs(text: &[u8]) -> Vec<(String, String)> {
    let pieces = text.split(|b| *b == b'&').filter(|p| !p.is_empty());
    pieces
        .map(|piece| {
            let mut halves = piece.splitn(2, |b| *b == b'=');
            let name = halves.next().unwrap_or_default();
            (form_text(name), form_text(halves.next().unwrap_or_default()))
        })
        .collect()
}

fn form_text(raw: &[u8]) -> String {
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}
