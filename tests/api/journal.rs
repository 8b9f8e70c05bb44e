//! A batch that goes on with its journal after its process died.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use zcrm::batch::{self, Item, Options, Summary};
use zcrm::config::LogLevel;
use zcrm::{Call, Client};
use zcrm_emulator::{Fault, PNG};

use crate::support::{World, bytes, config, world_with};

/// A world whose batch has a journal. Nothing is late, unless a test says so.
fn journaled() -> World {
    world_with(&[("settle_waits_ms", "1")])
}

fn journal(w: &World) -> PathBuf {
    w.path("journal")
}

/// A step about the contact.
fn step(w: &World, operation: &str, more: Value) -> Value {
    let mut step = json!({"operation": operation, "module": "Contacts", "record_id": w.contact.id});
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

fn items(steps: &[Value]) -> Vec<Item> {
    steps.iter().enumerate().map(|(i, step)| Item { key: format!("k{i}"), step: step.to_string() }).collect()
}

/// What the batch's summary is, and what `ended` is told of each key.
fn run(w: &World, steps: &[Value]) -> (Summary, BTreeMap<String, Value>) {
    run_with(&w.client, w, items(steps), Call::default())
}

fn run_with(client: &Client, w: &World, items: Vec<Item>, call: Call<'_>) -> (Summary, BTreeMap<String, Value>) {
    let mut told = BTreeMap::new();
    let options = Options { journal: Some(journal(w)), parallel: 8, ..Options::default() };
    let outcome = batch::run(client, items, &options, call, &mut |end| {
        let end_is = match end.outcome {
            Ok(outcome) => json!({"ok": serde_json::from_str::<Value>(outcome).unwrap()["result"]}),
            Err(error) => json!({"error": error.reason()}),
        };
        assert!(told.insert(end.key.to_owned(), end_is).is_none(), "{} is told once", end.key);
        true
    });
    (outcome.unwrap().result, told)
}

/// The journal as a process leaves it that dies after the effects and before it could note their ends.
fn forget_the_ends(w: &World) {
    let text = std::fs::read_to_string(journal(w)).unwrap();
    let begun: String = text.lines().filter(|line| !line.starts_with("{\"done\"")).map(|line| format!("{line}\n")).collect();
    std::fs::write(journal(w), begun).unwrap();
}

fn upload(w: &World, name: &str) -> Value {
    step(w, "attachment.upload", json!({"source": {"base64": "eHh4", "name": name}}))
}

#[test]
fn whatever_was_done_before_its_end_was_noted_is_told_as_done_and_isnt_done_twice() {
    let w = journaled();
    let ids: Vec<String> = (0..5).map(|i| w.attach(&format!("{i}.txt"), b"content")).collect();
    let path = |name: &str| json!({"sink": {"path": w.path(name)}});
    w.emulator.set_photo("Contacts", &w.contact.id, PNG);
    let with_photo = w.record();
    w.emulator.set_photo("Contacts", &with_photo, PNG);
    let mut photo_of_another = step(&w, "photo.delete", json!({}));
    photo_of_another["record_id"] = json!(with_photo);
    let links: Vec<Value> = (0..3).map(|i| json!({"url": format!("https://example.com/{i}")})).collect();
    let mut download = path("file");
    download["attachment_id"] = json!(ids[3]);
    let steps = [
        upload(&w, "a.txt"),
        step(&w, "attachment.upload", json!({"source": {"url": "https://example.com/a"}})),
        step(&w, "attachment.upload", json!({"links": links})),
        step(&w, "attachment.delete", json!({"attachment_ids": [ids[0]]})),
        step(&w, "attachment.delete", json!({"attachment_ids": [ids[1], ids[2]]})),
        photo_of_another,
        step(&w, "photo.download", path("photo")),
        step(&w, "attachment.download", download),
        step(&w, "attachment.list", json!({})),
    ];
    let (first, _) = run(&w, &steps);
    assert_eq!((first.done, first.failed), (9, 0));
    let stored = w.stored().len();
    forget_the_ends(&w);
    let (again, told) = run(&w, &steps);
    assert_eq!((again.done, again.failed, again.from_journal), (9, 0, 0), "{told:#?}");
    assert_eq!(w.stored().len(), stored);
    assert_eq!(told["k0"]["ok"]["skipped"], true);
    let (noted, _) = run(&w, &steps);
    assert_eq!((noted.done, noted.from_journal), (9, 9));
}

#[test]
fn a_file_that_isnt_the_work_of_the_step_stays_and_is_told() {
    let w = journaled();
    let id = w.attach("a.txt", b"content");
    let steps = [step(&w, "attachment.download", json!({"attachment_id": id, "sink": {"path": w.path("file")}}))];
    run(&w, &steps);
    forget_the_ends(&w);
    w.file("file", b"another's");
    let (summary, told) = run(&w, &steps);
    assert_eq!((summary.failed, &told["k0"]["error"]), (1, &json!("target_exists")));
    assert_eq!(std::fs::read(w.path("file")).unwrap(), b"another's");
}

#[test]
fn a_step_is_the_same_however_it_is_written_and_another_one_is_refused() {
    let w = journaled();
    run(&w, &[upload(&w, "a.txt")]);
    let id = &w.contact.id;
    let same = format!(
        "\u{feff}{{ \"source\" : {{\"name\":\"\\u0061.txt\", \"base64\":\"eHh4\", \"content_type\":null}},\r\n\"record_id\":\"{id}\",\
         \"trace_id\":\"second run\",\"module\":\"Contacts\",\"operation\":\"attachment.upload\"}}"
    );
    let (summary, _) = run_with(&w.client, &w, vec![Item { key: "k0".into(), step: same }], Call::default());
    assert_eq!((summary.done, summary.from_journal), (1, 1));
    let (summary, told) = run(&w, &[upload(&w, "b.txt")]);
    assert_eq!((summary.failed, &told["k0"]["error"], w.stored().len()), (1, &json!("journal_key"), 1));
}

#[test]
fn a_file_that_has_changed_since_the_journal_knows_its_step_is_told_and_not_sent() {
    let w = journaled();
    let path = w.file("a.bin", &bytes(100));
    let photo = w.file("photo.png", PNG);
    let steps = [
        step(&w, "attachment.upload", json!({"source": {"path": path}})),
        step(&w, "photo.upload", json!({"source": {"path": photo}})),
        step(&w, "attachment.list", json!({})),
    ];
    run(&w, &steps);
    w.file("a.bin", &bytes(101));
    w.file("photo.png", &[PNG, b"more"].concat());
    w.emulator.clear_ledger();
    let (summary, told) = run(&w, &steps);
    assert_eq!((summary.failed, summary.from_journal), (2, 1));
    assert!(told["k0"]["error"] == "journal_source_changed" && told["k1"]["error"] == "journal_source_changed", "{told:?}");
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_refused_step_is_tried_again_with_its_mended_file() {
    let w = journaled();
    let photo = step(&w, "photo.upload", json!({"source": {"path": w.file("photo.png", b"no picture")}}));
    assert_eq!(run(&w, std::slice::from_ref(&photo)).0.failed, 1);
    w.file("photo.png", PNG);
    assert_eq!(run(&w, &[photo]).0.done, 1);
}

#[test]
fn of_several_steps_that_attach_the_same_each_has_a_copy_of_its_own() {
    for stored in [1, 3] {
        let w = journaled();
        let steps: Vec<Value> = (0..8).map(|_| upload(&w, "same.txt")).collect();
        w.emulator.script("attachment.upload", vec![Fault::status(403); 8]);
        run(&w, &steps);
        // All of them were begun, and some were stored, when the process died.
        let text = std::fs::read_to_string(journal(&w)).unwrap();
        std::fs::write(journal(&w), text.lines().filter(|l| !l.contains("\"failed\"")).map(|l| format!("{l}\n")).collect::<String>()).unwrap();
        (0..stored).for_each(|_| drop(w.attach("same.txt", b"xxx")));
        let (summary, told) = run(&w, &steps);
        let ids: std::collections::BTreeSet<_> = told.values().map(|end| end["ok"]["id"].as_str().unwrap()).collect();
        assert_eq!((summary.done, w.stored().len(), ids.len()), (8, 8, 8), "{stored} were stored");
    }
}

#[test]
fn a_step_that_goes_on_takes_no_file_that_has_another_steps_name() {
    let w = journaled();
    let steps = [upload(&w, "a-b.txt"), upload(&w, "a.b.txt")];
    w.emulator.script("attachment.upload", vec![Fault::status(403); 2]);
    run(&w, &steps);
    // Both were begun, and the second was stored, when the process died.
    let text = std::fs::read_to_string(journal(&w)).unwrap();
    std::fs::write(journal(&w), text.lines().filter(|l| !l.contains("\"failed\"")).map(|l| format!("{l}\n")).collect::<String>()).unwrap();
    w.attach("a.b.txt", b"xxx");
    let one_by_one = Options { journal: Some(journal(&w)), parallel: 1, ..Options::default() };
    let summary = batch::run(&w.client, items(&steps), &one_by_one, Call::default(), &mut |_| true).unwrap().result;
    let mut names: Vec<String> = w.stored().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!((summary.done, names), (2, vec!["a-b.txt".to_owned(), "a.b.txt".to_owned()]));
}

#[test]
fn a_run_that_fails_before_it_can_look_leaves_what_was_begun_to_the_next_one() {
    let w = journaled();
    let id = w.attach("a.txt", b"content");
    let gone = w.attach("b.txt", b"content");
    let steps = [
        upload(&w, "c.txt"),
        step(&w, "attachment.delete", json!({"attachment_ids": [gone]})),
        step(&w, "attachment.download", json!({"attachment_id": id, "sink": {"path": w.path("file")}})),
    ];
    run(&w, &steps);
    forget_the_ends(&w);
    let stored = w.stored();
    let refusing = zcrm_emulator::Emulator::start(zcrm_emulator::Options::default()).unwrap();
    let allow = w.dir.path().to_str().unwrap();
    // One that refuses every token, and one that isn't there.
    for address in [refusing.url(), "http://127.0.0.1:1"] {
        let settings =
            [("allow_paths", allow), ("api_domain", address), ("access_token", "1000.another"), ("max_retries", "0"), ("settle_waits_ms", "1")];
        let client = Client::new(config(&w.emulator, &settings)).unwrap();
        assert_eq!(run_with(&client, &w, items(&steps), Call::default()).0.done, 0, "{address}");
    }
    let (summary, told) = run(&w, &steps);
    assert_eq!((summary.done, w.stored()), (3, stored), "{told:#?}");
}

#[test]
fn unfinished_files_of_a_killed_run_go_where_this_process_has_been_before() {
    let w = journaled();
    let id = w.attach("a.txt", b"content");
    let download = |name: &str| step(&w, "attachment.download", json!({"attachment_id": id, "sink": {"path": w.path(name)}}));
    run(&w, &[download("first")]);
    let left = std::fs::File::create(w.path(".zcrm-left.partial")).unwrap();
    left.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(48 * 3600)).unwrap();
    run(&w, &[download("first"), download("second")]);
    assert_eq!(w.files(), ["first", "journal", "second"]);
}

#[test]
fn a_deletion_that_a_page_answered_is_told_as_done_by_the_next_run() {
    let w = world_with(&[("settle_waits_ms", "1"), ("max_retries", "0")]);
    let id = w.attach("a.txt", b"content");
    w.emulator.script("attachment.delete", [Fault::html(403).after_store()]);
    let steps = [step(&w, "attachment.delete", json!({"attachment_ids": [id]}))];
    let (first, _) = run(&w, &steps);
    let (second, told) = run(&w, &steps);
    assert_eq!((first.failed, first.unknown, second.done), (1, 1, 1), "{told:?}");
}

#[test]
fn a_step_that_is_given_several_times_with_skip_stores_one_copy() {
    let w = journaled();
    let mut skipping = upload(&w, "same.txt");
    skipping["if_exists"] = json!("skip");
    let (summary, _) = run(&w, &[skipping.clone(), skipping.clone(), skipping.clone(), skipping]);
    assert_eq!((summary.done, w.stored().len()), (4, 1));
}

/// A client of the world that keeps its log lines.
fn listening(w: &World, settings: &[(&str, &str)]) -> (Client, Arc<Mutex<String>>) {
    let said = Arc::new(Mutex::new(String::new()));
    let allow = w.dir.path().to_str().unwrap();
    let mut config = config(&w.emulator, &[&[("allow_paths", allow), ("retry_base_ms", "1")], settings].concat());
    let lines = said.clone();
    config.set_log_fn(LogLevel::Warn, move |_, line| *lines.lock().unwrap() += line);
    (Client::new(config).unwrap(), said)
}

#[test]
fn uploads_that_had_begun_come_last_and_their_wait_is_logged() {
    let w = journaled();
    let mut photo = step(&w, "photo.upload", json!({"source": {"path": w.file("photo.png", PNG)}}));
    photo["trace_id"] = json!("photo");
    let steps = [upload(&w, "begun.txt"), photo, step(&w, "attachment.list", json!({}))];
    run(&w, &steps);
    forget_the_ends(&w);
    let (client, said) = listening(&w, &[("settle_waits_ms", "400,400")]);
    let mut order = Vec::new();
    let options = Options { journal: Some(journal(&w)), ..Options::default() };
    let outcome = batch::run(&client, items(&[&steps[..], &[upload(&w, "new.txt")]].concat()), &options, Call::default(), &mut |end| {
        order.push(end.key.to_owned());
        true
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.result.done, order.last().map(String::as_str)), (4, Some("k0")));
    assert!(outcome.wait_reason == Some("settling") && outcome.waited_ms > 0, "{outcome:?}");
    assert!(said.lock().unwrap().contains("settle_waits_ms"), "{said:?}");
}

#[test]
fn what_can_simply_be_done_again_waits_for_nothing() {
    let w = journaled();
    let id = w.attach("a.txt", b"content");
    let steps = [
        step(&w, "photo.upload", json!({"source": {"path": w.file("photo.png", PNG)}})),
        step(&w, "attachment.download", json!({"attachment_id": id, "sink": {"path": w.path("file")}})),
        step(&w, "attachment.delete", json!({"attachment_ids": [id]})),
    ];
    let one_by_one = Options { journal: Some(journal(&w)), parallel: 1, ..Options::default() };
    batch::run(&w.client, items(&steps), &one_by_one, Call::default(), &mut |_| true).unwrap();
    w.attach("a.txt", b"content");
    forget_the_ends(&w);
    let (client, _) = listening(&w, &[("settle_waits_ms", "60000")]);
    let begun = [&steps[..1], &steps[2..]].concat();
    let items: Vec<Item> = [0, 2].iter().zip(begun).map(|(i, step)| Item { key: format!("k{i}"), step: step.to_string() }).collect();
    let outcome = batch::run(&client, items, &one_by_one, Call::default(), &mut |_| true).unwrap();
    assert_eq!((outcome.result.done, outcome.wait_reason), (2, None));
}

#[test]
fn a_refusal_in_several_lines_is_one_line_of_the_journal() {
    let w = journaled();
    let refusal =
        "{\n  \"code\": \"INVALID_URL_PATTERN\",\r\n  \"details\": {\n    \"a\": [1,\n\t2]\n  },\n  \"message\": \"no\", \"status\": \"error\"\n}";
    w.emulator.script("attachment.upload", [Fault::none(), Fault::body(400, refusal.as_bytes())]);
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]);
    let steps = [step(&w, "attachment.upload", json!({"links": links}))];
    let (first, told) = run(&w, &steps);
    assert_eq!((first.done, &told["k0"]["ok"]["links"][1]["error"]["details"]["a"]), (1, &json!([1, 2])), "{told:?}");
    let (second, again) = run(&w, &steps);
    assert_eq!((second.from_journal, again, w.stored().len()), (1, told, 1));
}

#[test]
fn the_bytes_of_no_file_go_into_a_batch_or_its_journal() {
    let w = journaled();
    let id = w.attach("a.txt", b"content");
    let (summary, told) = run(&w, &[step(&w, "attachment.download", json!({"attachment_id": id, "sink": {"base64": true}}))]);
    assert_eq!((summary.failed, &told["k0"]["error"]), (1, &json!("step_input")));
    run_with(&w.client, &w, vec![Item { key: "upload".into(), step: upload(&w, "b.txt").to_string() }], Call::default());
    let text = std::fs::read_to_string(journal(&w)).unwrap();
    assert!(text.contains("b.txt") && !text.contains("eHh4") && !text.contains("xxx"), "{text}");
}
