//! Every operation as a step.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zcrm::{Call, Cancel, Sent, Status, step};
use zcrm_emulator::{Fault, PNG, StallAt};

use crate::support::{world, world_with};
use crate::{but, refusal, run, upload};

#[test]
fn a_file_is_attached_by_its_path() {
    let w = world();
    let record = w.record();
    let path = w.file("offer.pdf", b"%PDF");
    let output = run(&w, &but(&upload(&record, &json!({"path": path, "content_type": "application/pdf"})), &json!({"sha256": true}))).unwrap();
    let stored = &w.emulator.attachments("Contacts", &record)[0];
    assert_eq!((stored.name.as_str(), stored.bytes.as_slice()), ("offer.pdf", &b"%PDF"[..]));
    assert_eq!(output["operation"], "attachment.upload");
    assert_eq!(output["attempts"], 1);
    assert_eq!(output["result"]["id"], json!(stored.id));
    assert_eq!(output["result"]["sha256"], json!(stored.sha256));
    let part = &w.emulator.ledger().requests[0].parts[0];
    assert!(part.headers.iter().any(|line| line == "Content-Type: application/pdf"), "{part:?}");
}

#[test]
fn a_modules_records_are_listed_by_their_ids() {
    let w = world();
    let mut ids: Vec<String> = (0..3).map(|_| w.emulator.add_record("Widgets")).collect();
    ids.reverse();
    let all = run(&w, &json!({"operation": "record.list", "module": "Widgets"})).unwrap();
    assert_eq!((&all["operation"], &all["result"]), (&json!("record.list"), &json!({"record_ids": ids, "more_records": false})));
    let first = run(&w, &json!({"operation": "record.list", "module": "Widgets", "page": 1, "per_page": 2})).unwrap();
    let token = first["result"]["next_page_token"].as_str().unwrap();
    let second = run(&w, &json!({"operation": "record.list", "module": "Widgets", "page_token": token, "per_page": 2})).unwrap();
    assert_eq!(second["result"], json!({"record_ids": ids[2..], "more_records": false}));
}

#[test]
fn a_small_file_is_attached_from_base64_with_and_without_padding() {
    let w = world();
    let record = w.record();
    for base64 in ["aGVsbG8=", "aGVsbG8"] {
        run(&w, &upload(&record, &json!({"base64": base64, "name": "hello.txt"}))).unwrap();
    }
    let stored = w.emulator.attachments("Contacts", &record);
    assert!(stored.len() == 2 && stored.iter().all(|a| a.bytes == b"hello" && a.name == "hello.txt"), "{stored:?}");
}

#[test]
fn a_link_is_attached_with_its_title() {
    let w = world();
    let record = w.record();
    let output = run(&w, &upload(&record, &json!({"url": "https://example.com/a", "title": "Brochure"}))).unwrap();
    let stored = &w.emulator.attachments("Contacts", &record)[0];
    assert_eq!((stored.name.as_str(), stored.link_url.as_deref()), ("Brochure", Some("https://example.com/a")));
    assert_eq!(output["result"]["link_url"], "https://example.com/a");
}

#[test]
fn several_links_become_an_attachment_each() {
    let w = world();
    let record = w.record();
    let links = json!([{"url": "https://example.com/a", "title": "A"}, {"url": "https://example.com/b"}]);
    let output = run(&w, &but(&upload(&record, &json!(0)), &json!({"source": null, "links": links}))).unwrap();
    assert_eq!((&output["result"]["attached"], &output["result"]["failed"], &output["attempts"]), (&json!(2), &json!(0), &json!(2)));
    let stored: Vec<String> = w.emulator.attachments("Contacts", &record).into_iter().map(|a| a.id).collect();
    let said: Vec<&str> = output["result"]["links"].as_array().unwrap().iter().map(|l| l["attachment"]["id"].as_str().unwrap()).collect();
    assert_eq!(said, stored);
}

#[test]
fn a_link_that_is_refused_leaves_the_others_attached_and_says_where_it_stands() {
    let w = world();
    let record = w.record();
    let links = json!([{"url": "ftp://example.com/a"}, {"url": "https://example.com/b"}]);
    let output = run(&w, &but(&upload(&record, &json!(0)), &json!({"source": null, "links": links}))).unwrap();
    assert_eq!((&output["result"]["attached"], &output["result"]["failed"]), (&json!(1), &json!(1)));
    let error = &output["result"]["links"][0]["error"];
    assert_eq!((&error["name"], &error["details"]["json_path"]), (&json!("ZCRM_E_INVALID_LINK"), &json!("$.links[0].url")));
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 1);
}

#[test]
fn links_of_which_none_could_be_attached_are_an_error_with_what_became_of_each() {
    let w = world();
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]);
    let error = refusal(&w, &but(&upload("999", &json!(0)), &json!({"source": null, "links": links})));
    assert_eq!((error.status(), error.detail().attempts), (Status::InvalidRecord, 2));
    let details: Value = serde_json::from_str(error.detail().details.as_ref().unwrap().get()).unwrap();
    assert_eq!((&details["failed"], details["links"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(details["links"][1]["error"]["http_status"], error.detail().http_status);
}

#[test]
fn links_of_which_one_may_be_attached_leave_the_outcome_open_whichever_failed_first() {
    let w = world_with(&[("settle", "off")]);
    let record = w.record();
    w.emulator.script("attachment.upload", [Fault::status(403), Fault::reset_after_store()]);
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]);
    let error = refusal(&w, &but(&upload(&record, &json!(0)), &json!({"source": null, "links": links})));
    assert_eq!((error.status(), error.detail().outcome_open), (Status::Forbidden, true), "{error}");
    assert!(error.detail().request_sent != Sent::No && error.to_string().contains("of https://example.com/b it is not known"), "{error}");
}

#[test]
fn a_cancelled_step_says_so_though_a_link_was_attached_before() {
    let w = world();
    let record = w.record();
    w.emulator.script("attachment.upload", [Fault::none(), Fault::stall(StallAt::BeforeReply)]);
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}, {"url": "https://example.com/c"}]);
    let input = but(&upload(&record, &json!(0)), &json!({"source": null, "links": links})).to_string();
    let cancel = Cancel::new();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
            step::run(&w.client, &input, call)
        });
        while w.emulator.faults_left("attachment.upload") > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        cancel.fire();
        running.join().unwrap().unwrap_err()
    });
    let details: Value = serde_json::from_str(error.detail().details.as_ref().unwrap().get()).unwrap();
    assert_eq!((error.status(), &details["attached"], &details["failed"]), (Status::Cancelled, &json!(1), &json!(2)));
    // The link that was sent says it, and not the one behind it, which wasn't.
    assert_eq!((error.detail().outcome_open, error.detail().request_sent), (true, Sent::Fully), "{error}");
    assert!(error.to_string().contains("is not known"), "{error}");
}

#[test]
fn a_job_that_comes_a_second_time_attaches_nothing_twice() {
    let w = world();
    let record = w.record();
    let file = but(&upload(&record, &json!({"base64": "aGVsbG8=", "name": "hello.txt"})), &json!({"if_exists": "skip_same_bytes"}));
    let links = json!({"source": null, "if_exists": "skip", "links": [{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]});
    for skipped in [false, true] {
        assert_eq!(run(&w, &file).unwrap()["result"]["skipped"], skipped);
        let output = run(&w, &but(&file, &links)).unwrap();
        assert_eq!((&output["result"]["attached"], &output["result"]["links"][1]["attachment"]["skipped"]), (&json!(2), &json!(skipped)));
    }
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 3);
}

#[test]
fn any_step_may_say_that_it_may_have_been_done_before() {
    let w = world();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.txt", b"abc");
    w.emulator.set_photo("Contacts", &record, PNG);
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]);
    let steps = [
        upload(&record, &json!({"base64": "aGVsbG8=", "name": "hello.txt"})),
        but(&upload(&record, &json!(0)), &json!({"source": null, "links": links})),
        but(&upload(&record, &json!(0)), &json!({"source": null, "operation": "attachment.list"})),
        but(
            &upload(&record, &json!(0)),
            &json!({"source": null, "operation": "attachment.download", "attachment_id": id, "sink": {"path": w.path("a")}}),
        ),
        but(&upload(&record, &json!({"base64": STANDARD.encode(PNG), "name": "p.png"})), &json!({"operation": "photo.upload"})),
        but(&upload(&record, &json!(0)), &json!({"source": null, "operation": "photo.download", "sink": {"path": w.path("p")}})),
        but(&upload(&record, &json!(0)), &json!({"source": null, "operation": "photo.delete"})),
        but(&upload(&record, &json!(0)), &json!({"source": null, "operation": "attachment.delete", "attachment_ids": [id]})),
    ];
    let all = |again: bool| {
        for step in &steps {
            // What a step after it takes away is there again.
            if step["operation"] == "attachment.download" && again {
                let again = w.emulator.attach("Contacts", &record, "a.txt", b"abc");
                run(&w, &but(step, &json!({"again": true, "attachment_id": again}))).unwrap();
                continue;
            }
            if step["operation"] == "photo.download" && again {
                w.emulator.set_photo("Contacts", &record, PNG);
            }
            run(&w, &but(step, &json!({"again": again}))).unwrap();
        }
    };
    all(false);
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 3);
    all(true);
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 4, "those three, and the one that was put there");
}

#[test]
fn attachments_are_listed_whole_and_by_page() {
    let w = world();
    let record = w.record();
    let mut ids: Vec<String> = (0..5).map(|i| w.emulator.attach("Contacts", &record, &format!("{i}.txt"), b"x")).collect();
    ids.push(w.emulator.attach_link("Contacts", &record, "L", "https://example.com"));
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record});
    let all = run(&w, &list).unwrap();
    let listed = |output: &Value| output["result"]["attachments"].as_array().unwrap().len();
    assert_eq!((listed(&all), &all["result"]["more_records"]), (6, &json!(false)));
    assert_eq!(all["result"]["attachments"].as_array().unwrap().iter().filter(|a| a["is_link"] == true).count(), 1);
    let page = run(&w, &but(&list, &json!({"page": 2, "per_page": 4}))).unwrap();
    assert_eq!((listed(&page), &page["result"]["more_records"]), (2, &json!(false)));
    assert_eq!(listed(&run(&w, &but(&list, &json!({"record_id": w.record()}))).unwrap()), 0);
}

#[test]
fn the_token_of_a_page_leads_to_the_next_one() {
    let w = world();
    let record = w.record();
    (0..5).for_each(|i| drop(w.emulator.attach("Contacts", &record, &format!("{i}.txt"), b"x")));
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record, "per_page": 3});
    let first = run(&w, &but(&list, &json!({"page": 1}))).unwrap();
    let second = run(&w, &but(&list, &json!({"page_token": first["result"]["next_page_token"]}))).unwrap();
    assert_eq!(second["result"]["attachments"].as_array().unwrap().len(), 2);
}

#[test]
fn an_attachment_is_downloaded_to_a_file() {
    let w = world();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.txt", b"abc");
    let input = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id,
        "sink": {"path": w.path("b.txt")}, "expected_bytes": 3,
        "expected_sha256": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"});
    let output = run(&w, &input).unwrap();
    assert_eq!(std::fs::read(w.path("b.txt")).unwrap(), b"abc");
    assert_eq!((&output["result"]["file_name"], &output["result"]["length_verified"]), (&json!("a.txt"), &json!(true)));
    assert_eq!(std::fs::canonicalize(output["result"]["path"].as_str().unwrap()).unwrap(), std::fs::canonicalize(w.path("b.txt")).unwrap());
    let again = refusal(&w, &input);
    assert_eq!((again.status(), again.reason()), (Status::Io, "target_exists"));
    run(&w, &but(&input, &json!({"sink": {"path": w.path("b.txt"), "overwrite": true}}))).unwrap();
}

#[test]
fn a_small_attachment_comes_inside_the_result() {
    let w = world();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.txt", b"hello");
    let input = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": {"base64": true}});
    assert_eq!(run(&w, &input).unwrap()["result"]["base64"], "aGVsbG8=");
}

#[test]
fn a_file_over_the_cap_comes_inside_no_result() {
    let w = world();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.bin", &vec![0; usize::try_from(step::MAX_BASE64_BYTES).unwrap() + 1]);
    let input =
        |sink: Value| json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink});
    assert_eq!(refusal(&w, &input(json!({"base64": true}))).status(), Status::TooLarge);
    assert_eq!(refusal(&w, &input(json!({"base64": true, "max_bytes": 1_u64 << 40}))).status(), Status::TooLarge);
    assert_eq!(refusal(&w, &input(json!({"path": w.path("a.bin"), "max_bytes": 5}))).status(), Status::TooLarge);
    run(&w, &input(json!({"path": w.path("a.bin")}))).unwrap();
}

#[test]
fn a_file_in_the_json_is_held_in_memory_and_bounded_by_that_setting() {
    let w = world_with(&[("memory_max_bytes", "1000")]);
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.bin", &[7; 1001]);
    let sink = json!({"base64": true, "max_bytes": 2000});
    let input = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink});
    assert_eq!(refusal(&w, &input).status(), Status::TooLarge);
}

#[test]
fn another_hash_or_size_than_expected_leaves_no_file() {
    let w = world();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a.txt", b"abc");
    let base =
        json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": {"path": w.path("b")}});
    for change in [json!({"expected_bytes": 4}), json!({"expected_sha256": "0".repeat(64)})] {
        assert_eq!(refusal(&w, &but(&base, &change)).status(), Status::Checksum, "{change}");
    }
    assert!(!Path::new(&w.path("b")).exists());
}

#[test]
fn a_photo_is_set_downloaded_and_deleted() {
    let w = world();
    let record = w.record();
    let photo = |operation: &str, more: Value| but(&json!({"operation": operation, "module": "Contacts", "record_id": record}), &more);
    let source = json!({"path": w.file("p.png", PNG), "name": "portrait.png"});
    run(&w, &photo("photo.upload", json!({"source": source, "restrict_triggers": "workflow"}))).unwrap();
    assert_eq!(w.emulator.photo("Contacts", &record).as_deref(), Some(PNG));
    assert_eq!(w.emulator.ledger().requests[0].query, "restrict_triggers=workflow");
    run(&w, &photo("photo.download", json!({"sink": {"path": w.path("q.png")}}))).unwrap();
    assert_eq!(std::fs::read(w.path("q.png")).unwrap(), PNG);
    assert!(run(&w, &photo("photo.download", json!({"sink": {"base64": true}}))).unwrap()["result"]["base64"].is_string());
    assert_eq!(run(&w, &photo("photo.delete", json!({}))).unwrap()["result"], json!({}));
    assert_eq!(w.emulator.photo("Contacts", &record), None);
}

#[test]
fn attachments_are_deleted_by_their_ids() {
    let w = world();
    let record = w.record();
    let ids: Vec<String> = (0..3).map(|i| w.emulator.attach("Contacts", &record, &format!("{i}"), b"x")).collect();
    let output = run(&w, &json!({"operation": "attachment.delete", "module": "Contacts", "record_id": record, "attachment_ids": ids[..2]})).unwrap();
    assert_eq!(output["result"]["ids"], json!(ids[..2]));
    assert_eq!(w.emulator.attachments("Contacts", &record).len(), 1);
}

#[test]
fn the_shorter_of_two_timeouts_ends_a_step() {
    let w = world();
    let stall = || Fault::stall(StallAt::BeforeReply);
    w.emulator.script("attachment.list", [stall(), stall()]);
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": w.record()});
    let hour = std::time::Duration::from_secs(3600);
    let by_step = but(&list, &json!({"timeout_ms": 50})).to_string();
    let error = step::run(&w.client, &by_step, Call { timeout: Some(hour), ..Call::default() }).unwrap_err();
    assert_eq!(error.reason(), "call_timeout");
    let by_host = but(&list, &json!({"timeout_ms": 3_600_000})).to_string();
    let error = step::run(&w.client, &by_host, Call { timeout: Some(hour / 72_000), ..Call::default() }).unwrap_err();
    assert_eq!(error.reason(), "call_timeout");
}
