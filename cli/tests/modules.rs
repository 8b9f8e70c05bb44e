//! export, import and sync: whole modules into a folder and back.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::world::{World, bytes, world};
use support::{run, zcrm};
use zcrm_emulator::{Fault, PNG};

/// Names, links and hashes of all that a record has, without ids and times.
fn contents(w: &World, record: &str) -> Vec<(String, Option<String>, String)> {
    let mut all: Vec<_> = w.emulator.attachments("Widgets", record).into_iter().map(|a| (a.name, a.link_url, a.sha256)).collect();
    all.sort();
    all
}

/// The lines of the manifest.
fn manifest(w: &World) -> Vec<Value> {
    let text = fs::read_to_string(w.path("out/manifest.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file below a folder, with its content.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                dirs.push(entry);
            } else {
                all.insert(entry.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), fs::read(entry).unwrap());
            }
        }
    }
    all
}

/// Two records with files, equal ones among them, a link and a photo.
fn fill(w: &World) -> [String; 2] {
    let [first, second] = [0, 1].map(|_| w.emulator.add_record("Widgets"));
    w.emulator.attach("Widgets", &first, "Grüße.pdf", &bytes(70_000));
    w.emulator.attach("Widgets", &first, "same.txt", b"1");
    w.emulator.attach("Widgets", &first, "same.txt", b"1");
    w.emulator.attach("Widgets", &first, "SAME.txt", b"2");
    w.emulator.attach_link("Widgets", &first, "Zoho", "https://www.zoho.com/?a=b&c");
    w.emulator.set_photo("Widgets", &first, PNG);
    w.emulator.attach("Widgets", &second, "empty", b"");
    [first, second]
}

#[test]
fn what_is_exported_comes_back_to_records_without_files_and_twice_changes_nothing() {
    let w = world();
    let [first, second] = fill(&w);
    let exported = run(&w, &["export", "Widgets", "-o", "out"]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(exported.out.contains("costs 4 API credits at least") && exported.out.contains("exported 2 records with 7 items"), "{exported:?}");
    let shortcut = fs::read_to_string(w.path(&format!("out/Widgets/{first}/Zoho.url"))).unwrap();
    assert_eq!(shortcut, "[InternetShortcut]\r\nURL=https://www.zoho.com/?a=b&c\r\n");
    assert_eq!(fs::read(w.path(&format!("out/Widgets/{first}/photo.png"))).unwrap(), PNG);
    for line in manifest(&w).iter().filter(|line| line["kind"] != "record") {
        let length = fs::metadata(w.path(&format!("out/{}", line["path"].as_str().unwrap()))).unwrap().len();
        assert_eq!(line["bytes"], length, "{line}");
        assert!(line["kind"] == "link" || line["sha256"].as_str().unwrap().len() == 64, "{line}");
    }
    let [new_first, new_second] = [0, 1].map(|_| w.emulator.add_record("Widgets"));
    w.file("map.csv", format!("old,new\n{first},{new_first}\n{second},{new_second}\n").as_bytes());
    for (uploaded, skipped) in [(7, 0), (0, 7)] {
        let imported = run(&w, &["--json", "import", "out", "--map", "map.csv"]);
        let end = imported.json().pop().unwrap();
        assert_eq!((imported.code, &end["uploaded"], &end["skipped"]), (Some(0), &uploaded.into(), &skipped.into()), "{imported:?}");
        assert_eq!((contents(&w, &new_first), contents(&w, &new_second)), (contents(&w, &first), contents(&w, &second)));
        assert_eq!(w.emulator.photo("Widgets", &new_first), Some(PNG.to_vec()));
    }
    // The records that it came from have all of it.
    let back = run(&w, &["import", "out"]);
    assert_eq!((back.code, contents(&w, &first).len()), (Some(0), 5), "{back:?}");
    assert!(back.out.contains("0 uploaded, 7 were there;"), "{back:?}");
}

#[test]
fn an_export_that_is_killed_in_the_middle_of_500_records_goes_on_where_it_was() {
    let w = world();
    let ids: Vec<String> = (0..500).map(|_| w.emulator.add_record("Widgets")).collect();
    ids.iter().for_each(|id| drop(w.emulator.attach("Widgets", id, "a.txt", id.as_bytes())));
    let mut child = zcrm(&w, &["export", "Widgets", "-o", "out"]).spawn().unwrap();
    let (began, halfway) = (Instant::now(), || fs::read_to_string(w.path("out/manifest.ndjson")).is_ok_and(|text| text.lines().count() > 500));
    while !halfway() {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A line that was being written.
    let text = fs::read(w.path("out/manifest.ndjson")).unwrap();
    fs::write(w.path("out/manifest.ndjson"), &text[..text.len() - 3]).unwrap();
    let whole = text.split(|b| *b == b'\n').filter(|line| line.starts_with(br#"{"kind":"record","#)).count();
    let before = w.requests("attachment.download").len();
    assert!(whole > 100 && whole < 500, "{whole} records were complete when it was killed");
    let again = run(&w, &["export", "Widgets", "-o", "out"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let downloads = w.requests("attachment.download").len() - before;
    assert!(downloads <= 501 - whole, "{downloads} downloads after {whole} complete records");
    let there = files(&w.path("out/Widgets"));
    assert!(ids.iter().all(|id| there.get(&format!("{id}/a.txt")).is_some_and(|content| content == id.as_bytes())) && there.len() == 500);
    let complete: HashSet<String> =
        manifest(&w).iter().filter(|line| line["kind"] == "record").map(|line| line["record_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(complete.len(), 500);
    let nothing = run(&w, &["export", "Widgets", "-o", "out"]);
    assert!(nothing.out.starts_with("Widgets: 0 of 500 records to export"), "{nothing:?}");
}

#[test]
fn an_export_stops_at_its_credits_and_the_next_one_goes_on() {
    let w = world();
    (0..10).for_each(|_| drop(w.emulator.add_record("Widgets")));
    let stopped = run(&w, &["export", "Widgets", "-o", "out", "--credits", "8"]);
    assert!(stopped.code == Some(1) && stopped.err.contains("stopped at 8 API credits"), "{stopped:?}");
    assert_eq!(w.emulator.ledger().requests.len(), 8);
    let left = manifest(&w).iter().filter(|line| line["kind"] == "record").count();
    assert!((1..=3).contains(&left), "{left} of 10 records for 7 credits");
    let rest = run(&w, &["--json", "export", "Widgets", "-o", "out", "--credits", "100"]);
    let plan = &rest.json()[0];
    assert_eq!((rest.code, &plan["left"], &plan["least_credits"]), (Some(0), &(10 - left).into(), &(20 - 2 * left).into()), "{rest:?}");
}

#[test]
fn a_dry_run_only_tells_the_cost() {
    let w = world();
    fill(&w);
    let ran = run(&w, &["export", "Widgets", "-o", "out", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.out.contains("4 API credits"), "{ran:?}");
    assert_eq!((w.emulator.ledger().requests.len(), fs::exists(w.path("out/Widgets")).unwrap()), (1, false));
}

#[test]
fn names_of_the_server_never_lead_out_of_the_folder_and_never_meet() {
    let w = world();
    let record = w.emulator.add_record("Widgets");
    let long = format!("{}.txt", "é".repeat(150));
    let hostile = [
        "../x",
        "..",
        "/etc/passwd",
        "a\0b",
        "a.txt",
        "A.TXT",
        "a.txt",
        "CON",
        "x\n y",
        "photo.png",
        "manifest.ndjson",
        "",
        long.as_str(),
        long.as_str(),
    ];
    for (i, name) in hostile.iter().enumerate() {
        w.emulator.attach("Widgets", &record, name, &[i as u8]);
    }
    w.emulator.attach_link("Widgets", &record, &"é".repeat(127), "https://example.com/\r\nURL=https://evil.example");
    w.emulator.set_photo("Widgets", &record, PNG);
    let ran = run(&w, &["export", "Widgets", "-o", "out"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let there = files(&w.path("out"));
    assert_eq!(there.len(), hostile.len() + 3, "{:?}", there.keys());
    assert!(there.keys().all(|path| path == "manifest.ndjson" || path.starts_with(&format!("Widgets/{record}/"))), "{:?}", there.keys());
    let mut alone: Vec<String> = there.keys().map(|path| path.to_lowercase()).collect();
    alone.dedup();
    assert_eq!(alone.len(), there.len(), "no two differ in case only");
    let contents: HashSet<&[u8]> = there.values().map(Vec::as_slice).collect();
    assert!((0..hostile.len()).all(|i| contents.contains([i as u8].as_slice())));
    assert!(there.values().all(|content| !content.windows(6).any(|part| part == b"\nURL=\r".as_slice())));
    assert_eq!(fs::read_dir(w.dir.path()).unwrap().count(), 1, "nothing beside the folder");
}

#[test]
fn records_can_be_named_in_a_file_and_one_that_is_not_there_keeps_no_other_from_being_exported() {
    let w = world();
    let [first, _] = fill(&w);
    w.file("ids", format!("\u{feff}{first}\r\n\n{first}\n999\n").as_bytes());
    let ran = run(&w, &["export", "Widgets", "-o", "out", "--ids", "ids"]);
    assert!(ran.code == Some(1) && ran.err.contains("Widgets/999"), "{ran:?}");
    assert!(fs::exists(w.path(&format!("out/Widgets/{first}/photo.png"))).unwrap() && w.requests("record.list").is_empty());
    w.file("ids", b"1\nx2\n");
    let wrong = run(&w, &["export", "Widgets", "-o", "out", "--ids", "ids"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("line 2") && wrong.err.contains("x2"), "{wrong:?}");
}

#[test]
fn a_module_with_more_records_than_zoho_lists_needs_their_ids() {
    let w = world();
    w.emulator.settings(|s| s.list_rows = 200);
    (0..201).for_each(|_| drop(w.emulator.add_record("Widgets")));
    let ran = run(&w, &["export", "Widgets", "-o", "out"]);
    assert!(ran.code == Some(2) && ran.err.contains("100,000") && ran.err.contains("--ids"), "{ran:?}");
    assert!(!fs::exists(w.path("out")).unwrap(), "nothing is begun");
}

#[test]
fn a_download_that_fails_is_told_and_made_by_the_next_export() {
    let w = world();
    let [first, _] = fill(&w);
    w.emulator.script("attachment.download", [Fault::status(403)]);
    let ran = run(&w, &["export", "Widgets", "-o", "out"]);
    assert!(ran.code == Some(1) && ran.err.lines().count() == 1, "{ran:?}");
    let again = run(&w, &["export", "Widgets", "-o", "out"]);
    assert_eq!((again.code, files(&w.path("out/Widgets")).len()), (Some(0), 7), "{again:?}");
    assert!(fs::exists(w.path(&format!("out/Widgets/{first}/Grüße.pdf"))).unwrap());
}

#[test]
fn an_export_leaves_a_file_that_is_not_its_own_and_says_what_to_do() {
    let w = world();
    let [first, _] = fill(&w);
    let path = w.path(&format!("out/Widgets/{first}/Grüße.pdf"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "mine").unwrap();
    let ran = run(&w, &["export", "Widgets", "-o", "out"]);
    assert!(ran.code == Some(1) && ran.err.contains("move it away"), "{ran:?}");
    assert!(!ran.err.contains("--overwrite"), "it has no such option: {ran:?}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out"]).code, Some(0));
}

#[test]
fn an_import_refuses_a_manifest_that_leads_elsewhere_and_a_map_that_says_nothing() {
    let w = world();
    let [first, second] = fill(&w);
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out"]).code, Some(0));
    w.file("map.csv", format!("{first},{second}\n").as_bytes());
    let unmapped = run(&w, &["import", "out", "--map", "map.csv"]);
    assert!(unmapped.code == Some(1) && unmapped.err.contains(&format!("Widgets/{second}")), "{unmapped:?}");
    w.file("map.csv", b"1,x\n");
    assert!(run(&w, &["import", "out", "--map", "map.csv"]).err.contains("line 1"));
    for path in ["../x", "/etc/passwd", ""] {
        let line = format!(r#"{{"kind":"file","module":"Widgets","record_id":"1","path":"{path}"}}"#);
        fs::write(w.path("out/manifest.ndjson"), format!("{line}\n")).unwrap();
        let refused = run(&w, &["import", "out"]);
        assert!(refused.code == Some(2) && refused.err.contains("line 1"), "{path}: {refused:?}");
    }
    let none = run(&w, &["import", "nowhere"]);
    assert!(none.code == Some(2) && none.err.contains("manifest.ndjson"), "{none:?}");
}

#[test]
fn a_file_that_was_changed_since_its_export_is_not_imported() {
    let w = world();
    let [first, _] = fill(&w);
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out"]).code, Some(0));
    fs::write(w.path(&format!("out/Widgets/{first}/Grüße.pdf")), b"changed").unwrap();
    let new = w.emulator.add_record("Widgets");
    w.file("map.csv", format!("{first},{new}\n").as_bytes());
    let ran = run(&w, &["import", "out", "--map", "map.csv"]);
    assert!(ran.code == Some(1) && ran.err.contains("Grüße.pdf"), "{ran:?}");
    assert_eq!(contents(&w, &new).len(), 4, "the others are there");
}

#[test]
fn sync_attaches_what_is_missing_and_deletes_only_when_asked() {
    let w = world();
    let record = w.emulator.add_record("Widgets");
    let names = |w: &World| -> Vec<String> { contents(w, &record).into_iter().map(|(name, ..)| name).collect() };
    for (name, content) in [("kept.txt", "kept"), ("changed.txt", "old"), ("surplus.txt", "x")] {
        w.emulator.attach("Widgets", &record, name, content.as_bytes());
    }
    fs::create_dir(w.path("dir")).unwrap();
    for (name, content) in
        [("kept.txt", "kept"), ("changed.txt", "new"), ("new.txt", "n"), ("Zoho.url.URL", "[InternetShortcut]\r\nURL=https://zoho.com/\r\n")]
    {
        fs::write(w.path("dir").join(name), content).unwrap();
    }
    let target = format!("Widgets/{record}");
    let would = run(&w, &["sync", "dir", &target, "--delete", "--dry-run"]);
    assert_eq!((would.code, names(&w).len()), (Some(0), 3), "{would:?}");
    assert!(would.out.contains("would be attached: dir/new.txt") && would.out.contains("would be deleted: surplus.txt"), "{would:?}");
    assert_eq!(run(&w, &["sync", "dir", &target]).code, Some(0));
    assert_eq!(names(&w), ["Zoho.url", "changed.txt", "changed.txt", "kept.txt", "new.txt", "surplus.txt"]);
    let clean = run(&w, &["sync", "dir", &target, "--delete"]);
    assert_eq!((clean.code, names(&w)), (Some(0), ["Zoho.url", "changed.txt", "kept.txt", "new.txt"].map(String::from).to_vec()), "{clean:?}");
    assert!(contents(&w, &record).iter().all(|(_, url, _)| url.is_none() || url.as_deref() == Some("https://zoho.com/")));
    let requests = w.requests("attachment.upload").len();
    assert_eq!((run(&w, &["sync", "dir", &target, "--delete"]).code, w.requests("attachment.upload").len()), (Some(0), requests));
    w.emulator.script("attachment.upload", [Fault::status(403)]);
    fs::write(w.path("dir/more.txt"), b"m").unwrap();
    fs::remove_file(w.path("dir/kept.txt")).unwrap();
    let failed = run(&w, &["sync", "dir", &target, "--delete"]);
    assert!(failed.code == Some(1) && names(&w).contains(&"kept.txt".to_owned()), "nothing is deleted where something isn't attached: {failed:?}");
}

#[test]
fn a_dry_run_of_an_import_only_looks_and_one_with_credits_goes_on_where_it_stopped() {
    let w = world();
    let [first, second] = fill(&w);
    w.file("ids.txt", format!("{first}\n{second}\n").as_bytes());
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out", "--ids", "ids.txt", "--parallel", "1"]).code, Some(0)); // in this order
    let [new_first, new_second] = [0, 1].map(|_| w.emulator.add_record("Widgets"));
    w.file("map.csv", format!("{first},{new_first}\n{second},{new_second}\n").as_bytes());
    let import = |more: &[&str]| {
        let ran = run(&w, &[&["--json", "import", "out", "--map", "map.csv", "--parallel", "1"], more].concat());
        (ran.json().into_iter().rfind(|line| line["uploaded"].is_u64()).unwrap(), ran.code)
    };
    let (would, code) = import(&["--dry-run"]);
    assert_eq!((&would["dry_run"], &would["uploaded"], &would["credits"], code), (&true.into(), &7.into(), &3.into(), Some(0)), "{would}");
    assert!(contents(&w, &new_first).is_empty() && w.emulator.photo("Widgets", &new_first).is_none());
    let before = w.emulator.ledger().requests.len();
    let (stopped, code) = import(&["--credits", "4"]);
    assert_eq!((&stopped["credits"], &stopped["left"], code), (&4.into(), &2.into(), Some(1)), "{stopped}");
    assert_eq!(w.emulator.ledger().requests.len() - before, 4);
    let (rest, code) = import(&["--credits", "100"]);
    assert_eq!((rest["uploaded"].as_u64().unwrap() + stopped["uploaded"].as_u64().unwrap(), code), (7, Some(0)), "{rest}");
    assert_eq!((contents(&w, &new_first), contents(&w, &new_second)), (contents(&w, &first), contents(&w, &second)));
}

#[test]
fn a_link_in_the_folder_that_leads_out_of_it_is_not_imported() {
    let w = world();
    let [first, second] = fill(&w);
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out"]).code, Some(0));
    w.file("secret", b"");
    let place = w.path(&format!("out/Widgets/{second}/empty"));
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(w.path("secret"), place).unwrap();
    let new = w.emulator.add_record("Widgets");
    w.file("map.csv", format!("{first},{first}\n{second},{new}\n").as_bytes());
    let ran = run(&w, &["import", "out", "--map", "map.csv"]);
    assert!(ran.code == Some(1) && ran.err.contains("leads out of the folder") && contents(&w, &new).is_empty(), "{ran:?}");
}

#[test]
fn sync_follows_links_within_the_folder_alone_and_twice_changes_nothing() {
    let w = world();
    let record = w.emulator.add_record("Widgets");
    let target = format!("Widgets/{record}");
    w.file("secret", b"of somebody else");
    fs::create_dir_all(w.path("dir/below")).unwrap();
    fs::write(w.path("dir/below/real"), b"mine").unwrap();
    std::os::unix::fs::symlink("below/real", w.path("dir/near")).unwrap();
    for _ in 0..2 {
        assert_eq!(run(&w, &["sync", "dir", &target, "--delete"]).code, Some(0));
        assert_eq!(contents(&w, &record).len(), 1, "the file behind the link, once");
    }
    assert_eq!((contents(&w, &record)[0].0.as_str(), w.requests("attachment.upload").len()), ("near", 1));
    std::os::unix::fs::symlink("../secret", w.path("dir/far")).unwrap();
    let ran = run(&w, &["sync", "dir", &target]);
    assert!(ran.code == Some(1) && ran.err.contains("leads out of the folder") && contents(&w, &record).len() == 1, "{ran:?}");
}

#[test]
fn a_line_of_the_manifest_that_is_torn_in_the_middle_is_named_with_the_way_out() {
    let w = world();
    fill(&w);
    assert_eq!(run(&w, &["export", "Widgets", "-o", "out"]).code, Some(0));
    let text = fs::read_to_string(w.path("out/manifest.ndjson")).unwrap();
    fs::write(w.path("out/manifest.ndjson"), text.replacen("\n{", "\n\0\0{", 1)).unwrap();
    for command in [&["import", "out"][..], &["export", "Widgets", "-o", "out"]] {
        let torn = run(&w, command);
        assert!(torn.code == Some(2) && torn.err.contains("line 2: ") && torn.err.contains("take the line out"), "{torn:?}");
    }
}

#[test]
fn a_module_that_cannot_be_is_told_before_anything_is_begun() {
    let w = world();
    w.file("ids", b"1\n");
    let ran = run(&w, &["export", "../x", "-o", "out", "--ids", "ids"]);
    assert!(ran.code == Some(2) && ran.err.contains("API name") && !w.path("out").exists(), "{ran:?}");
}

#[test]
fn sync_knows_two_links_to_the_same_page_apart() {
    let w = world();
    let record = w.emulator.add_record("Widgets");
    (0..2).for_each(|_| drop(w.emulator.attach_link("Widgets", &record, "Zoho", "https://zoho.com/")));
    fs::create_dir(w.path("dir")).unwrap();
    fs::write(w.path("dir/Zoho.url"), "[InternetShortcut]\r\nURL=https://zoho.com/\r\n").unwrap();
    let ran = run(&w, &["sync", "dir", &format!("Widgets/{record}"), "--delete"]);
    assert_eq!((ran.code, contents(&w, &record).len()), (Some(0), 1), "{ran:?}");
}
