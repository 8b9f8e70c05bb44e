use super::*;

fn open(dir: &Path) -> Result<Journal> {
    Journal::open(&dir.join("journal"))
}

fn step() -> Fingerprint {
    Fingerprint { step: "step".into(), source: None }
}

fn before(journal: &mut Journal, key: &str) -> Before {
    journal.before(key, "step", |_| false).unwrap()
}

fn begun(journal: &mut Journal, key: &str) -> bool {
    matches!(before(journal, key), Before::Begun)
}

/// One of each: begun, done, failed.
fn filled(dir: &Path) {
    let mut journal = open(dir).unwrap();
    let _ = journal.begin("begun", step()).unwrap();
    let done = journal.begin("done", step()).unwrap();
    let failed = journal.begin("failed", step()).unwrap();
    journal.done("done", done, r#"{"result":{"id":"7"}}"#).unwrap();
    journal.failed("failed", &failed).unwrap();
}

fn is_filled(journal: &mut Journal) {
    assert!(journal.claimed().contains("7") && !journal.claimed().contains("8"));
    assert!(begun(journal, "begun"));
    assert!(matches!(before(journal, "done"), Before::Done(outcome) if outcome.contains("\"7\"")));
    assert!(matches!(before(journal, "failed"), Before::New));
}

#[test]
fn what_was_begun_done_and_refused_is_known_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    is_filled(&mut open(dir.path()).unwrap());
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(journal.before("begun", "another step", |_| false).err().unwrap().reason(), "journal_key");
    assert_eq!(journal.before("begun", "step", |_| false).err().unwrap().reason(), "argument", "a key is given once in a run");
}

#[test]
fn a_journal_of_the_version_before_is_read_and_goes_on_in_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let lines = [
        r#"{"journal":{"version":2}}"#,
        r#"{"begin":{"key":"begun","step":"step"}}"#,
        r#"{"begin":{"key":"done","step":"step","source":{"bytes":5,"modified_ns":6}}}"#,
        r#"{"begin":{"key":"failed","step":"step"}}"#,
        r#"{"failed":{"key":"failed"}}"#,
        r#"{"done":{"key":"done","outcome":{"result":{"id":"7"}}}}"#,
        r#"{"begin":{"key":"to"#,
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_in_use", "the lock goes with the name");
    is_filled(&mut journal);
    drop(journal);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\"journal\":{\"version\":3}}\n") && !text.contains("failed"), "{text}");
    is_filled(&mut open(dir.path()).unwrap());
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(journal.before("done", "step", |_| true).err().unwrap().reason(), "journal_source_changed");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "and nothing else is left there");
}

#[test]
fn tries_that_were_refused_again_and_again_do_not_make_it_grow() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut longest = 0;
    for _ in 0..200 {
        let mut journal = open(dir.path()).unwrap();
        for key in ["a", "b", "c", "d"] {
            let tried = journal.begin(key, step()).unwrap();
            journal.failed(key, &tried).unwrap();
        }
        longest = longest.max(dir.path().join("journal").metadata().unwrap().len());
    }
    assert!(longest < 8_000, "{longest} bytes");
    is_filled(&mut open(dir.path()).unwrap());
}

#[test]
fn a_line_that_was_written_in_part_is_taken_off_before_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    let done = journal.begin("done", step()).unwrap();
    journal.file.tear(b"{\"begin\":{\"key\":\"a long key, of a line that is longer than the next one will be");
    journal.done("done", done, "{}").unwrap();
    drop(journal);
    let mut journal = open(dir.path()).unwrap();
    assert!(matches!(before(&mut journal, "done"), Before::Done(_)));
}

#[test]
fn a_torn_last_line_is_taken_off_and_a_broken_one_before_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = open(dir.path()).unwrap();
    let _ = journal.begin("a", step()).unwrap();
    drop(journal);
    let whole = std::fs::read_to_string(&path).unwrap();
    for torn in 1..20 {
        std::fs::write(&path, format!("{whole}{}", &r#"{"done":{"key":"a","outcome":{}}}"#[..torn])).unwrap();
        assert!(begun(&mut open(dir.path()).unwrap(), "a"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }
    for bad in ["nonsense\n", "{\"done\":{\"key\":\"never begun\",\"outcome\":{}}}\n", "{\"journal\":{\"version\":3}}\n"] {
        std::fs::write(&path, format!("{whole}{bad}{whole}")).unwrap();
        assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_corrupt", "{bad}");
    }
    std::fs::write(&path, "{\"journal\":{\"version\":1}}\n").unwrap();
    assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_corrupt");
}

#[test]
fn a_line_torn_inside_of_a_character_is_taken_off_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let _ = open(dir.path()).unwrap().begin("Grüße", step()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let inside = whole.iter().position(|b| *b >= 0x80).unwrap() + 1;
    std::fs::write(&path, &whole[..inside]).unwrap();
    assert!(matches!(before(&mut open(dir.path()).unwrap(), "Grüße"), Before::New));
}

#[test]
fn a_file_that_is_no_journal_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    for text in ["a", "no line end", "lines\nand a rest", "{\"journal\": ", "\u{0}"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_corrupt", "{text:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    for torn in ["", "{", "{\"journal\":{\"version\":3"] {
        std::fs::write(&path, torn).unwrap();
        drop(open(dir.path()).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"journal\":{\"version\":3}}\n");
    }
}

#[test]
fn two_processes_do_not_work_with_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path()).unwrap();
    assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_in_use");
}

#[test]
fn a_file_that_has_changed_since_its_step_was_begun_is_told_unless_the_step_was_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let looked = || SourceFile::of(&file.metadata().unwrap());
    std::fs::write(&file, "content").unwrap();
    let mut journal = open(dir.path()).unwrap();
    for key in ["begun", "done", "failed"] {
        let tried = journal.begin(key, Fingerprint { source: Some(looked()), ..step() }).unwrap();
        match key {
            "done" => journal.done(key, tried, "{}").unwrap(),
            "failed" => journal.failed(key, &tried).unwrap(),
            _ => {}
        }
    }
    drop(journal);
    std::fs::write(&file, "other content").unwrap();
    let has_changed = |then: &SourceFile| looked() != *then;
    let mut journal = open(dir.path()).unwrap();
    for key in ["begun", "done"] {
        assert_eq!(journal.before(key, "step", has_changed).err().unwrap().reason(), "journal_source_changed", "{key}");
    }
    assert!(matches!(journal.before("failed", "step", has_changed).unwrap(), Before::New));
}

#[test]
fn the_ids_of_links_are_known_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    let links = journal.begin("links", step()).unwrap();
    journal.done("links", links, r#"{"result":{"attached":1,"links":[{"url":"a","attachment":{"id":"8"}},{"url":"b","error":{}}]}}"#).unwrap();
    drop(journal);
    assert!(open(dir.path()).unwrap().claimed().contains("8"));
}

#[test]
fn nobody_else_may_read_a_journal_whoever_made_its_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
    drop(open(dir.path()).unwrap());
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(dir.path()).unwrap());
    assert_eq!(mode(), 0o600);
}
