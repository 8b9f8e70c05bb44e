//! Steps: whatever the JSON is, up to where the first request would leave.

use std::sync::LazyLock;

use serde_json::Value;
use zcrm::{Call, Cancel, Client, Config, step};

use super::sound;

struct Host {
    client: Client,
    described: Value,
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
    let described = serde_json::from_str(step::describe()).unwrap();
    let cancel = Cancel::new();
    cancel.fire(); // before the first request
    Host { client: Client::new(config).unwrap(), described, cancel, files }
});

/// A step's JSON; `@` in it stands for a directory that steps may use.
pub fn step(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let json = text.replace('@', HOST.files.path().to_str().unwrap());
    let (status, reason) = run(&json);
    // A byte order mark is passed over.
    let plain = json.strip_prefix('\u{feff}').unwrap_or(&json);
    let Ok(value) = serde_json::from_str::<Value>(plain) else { return assert_eq!(reason, "step_input") };
    if reason != "step_input" {
        // The parser takes what the description allows, and takes it again when it is written back.
        let operation = HOST.described["operations"].as_array().unwrap().iter().find(|operation| operation["id"] == value["operation"]);
        let operation = operation.expect("an operation that is described");
        // A batch looks at each step, and an upload of several links at each link, when its turn comes.
        let in_turn = value["operation"] == "batch" || value["links"].is_array();
        assert!(reason != "cancelled" || in_turn || fits(&operation["input"], &value), "not as described: {value}");
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
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"journal\":{\"version\":3}}\n", "{}", file.display());
            std::fs::remove_file(file).unwrap();
        }
    }
    why
}

/// Whether the schema takes the value. The fuzzer leaves that to the tests over its corpus: with its instruments in it, a validator is
/// minutes of compiling, and slow.
#[cfg(fuzzing)]
fn fits(schema: &Value, _: &Value) -> bool {
    schema["type"] == "object"
}

#[cfg(not(fuzzing))]
fn fits(schema: &Value, value: &Value) -> bool {
    jsonschema::is_valid(schema, value)
}
