//! A schema admits what the library takes, and nothing else: shown from both sides.

use serde_json::{Value, json};
use zcrm::{Call, Status, step};

use crate::random::{Random, seed};
use crate::support::{World, world_with};
use crate::{but, operation, upload, validator};

const OPERATIONS: [&str; 9] = [
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

fn impatient() -> World {
    world_with(&[("max_retries", "0"), ("settle", "off")])
}

/// Whether the library refuses the input for its form. Which files may be named, and what stands behind a URL, no schema can say.
fn is_malformed(w: &World, input: &Value) -> Option<String> {
    let error = step::run(&w.client, &input.to_string(), Call::default()).err()?;
    let malformed = match error.status() {
        Status::Argument => error.reason() != "path_not_allowed",
        Status::InvalidLink => true,
        _ => false,
    };
    malformed.then(|| error.to_string())
}

/// A good step of each operation, with every kind of source and sink.
fn good(w: &World) -> Vec<Value> {
    let of = |id: &str, more: Value| but(&upload("1", &json!(0)), &but(&json!({"operation": id, "source": null}), &more));
    let path = |name: &str| w.path(name).to_str().unwrap().to_owned();
    vec![
        upload("1", &json!({"path": path("a"), "name": "n", "content_type": "text/plain"})),
        upload("1", &json!({"base64": "eHh4", "name": "n"})),
        upload("1", &json!({"url": "https://example.com", "title": "t"})),
        of("attachment.upload", json!({"links": [{"url": "https://example.com", "title": "t"}]})),
        of("attachment.list", json!({"page": 1, "per_page": 50, "fields": "id"})),
        of("attachment.list", json!({"page_token": "t"})),
        of("attachment.download", json!({"attachment_id": "2", "sink": {"path": path("b"), "overwrite": true, "max_bytes": 5}})),
        of("photo.upload", json!({"source": {"path": path("a")}, "restrict_triggers": "workflow"})),
        of("photo.download", json!({"sink": {"base64": true}, "expected_bytes": 5})),
        of("photo.delete", json!({"timeout_ms": 5000, "trace_id": "t", "again": false})),
        of("attachment.delete", json!({"attachment_ids": ["2", "3"]})),
        json!({"operation": "record.list", "module": "Contacts", "page": 1, "per_page": 50}),
        json!({"operation": "record.list", "module": "Contacts", "page_token": "t"}),
        json!({"operation": "batch", "steps": [{"key": "k", "step": of("photo.delete", json!({}))}], "parallel": 2, "credits": 5}),
    ]
}

/// Values that stand at a bound, beyond it, or are of another type.
fn odd() -> Vec<Value> {
    let mut odd = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(50.0),
        json!(5e3),
        json!(200),
        json!(201),
        json!(256),
        json!(257),
        json!(u32::MAX),
        json!(u64::from(u32::MAX) + 1),
        json!((1_u64 << 53) - 1),
        json!(1_u64 << 53),
        json!(u64::MAX),
        json!(1e300),
        json!([]),
        json!({}),
        json!(["2"]),
        json!([2]),
        json!([""]),
        json!({"path": "/x"}),
        json!({"url": "https://example.com"}),
        json!([{"url": "https://example.com"}]),
    ];
    for text in [
        "", " ", "1", "12x", "1\n", "skip", "Skip", "workflow", "upload", "Contacts", "a.b", "eA", "eA=", "eA==", "e", "e===", "eH=4", "eHh4\n",
        "\u{1}", "é",
    ] {
        odd.push(json!(text));
    }
    for length in [32, 33, 64, 100, 101] {
        odd.push(json!("1".repeat(length)));
        odd.push(json!("a".repeat(length)));
    }
    odd
}

/// Paths of all values in it.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            all.push(format!("{at}/{name}"));
            places(field, &format!("{at}/{name}"), all);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| {
            all.push(format!("{at}/{i}"));
            places(item, &format!("{at}/{i}"), all);
        }),
        _ => {}
    }
}

#[test]
fn what_a_schema_refuses_the_library_refuses_and_what_it_admits_is_taken() {
    let w = impatient();
    w.file("a", b"content");
    let (mut count, mut wrong) = (0, Vec::new());
    for base in good(&w) {
        let validator = validator(&operation(base["operation"].as_str().unwrap())["input"]);
        let mut all = Vec::new();
        places(&base, "", &mut all);
        // A batch's step is judged by the schema of its own operation, and links by what stands behind their URL.
        all.retain(|place| !place.starts_with("/steps/0/step") && place != "/operation");
        for place in all {
            for value in odd() {
                let mut changed = base.clone();
                *changed.pointer_mut(&place).unwrap() = value;
                let url = changed.pointer(&place).unwrap();
                if place.ends_with("url") && url.is_string() && !url.as_str().unwrap().is_empty() {
                    continue;
                }
                let (admitted, refused) = (validator.is_valid(&changed), is_malformed(&w, &changed));
                count += 1;
                if admitted == refused.is_some() {
                    wrong.push(format!("{place}: admitted {admitted}, refused {refused:?}: {changed}"));
                }
            }
        }
    }
    assert!(count > 2_000, "{count}");
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}

#[test]
fn a_links_schema_and_the_library_tell_the_same_urls_apart() {
    let w = impatient();
    let validator = validator(&operation("attachment.upload")["input"]);
    let ports = [":", ":1", ":9999", ":54321", ":65535", ":65536", ":99999", ":100000", ":b", ":-1"].map(|port| format!("http://a{port}/"));
    let in_host = "|^<>@[] %_-~!$&'()*+,;=\u{e9}\u{7f}\u{80}\u{9f}\u{a0}".chars().filter(|c| *c != '%').map(|c| format!("http://a{c}b/"));
    let behind = "|^<>@[]%\u{e9}\u{20}\u{7f}\u{80}\u{9f}\u{a0}\u{2028}".chars().map(|c| format!("https://a/{c}?{c}#{c}"));
    for url in ports.into_iter().chain(in_host).chain(behind).chain(["http://[::1]/", "http://[::1]:80", "http://[::1"].map(str::to_owned)) {
        let input = upload("1", &json!({"url": url}));
        let refused = is_malformed(&w, &input);
        assert_eq!(validator.is_valid(&input), refused.is_none(), "{url:?}: {refused:?}");
    }
}

#[test]
fn steps_that_are_drawn_from_the_schemas_are_taken() {
    let (w, seed) = (impatient(), seed());
    let mut random = Random::new(seed);
    println!("SEED={seed}");
    for id in OPERATIONS {
        let schema = operation(id)["input"].take();
        let validator = validator(&schema);
        let mut drawn = 0;
        for _ in 0..200 {
            let mut input = draw(&schema, &mut random);
            // That the keys of a batch differ is what no schema can say.
            for (i, step) in input.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
                step["key"] = json!(format!("{i}{}", step["key"].as_str().unwrap()));
            }
            if validator.is_valid(&input) {
                drawn += 1;
                assert_eq!(is_malformed(&w, &input), None, "SEED={seed}: {input}");
            }
        }
        assert!(drawn > 10, "SEED={seed}: only {drawn} of {id}");
    }
}

/// A value that the schema may admit; where alternatives forbid each other the caller looks.
fn draw(schema: &Value, random: &mut Random) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(words) = schema["enum"].as_array() {
        return pick(words, random).clone();
    }
    if let Some(kinds) = schema["anyOf"].as_array().filter(|_| schema.get("type").is_none()) {
        return draw(pick(kinds, random), random);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => pick(kinds, random).as_str().unwrap().to_owned(),
        kind => kind.as_str().unwrap_or("object").to_owned(),
    };
    match kind.as_str() {
        "null" => Value::Null,
        "boolean" => json!(random.below(2) == 0),
        "integer" => number(schema, random),
        "string" => text(schema, random),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            Value::Array((0..least + random.below(2)).map(|_| draw(&schema["items"], random)).collect())
        }
        _ => object(schema, random),
    }
}

fn object(schema: &Value, random: &mut Random) -> Value {
    let alternative = schema["oneOf"].as_array().map(|all| pick(all, random).clone()).unwrap_or_default();
    let needed = |name: &str| [schema, &alternative].iter().any(|s| s["required"].as_array().is_some_and(|all| all.contains(&json!(name))));
    let mut drawn = serde_json::Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let absent = alternative["properties"][name]["type"] == "null";
        if needed(name) || (!absent && random.below(3) == 0) {
            drawn.insert(name.clone(), draw(field, random));
        }
    }
    Value::Object(drawn)
}

fn number(schema: &Value, random: &mut Random) -> Value {
    let (least, most) = (schema["minimum"].as_u64().unwrap_or(0), schema["maximum"].as_u64().unwrap());
    match random.below(5) {
        0 => json!(least),
        1 => json!(most),
        2 => json!((least + 1) as f64),
        3 => json!(most as f64),
        _ => json!(least + random.below(1000).min(most - least)),
    }
}

fn text(schema: &Value, random: &mut Random) -> Value {
    let samples: &[&str] = match schema["pattern"].as_str() {
        Some("^[A-Za-z][A-Za-z0-9_]{0,99}$") => &["Contacts", "A", "Custom_Module_9"],
        Some("^[0-9]{1,32}$") => &["1", "00000000000000000000000000000000", "3652397000000649013"],
        Some("^[0-9a-fA-F]{64}$") => &["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015AD"],
        Some(pattern) if pattern.contains("={0,2}") => &["", "eA", "eA=", "eA==", "eHh", "eHh4", "eHh=", "////", "eHh4eHh4eA=="],
        Some(pattern) if pattern.starts_with("^[Hh][Tt][Tt][Pp]") => {
            &["https://example.com", "HTTP://a.example/b?c#d", "http://[::1]:65535?\u{a0}\u{e9}"]
        }
        Some(pattern) if pattern.starts_with("^([A-Za-z0-9!") => &["", "text/plain", "text/plain; charset=utf-8"],
        Some(other) => panic!("no text for {other}"),
        None => &["", " ", "a", "é\u{1f600}", "a b", "a\\b\"c", "id,File_Name"],
    };
    let sample = *pick(samples, random);
    match (schema["maxLength"].as_u64(), schema["contentEncoding"].as_str()) {
        (Some(most), None) if random.below(4) == 0 && schema.get("pattern").is_none() => json!("a".repeat(most as usize)),
        _ => json!(sample),
    }
}

fn pick<'v, T>(all: &'v [T], random: &mut Random) -> &'v T {
    &all[random.below(all.len() as u64) as usize]
}
