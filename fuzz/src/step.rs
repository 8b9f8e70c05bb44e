//! Steps: whatever the JSON is, up to where the first request would leave.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use zcrm::{Call, Cancel, Client, Config, Error, step};

use super::sound;

struct Host {
    client: Client,
    /// By operation: the schema of its input, as `describe` has it.
    schemas: Vec<(String, Validator)>,
    cancel: Cancel,
    files: tempfile::TempDir,
}

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("a.txt"), "a").unwrap();
    let mut config = Config::new();
    config.set("api_domain", "http://127.0.0.1:9").unwrap();
    config.set("access_token", "1000.canary-of-the-step-target").unwrap();
    config.set("allow_paths", files.path().to_str().unwrap()).unwrap();
    let described: Value = serde_json::from_str(step::describe()).unwrap();
    let schema = |operation: &Value| (operation["id"].as_str().unwrap().to_owned(), jsonschema::validator_for(&operation["input"]).unwrap());
    let schemas = described["operations"].as_array().unwrap().iter().map(schema).collect();
    let cancel = Cancel::new();
    cancel.fire(); // before the first request
    Host { client: Client::new(config).unwrap(), schemas, cancel, files }
});

/// A step's JSON; `@` in it stands for a directory that steps may use.
pub fn step(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let json = text.replace('@', HOST.files.path().to_str().unwrap());
    let error = run(&json);
    sound(&error);
    assert!(!error.to_json().contains("canary-of-the-step-target"));
    let parsed = serde_json::from_str::<Value>(&json);
    let Ok(value) = parsed else { return assert_eq!(error.reason(), "step_input", "{error}") };
    if error.reason() != "step_input" {
        // What is taken is what the description says is taken, and stays so when it is written anew.
        let (_, schema) = HOST.schemas.iter().find(|(id, _)| value["operation"] == *id).expect("an operation that is described");
        assert!(error.reason() != "cancelled" || schema.is_valid(&value), "not as described: {:?}", schema.iter_errors(&value).next());
        let again = run(&value.to_string());
        assert_eq!((again.status(), again.reason()), (error.status(), error.reason()), "{again} and {error}");
    }
    let left = std::fs::read_dir(HOST.files.path()).unwrap().count();
    assert_eq!(left, 1, "a cancelled step left a file");
}

fn run(json: &str) -> Error {
    let call = Call { cancel: Some(HOST.cancel.clone()), ..Call::default() };
    step::run(&HOST.client, json, call).expect_err("nothing is sent")
}
