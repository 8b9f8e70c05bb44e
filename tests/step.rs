//! Steps: every operation as JSON, what is refused and where it says so, and the description that engines draw their forms from.

#[path = "support/canary.rs"]
mod canary;

use std::path::Path;

use serde_json::{Value, json};
use zcrm::{Call, Cancel, Client, Config, Error, Status, step};
use zcrm_emulator::{Emulator, Fault, Options, PNG};

/// An emulator, a client of it, and a directory that steps may use.
struct Bench {
    emulator: Emulator,
    client: Client,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let (emulator, dir) = (Emulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
        let client = client(&emulator, dir.path());
        Bench { emulator, client, dir }
    }

    fn contact(&self) -> String {
        self.emulator.add_record("Contacts")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs a step, and holds what it gives against the schema that the description has for it.
    fn run(&self, input: &Value) -> Result<Value, Error> {
        let outcome = step::run(&self.client, &input.to_string(), Call::default()).inspect_err(|error| canary::check(&error.to_json()))?;
        let output = serde_json::to_value(&outcome).unwrap();
        canary::check(&output.to_string());
        let schema = &operation(input["operation"].as_str().unwrap())["output"];
        let problems: Vec<String> = validator(schema).iter_errors(&output).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{problems:?} in {output}");
        Ok(output)
    }

    fn refusal(&self, input: &Value) -> Error {
        self.run(input).expect_err("it was done")
    }
}

fn client(emulator: &Emulator, allowed: &Path) -> Client {
    let mut config = Config::new();
    let token = emulator.access_token();
    for (key, value) in [("api_domain", emulator.url()), ("access_token", &token), ("retry_base_ms", "1"), ("allow_paths", allowed.to_str().unwrap())]
    {
        canary::set(&mut config, key, value);
    }
    canary::listen(&mut config);
    Client::new(config).unwrap()
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

// Operations

#[test]
fn a_file_is_attached_by_its_path() {
    let bench = Bench::new();
    let record = bench.contact();
    let path = bench.file("offer.pdf", b"%PDF");
    let output = bench.run(&but(&upload(&record, &json!({"path": path, "content_type": "application/pdf"})), &json!({"sha256": true}))).unwrap();
    let stored = &bench.emulator.attachments("Contacts", &record)[0];
    assert_eq!((stored.name.as_str(), stored.bytes.as_slice()), ("offer.pdf", &b"%PDF"[..]));
    assert_eq!(output["operation"], "attachment.upload");
    assert_eq!(output["attempts"], 1);
    assert_eq!(output["result"]["id"], json!(stored.id));
    assert_eq!(output["result"]["sha256"], json!(stored.sha256));
    let part = &bench.emulator.ledger().requests[0].parts[0];
    assert!(part.headers.iter().any(|line| line == "Content-Type: application/pdf"), "{part:?}");
}

#[test]
fn a_small_file_is_attached_from_base64_with_and_without_padding() {
    let bench = Bench::new();
    let record = bench.contact();
    for base64 in ["aGVsbG8=", "aGVsbG8"] {
        bench.run(&upload(&record, &json!({"base64": base64, "name": "hello.txt"}))).unwrap();
    }
    let stored = bench.emulator.attachments("Contacts", &record);
    assert!(stored.len() == 2 && stored.iter().all(|a| a.bytes == b"hello" && a.name == "hello.txt"), "{stored:?}");
}

#[test]
fn a_link_is_attached_with_its_title() {
    let bench = Bench::new();
    let record = bench.contact();
    let output = bench.run(&upload(&record, &json!({"url": "https://example.com/a", "title": "Brochure"}))).unwrap();
    let stored = &bench.emulator.attachments("Contacts", &record)[0];
    assert_eq!((stored.name.as_str(), stored.link_url.as_deref()), ("Brochure", Some("https://example.com/a")));
    assert_eq!(output["result"]["link_url"], "https://example.com/a");
}

#[test]
fn several_links_become_an_attachment_each() {
    let bench = Bench::new();
    let record = bench.contact();
    let links = json!([{"url": "https://example.com/a", "title": "A"}, {"url": "https://example.com/b"}]);
    let output = bench.run(&but(&upload(&record, &json!(0)), &json!({"source": null, "links": links}))).unwrap();
    assert_eq!((&output["result"]["attached"], &output["result"]["failed"], &output["attempts"]), (&json!(2), &json!(0), &json!(2)));
    let stored: Vec<String> = bench.emulator.attachments("Contacts", &record).into_iter().map(|a| a.id).collect();
    let said: Vec<&str> = output["result"]["links"].as_array().unwrap().iter().map(|l| l["attachment"]["id"].as_str().unwrap()).collect();
    assert_eq!(said, stored);
}

#[test]
fn a_link_that_is_refused_leaves_the_others_attached_and_says_where_it_stands() {
    let bench = Bench::new();
    let record = bench.contact();
    let links = json!([{"url": "ftp://example.com/a"}, {"url": "https://example.com/b"}]);
    let output = bench.run(&but(&upload(&record, &json!(0)), &json!({"source": null, "links": links}))).unwrap();
    assert_eq!((&output["result"]["attached"], &output["result"]["failed"]), (&json!(1), &json!(1)));
    let error = &output["result"]["links"][0]["error"];
    assert_eq!((&error["name"], &error["details"]["json_path"]), (&json!("ZCRM_E_INVALID_LINK"), &json!("$.links[0].url")));
    assert_eq!(bench.emulator.attachments("Contacts", &record).len(), 1);
}

#[test]
fn links_of_which_none_could_be_attached_are_an_error_with_what_became_of_each() {
    let bench = Bench::new();
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]);
    let error = bench.refusal(&but(&upload("999", &json!(0)), &json!({"source": null, "links": links})));
    assert_eq!((error.status(), error.detail().attempts), (Status::InvalidRecord, 2));
    let details: Value = serde_json::from_str(error.detail().details.as_ref().unwrap().get()).unwrap();
    assert_eq!((&details["failed"], details["links"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(details["links"][1]["error"]["http_status"], error.detail().http_status);
}

#[test]
fn a_cancelled_step_says_so_though_a_link_was_attached_before() {
    let bench = Bench::new();
    let record = bench.contact();
    bench.emulator.script("attachment.upload", [Fault::none(), Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let links = json!([{"url": "https://example.com/a"}, {"url": "https://example.com/b"}, {"url": "https://example.com/c"}]);
    let input = but(&upload(&record, &json!(0)), &json!({"source": null, "links": links})).to_string();
    let cancel = Cancel::new();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
            step::run(&bench.client, &input, call)
        });
        while bench.emulator.faults_left("attachment.upload") > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        cancel.fire();
        running.join().unwrap().unwrap_err()
    });
    let details: Value = serde_json::from_str(error.detail().details.as_ref().unwrap().get()).unwrap();
    assert_eq!((error.status(), &details["attached"], &details["failed"]), (Status::Cancelled, &json!(1), &json!(2)));
}

#[test]
fn a_job_that_comes_a_second_time_attaches_nothing_twice() {
    let bench = Bench::new();
    let record = bench.contact();
    let file = but(&upload(&record, &json!({"base64": "aGVsbG8=", "name": "hello.txt"})), &json!({"if_exists": "skip_same_bytes"}));
    let links = json!({"source": null, "if_exists": "skip", "links": [{"url": "https://example.com/a"}, {"url": "https://example.com/b"}]});
    for skipped in [false, true] {
        assert_eq!(bench.run(&file).unwrap()["result"]["skipped"], skipped);
        let output = bench.run(&but(&file, &links)).unwrap();
        assert_eq!((&output["result"]["attached"], &output["result"]["links"][1]["attachment"]["skipped"]), (&json!(2), &json!(skipped)));
    }
    assert_eq!(bench.emulator.attachments("Contacts", &record).len(), 3);
}

#[test]
fn attachments_are_listed_whole_and_by_page() {
    let bench = Bench::new();
    let record = bench.contact();
    let mut ids: Vec<String> = (0..5).map(|i| bench.emulator.attach("Contacts", &record, &format!("{i}.txt"), b"x")).collect();
    ids.push(bench.emulator.attach_link("Contacts", &record, "L", "https://example.com"));
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record});
    let all = bench.run(&list).unwrap();
    let listed = |output: &Value| output["result"]["attachments"].as_array().unwrap().len();
    assert_eq!((listed(&all), &all["result"]["more_records"]), (6, &json!(false)));
    assert_eq!(all["result"]["attachments"].as_array().unwrap().iter().filter(|a| a["is_link"] == true).count(), 1);
    let page = bench.run(&but(&list, &json!({"page": 2, "per_page": 4}))).unwrap();
    assert_eq!((listed(&page), &page["result"]["more_records"]), (2, &json!(false)));
    assert_eq!(listed(&bench.run(&but(&list, &json!({"record_id": bench.contact()}))).unwrap()), 0);
}

#[test]
fn the_token_of_a_page_leads_to_the_next_one() {
    let bench = Bench::new();
    let record = bench.contact();
    (0..5).for_each(|i| drop(bench.emulator.attach("Contacts", &record, &format!("{i}.txt"), b"x")));
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record, "per_page": 3});
    let first = bench.run(&but(&list, &json!({"page": 1}))).unwrap();
    let second = bench.run(&but(&list, &json!({"page_token": first["result"]["next_page_token"]}))).unwrap();
    assert_eq!(second["result"]["attachments"].as_array().unwrap().len(), 2);
}

#[test]
fn an_attachment_is_downloaded_to_a_file() {
    let bench = Bench::new();
    let record = bench.contact();
    let id = bench.emulator.attach("Contacts", &record, "a.txt", b"abc");
    let input = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id,
        "sink": {"path": bench.path("b.txt")}, "expected_bytes": 3,
        "expected_sha256": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"});
    let output = bench.run(&input).unwrap();
    assert_eq!(std::fs::read(bench.path("b.txt")).unwrap(), b"abc");
    assert_eq!((&output["result"]["file_name"], &output["result"]["length_verified"]), (&json!("a.txt"), &json!(true)));
    assert_eq!(std::fs::canonicalize(output["result"]["path"].as_str().unwrap()).unwrap(), std::fs::canonicalize(bench.path("b.txt")).unwrap());
    let again = bench.refusal(&input);
    assert_eq!((again.status(), again.reason()), (Status::Io, "target_exists"));
    bench.run(&but(&input, &json!({"sink": {"path": bench.path("b.txt"), "overwrite": true}}))).unwrap();
}

#[test]
fn a_small_attachment_comes_inside_the_result() {
    let bench = Bench::new();
    let record = bench.contact();
    let id = bench.emulator.attach("Contacts", &record, "a.txt", b"hello");
    let input = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": {"base64": true}});
    assert_eq!(bench.run(&input).unwrap()["result"]["base64"], "aGVsbG8=");
}

#[test]
fn a_file_over_the_cap_comes_inside_no_result() {
    let bench = Bench::new();
    let record = bench.contact();
    let id = bench.emulator.attach("Contacts", &record, "a.bin", &vec![0; usize::try_from(step::MAX_BASE64_BYTES).unwrap() + 1]);
    let input =
        |sink: Value| json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink});
    assert_eq!(bench.refusal(&input(json!({"base64": true}))).status(), Status::TooLarge);
    assert_eq!(bench.refusal(&input(json!({"base64": true, "max_bytes": 1_u64 << 40}))).status(), Status::TooLarge);
    assert_eq!(bench.refusal(&input(json!({"path": bench.path("a.bin"), "max_bytes": 5}))).status(), Status::TooLarge);
    bench.run(&input(json!({"path": bench.path("a.bin")}))).unwrap();
}

#[test]
fn another_hash_or_size_than_expected_leaves_no_file() {
    let bench = Bench::new();
    let record = bench.contact();
    let id = bench.emulator.attach("Contacts", &record, "a.txt", b"abc");
    let base = json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": {"path": bench.path("b")}});
    for change in [json!({"expected_bytes": 4}), json!({"expected_sha256": "0".repeat(64)})] {
        assert_eq!(bench.refusal(&but(&base, &change)).status(), Status::Checksum, "{change}");
    }
    assert!(!Path::new(&bench.path("b")).exists());
}

#[test]
fn a_photo_is_set_downloaded_and_deleted() {
    let bench = Bench::new();
    let record = bench.contact();
    let photo = |operation: &str, more: Value| but(&json!({"operation": operation, "module": "Contacts", "record_id": record}), &more);
    let source = json!({"path": bench.file("p.png", PNG), "name": "portrait.png"});
    bench.run(&photo("photo.upload", json!({"source": source, "restrict_triggers": "workflow"}))).unwrap();
    assert_eq!(bench.emulator.photo("Contacts", &record).as_deref(), Some(PNG));
    assert_eq!(bench.emulator.ledger().requests[0].query, "restrict_triggers=workflow");
    bench.run(&photo("photo.download", json!({"sink": {"path": bench.path("q.png")}}))).unwrap();
    assert_eq!(std::fs::read(bench.path("q.png")).unwrap(), PNG);
    assert!(bench.run(&photo("photo.download", json!({"sink": {"base64": true}}))).unwrap()["result"]["base64"].is_string());
    assert_eq!(bench.run(&photo("photo.delete", json!({}))).unwrap()["result"], json!({}));
    assert_eq!(bench.emulator.photo("Contacts", &record), None);
}

#[test]
fn attachments_are_deleted_by_their_ids() {
    let bench = Bench::new();
    let record = bench.contact();
    let ids: Vec<String> = (0..3).map(|i| bench.emulator.attach("Contacts", &record, &format!("{i}"), b"x")).collect();
    let output =
        bench.run(&json!({"operation": "attachment.delete", "module": "Contacts", "record_id": record, "attachment_ids": ids[..2]})).unwrap();
    assert_eq!(output["result"]["ids"], json!(ids[..2]));
    assert_eq!(bench.emulator.attachments("Contacts", &record).len(), 1);
}

#[test]
fn the_shorter_of_two_timeouts_ends_a_step() {
    let bench = Bench::new();
    let stall = || Fault::stall(zcrm_emulator::StallAt::BeforeReply);
    bench.emulator.script("attachment.list", [stall(), stall()]);
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": bench.contact()});
    let hour = std::time::Duration::from_secs(3600);
    let by_step = but(&list, &json!({"timeout_ms": 50})).to_string();
    let error = step::run(&bench.client, &by_step, Call { timeout: Some(hour), ..Call::default() }).unwrap_err();
    assert_eq!(error.reason(), "call_timeout");
    let by_host = but(&list, &json!({"timeout_ms": 3_600_000})).to_string();
    let error = step::run(&bench.client, &by_host, Call { timeout: Some(hour / 72_000), ..Call::default() }).unwrap_err();
    assert_eq!(error.reason(), "call_timeout");
}

// Batches

fn batch(steps: &[(&str, Value)]) -> Value {
    let steps: Vec<Value> = steps.iter().map(|(key, step)| json!({"key": key, "step": step})).collect();
    json!({"operation": "batch", "steps": steps})
}

#[test]
fn a_batch_gives_each_step_its_outcome_in_the_order_of_the_input() {
    let bench = Bench::new();
    let record = bench.contact();
    let file = |name: &str| upload(&record, &json!({"path": bench.file(name, name.as_bytes())}));
    let steps = [
        ("one", file("1.txt")),
        ("wrong", but(&file("2.txt"), &json!({"modul": "x"}))),
        ("absent", upload(&record, &json!({"path": bench.path("none.txt")}))),
        ("unknown", json!({"operation": "attachment.uplaod"})),
        ("list", json!({"operation": "attachment.list", "module": "Contacts", "record_id": record})),
    ];
    let result = bench.run(&but(&batch(&steps), &json!({"parallel": 1}))).unwrap()["result"].take();
    assert_eq!((&result["done"], &result["failed"], &result["left"], &result["attempts"]), (&json!(2), &json!(3), &json!(0), &json!(2)));
    let items = result["items"].as_array().unwrap();
    let told: Vec<(&str, &str)> = items.iter().map(|i| (i["key"].as_str().unwrap(), i["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("one", "done"), ("wrong", "failed"), ("absent", "failed"), ("unknown", "failed"), ("list", "done")]);
    assert_eq!(items[0]["result"]["id"], json!(bench.emulator.attachments("Contacts", &record)[0].id));
    assert_eq!(items[1]["error"]["details"]["json_path"], "$.steps[1].step.modul");
    assert_eq!((&items[2]["error"]["name"], &items[2]["error"]["reason"]), (&json!("ZCRM_E_IO"), &json!("source_open")));
    assert_eq!(items[3]["error"]["details"]["json_path"], "$.steps[3].step.operation");
    assert_eq!(items[4]["result"]["attachments"].as_array().unwrap().len(), 1);
}

#[test]
fn a_batch_with_its_journal_is_run_again_without_sending_anything() {
    let bench = Bench::new();
    let record = bench.contact();
    let steps: Vec<(String, Value)> =
        (0..5).map(|i| (format!("k{i}"), upload(&record, &json!({"path": bench.file(&format!("{i}.txt"), b"x")})))).collect();
    let steps: Vec<(&str, Value)> = steps.iter().map(|(key, step)| (key.as_str(), step.clone())).collect();
    let input = but(&batch(&steps), &json!({"journal": bench.path("journal"), "credits": 3, "parallel": 1}));
    let first = bench.run(&input).unwrap()["result"].take();
    assert_eq!((&first["done"], &first["left"], &first["stopped"]), (&json!(3), &json!(2), &json!("credits_budget")));
    assert_eq!((&first["items"][4]["status"], &first["items"][4]["error"]), (&json!("left"), &Value::Null));
    let second = bench.run(&but(&input, &json!({"credits": null}))).unwrap()["result"].take();
    assert_eq!((&second["done"], &second["from_journal"], &second["left"]), (&json!(5), &json!(3), &json!(0)));
    assert_eq!((&second["items"][0]["from_journal"], &second["items"][0]["result"]), (&json!(true), &first["items"][0]["result"]));
    assert_eq!(bench.emulator.attachments("Contacts", &record).len(), 5);
}

#[test]
fn an_upload_of_a_batch_that_nobody_can_tell_the_end_of_is_unknown() {
    let (emulator, dir) = (Emulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
    let mut config = Config::new();
    let token = emulator.access_token();
    for (key, value) in [("api_domain", emulator.url()), ("access_token", &token), ("on_unknown", "never_resend"), ("settle_waits_ms", "1")] {
        config.set(key, value).unwrap();
    }
    let bench = Bench { client: Client::new(config).unwrap(), dir, emulator };
    bench.emulator.script("attachment.upload", [Fault::reset_before_store()]);
    let step = upload(&bench.contact(), &json!({"base64": "aGVsbG8=", "name": "hello.txt"}));
    let result = bench.run(&batch(&[("a", step)])).unwrap()["result"].take();
    assert_eq!((&result["failed"], &result["unknown"], &result["items"][0]["status"]), (&json!(1), &json!(1), &json!("unknown")));
}

#[test]
fn a_cancelled_batch_says_which_steps_are_left() {
    let bench = Bench::new();
    let record = bench.contact();
    bench.emulator.script("attachment.list", [Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": record});
    let input = but(&batch(&[("a", list.clone()), ("b", list)]), &json!({"parallel": 1})).to_string();
    let cancel = Cancel::new();
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| step::run(&bench.client, &input, Call { cancel: Some(cancel.clone()), ..Call::default() }));
        while bench.emulator.faults_left("attachment.list") > 0 {
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
    let bench = Bench::new();
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": bench.contact()});
    let error = bench.refusal(&batch(&[("a", list.clone()), ("b", list.clone()), ("a", list)]));
    assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", "$.steps[2].key"));
    assert!(bench.emulator.ledger().requests.is_empty());
}

#[cfg(unix)]
#[test]
fn a_journal_lies_in_an_allowed_directory_and_no_other_file_becomes_one() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, bench.path("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), bench.path("dangling")).unwrap();
    let base = batch(&[("a", json!({"operation": "attachment.list", "module": "Contacts", "record_id": bench.contact()}))]);
    for path in [victim.to_str().unwrap().to_owned(), bench.path("link"), bench.path("dangling")] {
        let error = bench.refusal(&but(&base, &json!({"journal": path})));
        assert_eq!((error.reason(), json_path(&error).as_str()), ("path_not_allowed", "$.journal"), "{path}: {error}");
    }
    let own = bench.file("letter.txt", b"precious");
    assert_eq!(bench.refusal(&but(&base, &json!({"journal": own}))).reason(), "journal_corrupt");
    assert_eq!((std::fs::read(own).unwrap(), std::fs::read(victim).unwrap()), (b"precious".to_vec(), b"precious".to_vec()));
    assert!(!outside.path().join("new").exists() && bench.emulator.ledger().requests.is_empty());
}

// What is refused, and where it says so

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
        (but(&file, &json!({"timeout_ms": "5s"})), "$.timeout_ms", "u64"),
        (but(&file, &json!({"timeout_ms": -5})), "$.timeout_ms", "u64"),
        (but(&file, &json!({"trace_id": 5})), "$.trace_id", "string"),
        (but(&file, &json!({"source": null})), "$.source", "missing"),
        (but(&file, &json!({"links": [{"url": "https://a"}]})), "$.links", "beside source"),
        (but(&file, &json!({"if_exists": "overwrite"})), "$.if_exists", "skip_same_bytes"),
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
        (but(&list, &json!({"page": 0})), "$.page", "at least 1"),
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
    let bench = Bench::new();
    for (input, path, word) in bad() {
        let error = step::run(&bench.client, &input.to_string(), Call::default()).expect_err(path);
        assert_eq!((error.status(), error.reason()), (Status::Argument, "step_input"), "{input} {error}");
        assert_eq!(json_path(&error), path, "{input} {error}");
        let place = path.trim_start_matches("$.").trim_start_matches('$');
        assert!(error.to_string().starts_with(place) && error.to_string().contains(word), "{input} {error}");
    }
    assert!(bench.emulator.ledger().requests.is_empty());
}

#[test]
fn a_field_that_is_given_twice_is_refused_by_its_path() {
    let bench = Bench::new();
    for (text, path) in [
        (r#"{"operation":"photo.delete","module":"A","record_id":"1","module":"B"}"#, "$.module"),
        (r#"{"operation":"attachment.upload","module":"A","record_id":"1","source":{"path":"a","path":"b"}}"#, "$.source.path"),
    ] {
        let error = step::run(&bench.client, text, Call::default()).unwrap_err();
        assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", path), "{error}");
    }
}

#[test]
fn the_values_of_the_fields_in_an_array_are_no_step() {
    let bench = Bench::new();
    let error = step::run(&bench.client, r#"["photo.delete","Contacts","1"]"#, Call::default()).unwrap_err();
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
    let bench = Bench::new();
    let record = bench.contact();
    let source = json!({"path": null, "url": "https://example.com", "base64": null, "name": null, "content_type": null, "title": null});
    let mut input = upload(&record, &source);
    for field in ["links", "sha256", "expected_sha256", "timeout_ms", "trace_id"] {
        input[field] = Value::Null;
    }
    assert!(validator(&operation("attachment.upload")["input"]).is_valid(&input));
    bench.run(&input).unwrap();
}

#[test]
fn text_that_is_no_json_is_refused_with_the_place() {
    let bench = Bench::new();
    for (text, word) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("{\"operation\": attachment.list}", "column 15"),
        ("{\"operation\":\"photo.delete\",\"module\":\"Contacts\",\"record_id\":\"1\"} x", "trailing"),
        ("{\"operation\":\"photo.delete\",\"operation\":\"photo.delete\"}", "twice"),
        (&"[".repeat(100_000), "object"),
        (&format!("{{\"operation\":\"attachment.list\",\"x\":{}", "[".repeat(100_000)), "EOF"),
    ] {
        let error = step::run(&bench.client, text, Call::default()).unwrap_err();
        assert_eq!(error.reason(), "step_input", "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_step_longer_than_the_limit_is_refused_before_it_is_read() {
    let bench = Bench::new();
    let error = step::run(&bench.client, &" ".repeat(step::MAX_INPUT_BYTES + 1), Call::default()).unwrap_err();
    assert!(error.to_string().contains("16777216"), "{error}");
}

#[test]
fn base64_over_the_cap_is_refused_with_the_way_out() {
    let bench = Bench::new();
    let content = "A".repeat(usize::try_from(step::MAX_BASE64_BYTES).unwrap() / 3 * 4 + 8);
    let error = bench.refusal(&upload("1", &json!({"base64": content, "name": "n"})));
    assert_eq!((error.reason(), json_path(&error).as_str()), ("step_input", "$.source.base64"));
    assert!(error.to_string().contains("path"), "{error}");
}

#[test]
fn no_piece_of_a_file_is_in_an_error() {
    let bench = Bench::new();
    for input in [
        upload("1", &json!("canary")),
        upload("1", &json!({"base64": "canary!", "name": "n"})),
        but(&upload("1", &json!({"path": "/x"})), &json!({"sha256": "canary\", expected canary"})),
    ] {
        assert!(!bench.refusal(&input).to_json().contains("canary"), "{input}");
    }
}

#[test]
fn what_the_operation_refuses_has_its_json_path_too() {
    let bench = Bench::new();
    let path = bench.file("a.exe", b"x");
    for (input, status, path) in [
        (but(&upload("1", &json!({"url": "https://a"})), &json!({"module": "../x"})), Status::Argument, "$.module"),
        (upload("12x", &json!({"url": "https://a"})), Status::Argument, "$.record_id"),
        (upload("1", &json!({"url": "https://user:pw@example.com"})), Status::InvalidLink, "$.source.url"),
        (upload("1", &json!({"url": "https://example.com", "title": "x".repeat(256)})), Status::InvalidLink, "$.source.title"),
        (upload("1", &json!({"path": path})), Status::FileType, "$.source.name"),
        (upload("1", &json!({"base64": "eA==", "name": ""})), Status::Argument, "$.source.name"),
        (
            json!({"operation": "attachment.delete", "module": "Contacts", "record_id": "1", "attachment_ids": ["x"]}),
            Status::Argument,
            "$.attachment_ids",
        ),
        (
            json!({"operation": "attachment.list", "module": "Contacts", "record_id": "1", "page": 1, "page_token": "t"}),
            Status::Argument,
            "$.page_token",
        ),
    ] {
        let error = bench.refusal(&input);
        assert_eq!((error.status(), json_path(&error).as_str()), (status, path), "{error}");
    }
}

// Untrusted paths

#[cfg(unix)]
#[test]
fn a_step_reads_no_file_outside_of_the_allowed_directories() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.txt");
    std::fs::write(&secret, b"secret").unwrap();
    std::os::unix::fs::symlink(&secret, bench.path("link.txt")).unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.path("dir")).unwrap();
    let sibling = format!("{}x", bench.dir.path().display());
    std::fs::create_dir(&sibling).unwrap();
    std::fs::write(format!("{sibling}/a"), b"x").unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap().to_owned();
    for path in [
        secret.to_str().unwrap().to_owned(),
        bench.path("link.txt"),
        bench.path("dir/secret.txt"),
        bench.path(&format!("../{name}/secret.txt")),
        bench.path("missing/../../secret.txt"),
        format!("{sibling}/a"),
        "/etc/passwd".to_owned(),
        "/nowhere/at/all".to_owned(),
        outside.path().join("missing").to_str().unwrap().to_owned(),
        bench.path("dir/missing"),
    ] {
        let error = bench.refusal(&upload(&bench.contact(), &json!({"path": path})));
        assert_eq!((error.status(), error.reason()), (Status::Argument, "path_not_allowed"), "{path}: {error}");
        assert_eq!(json_path(&error), "$.source.path");
        assert!(error.to_string().contains("allow_paths"), "{error}");
    }
    std::fs::remove_dir_all(sibling).unwrap();
    assert!(bench.emulator.ledger().requests.is_empty());
}

#[cfg(unix)]
#[test]
fn a_step_writes_no_file_outside_of_the_allowed_directories() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.path("dir")).unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let record = bench.contact();
    let id = bench.emulator.attach("Contacts", &record, "a", b"x");
    for path in [outside.path().join("a").to_str().unwrap().to_owned(), bench.path("dir/a"), bench.path(&format!("../{name}/a")), "/a".to_owned()] {
        let sink = json!({"path": path, "overwrite": true});
        let error =
            bench.refusal(&json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink}));
        assert_eq!((error.reason(), json_path(&error).as_str()), ("path_not_allowed", "$.sink.path"), "{path}: {error}");
    }
    for path in [bench.path(".."), bench.path("dir/."), bench.path("dir/"), bench.path("x/..")] {
        let sink = json!({"path": path, "overwrite": true});
        let error =
            bench.refusal(&json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink}));
        assert_eq!((error.status(), json_path(&error).as_str()), (Status::Argument, "$.sink.path"), "{path}: {error}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(bench.emulator.ledger().requests.is_empty());
}

#[test]
fn no_path_is_allowed_unless_the_setting_names_one() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut config = Config::new();
    config.set("access_token", "t").unwrap();
    config.set("api_domain", emulator.url()).unwrap();
    let client = Client::new(config).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), b"x").unwrap();
    let input = upload("1", &json!({"path": dir.path().join("a")})).to_string();
    assert_eq!(step::run(&client, &input, Call::default()).unwrap_err().reason(), "path_not_allowed");
}

#[cfg(unix)]
#[test]
fn links_inside_of_the_allowed_directories_are_followed_and_the_file_keeps_the_name_of_the_step() {
    let bench = Bench::new();
    let record = bench.contact();
    std::os::unix::fs::symlink(bench.file("real.bin", b"x"), bench.path("named.txt")).unwrap();
    std::fs::create_dir(bench.path("sub")).unwrap();
    bench.run(&upload(&record, &json!({"path": bench.path("sub/../named.txt")}))).unwrap();
    assert_eq!(bench.emulator.attachments("Contacts", &record)[0].name, "named.txt");
}

#[test]
fn a_missing_file_in_an_allowed_directory_is_an_io_error() {
    let bench = Bench::new();
    let error = bench.refusal(&upload("1", &json!({"path": bench.path("missing.txt")})));
    assert_eq!((error.status(), error.reason()), (Status::Io, "source_open"), "{error}");
}

// The description

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
    let bench = Bench::new();
    for operation in description()["operations"].as_array().unwrap() {
        let (validator, examples) = (validator(&operation["input"]), operation["examples"].as_array().unwrap());
        assert!(!examples.is_empty());
        for example in examples {
            let input = &example["input"];
            assert_eq!((&input["operation"], example["title"].is_string()), (&operation["id"], true));
            let problems: Vec<String> = validator.iter_errors(input).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{problems:?} in {input}");
            // The record isn't there: what counts is that the input is understood.
            let error = step::run(&bench.client, &input.to_string(), Call::default()).err();
            assert!(error.as_ref().is_none_or(|e| e.reason() != "step_input"), "{error:?}");
        }
    }
}

#[test]
fn an_error_is_as_the_description_says() {
    let bench = Bench::new();
    let validator = validator(&description()["error"]);
    for input in [json!({}), upload("999", &json!({"url": "https://example.com"})), upload("1", &json!({"path": "/etc/passwd"}))] {
        let error: Value = serde_json::from_str(&bench_error(&bench, &input).to_json()).unwrap();
        let problems: Vec<String> = validator.iter_errors(&error).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?} in {error}");
    }
}

fn bench_error(bench: &Bench, input: &Value) -> Error {
    step::run(&bench.client, &input.to_string(), Call::default()).unwrap_err()
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
        let first: Vec<&str> = fields.keys().map(String::as_str).take(3).collect();
        assert_eq!(first, if operation["id"] == "batch" { ["operation", "steps", "journal"] } else { ["operation", "module", "record_id"] });
        assert_eq!(fields.keys().next_back().map(String::as_str), Some("trace_id"));
        assert!(fields.values().all(|field| field["description"].is_string()), "{}", operation["id"]);
    }
    // Links of Rust's documentation mean nothing there.
    assert!(!step::describe().contains("[`"));
}
