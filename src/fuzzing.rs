//! Doors to the parsers of foreign bytes, for the fuzz targets in `fuzz/` and the replay of their corpus. Not part of the library: it is
//! compiled only for these two.
#![doc(hidden)]
#![allow(missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::attachment::{Attachment, Page};
use crate::auth::{Hosts, oauth, store};
use crate::config::{Config, TokenStore};
use crate::download::{self, Downloaded};
use crate::error::{Error, Result, Status};
use crate::http::{Response, reply};
use crate::pages;
use crate::step::batch::journal;
use crate::text::Span;
use crate::transfer::{Bytes, Digest, Framing, HashKind, Incoming, Input, Outgoing, Progress, Sink};

pub use crate::error::one_line;

fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// The page of a list.
pub fn page(from: impl Into<reqwest::Response>) -> Result<Page> {
    let page = wait(pages::parse::<Attachment<Span>>(&mut Response::foreign(from.into())))?;
    Page::from(page).copied()
}

/// Code, message and details of an answer in one object, or the error that it is.
pub fn answer(from: impl Into<reqwest::Response>) -> Result<(String, String, Option<Box<RawValue>>)> {
    let mut from = Response::foreign(from.into());
    let (status, headers) = (from.status(), from.headers().clone());
    let object = reply::success(status, &headers, &wait(from.bytes(reply::MOST))?)?;
    Ok((object.code, object.message, object.details))
}

/// Codes of an answer with one object for each item.
pub fn answers(from: impl Into<reqwest::Response>) -> Result<Vec<String>> {
    let mut from = Response::foreign(from.into());
    let (status, headers) = (from.status(), from.headers().clone());
    let objects = reply::objects(status, &headers, &wait(from.bytes(reply::MOST))?)?;
    Ok(objects.into_iter().map(|object| object.code).collect())
}

/// The error that a reply with a failing HTTP status is.
pub fn refusal(from: impl Into<reqwest::Response>) -> Error {
    wait(reply::refusal(&mut Response::foreign(from.into())))
}

/// A token, how long it is believed, and where calls go with it.
pub fn token(from: impl Into<reqwest::Response>) -> Result<(String, Duration, Result<String>)> {
    let hosts = Hosts::of(&Config::new())?;
    let granted = wait(oauth::read(Response::foreign(from.into()), &hosts))?;
    let api = hosts.follow(granted.api_domain.as_deref());
    Ok((granted.access_token.expose().to_owned(), granted.lives, api))
}

/// What a token store's document says of a key: how long its token is believed.
pub fn stored_token(document: &[u8], key: &str) -> Result<Option<Duration>> {
    struct Held(Vec<u8>);
    impl TokenStore for Held {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
            Ok(Some(Zeroizing::new(self.0.clone())))
        }
        fn put(&self, _: &[u8]) -> Result<()> {
            unreachable!("reading writes nothing")
        }
        fn try_lock(&self) -> Result<bool> {
            Ok(true)
        }
        fn unlock(&self) {}
    }
    Ok(store::Document::read(&Held(document.to_vec()))?.entry(key).lives())
}

/// A download into memory.
pub fn file(from: impl Into<reqwest::Response>) -> Result<Downloaded> {
    let expected = download::Expected { absent: || Error::new(Status::NotFound, "attachment_unknown", "absent"), begins: None };
    let mut incoming = Incoming::open(Sink::memory().at_most(1 << 20), false, None, Progress::new(None), Digest::new(Some(HashKind::Sha256), None))?;
    let head = wait(download::take(&mut Response::foreign(from.into()), &mut incoming, &expected))?;
    Ok(head.with(incoming.finish()?))
}

/// The file name in a `Content-Disposition`.
pub fn file_name(disposition: &[u8]) -> String {
    crate::transfer::Disposition::parse(disposition).file_name
}

/// A `Retry-After`.
pub fn retry_after(value: &HeaderValue) -> Option<Duration> {
    reply::retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.clone())]))
}

/// Whether a file is a photo.
pub fn picture(header: &[u8]) -> Result<()> {
    crate::photo::image::check(&Config::new(), &mut Input::new(Bytes::Memory(header)))
}

/// Boundary and body of a form with fields and a file.
pub fn form(fields: &[(&str, &str)], name: &str, content_type: &str, file: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut framing = Framing::new()?;
    fields.iter().for_each(|(name, value)| framing.field(name, value));
    framing.file(name, content_type)?;
    let header = framing.content_type().to_str().expect("it is ASCII").to_owned();
    let mut body = Outgoing::file(framing, Input::new(Bytes::Memory(file)), Progress::new(None), Digest::new(None, None));
    Ok((header, body.read_all()?.to_vec()))
}

/// A batch's journal, and what of it is under way.
pub struct Journal(journal::Journal, HashMap<String, journal::Begun>);

impl Journal {
    pub fn open(path: &Path) -> Result<Journal> {
        journal::Journal::open(path).map(|journal| Journal(journal, HashMap::new()))
    }

    /// `None` = new, `Some("")` = begun, else the outcome.
    pub fn before(&mut self, key: &str, step: &str) -> Result<Option<String>> {
        Ok(match self.0.before(key, step, |_| false)? {
            journal::Before::New => None,
            journal::Before::Begun => Some(String::new()),
            journal::Before::Done(outcome) => Some(outcome),
        })
    }

    pub fn begin(&mut self, key: &str, step: &str) -> Result<()> {
        let begun = self.0.begin(key, journal::Fingerprint { step: step.to_owned(), source: None })?;
        self.1.insert(key.to_owned(), begun);
        Ok(())
    }

    /// `false` when it isn't under way.
    pub fn done(&mut self, key: &str, outcome: &str) -> Result<bool> {
        self.1.remove(key).map_or(Ok(false), |begun| self.0.done(key, begun, outcome).map(|()| true))
    }

    /// The same.
    pub fn failed(&mut self, key: &str) -> Result<bool> {
        self.1.remove(key).map_or(Ok(false), |begun| self.0.failed(key, &begun).map(|()| true))
    }

    pub fn claims(&self, id: &str) -> bool {
        self.0.claimed().contains(id)
    }
}

#[cfg(test)]
#[path = "../fuzz/src/lib.rs"]
#[allow(unsafe_code, dead_code)]
mod checks;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// What the fuzzer has found worth keeping, and every input that once was a crash.
    #[test]
    fn every_input_of_the_corpus_keeps_what_its_target_checks() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut broken = Vec::new();
        // Miri is for what is unsafe, and slow.
        for (target, check) in super::checks::TARGETS.iter().filter(|(target, _)| !cfg!(miri) || *target == "abi") {
            let inputs: Vec<_> = fs::read_dir(corpus.join(target)).unwrap_or_else(|e| panic!("{target} has no corpus: {e}")).collect();
            assert!(!inputs.is_empty(), "{target} has no corpus");
            for path in inputs.into_iter().map(|input| input.unwrap().path()) {
                let input = fs::read(&path).unwrap();
                if std::panic::catch_unwind(|| check(&input)).is_err() {
                    broken.push(path);
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
