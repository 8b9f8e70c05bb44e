//! What steps there are: one JSON document from which an engine can draw its forms.

use once_cell::sync::Lazy;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::operation::Operation;
use super::output::StepResult;
use super::run::run_as;
use super::{MAX_BASE64_BYTES, MAX_INPUT_BYTES, MAX_ITEMS, input};
use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::config::{Config, KEYS};
use crate::error::{Detail, Result, Status};

/// Number of the description's own form: it is raised when a field changes its meaning; new fields don't raise it.
const SCHEMA: u32 = 1;

/// An operation as the description and the runner know it.
pub(super) struct Known {
    pub(super) id: &'static str,
    pub(super) run: fn(&Client, &str, Call<'_>) -> Result<Outcome<StepResult>>,
    describe: fn() -> Value,
    examples: &'static str,
}

impl Known {
    const fn new<O: Operation>(examples: &'static str) -> Known {
        Known { id: O::ID, run: run_as::<O>, describe: describe_one::<O>, examples }
    }
}

/// Every operation, in the order in which people look for them.
pub(super) const OPERATIONS: &[Known] = &[
    Known::new::<input::AttachmentUpload>(include_str!("examples/attachment.upload.json")),
    Known::new::<input::AttachmentList>(include_str!("examples/attachment.list.json")),
    Known::new::<input::AttachmentDownload>(include_str!("examples/attachment.download.json")),
    Known::new::<input::PhotoUpload>(include_str!("examples/photo.upload.json")),
    Known::new::<input::PhotoDownload>(include_str!("examples/photo.download.json")),
    Known::new::<input::PhotoDelete>(include_str!("examples/photo.delete.json")),
    Known::new::<input::AttachmentDelete>(include_str!("examples/attachment.delete.json")),
];

/// The description: one JSON document, made once.
///
/// `schema` (its form), `library`, `version`, `operations` (each with `id`, `title`, `help`, `page`, `input` and `output` as JSON Schema
/// draft 2020-12, `examples`), `error` (the JSON Schema of a failure), `settings` (the keys of a config), `statuses` (each with whether it is
/// worth a retry of the host), `limits`.
pub fn describe() -> &'static str {
    static DESCRIPTION: Lazy<String> = Lazy::new(|| description().to_string());
    &DESCRIPTION
}

fn description() -> Value {
    let operations: Vec<Value> = OPERATIONS
        .iter()
        .map(|known| {
            let mut operation = (known.describe)();
            operation["examples"] = serde_json::from_str(known.examples).expect("the examples are JSON, which a test shows");
            operation
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "library": "zcrm",
        "version": env!("CARGO_PKG_VERSION"),
        "operations": operations,
        "error": error(),
        "settings": KEYS.iter().map(|k| json!({"name": k.name, "default": k.default, "secret": k.secret, "help": k.help})).collect::<Value>(),
        "statuses": Status::ALL.iter().map(|s| json!({
            "number": *s as i32, "name": s.name(), "help": s.help(), "retry": s.is_retryable(),
        })).collect::<Value>(),
        "limits": limits(),
    })
}

fn describe_one<O: Operation>() -> Value {
    let mut input = schema::<O>(Contract::Deserialize);
    input.insert("title".into(), O::TITLE.into());
    input.insert("description".into(), O::HELP.into());
    let mut output = schema::<Outcome<O::Output>>(Contract::Serialize).to_value();
    output["title"] = format!("{}: result", O::TITLE).into();
    output["properties"]["operation"]["const"] = O::ID.into();
    json!({"id": O::ID, "title": O::TITLE, "help": O::HELP, "page": O::PAGE, "input": input, "output": output})
}

fn error() -> Schema {
    let mut error = schema::<Detail>(Contract::Serialize);
    error.insert("title".into(), "A failure".into());
    error.insert("description".into(), "What zcrm_error_json() gives.".into());
    error
}

/// Each schema stands by itself, without references: simple form builders follow none.
fn schema<T: JsonSchema>(contract: Contract) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.contract = contract;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

fn limits() -> Value {
    let config = Config::new();
    json!({
        "input_bytes": MAX_INPUT_BYTES,
        "base64_bytes": MAX_BASE64_BYTES,
        "items": MAX_ITEMS,
        "attachment_bytes": config.attachment_max_bytes,
        "photo_bytes": config.photo_max_bytes,
        "photo_pixels": config.photo_max_pixels,
    })
}
