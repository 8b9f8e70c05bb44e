//! Scripts: which requests take which faults.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crm;
use crate::fault::{Fault, unknown};
use crate::request::Head;

/// The operations that faults can be scripted for; `*` is any.
pub const OPERATIONS: &[&str] = &[
    "attachment.upload",
    "attachment.list",
    "attachment.download",
    "attachment.delete",
    "photo.upload",
    "photo.download",
    "photo.delete",
    "record.list",
    "record.get",
    "files.upload",
    "files.download",
    "token",
    "other",
    "*",
];

/// Which requests a script is for: those of an operation, and of those only the ones that fit everything else that is named. So tests that run in
/// parallel don't take each other's faults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// Operation; `*` is any.
    pub operation: String,
    /// Id of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Name of the file as sent. It is known once the body was read, so a fault that would act before does then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Organisation, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<usize>,
    /// The access token; of a token request, its refresh token or grant code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Requests {
    /// Requests of an operation.
    pub fn of(operation: &str) -> Requests {
        Requests { operation: operation.to_owned(), ..Requests::default() }
    }

    /// Of those, the ones for a record.
    pub fn record(self, id: &str) -> Requests {
        Requests { record: Some(id.to_owned()), ..self }
    }

    /// Of those, the ones that send a file of this name.
    pub fn file_name(self, name: &str) -> Requests {
        Requests { file_name: Some(name.to_owned()), ..self }
    }

    /// Of those, the ones of an organisation, counted from 1.
    pub fn organisation(self, number: usize) -> Requests {
        Requests { organisation: Some(number), ..self }
    }

    /// Of those, the ones with a token.
    pub fn token(self, token: &str) -> Requests {
        Requests { token: Some(token.to_owned()), ..self }
    }

    fn fits(&self, seen: &Seen<'_>) -> bool {
        let fits = |wanted: &Option<String>, there: Option<&str>| wanted.is_none() || wanted.as_deref() == there;
        (self.operation == "*" || self.operation == seen.operation)
            && fits(&self.record, seen.record)
            && fits(&self.file_name, seen.file_name)
            && fits(&self.token, seen.token)
            && (self.organisation.is_none() || self.organisation == seen.organisation)
    }
}

impl<T: AsRef<str> + ?Sized> From<&T> for Requests {
    fn from(operation: &T) -> Requests {
        Requests::of(operation.as_ref())
    }
}

/// What is known of a request.
#[derive(Debug, Default)]
pub struct Seen<'a> {
    /// Operation.
    pub operation: &'a str,
    /// Record of its path.
    pub record: Option<&'a str>,
    /// Organisation of its token or client, counted from 1.
    pub organisation: Option<usize>,
    /// Its token.
    pub token: Option<&'a str>,
    /// Name of its file.
    pub file_name: Option<&'a str>,
}

impl<'a> Seen<'a> {
    /// What a head tells without its token's organisation.
    pub fn of_head(head: &'a Head) -> Seen<'a> {
        let record = crm::route(&head.path).and_then(|(_, target)| target.record());
        Seen { record, token: head.authorization().map(|(_, token)| token), ..Seen::default() }
    }
}

/// A queue of faults.
#[derive(Debug, Clone, Serialize)]
pub struct Script {
    #[serde(flatten)]
    requests: Requests,
    /// The last fault stays.
    always: bool,
    faults: VecDeque<Fault>,
}

impl Script {
    /// Faults for requests that fit; with `always` the last of them stays. The error names what can't be.
    pub fn new(requests: Requests, faults: Vec<Fault>, always: bool) -> Result<Script, String> {
        if !OPERATIONS.contains(&requests.operation.as_str()) {
            return Err(unknown("operation", &requests.operation, OPERATIONS.iter().copied()));
        }
        faults.iter().try_for_each(|f| f.check(&requests.operation))?;
        Ok(Script { requests, always, faults: faults.into() })
    }

    /// Reads one; the error names what is wrong with it.
    pub fn read(json: &Value) -> Result<Script, String> {
        const FIELDS: [&str; 7] = ["operation", "record", "file_name", "organisation", "token", "always", "faults"];
        let object = json.as_object().ok_or("a script is a JSON object with `operation` and `faults`")?;
        if let Some(field) = object.keys().find(|k| !FIELDS.contains(&k.as_str())) {
            return Err(unknown("field", field, FIELDS.into_iter()));
        }
        if !object.contains_key("operation") {
            return Err(format!("`operation` is missing; there are {}", OPERATIONS.join(", ")));
        }
        let requests: Requests = serde_json::from_value(json.clone()).map_err(|e| e.to_string())?;
        let faults = object.get("faults").and_then(Value::as_array).ok_or("`faults` is missing: a list")?;
        let faults: Vec<Fault> =
            faults.iter().enumerate().map(|(i, f)| Fault::read(f).map_err(|e| format!("faults[{i}]: {e}"))).collect::<Result<_, _>>()?;
        let always = match object.get("always") {
            None => false,
            Some(value) => value.as_bool().ok_or("always: true or false")?,
        };
        Script::new(requests, faults, always)
    }

    /// The organisation that it is bound to.
    pub fn organisation(&self) -> Option<usize> {
        self.requests.organisation
    }

    fn take(&mut self) -> Option<Fault> {
        if self.always && self.faults.len() == 1 { self.faults.front().cloned() } else { self.faults.pop_front() }
    }
}

/// All scripts.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Scripts(Vec<Script>);

impl Scripts {
    /// Puts a script behind the others; faults for the same requests queue up.
    pub fn add(&mut self, script: Script) -> usize {
        let same = self.0.iter_mut().find(|s| s.requests == script.requests && !s.always);
        match same {
            Some(queue) => {
                queue.faults.extend(script.faults);
                queue.always = script.always;
                queue.faults.len()
            }
            None => {
                let count = script.faults.len();
                self.0.push(script);
                count
            }
        }
    }

    /// The next fault of a request: the most closely bound script first, of those the oldest, and those for `*` last.
    pub fn take(&mut self, seen: &Seen<'_>) -> Option<Fault> {
        let fitting = self.0.iter_mut().filter(|s| !s.faults.is_empty() && s.requests.fits(seen));
        let first = fitting.min_by_key(|s| (s.requests.operation == "*", std::cmp::Reverse(s.requests.bounds())))?;
        let fault = first.take();
        self.0.retain(|s| !s.faults.is_empty());
        fault
    }

    /// How many faults wait for an operation, whatever else they are bound to.
    pub fn left(&self, operation: &str) -> usize {
        self.0.iter().filter(|s| s.requests.operation == operation).map(|s| s.faults.len()).sum()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Requests {
    fn bounds(&self) -> usize {
        [self.record.is_some(), self.file_name.is_some(), self.organisation.is_some(), self.token.is_some()].into_iter().filter(|b| *b).count()
    }
}
