//! Runs a step.

use serde::Deserialize;

use super::operations::Operation;
use super::output::StepResult;
use super::parse::{parse, refused};
use super::{MAX_INPUT_BYTES, input};
use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::error::{Result, one_line};

/// An operation, and what runs it.
type Known = (&'static str, fn(&Client, &str, Call<'_>) -> Result<Outcome<StepResult>>);

const fn known<O: Operation>() -> Known {
    (O::ID, run_as::<O>)
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
];

/// Runs one operation given as JSON; [`describe`](super::describe) has the schemas of what goes in and comes out.
///
/// Input that isn't as described is `Status::Argument` with the reason `step_input`, the place in the message, and
/// `{"json_path":…}` in the details. A path outside of the setting `allow_paths` has the reason `path_not_allowed`. Where `call` and the
/// input say different things, the input holds; of two timeouts the shorter one.
pub fn run(client: &Client, json: &str, call: Call<'_>) -> Result<Outcome<StepResult>> {
    if operation(json)? == input::Batch::ID {
        return run_as::<input::Batch>(client, json, call);
    }
    run_alone(client, json, call)
}

/// [`run`] for the steps of a batch: none of them is a batch.
pub(crate) fn run_alone(client: &Client, json: &str, call: Call<'_>) -> Result<Outcome<StepResult>> {
    let operation = operation(json)?;
    match OPERATIONS.iter().find(|(id, _)| *id == operation) {
        Some((_, run)) => run(client, json, call),
        None if operation == input::Batch::ID => Err(refused("operation", "is a batch, and a batch holds no other")),
        None => {
            let known: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).chain([input::Batch::ID]).collect();
            Err(refused("operation", format_args!("there is no {:?}; there is {}", one_line(&operation), known.join(", "))))
        }
    }
}

fn operation(json: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Head {
        operation: String,
    }

    if json.len() > MAX_INPUT_BYTES {
        return Err(refused("", format_args!("has {} bytes; at most {MAX_INPUT_BYTES} are taken", json.len())));
    }
    parse(json).map(|Head { operation }| operation)
}

/// [`run`] once the operation is known.
fn run_as<O: Operation>(client: &Client, json: &str, call: Call<'_>) -> Result<Outcome<StepResult>> {
    parse::<O>(json)?.run(client, call).map(|outcome| outcome.map(Into::into))
}
