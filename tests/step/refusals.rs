//! What is refused, and where it says so.

use serde_json::{Value, json};
use zcrm::{Call, Status, step};

use crate::support::world;
use crate::{batch, but, description, json_path, operation, refusal, run, upload, validator};
/// Inputs that are refused: what is changed of a good one, the JSON path, a word of the message.
fn bad() -> Vec<(Value, &'static str, &'static str)> {
    let file = upload("1", &json!({"path": "/x"}));
    let source = |source: Value| but(&file, &json!({"source": source}));
    let links = |links: Value| but(&file, &json!({"source": null, "links": links}));
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": "1"});
    let sink = |sink: Value| json!({"operation": "attachment.download", "module": "Contacts", "record_id": "1", "attachment_id": "2", "sink": sink});
    let photo = json!({"operation": "photo.upload", "module": "Contacts", "record_id": "1", "source": {"path": "/x"}});
    let delete = json!({"operation": "attachment.delete", "module": "Contacts", "record_id": "1", "attachment_ids": ["2"]});
    let many = batch(&[("a", list.clone()), ("b", list.clone())]);
    let second = |step: Value| json!({"operation": "batch", "steps": [{"key": "a", "step": list}, step]});
    vec![
        (json!({}), "$.operation", "missing"),
        (json!([]), "$", "object"),
        (json!({"operation": 7}), "$.operation", "string"),
        (json!({"operation": "attachment.uplaod"}), "$.operation", "attachment.upload"),
        (but(&file, &json!({"module": null})), "$.module", "missing"),
        (but(&file, &json!({"record_id": null})), "$.record_id", "missing"),
        (but(&file, &json!({"record_id": 1})), "$.record_id", "quotes"),
        (but(&file, &json!({"record_id": ["1"]})), "$.record_id", "digits"),
        (but(&file, &json!({"modul": "x"})), "$.modul", "`module`"),
        (but(&file, &json!({"timeout_ms": 0})), "$.timeout_ms", "at least 1"),
        (but(&file, &json!({"timeout_ms": "5s"})), "$.timeout_ms", "whole number"),
        (but(&file, &json!({"timeout_ms": -5})), "$.timeout_ms", "whole number"),
        (but(&file, &json!({"trace_id": 5})), "$.trace_id", "string"),
        (but(&file, &json!({"source": null})), "$.source", "missing"),
        (but(&file, &json!({"links": [{"url": "https://a"}]})), "$.links", "beside source"),
        (but(&file, &json!({"if_exists": "overwrite"})), "$.if_exists", "skip_same_bytes"),
        (but(&file, &json!({"if_exists": true})), "$.if_exists", "string"),
        (but(&file, &json!({"if_exists": ["skip"]})), "$.if_exists", "string"),
        (but(&file, &json!({"again": "yes"})), "$.again", "boolean"),
        (but(&file, &json!({"timeout_ms": 1.5})), "$.timeout_ms", "whole number"),
        (but(&file, &json!({"timeout_ms": 1e300})), "$.timeout_ms", "at most"),
        (but(&file, &json!({"timeout_ms": u64::MAX})), "$.timeout_ms", "at most"),
        (but(&file, &json!({"sha256": "yes"})), "$.sha256", "boolean"),
        (but(&file, &json!({"expected_sha256": "abc"})), "$.expected_sha256", "64"),
        (source(json!("/x")), "$.source", "object"),
        (source(json!(["/x"])), "$.source", "object"),
        (links(json!([["https://a"]])), "$.links[0]", "object"),
        (source(json!({})), "$.source", "path, url and base64"),
        (source(json!({"source": "/x"})), "$.source.source", "not a field"),
        (source(json!({"pathh": "/x"})), "$.source.pathh", "`path`"),
        (source(json!({"path": ""})), "$.source.path", "empty"),
        (source(json!({"path": "/x", "url": "https://a"})), "$.source.path", "beside url"),
        (source(json!({"path": "/x", "base64": "eA=="})), "$.source.base64", "beside path"),
        (source(json!({"path": "/x", "title": "t"})), "$.source.title", "link"),
        (source(json!({"url": ""})), "$.source.url", "empty"),
        (source(json!({"url": "https://a", "base64": "eA=="})), "$.source.base64", "beside url"),
        (source(json!({"url": "https://a", "name": "n"})), "$.source.name", "title"),
        (source(json!({"url": "https://a", "content_type": "n"})), "$.source.content_type", "file"),
        (source(json!({"base64": "eA=="})), "$.source.name", "missing"),
        (source(json!({"base64": "e A=", "name": "n"})), "$.source.base64", "not base64"),
        (source(json!({"base64": 5, "name": "n"})), "$.source.base64", "string"),
        (links(json!([])), "$.links", "empty"),
        (links(json!(vec![json!({"url": "https://a"}); 101])), "$.links", "100"),
        (links(json!([{"url": "https://a"}, {"title": "t"}])), "$.links[1].url", "missing"),
        (links(json!([{"url": "https://a"}, {"url": ""}])), "$.links[1].url", "empty"),
        (links(json!([{"url": "https://a", "name": "n"}])), "$.links[0].name", "`title`"),
        (but(&list, &json!({"page": 0})), "$.page", "1 to"),
        (but(&list, &json!({"per_page": 201})), "$.per_page", "200"),
        (but(&list, &json!({"per_page": 0})), "$.per_page", "200"),
        (but(&list, &json!({"fields": ["id"]})), "$.fields", "string"),
        (but(&list, &json!({"source": {"path": "/x"}})), "$.source", "not a field"),
        (but(&sink(json!({"path": "/x"})), &json!({"attachment_id": null})), "$.attachment_id", "missing"),
        (but(&sink(json!({"path": "/x"})), &json!({"sink": null})), "$.sink", "missing"),
        (sink(json!({})), "$.sink", "path and base64"),
        (sink(json!({"path": ""})), "$.sink.path", "empty"),
        (sink(json!({"path": "/x", "base64": true})), "$.sink.base64", "beside path"),
        (sink(json!({"path": "/x", "overwrite": "yes"})), "$.sink.overwrite", "boolean"),
        (sink(json!({"path": "/x", "max_bytes": 0})), "$.sink.max_bytes", "at least 1"),
        (sink(json!({"base64": false})), "$.sink.base64", "true"),
        (sink(json!({"base64": true, "overwrite": true})), "$.sink.overwrite", "path"),
        (but(&photo, &json!({"source": {"url": "https://a"}})), "$.source.url", "not a field"),
        (but(&photo, &json!({"source": {}})), "$.source", "path and base64"),
        (but(&photo, &json!({"restrict_triggers": "all"})), "$.restrict_triggers", "workflow"),
        (but(&delete, &json!({"attachment_ids": []})), "$.attachment_ids", "empty"),
        (but(&delete, &json!({"attachment_ids": "2"})), "$.attachment_ids", "sequence"),
        (but(&delete, &json!({"attachment_ids": ["2", 3]})), "$.attachment_ids[1]", "quotes"),
        (but(&many, &json!({"steps": null})), "$.steps", "missing"),
        (but(&many, &json!({"steps": []})), "$.steps", "empty"),
        (but(&many, &json!({"steps": vec![json!({"key": "a", "step": list}); 10_001]})), "$.steps", "10000"),
        (but(&many, &json!({"module": "Contacts"})), "$.module", "not a field"),
        (but(&many, &json!({"journal": ""})), "$.journal", "empty"),
        (but(&many, &json!({"parallel": 0})), "$.parallel", "256"),
        (but(&many, &json!({"parallel": 257})), "$.parallel", "256"),
        (but(&many, &json!({"credits": 0})), "$.credits", "at least 1"),
        (second(json!(["b", {}])), "$.steps[1]", "object"),
        (second(json!({"step": list})), "$.steps[1].key", "missing"),
        (second(json!({"key": "", "step": list})), "$.steps[1].key", "empty"),
        (second(json!({"key": 7, "step": list})), "$.steps[1].key", "string"),
        (second(json!({"key": "b"})), "$.steps[1].step", "missing"),
        (second(json!({"key": "b", "step": "x"})), "$.steps[1].step", "object"),
        (second(json!({"key": "b", "step": many})), "$.steps[1].step.operation", "no other"),
        (second(json!({"key": "b", "step": sink(json!({"base64": true}))})), "$.steps[1].step.sink.base64", "path"),
    ]
}

#[test]
fn what_is_wrong_with_an_input_is_named_by_its_json_path() {
    let w = world();
    for (input, path, word) in bad() {
        let error = step::run(&w.client, &input.to_string(), Call::default()).expect_err(path);
        assert_eq!((error.status(), error.reason()), (Status::Argument, "step_input"), "{input} {error}");
        assert_eq!(json_path(&error), path, "{input} {error}");
        // What stands inside of a batch is looked at when it runs.
        let checked = step::check(&w.client, &input.to_string());
        assert!(input["operation"] == "batch" || checked.is_err_and(|checked| checked.to_string() == error.to_string()), "{input}");
        let place = path.trim_start_matches("$.").trim_start_matches('$');
        assert!(error.to_string().starts_with(place) && error.to_string().contains(word), "{input} {error}");
    }
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_field_that_is_given_twice_is_refused_by_its_path() {
    let w = world();
    for (text, path) in [
        (r#"{"operation":"photo.delete","module":"A","record_id":"1","module":"B"}"#, "$.module"),
        (r#"{"operation":"attachment.upload","module":"A","record_id":"1","source":{"path":"a","path":"b"}}"#, "$.source.path"),
    ] {
        let error = step::run(&w.client, text, Call::default()).unwrap_err();
        assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", path), "{error}");
    }
}

#[test]
fn the_values_of_the_fields_in_an_array_are_no_step() {
    let w = world();
    let error = step::run(&w.client, r#"["photo.delete","Contacts","1"]"#, Call::default()).unwrap_err();
    assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", "$"));
}

#[test]
fn the_schema_refuses_what_the_library_refuses() {
    for (input, path, _) in bad().iter().filter(|(input, ..)| description_has(input)) {
        assert!(!validator(&operation(input["operation"].as_str().unwrap())["input"]).is_valid(input), "{path} of {input}");
    }
}

fn description_has(input: &Value) -> bool {
    description()["operations"].as_array().unwrap().iter().any(|o| o["id"] == input["operation"])
}

#[test]
fn null_is_as_good_as_not_given() {
    let w = world();
    let record = w.record();
    let source = json!({"path": null, "url": "https://example.com", "base64": null, "name": null, "content_type": null, "title": null});
    let mut input = upload(&record, &source);
    for field in ["links", "sha256", "expected_sha256", "timeout_ms", "trace_id"] {
        input[field] = Value::Null;
    }
    assert!(validator(&operation("attachment.upload")["input"]).is_valid(&input));
    run(&w, &input).unwrap();
}

#[test]
fn text_that_is_no_json_is_refused_with_the_place() {
    let w = world();
    for (text, word) in [
        ("", "too early"),
        ("{", "too early"),
        ("{\"operation\": attachment.list}", "column 15"),
        ("{\"operation\":\"photo.delete\",\"module\":\"Contacts\",\"record_id\":\"1\"} x", "wrong at line 1, column"),
        ("{\"operation\":\"photo.delete\",\"operation\":\"photo.delete\"}", "twice"),
        (&"[".repeat(100_000), "object"),
        (&format!("{{\"operation\":\"attachment.list\",\"x\":{}", "[".repeat(100_000)), "not a field"),
    ] {
        let error = step::run(&w.client, text, Call::default()).unwrap_err();
        assert_eq!(error.reason(), "step_input", "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_byte_order_mark_and_whole_numbers_written_as_floats_are_taken() {
    let w = world();
    let record = w.record();
    for more in [r#""timeout_ms":5000.0"#, r#""timeout_ms":5e3"#, r#""per_page":50.0,"page":1.0"#] {
        let text = format!("\u{feff}{{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"{record}\",{more}}}\r\n");
        step::run(&w.client, &text, Call::default()).unwrap();
    }
}

#[test]
fn the_operation_may_stand_anywhere_in_a_step() {
    let w = world();
    let record = w.record();
    let text = format!(r#"{{"record_id":"{record}","trace_id":"operation","module":"Contacts","operation":"attachment.list"}}"#);
    step::run(&w.client, &text, Call::default()).unwrap();
    for (text, word) in [
        (r#"{"operation":"attachment.list","operation":"photo.delete","module":"Contacts","record_id":"1"}"#, "twice"),
        (r#"{"operation":"attachment.list","module":"Contacts","record_id":"1""#, "too early"),
        (r#"{"module":"Contacts","record_id":"1"}"#, "missing"),
        (r#"{"module":{"operation":"attachment.list"},"record_id":"1"}"#, "missing"),
    ] {
        let error = step::run(&w.client, text, Call::default()).unwrap_err();
        assert!(error.reason() == "step_input" && error.to_string().contains(word), "{text}: {error}");
    }
}

#[test]
fn a_step_longer_than_the_limit_is_refused_before_it_is_read() {
    let w = world();
    let error = step::run(&w.client, &" ".repeat(step::MAX_INPUT_BYTES + 1), Call::default()).unwrap_err();
    assert!(error.to_string().contains("16777216"), "{error}");
}

#[test]
fn base64_over_the_cap_is_refused_with_the_way_out() {
    let w = world();
    let content = "A".repeat(usize::try_from(step::MAX_BASE64_BYTES).unwrap() / 3 * 4 + 8);
    let error = refusal(&w, &upload("1", &json!({"base64": content, "name": "n"})));
    assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", "$.source.base64"));
    assert!(error.to_string().contains("path"), "{error}");
}

#[test]
fn no_piece_of_a_file_is_in_an_error() {
    let w = world();
    for input in [
        upload("1", &json!("canary")),
        upload("1", &json!({"base64": "canary!", "name": "n"})),
        but(&upload("1", &json!({"path": "/x"})), &json!({"sha256": "canary\", expected canary"})),
    ] {
        assert!(!refusal(&w, &input).to_json().contains("canary"), "{input}");
    }
}

#[test]
fn what_the_operation_refuses_has_its_json_path_too() {
    let w = world();
    let path = w.file("a.exe", b"x");
    for (input, status, path) in [
        (but(&upload("1", &json!({"url": "https://a"})), &json!({"module": "../x"})), Status::Argument, "$.module"),
        (upload("12x", &json!({"url": "https://a"})), Status::Argument, "$.record_id"),
        (upload("1", &json!({"url": "https://user:pw@example.com"})), Status::InvalidLink, "$.source.url"),
        (upload("1", &json!({"url": "https://example.com", "title": "x".repeat(256)})), Status::InvalidLink, "$.source.title"),
        (upload("1", &json!({"path": path})), Status::FileType, "$.source.name"),
        (upload("1", &json!({"base64": "eA==", "name": ""})), Status::Argument, "$.source.name"),
        (but(&upload("12x", &json!(0)), &json!({"source": null, "links": [{"url": "https://a"}]})), Status::Argument, "$.record_id"),
        (
            json!({"operation": "attachment.delete", "module": "Contacts", "record_id": "1", "attachment_ids": ["x"]}),
            Status::Argument,
            "$.attachment_ids[0]",
        ),
        (
            json!({"operation": "attachment.list", "module": "Contacts", "record_id": "1", "page": 1, "page_token": "t"}),
            Status::Argument,
            "$.page_token",
        ),
    ] {
        let error = refusal(&w, &input);
        assert_eq!((error.status(), json_path(&error).as_str()), (status, path), "{error}");
        let message = error.to_string();
        assert!(!["link_url:", "name:"].iter().any(|parameter| message.starts_with(parameter)), "it is the step's field that is named: {message}");
    }
}
