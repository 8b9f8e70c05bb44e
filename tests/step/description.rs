//! What engines draw their forms from.

use serde_json::{Value, json};
use zcrm::{Call, Error, step};

use crate::support::{World, world};
use crate::{description, upload, validator};
#[test]
fn every_schema_of_the_description_is_a_schema_of_draft_2020_12() {
    let description = description();
    for operation in description["operations"].as_array().unwrap() {
        for schema in [&operation["input"], &operation["output"]] {
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|e| panic!("{}: {e}", operation["id"]));
        }
    }
    jsonschema::draft202012::meta::validate(&description["error"]).unwrap();
}

#[test]
fn every_example_is_valid_and_is_taken_by_the_library() {
    let w = world();
    for operation in description()["operations"].as_array().unwrap() {
        let (validator, examples) = (validator(&operation["input"]), operation["examples"].as_array().unwrap());
        assert!(!examples.is_empty());
        for example in examples {
            let input = &example["input"];
            assert_eq!((&input["operation"], example["title"].is_string()), (&operation["id"], true));
            let problems: Vec<String> = validator.iter_errors(input).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{problems:?} in {input}");
            // The record isn't there: what counts is that the input is understood.
            let error = step::run(&w.client, &input.to_string(), Call::default()).err();
            assert!(error.as_ref().is_none_or(|e| e.reason() != "step_input"), "{error:?}");
        }
    }
}

#[test]
fn an_error_is_as_the_description_says() {
    let w = world();
    let validator = validator(&description()["error"]);
    for input in [json!({}), upload("999", &json!({"url": "https://example.com"})), upload("1", &json!({"path": "/etc/passwd"}))] {
        let error: Value = serde_json::from_str(&error_of(&w, &input).to_json()).unwrap();
        let problems: Vec<String> = validator.iter_errors(&error).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?} in {error}");
    }
}

fn error_of(w: &World, input: &Value) -> Error {
    step::run(&w.client, &input.to_string(), Call::default()).unwrap_err()
}

#[test]
fn the_description_has_every_operation_setting_and_status_in_its_place() {
    let description = description();
    let ids: Vec<&str> = description["operations"].as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap()).collect();
    let all = [
        "attachment.upload",
        "attachment.list",
        "attachment.download",
        "photo.upload",
        "photo.download",
        "photo.delete",
        "attachment.delete",
        "record.list",
        "batch",
    ];
    assert_eq!(ids, all);
    let settings = description["settings"].as_array().unwrap();
    let secrets: Vec<&str> = settings.iter().filter(|s| s["secret"] == true).map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(secrets, ["access_token", "refresh_token", "client_secret", "grant_code", "proxy"]);
    assert_eq!(settings.len(), zcrm::config::KEYS.len());
    let retry: Vec<&str> =
        description["statuses"].as_array().unwrap().iter().filter(|s| s["retry"] == true).map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(retry, ["ZCRM_E_RATE_LIMITED", "ZCRM_E_SERVER", "ZCRM_E_NETWORK", "ZCRM_E_TIMEOUT"]);
    assert_eq!(description["limits"]["base64_bytes"], json!(step::MAX_BASE64_BYTES));
}

#[test]
fn a_form_drawn_from_the_description_has_the_fields_in_order_and_a_help_for_each() {
    for operation in description()["operations"].as_array().unwrap() {
        let fields = operation["input"]["properties"].as_object().unwrap();
        let wanted: &[&str] = match operation["id"].as_str().unwrap() {
            "batch" => &["operation", "steps", "journal"],
            "record.list" => &["operation", "module", "page"],
            _ => &["operation", "module", "record_id"],
        };
        let first: Vec<&str> = fields.keys().map(String::as_str).take(3).collect();
        assert_eq!(first, wanted);
        assert_eq!(fields.keys().next_back().map(String::as_str), Some("trace_id"));
        assert!(fields.values().all(|field| field["description"].is_string()), "{}", operation["id"]);
    }
    // Links of Rust's documentation mean nothing there.
    assert!(!step::describe().contains("[`"));
}
