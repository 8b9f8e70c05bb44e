//! Reads a step and runs it.

use std::fmt;

use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::operations::Operation;
use super::output::StepResult;
use super::parse::{at_field, parse, refused};
use super::source_sink::Sink;
use super::{MAX_INPUT_BYTES, input};
use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::error::{Result, one_line};
use crate::record::{Record, check_id, check_module};
use crate::text::mark_length;

/// An operation, and what reads its input.
type Known = (&'static str, fn(&str) -> Result<Step>);

const fn known<O: Operation>() -> Known {
    (O::ID, |json| parse::<O>(json).map(|operation| Step(Box::new(operation))))
}

/// Every operation but the batch of them, in the order in which people look for them.
pub(super) const OPERATIONS: &[Known] = &[
    known::<input::AttachmentUpload>(),
    known::<input::AttachmentList>(),
    known::<input::AttachmentDownload>(),
    known::<input::PhotoUpload>(),
    known::<input::PhotoDownload>(),
    known::<input::PhotoDelete>(),
    known::<input::AttachmentDelete>(),
    known::<input::RecordList>(),
];

const BATCH: Known = known::<input::Batch>();

/// Runs one operation given as JSON; [`describe`](super::describe) has the schemas of what goes in and comes out.
///
/// Input that isn't as described is `Status::Argument` with the reason `step_input`, the place in the message, and
/// `{"json_path":…}` in the details. A path outside of the setting `allow_paths` has the reason `path_not_allowed`. Where `call` and the
/// input say different things, the input holds; of two timeouts the shorter one, and either may say that it may have been done before.
pub fn run(client: &Client, json: &str, call: Call<'_>) -> Result<Outcome<StepResult>> {
    Step::read(json)?.run(client, call)
}

/// Reads a step and does nothing of it: tells what [`run`] would say of its JSON, its record and the files that it names, without a request.
/// Gives its operation.
pub fn check(client: &Client, json: &str) -> Result<&'static str> {
    Step::read(json)?.check(client, json)
}

/// A step that has been read: what it says is understood, and nothing of it is done.
pub(super) struct Step(Box<dyn Run>);

impl Step {
    fn read(json: &str) -> Result<Step> {
        let json = &json[mark_length(json)..];
        if json.len() > MAX_INPUT_BYTES {
            return Err(refused("", format_args!("has {} bytes; at most {MAX_INPUT_BYTES} are taken", json.len())));
        }
        let id = operation(json)?;
        match OPERATIONS.iter().chain([&BATCH]).find(|(known, _)| *known == id) {
            Some((_, read)) => read(json),
            None => {
                let known: Vec<&str> = OPERATIONS.iter().chain([&BATCH]).map(|(id, _)| *id).collect();
                Err(refused("operation", format_args!("there is no {:?}; there is {}", one_line(&id), known.join(", "))))
            }
        }
    }

    /// One that may stand in a batch. Bytes of files go into no batch: its results are held together in memory, and kept in its journal.
    pub(super) fn for_batch(json: &str) -> Result<Step> {
        let step = Step::read(json)?;
        match step.0.sink() {
            _ if step.0.id() == input::Batch::ID => Err(refused("operation", "is a batch, and a batch holds no other")),
            Some(Sink::Base64 { .. }) => Err(refused("sink.base64", "goes into no batch; give the path of a file")),
            _ => Ok(step),
        }
    }

    /// What can be told without a request; gives the operation.
    pub(super) fn check(&self, client: &Client, json: &str) -> Result<&'static str> {
        #[derive(serde::Deserialize)]
        struct Subject {
            module: Option<String>,
            record_id: Option<input::Id>,
        }
        let json = &json[mark_length(json)..];
        let Subject { module, record_id } = serde_json::from_str(json).unwrap_or(Subject { module: None, record_id: None }); // a batch has none
        let checked = module.map_or(Ok(()), |module| check_module(client.config(), &module));
        checked.and_then(|()| record_id.map_or(Ok(()), |id| check_id(client.config(), "record_id", &id.0))).map_err(|e| at_field(e, &[]))?;
        self.0.check(client)?;
        Ok(self.0.id())
    }

    /// The path of the file that it sends.
    pub(super) fn source(&self) -> Option<&str> {
        self.0.source()
    }

    /// The record to which it attaches a file, and the file's name.
    pub(super) fn attaches(&self) -> Option<(Record, String)> {
        self.0.attaches()
    }

    /// Whether what an earlier run of it has stored may show late.
    pub(super) fn shows_late(&self) -> bool {
        self.0.shows_late()
    }

    pub(super) fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<StepResult>> {
        self.0.run(client, call)
    }
}

/// An [`Operation`] of any type.
trait Run: Send {
    fn id(&self) -> &'static str;
    fn shows_late(&self) -> bool;
    fn source(&self) -> Option<&str>;
    fn attaches(&self) -> Option<(Record, String)>;
    fn sink(&self) -> Option<&Sink>;
    fn check(&self, client: &Client) -> Result<()>;
    fn run(self: Box<Self>, client: &Client, call: Call<'_>) -> Result<Outcome<StepResult>>;
}

impl<O: Operation> Run for O {
    fn id(&self) -> &'static str {
        O::ID
    }

    fn shows_late(&self) -> bool {
        O::SHOWS_LATE
    }

    fn source(&self) -> Option<&str> {
        Operation::source(self)
    }

    fn attaches(&self) -> Option<(Record, String)> {
        Operation::attaches(self)
    }

    fn sink(&self) -> Option<&Sink> {
        Operation::sink(self)
    }

    fn check(&self, client: &Client) -> Result<()> {
        Operation::check(self, client)
    }

    fn run(self: Box<Self>, client: &Client, call: Call<'_>) -> Result<Outcome<StepResult>> {
        Operation::run(*self, client, call).map(|outcome| outcome.map(Into::into))
    }
}

/// The operation's id. The document is read only up to there, which is usually its beginning; the operation finds what is wrong
/// behind it.
fn operation(json: &str) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Head {
        operation: String,
    }

    struct Fields<'i>(&'i mut Option<String>);

    impl<'de> Visitor<'de> for Fields<'_> {
        type Value = ();

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<(), A::Error> {
            while let Some(field) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
                if field == "operation" {
                    *self.0 = Some(fields.next_value()?);
                    return Err(de::Error::custom("enough is read"));
                }
                fields.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut id = None;
    let _ = serde_json::Deserializer::from_str(json).deserialize_map(Fields(&mut id));
    match id {
        Some(id) => Ok(id),
        None => parse(json).map(|Head { operation }| operation), // says what is wrong
    }
}
