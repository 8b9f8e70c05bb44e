//! run and batch: steps from standard input.

mod support;

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use support::world::{World, world};
use support::{Ran, feed, run, zcrm};
use zcrm_emulator::{Fault, StallAt};

fn list(record: &str) -> String {
    json!({"operation": "attachment.list", "module": "Contacts", "record_id": record}).to_string()
}

fn upload(w: &World, name: &str) -> String {
    let source = json!({"base64": "eA==", "name": name});
    json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.contact.id, "source": source}).to_string()
}

fn lines(all: &[String]) -> Vec<u8> {
    (all.join("\n") + "\n").into_bytes()
}

#[test]
fn results_come_in_the_order_of_the_steps_and_a_bad_line_in_its_place() {
    let w = world();
    w.emulator.script("attachment.list", [Fault::delay(300)]);
    let all = [list(&w.record()), list(&w.contact.id), "nonsense".to_owned(), " \t ".into(), list("99"), list(&w.record())];
    w.attach("a", b"x");
    let ran = feed(zcrm(&w, &["run"]), &lines(&all));
    let told = ran.json();
    let found: Vec<Option<usize>> = told.iter().map(|line| line["result"]["attachments"].as_array().map(Vec::len)).collect();
    assert_eq!((found, ran.code), (vec![Some(0), Some(1), None, None, Some(0)], Some(1)), "{told:?}");
    assert_eq!((&told[2]["line"], &told[2]["error"]["reason"]), (&json!(3), &json!("step_input")));
    assert_eq!((&told[3]["line"], &told[3]["error"]["name"]), (&json!(5), &json!("ZCRM_E_INVALID_RECORD")));
}

#[test]
fn a_result_is_given_before_the_next_step_is_there() {
    use std::io::{BufRead, BufReader};
    let w = world();
    let mut child = zcrm(&w, &["run"]).stdin(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..3 {
        writeln!(input, "{}", list(&w.contact.id)).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains("\"attachments\":[]"), "{line}");
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_batch_among_the_steps_tells_by_the_exit_code_what_became_of_its_own() {
    let w = world();
    let batch = |record: &str| {
        let step: Value = serde_json::from_str(&list(record)).unwrap();
        json!({"operation": "batch", "steps": [{"key": "a", "step": step}]}).to_string()
    };
    for (record, code) in [(w.contact.id.as_str(), 0), ("99", 1)] {
        let ran = feed(zcrm(&w, &["run"]), &lines(&[batch(record)]));
        assert_eq!((ran.json().len(), ran.code), (1, Some(code)), "{record}: {:?}", ran.json());
    }
}

#[test]
fn what_is_no_text_or_too_long_is_a_bad_line_and_the_others_are_done() {
    let w = world();
    let mut input = vec![b'x'; 17 << 20];
    input.extend_from_slice(b"\n\xff\xfe\n");
    input.extend(lines(&[list(&w.contact.id)]));
    let ran = feed(zcrm(&w, &["run"]), &input);
    let told = ran.json();
    assert_eq!((&told[0]["line"], &told[1]["line"], told[2]["result"].is_object()), (&json!(1), &json!(2), true));
}

#[test]
fn files_are_named_only_below_allow_paths() {
    let w = world();
    let path = w.file("a.txt", b"abc");
    let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.contact.id, "source": {"path": path}}).to_string();
    let refused = feed(zcrm(&w, &["run"]), &lines(std::slice::from_ref(&step)));
    assert_eq!((&refused.json()[0]["error"]["reason"], refused.code), (&json!("path_not_allowed"), Some(1)));
    let allowed = feed(zcrm(&w, &["run", "--set", &format!("allow_paths={}", w.dir.path().display())]), &lines(&[step]));
    assert_eq!((w.stored(), allowed.code), (vec![("a.txt".to_owned(), 3)], Some(0)));
}

#[test]
fn an_input_that_cannot_be_read_is_exit_code_2() {
    let w = world();
    for command in [&["run"][..], &["batch", "--journal", "j"]] {
        let ran = support::ran(zcrm(&w, command).stdin(std::fs::File::open(w.dir.path()).unwrap()));
        assert!(ran.code == Some(2) && ran.err.contains("standard input"), "{ran:?}");
    }
}

fn batch(w: &World, all: &[String], more: &[&str]) -> (Vec<Value>, Ran) {
    let ran = feed(zcrm(w, &[&["batch", "--journal", "journal"], more].concat()), &lines(all));
    (ran.json(), ran)
}

#[test]
fn a_batch_that_is_run_again_does_nothing_twice() {
    let w = world();
    let keyed = format!("{{\"key\": \"the second\", \"step\": {}}}", upload(&w, "b"));
    let all = [upload(&w, "a"), keyed, list("99")];
    let (told, ran) = batch(&w, &all, &[]);
    let of = |told: &[Value], key: &str| told.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key}: {told:?}")).clone();
    assert_eq!((&of(&told, "line 1")["status"], &of(&told, "the second")["status"]), (&json!("done"), &json!("done")));
    assert_eq!((&of(&told, "line 3")["status"], ran.code), (&json!("failed"), Some(1)));
    assert!(ran.err.contains("2 done, 0 of them before; 1 failed, 0 unknown, 0 left"), "{}", ran.err);
    let (told, ran) = batch(&w, &all[..2], &["--json"]);
    assert_eq!((&of(&told, "line 1")["from_journal"], ran.code, w.stored().len()), (&json!(true), Some(0), 2));
    assert!(of(&told, "line 1")["result"]["id"].is_string());
    assert_eq!(told.last().unwrap()["batch"]["from_journal"], 2);
}

#[test]
fn a_line_of_a_batch_that_is_no_step_is_told_under_its_number() {
    let w = world();
    let (told, ran) = batch(&w, &["{\"key\": 7, \"step\": {}}".to_owned(), "[1]".to_owned(), upload(&w, "a")], &[]);
    let status = |key: &str| told.iter().find(|line| line["key"] == key).map(|line| line["status"].clone());
    let failed = Some(json!("failed"));
    assert_eq!((status("line 1"), status("line 2"), status("line 3"), ran.code), (failed.clone(), failed, Some(json!("done")), Some(1)), "{told:?}");
}

#[test]
fn a_byte_order_mark_before_a_key_is_passed_over() {
    let w = world();
    let (told, ran) = batch(&w, &[format!("\u{feff}{{\"key\": \"a\", \"step\": {}}}", list(&w.contact.id))], &[]);
    assert_eq!((&told[0]["key"], &told[0]["status"], ran.code), (&json!("a"), &json!("done"), Some(0)), "{told:?}");
}

#[test]
fn a_batch_that_is_stopped_goes_on_with_its_journal() {
    let w = world();
    let all: Vec<String> = (0..20).map(|i| upload(&w, &i.to_string())).collect();
    let (_, ran) = batch(&w, &all, &["--credits", "5"]);
    assert!(ran.code == Some(1) && ran.err.contains("credits_budget"), "{ran:?}");
    assert!(w.stored().len() < 20);
    let (_, ran) = batch(&w, &all, &[]);
    assert_eq!((ran.code, w.stored().len()), (Some(0), 20), "{ran:?}");
}

#[test]
fn a_signal_ends_a_batch_and_what_waits_is_left() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::stall(StallAt::BeforeReply)]);
    let mut child = zcrm(&w, &["batch", "--journal", "journal", "-n", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&lines(&[upload(&w, "a"), upload(&w, "b")])).unwrap();
    while w.requests("attachment.upload").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    drop(input);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
}

#[test]
fn run_without_steps_does_nothing() {
    let w = world();
    let ran = run(&w, &["run"]);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)));
}

#[test]
fn a_dry_run_of_steps_tells_which_are_wrong_and_asks_nothing() {
    let w = world();
    let path = w.file("a.txt", b"abc");
    let file = |path: &std::path::Path| {
        json!({"operation": "attachment.upload", "module": "Contacts", "record_id": "1", "source": {"path": path}}).to_string()
    };
    let bad_id = list("x");
    let all = [list("1"), file(&path), file(&w.path("missing")), bad_id, "nonsense".to_owned(), list("1").replace("Contacts", "../x")];
    let allow = format!("allow_paths={}", w.dir.path().display());
    for command in [&["run"][..], &["batch", "--journal", "journal"]] {
        let ran = feed(zcrm(&w, &[command, &["--dry-run", "--set", &allow]].concat()), &lines(&all));
        let told = ran.json();
        let good: Vec<bool> = told.iter().map(|line| line["dry_run"] == true && line["operation"].is_string()).collect();
        assert_eq!((good, ran.code), (vec![true, true, false, false, false, false], Some(1)), "{told:#?}");
    }
    assert!(w.emulator.ledger().requests.is_empty() && !w.path("journal").exists());
}

/// The most memory that the process has had, in KiB.
fn peak(process: &std::process::Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_is_independent_of_the_number_of_lines() {
    use std::io::{BufRead, BufReader};
    let w = world();
    // Each line is a few hundred bytes, and so is its result: 40,000 of them would be 20 MB.
    let refused = upload(&w, &"n".repeat(300)).replace("eA==", "no base64");
    for command in [&["run"][..], &["batch", "--journal", "journal"]] {
        let mut child = zcrm(&w, command).stdin(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut feed = |steps: usize, refusals: usize| {
            std::thread::scope(|scope| {
                let all = std::iter::repeat_n(upload(&w, "a"), steps).chain(std::iter::repeat_n(refused.clone(), refusals));
                let input = &mut input;
                scope.spawn(move || all.for_each(|line| writeln!(input, "{line}").unwrap()));
                let mut line = String::new();
                for _ in 0..steps + refusals {
                    line.clear();
                    assert!(output.read_line(&mut line).unwrap() > 0);
                }
            });
        };
        feed(50, 2000);
        let before = peak(&child);
        feed(200, 40_000);
        let after = peak(&child);
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(after < before + 6000, "{command:?}: {before} KiB after 2,050 lines, {after} KiB after 42,250");
    }
}
