//! The journal of a batch: one that was torn, and one that is nonsense.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use arbitrary::{Arbitrary, Unstructured};
use zcrm::fuzzing::Journal;

use super::sound;

/// A file in memory where there is one: the journal is flushed at each begin.
fn path() -> PathBuf {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir_in(if fs::exists("/dev/shm").unwrap_or(false) { "/dev/shm" } else { "/tmp" }).unwrap();
    }
    DIR.with(|dir| dir.path().join("journal"))
}

/// A first byte `j`: what is behind it is the file. Else: lines are written, and torn at some byte.
pub fn journal(data: &[u8]) {
    match data.split_first() {
        Some((b'j', file)) => nonsense(file),
        Some((_, plan)) => drop(torn(&mut Unstructured::new(plan))),
        None => {}
    }
}

fn nonsense(file: &[u8]) {
    let path = path();
    fs::write(&path, file).unwrap();
    if let Err(error) = Journal::open(&path) {
        sound(&error);
        assert_eq!(error.reason(), "journal_corrupt", "{error}");
        return assert_eq!(fs::read(&path).unwrap(), file, "what can't be read is left as it is");
    }
    let repaired = fs::read(&path).unwrap();
    let is_written_anew = repaired.starts_with(b"{\"journal\":{\"version\":3}}\n");
    assert!(file.starts_with(&repaired) || is_written_anew, "only what is torn is taken off");
    drop(Journal::open(&path).expect("a journal that was opened can be opened again"));
    assert_eq!(fs::read(&path).unwrap(), repaired);
}

#[derive(Arbitrary)]
enum Line<'d> {
    Begin(&'d str),
    Done(&'d str),
    Failed(&'d str),
}

/// Wherever a journal is torn: it opens, and each key is as its last whole line says.
fn torn(plan: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let path = path();
    let _ = fs::remove_file(&path); // it may not be there
    let mut journal = Journal::open(&path).expect("a new one");
    let mut keys: HashMap<&str, Option<String>> = HashMap::new();
    let mut states = vec![(fs::metadata(&path).unwrap().len(), keys.clone())];
    for _ in 0..plan.int_in_range(0..=12)? {
        match Line::arbitrary(plan)? {
            Line::Begin(key) => {
                journal.begin(key, "step").unwrap();
                keys.insert(key, Some(String::new()));
            }
            Line::Done(key) => {
                let outcome = serde_json::json!({"result": {"id": key}}).to_string();
                if !journal.done(key, &outcome).unwrap() {
                    continue;
                }
                keys.insert(key, Some(outcome));
            }
            Line::Failed(key) => {
                if !journal.failed(key).unwrap() {
                    continue;
                }
                keys.insert(key, None);
            }
        }
        states.push((fs::metadata(&path).unwrap().len(), keys.clone()));
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let cut = plan.int_in_range(0..=whole.len() as u64)?;
    fs::write(&path, &whole[..cut as usize]).unwrap();
    let mut journal = Journal::open(&path).expect("a torn journal can be opened");
    let known = states.iter().rev().find(|(end, _)| *end <= cut).map(|(_, keys)| keys.clone()).unwrap_or_default();
    for key in keys.keys() {
        assert_eq!(journal.before(key, "step").unwrap(), known.get(key).cloned().flatten(), "{key:?} cut at {cut}");
    }
    Ok(())
}
