//! Steps: every operation as JSON, what is refused and where it says so, and the description that engines draw their forms from.

mod batches;
mod description;
mod operations;
mod paths;
#[allow(dead_code, reason = "the seed is all that a step test takes from the environment")]
#[path = "../support/random.rs"]
mod random;
mod refusals;
mod schemas;
#[path = "../support/world.rs"]
mod support;

use serde_json::{Value, json};
use support::{World, canary};
use zcrm::{Call, Error, Result, step};

/// Runs a step, and holds what it gives against the schema that the description has for it.
fn run(w: &World, input: &Value) -> Result<Value> {
    let outcome = step::run(&w.client, &input.to_string(), Call::default()).inspect_err(|error| canary::check(&error.to_json()))?;
    let output = serde_json::to_value(&outcome).unwrap();
    canary::check(&output.to_string());
    let schema = &operation(input["operation"].as_str().unwrap())["output"];
    let problems: Vec<String> = validator(schema).iter_errors(&output).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:?} in {output}");
    Ok(output)
}

fn refusal(w: &World, input: &Value) -> Error {
    run(w, input).expect_err("it was done")
}

fn description() -> Value {
    serde_json::from_str(step::describe()).unwrap()
}

fn operation(id: &str) -> Value {
    let operations = description()["operations"].take();
    operations.as_array().unwrap().iter().find(|o| o["id"] == id).unwrap_or_else(|| panic!("no {id}")).clone()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

fn json_path(error: &Error) -> String {
    let details: Value = serde_json::from_str(error.detail().details.as_ref().expect("no details").get()).unwrap();
    details["json_path"].as_str().expect("no json_path").to_owned()
}

/// `base` with some fields changed; `null` takes one away.
fn but(base: &Value, changes: &Value) -> Value {
    let mut changed = base.clone();
    for (field, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(field)),
            value => changed[field] = value.clone(),
        }
    }
    changed
}

fn upload(record: &str, source: &Value) -> Value {
    json!({"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": source})
}

fn batch(steps: &[(&str, Value)]) -> Value {
    let steps: Vec<Value> = steps.iter().map(|(key, step)| json!({"key": key, "step": step})).collect();
    json!({"operation": "batch", "steps": steps})
}
