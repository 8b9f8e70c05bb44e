//! The journal of a batch: what was begun and how it ended, one line each, so that a killed process can go on where it was.
//!
//! A line is on the disk before its file is sent. A key that was begun and has no end is what the restart has to look for.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result, Status, one_line};
use crate::transfer::sha256;

const VERSION: u32 = 1;
/// How every journal begins.
const HEAD: &[u8] = br#"{"journal":{"version":"#;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    /// The first line: what wrote the others.
    Journal { version: u32 },
    /// Begun: the hash tells whether the key stands for the same step the next time.
    Begin { key: String, step: String },
    /// Ended well, with the outcome's JSON.
    Done { key: String, outcome: Box<RawValue> },
    /// Ended with a refusal: nothing is stored, and the next run tries again.
    Failed { key: String },
}

/// How far a key had come in an earlier run.
pub(crate) enum Before {
    /// Nothing is known of it, or it was refused.
    New,
    /// It was begun, and its end is not known.
    Begun,
    /// It was done, with this outcome.
    Done(Box<RawValue>),
}

struct Known {
    step: String,
    before: Before,
}

/// An open journal, locked for this process.
pub(crate) struct Journal {
    file: File,
    shown: String,
    /// Time since an earlier run wrote last, when it was opened.
    age: Duration,
    known: HashMap<String, Known>,
}

impl Journal {
    /// Opens or makes it, reads what is there and locks it. A last line that a crash has torn is taken off, but nothing of a file that is no
    /// journal: its path may be a mistake, or come from a step.
    pub(crate) fn open(path: &Path) -> Result<Journal> {
        let shown = one_line(&path.display().to_string());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // A device or a fifo would be read for ever.
        if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::new(Status::Io, "journal", format!("journal {shown}: is not a regular file")));
        }
        let mut file = options.open(path).map_err(|e| unusable(&shown, "opening", &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Status::State, "journal_in_use", format!("journal {shown}: another process works with it")));
            }
            Err(TryLockError::Error(e)) => return Err(unusable(&shown, "locking", &e)),
        }
        let mut head = Vec::new();
        (&mut file).take(HEAD.len() as u64).read_to_end(&mut head).map_err(|e| unusable(&shown, "reading", &e))?;
        let written = file.metadata().and_then(|meta| meta.modified());
        // A clock that jumped back says nothing: then it is as if it were written now.
        let age = written.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let mut journal = Journal { file, known: HashMap::new(), shown, age };
        if !HEAD.starts_with(&head) {
            return Err(journal.corrupt(0, "it is no journal"));
        }
        // Bytes, not text: a line may be torn inside of a character.
        let mut bytes = head;
        journal.file.read_to_end(&mut bytes).map_err(|e| unusable(&journal.shown, "reading", &e))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        journal.read(&bytes[..whole])?;
        journal.repair(whole as u64).map_err(|e| unusable(&journal.shown, "repairing", &e))?;
        if whole == 0 {
            journal.write(&Line::Journal { version: VERSION })?;
        }
        Ok(journal)
    }

    /// Time since an earlier run wrote last.
    pub(super) fn age(&self) -> Duration {
        self.age
    }

    fn repair(&mut self, whole: u64) -> io::Result<()> {
        self.file.set_len(whole)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }

    fn read(&mut self, lines: &[u8]) -> Result<()> {
        let Some(lines) = lines.strip_suffix(b"\n") else { return Ok(()) }; // none at all
        for (number, line) in lines.split(|b| *b == b'\n').enumerate() {
            let line = serde_json::from_slice::<Line>(line).map_err(|e| self.corrupt(number, &e.to_string()))?;
            match (number, line) {
                (0, Line::Journal { version: VERSION }) => {}
                (0, Line::Journal { version }) => {
                    return Err(self.corrupt(0, &format!("it is of version {version}, and this library knows {VERSION}")));
                }
                (0, _) | (_, Line::Journal { .. }) => return Err(self.corrupt(number, "its first line is missing or repeated")),
                (_, Line::Begin { key, step }) => drop(self.known.insert(key, Known { step, before: Before::Begun })),
                (_, Line::Done { key, outcome }) => self.ended(number, &key, Before::Done(outcome))?,
                (_, Line::Failed { key }) => self.ended(number, &key, Before::New)?,
            }
        }
        Ok(())
    }

    fn ended(&mut self, number: usize, key: &str, before: Before) -> Result<()> {
        match self.known.get_mut(key) {
            Some(known) => known.before = before,
            None => return Err(self.corrupt(number, "it ends what never began")),
        }
        Ok(())
    }

    /// Sending without knowing what was sent would make twins.
    fn corrupt(&self, number: usize, problem: &str) -> Error {
        let message = format!("journal {}: line {}: {problem}; nothing is sent without it: repair it, or begin a new one", self.shown, number + 1);
        Error::new(Status::Protocol, "journal_corrupt", message)
    }

    /// How far the key had come. An error when it stood for another step then.
    pub(crate) fn before(&mut self, key: &str, step: &str) -> Result<Before> {
        match self.known.get_mut(key) {
            None => Ok(Before::New),
            Some(known) if known.step != sha256(step.as_bytes()) => {
                let message = format!("the journal has the key {:?} with another step; keys are for one step each", one_line(key));
                Err(Error::new(Status::Argument, "journal_key", message))
            }
            Some(known) => Ok(std::mem::replace(&mut known.before, Before::New)),
        }
    }

    /// Ids of attachments that other keys have got.
    pub(crate) fn stored_ids(&self) -> HashSet<String> {
        #[derive(Deserialize)]
        struct Outcome {
            result: Stored,
        }
        #[derive(Deserialize)]
        struct Stored {
            id: String,
        }
        let done = self.known.values().filter_map(|known| match &known.before {
            Before::Done(outcome) => serde_json::from_str::<Outcome>(outcome.get()).ok(),
            _ => None,
        });
        done.map(|outcome| outcome.result.id).collect()
    }

    /// Before the key's step is run: on the disk when this returns.
    pub(crate) fn begin(&mut self, key: &str, step: &str) -> Result<()> {
        self.write(&Line::Begin { key: key.to_owned(), step: sha256(step.as_bytes()) })?;
        self.file.sync_data().map_err(|e| self.unwritten(&e))
    }

    pub(crate) fn done(&mut self, key: &str, outcome: &str) -> Result<()> {
        let outcome = RawValue::from_string(outcome.to_owned()).expect("an outcome is JSON");
        self.write(&Line::Done { key: key.to_owned(), outcome })
    }

    pub(crate) fn failed(&mut self, key: &str) -> Result<()> {
        self.write(&Line::Failed { key: key.to_owned() })
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("a line is JSON");
        text.push(b'\n');
        self.file.write_all(&text).map_err(|e| self.unwritten(&e))
    }

    fn unwritten(&self, cause: &io::Error) -> Error {
        unusable(&self.shown, "writing", cause)
    }
}

fn unusable(shown: &str, what: &str, cause: &io::Error) -> Error {
    Error::io("journal", format_args!("journal {shown}: {what}"), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Result<Journal> {
        Journal::open(&dir.join("journal"))
    }

    fn begun(journal: &mut Journal, key: &str) -> bool {
        matches!(journal.before(key, "step").unwrap(), Before::Begun)
    }

    #[test]
    fn what_was_begun_done_and_refused_is_known_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path()).unwrap();
        for key in ["begun", "done", "failed"] {
            journal.begin(key, "step").unwrap();
        }
        journal.done("done", r#"{"result":{"id":"7"}}"#).unwrap();
        journal.failed("failed").unwrap();
        drop(journal);
        let mut journal = open(dir.path()).unwrap();
        assert_eq!(journal.stored_ids(), HashSet::from(["7".to_owned()]));
        assert!(begun(&mut journal, "begun"));
        assert!(matches!(journal.before("done", "step").unwrap(), Before::Done(outcome) if outcome.get().contains("\"7\"")));
        assert!(matches!(journal.before("failed", "step").unwrap(), Before::New));
        assert_eq!(journal.before("begun", "another step").err().unwrap().reason(), "journal_key");
    }

    #[test]
    fn a_torn_last_line_is_taken_off_and_a_broken_one_before_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(dir.path()).unwrap();
        journal.begin("a", "step").unwrap();
        drop(journal);
        let whole = std::fs::read_to_string(&path).unwrap();
        for torn in 1..20 {
            std::fs::write(&path, format!("{whole}{}", &r#"{"done":{"key":"a","outcome":{}}}"#[..torn])).unwrap();
            assert!(begun(&mut open(dir.path()).unwrap(), "a"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
        for bad in ["nonsense\n", "{\"done\":{\"key\":\"never begun\",\"outcome\":{}}}\n", "{\"journal\":{\"version\":1}}\n"] {
            std::fs::write(&path, format!("{whole}{bad}{whole}")).unwrap();
            assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_corrupt", "{bad}");
        }
        std::fs::write(&path, "{\"journal\":{\"version\":2}}\n").unwrap();
        assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_corrupt");
    }

    #[test]
    fn a_line_torn_inside_of_a_character_is_taken_off_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        open(dir.path()).unwrap().begin("Grüße", "step").unwrap();
        let whole = std::fs::read(&path).unwrap();
        let inside = whole.iter().position(|b| *b >= 0x80).unwrap() + 1;
        std::fs::write(&path, &whole[..inside]).unwrap();
        assert!(matches!(open(dir.path()).unwrap().before("Grüße", "step").unwrap(), Before::New));
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
        for torn in ["", "{", "{\"journal\":{\"version\":1"] {
            std::fs::write(&path, torn).unwrap();
            drop(open(dir.path()).unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"journal\":{\"version\":1}}\n");
        }
    }

    #[test]
    fn two_processes_do_not_work_with_one_journal() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path()).unwrap();
        assert_eq!(open(dir.path()).err().unwrap().reason(), "journal_in_use");
    }
}
