//! A batch as a step.

use serde_json::{Value, json};
use zcrm::{Call, Cancel, step};
use zcrm_emulator::{Fault, StallAt};

use crate::support::{world, world_with};
use crate::{batch, but, json_path, refusal, run, upload};
#[test]
fn a_batch_gives_each_step_its_outcome_in_the_order_of_the_input() {
    let w = world();
    let record = w.record();
    let file = |name: &str| upload(&record, &json!({"path": w.file(name, name.as_bytes())}));
    let steps = [
        ("one", file("1.txt")),
        ("wrong", but(&file("2.txt"), &json!({"modul": "x"}))),
        ("absent", upload(&record, &json!({"path": w.path("none.txt")}))),
        ("unknown", json!({"operation": "attachment.uplaod"})),
        ("list", json!({"operation": "attachment.list", "module": "Contacts", "record_id": record})),
    ];
    let result = run(&w, &but(&batch(&steps), &json!({"parallel": 1}))).unwrap()["result"].take();
    assert_eq!((&result["done"], &result["failed"], &result["left"], &result["attempts"]), (&json!(2), &json!(3), &json!(0), &json!(2)));
    let items = result["items"].as_array().unwrap();
    let told: Vec<(&str, &str)> = items.iter().map(|i| (i["key"].as_str().unwrap(), i["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("one", "done"), ("wrong", "failed"), ("absent", "failed"), ("unknown", "failed"), ("list", "done")]);
    assert_eq!(items[0]["result"]["id"], json!(w.emulator.attachments("Contacts", &record)[0].id));
    assert_eq!(items[1]["error"]["details"]["json_path"], "$.steps[1].step.modul");
    assert_eq!((&items[2]["error"]["name"], &items[2]["error"]["reason"]), (&json!("ZCRM_E_IO"), &json!("source_open")));
    assert_eq!(items[3]["error"]["details"]["json_path"], "$.steps[3].step.operation");
    assert_eq!(items[4]["result"]["attachments"].as_array().unwrap().len(), 1);
}

#[test]
fn a_step_that_runs_out_of_its_own_time_fails_and_the_others_are_run() {
    let w = world();
    let record = w.record();
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record});
    w.emulator.script("attachment.list", [Fault::stall(StallAt::BeforeReply)]);
    let steps = [("slow", but(&list, &json!({"timeout_ms": 50}))), ("next", list.clone()), ("last", list)];
    let result = run(&w, &but(&batch(&steps), &json!({"parallel": 1}))).unwrap()["result"].take();
    assert_eq!((&result["done"], &result["failed"], &result["left"], &result["stopped"]), (&json!(2), &json!(1), &json!(0), &Value::Null));
    assert_eq!((&result["items"][0]["status"], &result["items"][0]["error"]["reason"]), (&json!("failed"), &json!("call_timeout")));
}

#[test]
fn a_batch_with_its_journal_is_run_again_without_sending_anything() {
    let w = world();
    let record = w.record();
    let steps: Vec<(String, Value)> =
        (0..5).map(|i| (format!("k{i}"), upload(&record, &json!({"path": w.file(&format!("{i}.txt"), b"x")})))).collect();
    let steps: Vec<(&str, Value)> = steps.iter().map(|(key, step)| (key.as_str(), step.clone())).collect();
    let input = but(&batch(&steps), &json!({"journal": w.path("journal"), "credits": 3, "parallel": 1}));
    let first = run(&w, &input).unwrap()["result"].take();
    assert_eq!((&first["done"], &first["left"], &first["stopped"]), (&json!(3), &json!(2), &json!("credits_budget")));
    assert_eq!((&first["items"][4]["status"], &first["items"][4]["error"]), (&json!("left"), &Value::Null));
    let second = run(&w, &but(&input, &json!({"credits": null}))).unwrap()["result"].take();
    assert_eq!((&second["done"], &second["from_journal"], &second["left"]), (&json!(5), &json!(3), &json!(0)));
    assert_eq!((&second["items"][0]["from_journal"], &second["items"][0]["result"]), (&json!(true), &first["items"][0]["result"]));
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 5);
}

#[test]
fn an_upload_of_a_batch_that_nobody_can_tell_the_end_of_is_unknown() {
    let w = world_with(&[("on_unknown", "never_resend"), ("settle_waits_ms", "1")]);
    w.emulator.script("attachment.upload", [Fault::reset_before_store()]);
    let step = upload(&w.record(), &json!({"base64": "aGVsbG8=", "name": "hello.txt"}));
    let result = run(&w, &batch(&[("a", step)])).unwrap()["result"].take();
    assert_eq!((&result["failed"], &result["unknown"], &result["items"][0]["status"]), (&json!(1), &json!(1), &json!("unknown")));
}

#[test]
fn a_cancelled_batch_says_which_steps_are_left() {
    let w = world();
    let record = w.record();
    w.emulator.script("attachment.list", [Fault::stall(StallAt::BeforeReply)]);
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record});
    let input = but(&batch(&[("a", list.clone()), ("b", list)]), &json!({"parallel": 1})).to_string();
    let cancel = Cancel::new();
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| step::run(&w.client, &input, Call { cancel: Some(cancel.clone()), ..Call::default() }));
        while w.emulator.faults_left("attachment.list") > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        cancel.fire();
        running.join().unwrap().unwrap()
    });
    let output = serde_json::to_value(&outcome).unwrap();
    let result = &output["result"];
    assert_eq!((&result["left"], &result["failed"], &result["stopped"]), (&json!(2), &json!(0), &json!("cancelled")));
    assert_eq!((&result["items"][0]["status"], &result["items"][0]["error"]["name"]), (&json!("left"), &json!("ZCRM_E_CANCELLED")));
    assert_eq!(result["items"][1], json!({"key": "b", "status": "left", "from_journal": false}));
}

#[test]
fn two_steps_of_a_batch_with_one_key_are_refused_before_anything_is_sent() {
    let w = world();
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": w.record()});
    let error = refusal(&w, &batch(&[("a", list.clone()), ("b", list.clone()), ("a", list)]));
    assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", "$.steps[2].key"));
    assert!(w.emulator.ledger().requests.is_empty());
}

#[cfg(unix)]
#[test]
fn a_journal_lies_in_an_allowed_directory_and_no_other_file_becomes_one() {
    let w = world();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, w.path("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), w.path("dangling")).unwrap();
    let base = batch(&[("a", json!({"operation": "attachment.list", "module": "Contacts", "record_id": w.record()}))]);
    for path in [victim.clone(), w.path("link"), w.path("dangling")] {
        let error = refusal(&w, &but(&base, &json!({"journal": path})));
        assert_eq!((error.reason(), json_path(&error).as_str()), ("path_not_allowed", "$.journal"), "{path:?}: {error}");
    }
    let own = w.file("letter.txt", b"precious");
    assert_eq!(refusal(&w, &but(&base, &json!({"journal": own}))).reason(), "journal_corrupt");
    assert_eq!((std::fs::read(own).unwrap(), std::fs::read(victim).unwrap()), (b"precious".to_vec(), b"precious".to_vec()));
    assert!(!outside.path().join("new").exists() && w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_batch_that_comes_a_second_time_does_nothing_twice_and_says_what_is_left() {
    let w = world();
    let record = w.record();
    let steps: Vec<(String, Value)> =
        (0..4).map(|i| (format!("k{i}"), upload(&record, &json!({"base64": "eHh4", "name": format!("{i}.txt")})))).collect();
    let steps: Vec<(&str, Value)> = steps.iter().map(|(key, step)| (key.as_str(), step.clone())).collect();
    let cut = run(&w, &but(&batch(&steps), &json!({"credits": 2, "parallel": 1}))).unwrap()["result"].take();
    assert_eq!((&cut["done"], &cut["left"], &cut["stopped"]), (&json!(2), &json!(2), &json!("credits_budget")));
    let again = run(&w, &but(&batch(&steps), &json!({"again": true}))).unwrap()["result"].take();
    assert_eq!((&again["done"], &again["left"], &again["stopped"]), (&json!(4), &json!(0), &Value::Null));
    let skipped: Vec<&Value> = again["items"].as_array().unwrap().iter().map(|item| &item["result"]["skipped"]).collect();
    assert_eq!(skipped, [true, true, false, false]);
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 4);
}
