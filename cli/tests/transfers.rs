//! upload, ls, get, rm and photo, as a shell runs them.

mod support;

use std::fs;

use serde_json::json;
use support::world::{bytes, world};
use support::{contact, feed, run, zcrm};
use zcrm_emulator::{Fault, PNG};

#[test]
fn an_upload_tells_id_name_and_size() {
    let w = world();
    w.file("contract.pdf", &bytes(1500));
    let ran = run(&w, &["upload", &contact(&w), "contract.pdf"]);
    let id = &w.emulator.attachments("Contacts", &w.contact.id)[0].id;
    assert_eq!((ran.out, ran.err.as_str(), ran.code), (format!("uploaded {id} contract.pdf (1.50 kB)\n"), "", Some(0)));
}

#[test]
fn files_and_links_are_told_in_the_order_of_the_command_line() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::delay(200)]);
    (0..8).for_each(|i| drop(w.file(&format!("{i}"), &[i])));
    let files: Vec<String> = (0..8).map(|i| i.to_string()).collect();
    let mut arguments = vec!["--json".to_owned(), "upload".to_owned(), contact(&w), "--link".to_owned(), "https://example.com/a".to_owned()];
    arguments.extend(files.clone());
    let ran = run(&w, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let sources: Vec<_> = ran.json().iter().map(|line| line["source"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sources, [files, vec!["https://example.com/a".to_owned()]].concat());
    assert!(ran.json().iter().all(|line| line["result"]["id"].is_string() && line["record"] == contact(&w)));
}

#[test]
fn one_that_fails_keeps_no_other_from_being_done_and_is_exit_code_1() {
    let w = world();
    w.file("a", b"a");
    let ran = run(&w, &["upload", &contact(&w), "missing", "a"]);
    assert_eq!((w.stored(), ran.code), (vec![("a".to_owned(), 1)], Some(1)));
    assert!(ran.err.starts_with("zcrm: missing: ") && ran.err.lines().count() == 1, "{}", ran.err);
    let ran = run(&w, &["--json", "upload", &contact(&w), "missing"]);
    let line = &ran.json()[0];
    assert_eq!((&line["source"], &line["error"]["name"], ran.err.as_str()), (&json!("missing"), &json!("ZCRM_E_IO"), ""));
}

#[test]
fn an_upload_of_which_nobody_knows_whether_it_is_stored_is_exit_code_4() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::reset_after_store()]);
    w.file("a", b"a");
    let ran = run(&w, &["upload", &contact(&w), "a", "--set", "settle=off", "--set", "on_unknown=never_resend"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

#[test]
fn standard_input_is_an_upload_under_the_name_that_is_given() {
    let w = world();
    let ran = feed(zcrm(&w, &["upload", &contact(&w), "-", "--name", "report.csv"]), &bytes(70_000));
    assert_eq!((w.stored(), ran.code), (vec![("report.csv".to_owned(), 70_000)], Some(0)), "{ran:?}");
    let nameless = feed(zcrm(&w, &["upload", &contact(&w), "-"]), b"x");
    assert!(nameless.code == Some(2) && nameless.err.contains("--name"), "{nameless:?}");
}

#[test]
fn standard_input_that_is_a_file_can_be_sent_again() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::status(503)]);
    let path = w.file("a", &bytes(5000));
    let mut command = zcrm(&w, &["upload", &contact(&w), "-", "--name", "a", "--set", "unknown_length=chunked"]);
    let ran = support::ran(command.stdin(fs::File::open(path).unwrap()));
    assert_eq!((w.stored(), ran.code), (vec![("a".to_owned(), 5000)], Some(0)), "{ran:?}");
}

#[test]
fn what_is_there_is_skipped_when_that_is_wanted() {
    let w = world();
    w.file("a", b"abc");
    for (how, skipped, there) in [("skip", false, 1), ("skip", true, 1), ("skip-same-bytes", true, 1)] {
        let ran = run(&w, &["--json", "upload", &contact(&w), "a", "--if-exists", how]);
        assert_eq!((&ran.json()[0]["result"]["skipped"], w.stored().len()), (&json!(skipped), there), "{ran:?}");
    }
    w.file("a", b"abd");
    run(&w, &["upload", &contact(&w), "a", "--if-exists", "skip-same-bytes"]);
    assert_eq!(w.stored().len(), 2);
}

#[test]
fn a_list_has_a_line_for_each_attachment() {
    let w = world();
    let file = w.attach("a\u{1b}[2Jb.pdf", b"abc");
    let link = w.emulator.attach_link("Contacts", &w.contact.id, "a page", "https://example.com/x");
    let ran = run(&w, &["ls", &contact(&w)]);
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect()).collect();
    let of = |id: &str| lines.iter().find(|line| line[0] == id).unwrap();
    assert_eq!((of(&file)[1], of(&file)[3]), ("3 B", "a [2Jb.pdf"));
    assert_eq!((of(&link)[1], of(&link)[3], of(&link)[4]), ("link", "a page", "https://example.com/x"));
    let ran = run(&w, &["ls", "--json", &contact(&w)]);
    let found = ran.json().into_iter().find(|line| line["id"] == file.as_str()).unwrap();
    assert_eq!((&found["bytes"], &found["record"]), (&json!(3), &json!(contact(&w))));
}

#[test]
fn names_from_the_server_stay_in_the_folder_and_apart() {
    let w = world();
    let long = "x".repeat(300);
    let hostile = ["../x", "/etc/passwd", "a\0b", &long, "same.pdf", "same.pdf", "SAME.PDF", "..", ".hidden", "CON"];
    for (i, name) in hostile.iter().enumerate() {
        w.attach(name, &[i as u8; 10]);
    }
    let ran = run(&w, &["get", &contact(&w), "-o", "in/here"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!((w.files(), fs::read_dir(w.path("in")).unwrap().count()), (vec!["in".to_owned()], 1), "nothing lies beside the folder");
    let mut names: Vec<String> = fs::read_dir(w.path("in/here")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), hostile.len(), "{names:?}");
    let lower: std::collections::HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(lower.len(), hostile.len(), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with(['.', '-']) && name.len() <= 255 && !name.contains(char::is_control)), "{names:?}");
    let mut contents: Vec<u8> = names.iter().map(|name| fs::read(w.path("in/here").join(name)).unwrap()[0]).collect();
    contents.sort_unstable();
    assert_eq!(contents, (0..hostile.len() as u8).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_there_is_replaced_only_on_request() {
    let w = world();
    w.attach("a.txt", b"from the server");
    w.file("a.txt", b"mine");
    let ran = run(&w, &["get", &contact(&w)]);
    assert_eq!((ran.code, fs::read(w.path("a.txt")).unwrap()), (Some(1), b"mine".to_vec()));
    assert!(ran.err.contains("exists") && ran.err.contains("--overwrite"), "{}", ran.err);
    let ran = run(&w, &["get", &contact(&w), "--overwrite"]);
    assert_eq!((ran.code, fs::read(w.path("a.txt")).unwrap()), (Some(0), b"from the server".to_vec()));
    assert_eq!(run(&w, &["get", &contact(&w), "--again"]).code, Some(0), "a file of the same bytes is the download");
}

#[test]
fn some_attachments_are_named_in_the_target_and_a_missing_one_is_told() {
    let w = world();
    let [a, _, c] = ["a", "b", "c"].map(|name| w.attach(name, name.as_bytes()));
    let ran = run(&w, &["get", &format!("{}/{a}/{c}/77", contact(&w)), "-o", "d"]);
    let mut names: Vec<_> = fs::read_dir(w.path("d")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!((names, ran.code), (vec!["a".into(), "c".into()], Some(1)));
    assert!(ran.err.starts_with("zcrm: 77: "), "{}", ran.err);
}

#[test]
fn one_attachment_goes_to_standard_output() {
    let w = world();
    let a = w.attach("a", b"hello\n");
    let ran = run(&w, &["get", &format!("{}/{a}", contact(&w)), "-o", "-"]);
    assert_eq!((ran.out.as_str(), ran.code), ("hello\n", Some(0)));
    assert_eq!(run(&w, &["get", &contact(&w), "-o", "-"]).code, Some(2));
}

#[test]
fn attachments_are_deleted_by_id_and_all_of_them_only_on_request() {
    let w = world();
    let [a, b, _c] = ["a", "b", "c"].map(|name| w.attach(name, b"x"));
    let ran = run(&w, &["rm", &format!("{}/{a}/{b}", contact(&w))]);
    assert_eq!((ran.out, ran.code), (format!("deleted {a}\ndeleted {b}\n"), Some(0)));
    let refused = run(&w, &["rm", &contact(&w)]);
    assert!(refused.code == Some(2) && refused.err.contains("--all") && w.stored().len() == 1, "{refused:?}");
    assert_eq!((run(&w, &["rm", "--all", &contact(&w)]).code, w.stored().len()), (Some(0), 0));
}

#[test]
fn a_photo_is_set_fetched_and_deleted() {
    let w = world();
    w.file("me.png", PNG);
    let steps: [&[&str]; 3] = [&["set", &contact(&w), "me.png"], &["get", &contact(&w), "-o", "back.png"], &["rm", &contact(&w)]];
    for step in steps {
        let ran = run(&w, &[&["photo"], step].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!((fs::read(w.path("back.png")).unwrap().is_empty(), w.emulator.photo("Contacts", &w.contact.id)), (false, None));
    let ran = feed(zcrm(&w, &["photo", "set", &contact(&w), "-"]), PNG);
    assert!(ran.code == Some(0) && w.emulator.photo("Contacts", &w.contact.id).is_some(), "{ran:?}");
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    let w = world();
    let there = w.attach("there.txt", b"x");
    w.file("a", b"abc");
    let target = format!("{}/{there}", contact(&w));
    let contact = contact(&w);
    let runs: [(&[&str], &str); 7] = [
        (&["upload", &contact, "a"], "would upload a (3 B)"),
        (&["get", &contact, "-o", "d"], "would save d/there.txt (1 B)"),
        (&["rm", &target], "would delete"),
        (&["rm", "--all", &contact], "would delete"),
        (&["photo", "set", &contact, "a"], "would set"),
        (&["photo", "get", &contact, "-o", "d.png"], "would save the photo"),
        (&["photo", "rm", &contact], "would delete"),
    ];
    for (arguments, said) in runs {
        let ran = run(&w, &[arguments, &["--dry-run"]].concat());
        assert!(ran.code == Some(0) && ran.out.starts_with(said), "{arguments:?}: {ran:?}");
    }
    assert_eq!((w.stored(), w.path("d").exists()), (vec![("there.txt".to_owned(), 1)], false));
    assert!(w.emulator.ledger().requests.iter().all(|request| request.operation == "attachment.list"));
    assert_eq!(run(&w, &["upload", &contact, "missing", "--dry-run"]).code, Some(1));
}

#[test]
fn a_pipe_is_uploaded_under_the_name_that_is_given_and_a_folder_is_refused() {
    let w = world();
    std::fs::create_dir(w.path("dir")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(w.path("pipe")).status().unwrap();
    assert!(made.success());
    let nameless = run(&w, &["upload", &contact(&w), "pipe", "dir"]);
    assert_eq!((nameless.code, w.stored().len()), (Some(1), 0), "{nameless:?}");
    assert!(nameless.err.contains("pipe, which has no name; give one with --name") && nameless.err.contains("name the files in it"), "{nameless:?}");
    let path = w.path("pipe");
    let writer = std::thread::spawn(move || fs::write(path, bytes(70_000)).unwrap());
    let ran = run(&w, &["upload", &contact(&w), "pipe", "--name", "report.csv"]);
    assert_eq!((ran.code, w.stored()), (Some(0), vec![("report.csv".to_owned(), 70_000)]), "{ran:?}");
    writer.join().unwrap();
}

#[test]
fn a_thousand_files_go_and_come_in_one_call_each() {
    let w = world();
    let names: Vec<String> = (0..1000).map(|i| format!("file {i}.txt")).collect();
    names.iter().for_each(|name| drop(w.file(name, name.as_bytes())));
    let record = contact(&w);
    let call = |words: &[&str], more: &[String]| {
        let arguments: Vec<&str> = words.iter().copied().chain(more.iter().map(String::as_str)).collect();
        let ran = run(&w, &arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{words:?}");
        ran.out.lines().count()
    };
    assert_eq!((call(&["upload", &record, "--parallel", "8"], &names), w.stored().len()), (1000, 1000));
    assert_eq!(call(&["get", &record, "-o", "back", "--parallel", "8"], &[]), 1000);
    assert!(names.iter().all(|name| fs::read(w.path("back").join(name)).unwrap() == name.as_bytes()));
    assert_eq!((call(&["rm", "--all", &record], &[]), w.stored().len()), (1000, 0));
}
