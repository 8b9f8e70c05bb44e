//! Steps: whatever the JSON is, up to where the first request would leave.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use zcrm::{Call, Cancel, Client, Config, step};

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
    let (status, reason) = run(&json);
    let Ok(value) = serde_json::from_str::<Value>(&json) else { return assert_eq!(reason, "step_input") };
    if reason != "step_input" {
        // What is taken is what the description says is taken, and stays so when it is written anew.
        let (_, schema) = HOST.schemas.iter().find(|(id, _)| value["operation"] == *id).expect("an operation that is described");
        assert!(reason != "cancelled" || schema.is_valid(&value), "not as described: {:?}", schema.iter_errors(&value).next());
        assert_eq!(run(&value.to_string()), (status, reason));
    }
}

/// Status and reason of the failure. A batch is none: it says that nothing was begun.
fn run(json: &str) -> (i32, &'static str) {
    let call = Call { cancel: Some(HOST.cancel.clone()), ..Call::default() };
    let (shown, why) = match step::run(&HOST.client, json, call) {
        Ok(outcome) => {
            assert_eq!((outcome.operation, outcome.attempts), ("batch", 0), "nothing is sent");
            let outcome = serde_json::to_value(&outcome).unwrap();
            assert_eq!((outcome["result"]["stopped"].as_str(), outcome["result"]["done"].as_u64()), (Some("cancelled"), Some(0)));
            (outcome.to_string(), (0, "cancelled"))
        }
        Err(error) => {
            sound(&error);
            (error.to_json(), (error.status() as i32, error.reason()))
        }
    };
    assert!(!shown.contains("canary-of-the-step-target"));
    for file in std::fs::read_dir(HOST.files.path()).unwrap().map(|file| file.unwrap().path()) {
        // A batch makes its journal, and nothing else makes anything.
        if !file.ends_with("a.txt") {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"journal\":{\"version\":1}}\n", "{}", file.display());
            std::fs::remove_file(file).unwrap();
        }
    }
    why
}
