//! The batch as a step: many steps in one JSON document.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::operations::{CallFields, Operation};
use super::super::output::{BatchDone, BatchItem, ItemStatus};
use super::super::parse::{self, details, refused};
use super::super::{input, paths};
use super::journal::{Journal, Location};
use super::source::Listed;
use super::{Ended, Item, Options, Pause};
use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::object::Object;

impl Operation for input::Batch {
    const ID: &'static str = "batch";
    type Output = BatchDone;

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<BatchDone>> {
        let steps: Vec<input::BatchStep> = self.steps.into_iter().map(|Object(step)| step).collect();
        let mut items = Items::of(&steps)?;
        let journal = self.journal.map(|path| open(client.config(), &path)).transpose();
        let journal = journal.map_err(|e| parse::at_field(e, &[("path", "journal")]))?;
        let options = Options {
            parallel: self.parallel.unwrap_or_default() as usize,
            journal: None,
            credits: self.credits.unwrap_or_default(),
            pause: Pause::default(),
        };
        let steps = steps.into_iter().map(|step| Item { key: step.key, step: String::from(Box::<str>::from(step.step)) });
        let call = CallFields::new(self.timeout_ms, self.again, self.trace_id).over(call);
        let outcome = super::run_with(client, &mut Listed(steps), &options, journal, call, &mut |end| items.ended(&end))?;
        Ok(outcome.map(|summary| BatchDone { summary, items: items.all }))
    }
}

fn open(config: &Config, path: &str) -> Result<Journal> {
    let (file, directory) = paths::journal(config, path)?;
    Journal::of(file, Location::new(directory, Path::new(path))?)
}

/// What became of each step so far.
struct Items {
    all: Vec<BatchItem>,
    places: HashMap<String, usize>,
}

impl Items {
    /// Nothing yet. Refuses what can't be a batch; what is wrong with one step alone is that step's error.
    fn of(steps: &[input::BatchStep]) -> Result<Items> {
        let (mut all, mut places) = (Vec::with_capacity(steps.len()), HashMap::with_capacity(steps.len()));
        for (i, input::BatchStep { key, step }) in steps.iter().enumerate() {
            if let Some(first) = places.insert(key.clone(), i) {
                return Err(refused(&format!("steps[{i}].key"), format_args!("is that of steps[{first}] too; each step has a key of its own")));
            }
            check(step).map_err(|(field, problem)| refused(&format!("steps[{i}].step{field}"), problem))?;
            all.push(BatchItem { key: key.clone(), status: ItemStatus::Left, from_journal: false, result: None, error: None });
        }
        Ok(Items { all, places })
    }

    fn ended(&mut self, end: &Ended<'_>) -> bool {
        if let Some(&i) = self.places.get(end.key) {
            let item = &mut self.all[i];
            item.from_journal = end.from_journal;
            match end.outcome {
                Ok(json) => (item.status, item.result) = (ItemStatus::Done, result(json)),
                Err(error) => (item.status, item.error) = (status(end, error), Some(in_batch(error, i).detail().clone())),
            }
        }
        true
    }
}

/// The results of a batch are held together in memory, so that no file may be in one.
fn check(step: &RawValue) -> std::result::Result<(), (&'static str, &'static str)> {
    #[derive(Deserialize)]
    struct Step {
        operation: Option<String>,
        sink: Option<Sink>,
    }
    #[derive(Deserialize)]
    struct Sink {
        base64: Option<bool>,
    }

    if !step.get().starts_with('{') {
        return Err(("", "is not an object"));
    }
    match serde_json::from_str(step.get()) {
        Ok(Step { operation: Some(id), .. }) if id == input::Batch::ID => Err((".operation", "is a batch, and a batch holds no other")),
        Ok(Step { sink: Some(Sink { base64: Some(true) }), .. }) => Err((".sink.base64", "goes into no batch; give the path of a file")),
        _ => Ok(()), // the step itself says what is wrong with it
    }
}

/// The `result` of an outcome.
fn result(outcome: &str) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Result {
        result: Box<RawValue>,
    }
    serde_json::from_str::<Result>(outcome).ok().map(|outcome| outcome.result)
}

fn status(end: &Ended<'_>, error: &Error) -> ItemStatus {
    match error.status() {
        _ if end.left => ItemStatus::Left,
        Status::OutcomeUnknown => ItemStatus::Unknown,
        _ => ItemStatus::Failed,
    }
}

/// An error about a step's input says where that is in the batch.
fn in_batch(error: &Error, i: usize) -> Error {
    #[derive(Deserialize)]
    struct OfInput {
        json_path: String,
    }
    let details_of_input = error.detail().details.as_ref().filter(|_| error.detail().http_status == 0);
    let refused = details_of_input.and_then(|details| serde_json::from_str::<OfInput>(details.get()).ok());
    match refused.as_ref().and_then(|refused| refused.json_path.strip_prefix('$')) {
        Some(rest) => error.clone().with(|d| d.details = details(&format!("$.steps[{i}].step{rest}"))),
        None => error.clone(),
    }
}
