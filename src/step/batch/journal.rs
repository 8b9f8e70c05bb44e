//! The journal of a batch: what was begun and how it ended, one line each, so that a killed process can go on where it was.
//!
//! A line is on the disk before its file is sent. A key that was begun and has no end is what the restart has to look for.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::meaning::meaning;
use crate::error::{Error, Result, Status, one_line};

const VERSION: u32 = 2;
/// How every journal begins.
const HEAD: &[u8] = br#"{"journal":{"version":"#;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    /// The first line: what wrote the others.
    Journal { version: u32 },
    /// Begun: the hash tells whether the key stands for the same step the next time, and the source whether its file is still the same.
    Begin {
        key: String,
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceFile>,
    },
    /// Ended well, with the outcome's JSON.
    Done { key: String, outcome: Box<RawValue> },
    /// Ended with a refusal: nothing is stored, and the next run tries again.
    Failed { key: String },
}

/// What a step does, as far as a journal knows it.
pub(crate) struct Deed {
    step: String,
    source: Option<SourceFile>,
}

impl Deed {
    pub(crate) fn new(step: &str, source: Option<&Metadata>) -> Deed {
        Deed { step: meaning(step), source: source.map(SourceFile::of) }
    }
}

/// By what one sees that a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SourceFile {
    bytes: u64,
    modified_ns: i64,
}

impl SourceFile {
    fn of(file: &Metadata) -> SourceFile {
        let since = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        SourceFile { bytes: file.len(), modified_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }
}

/// What an earlier run recorded for a key.
pub(crate) enum Before {
    /// Nothing is known of it, or it was refused.
    New,
    /// It was begun, and its end is not known.
    Begun,
    /// It was done, with this outcome.
    Done(Box<RawValue>),
}

struct Known {
    deed: Deed,
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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(PRIVATE).custom_flags(libc::O_NONBLOCK); // a fifo would be waited for
        Journal::of(options.open(path).map_err(|e| unusable(&one_line(&path.display().to_string()), "opening", &e))?, path)
    }

    /// [`Journal::open`] for a file that is open already.
    pub(crate) fn of(mut file: File, path: &Path) -> Result<Journal> {
        let shown = one_line(&path.display().to_string());
        // A device or a fifo would be read for ever.
        if !file.metadata().map_err(|e| unusable(&shown, "opening", &e))?.is_file() {
            return Err(Error::new(Status::Io, "journal", format!("journal {shown}: is not a regular file")));
        }
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
        #[cfg(unix)]
        make_private(&journal.file).map_err(|e| unusable(&journal.shown, "making it private", &e))?;
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
                (_, Line::Begin { key, step, source }) => {
                    self.known.insert(key, Known { deed: Deed { step, source }, before: Before::Begun });
                }
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

    /// How far the key had come. An error when it stood for another step then, or when the file that it sent has changed since.
    pub(crate) fn before(&mut self, key: &str, deed: &Deed) -> Result<Before> {
        let Some(known) = self.known.get_mut(key) else { return Ok(Before::New) };
        if known.deed.step != deed.step {
            let message = format!("the journal has the key {:?} with another step; keys are for one step each", one_line(key));
            return Err(Error::new(Status::Argument, "journal_key", message));
        }
        let changed = matches!((&known.deed.source, &deed.source), (Some(then), Some(now)) if then != now);
        if changed && !matches!(known.before, Before::New) {
            let message = format!(
                "the file of {:?} has changed since this journal knows the step, and nothing is sent: a journal belongs to one run of a job; \
                 begin a new one for the next run",
                one_line(key)
            );
            return Err(Error::new(Status::State, "journal_source_changed", message));
        }
        Ok(std::mem::replace(&mut known.before, Before::New))
    }

    /// Ids of attachments that other keys own.
    pub(crate) fn stored_ids(&self) -> HashSet<String> {
        #[derive(Deserialize)]
        struct Outcome {
            result: Attached,
        }
        #[derive(Deserialize)]
        struct Attached {
            id: Option<String>,
            #[serde(default)]
            links: Vec<Link>,
        }
        #[derive(Deserialize)]
        struct Link {
            attachment: Option<Stored>,
        }
        #[derive(Deserialize)]
        struct Stored {
            id: String,
        }
        let done = self.known.values().filter_map(|known| match &known.before {
            Before::Done(outcome) => serde_json::from_str::<Outcome>(outcome.get()).ok(),
            _ => None,
        });
        done.flat_map(|Outcome { result }| {
            let links = result.links.into_iter().filter_map(|link| link.attachment.map(|stored| stored.id));
            result.id.into_iter().chain(links)
        })
        .collect()
    }

    /// Before the key's step is run: on the disk when this returns.
    pub(crate) fn begin(&mut self, key: &str, deed: Deed) -> Result<()> {
        self.write(&Line::Begin { key: key.to_owned(), step: deed.step, source: deed.source })?;
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

/// Results hold the names of files, and the ids of records.
#[cfg(unix)]
const PRIVATE: u32 = 0o600;

#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    match file.metadata()?.permissions().mode() & 0o777 {
        PRIVATE => Ok(()),
        _ => file.set_permissions(std::fs::Permissions::from_mode(PRIVATE)),
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

    fn step() -> Deed {
        Deed::new("step", None)
    }

    fn begun(journal: &mut Journal, key: &str) -> bool {
        matches!(journal.before(key, &step()).unwrap(), Before::Begun)
    }

    #[test]
    fn what_was_begun_done_and_refused_is_known_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path()).unwrap();
        for key in ["begun", "done", "failed"] {
            journal.begin(key, step()).unwrap();
        }
        journal.done("done", r#"{"result":{"id":"7"}}"#).unwrap();
        journal.failed("failed").unwrap();
        drop(journal);
        let mut journal = open(dir.path()).unwrap();
        assert_eq!(journal.stored_ids(), HashSet::from(["7".to_owned()]));
        assert!(begun(&mut journal, "begun"));
        assert!(matches!(journal.before("done", &step()).unwrap(), Before::Done(outcome) if outcome.get().contains("\"7\"")));
        assert!(matches!(journal.before("failed", &step()).unwrap(), Before::New));
        assert_eq!(journal.before("begun", &Deed::new("another step", None)).err().unwrap().reason(), "journal_key");
    }

    #[test]
    fn a_torn_last_line_is_taken_off_and_a_broken_one_before_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(dir.path()).unwrap();
        journal.begin("a", step()).unwrap();
        drop(journal);
        let whole = std::fs::read_to_string(&path).unwrap();
        for torn in 1..20 {
            std::fs::write(&path, format!("{whole}{}", &r#"{"done":{"key":"a","outcome":{}}}"#[..torn])).unwrap();
            assert!(begun(&mut open(dir.path()).unwrap(), "a"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
        for bad in ["nonsense\n", "{\"done\":{\"key\":\"never begun\",\"outcome\":{}}}\n", "{\"journal\":{\"version\":2}}\n"] {
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
        open(dir.path()).unwrap().begin("Grüße", step()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let inside = whole.iter().position(|b| *b >= 0x80).unwrap() + 1;
        std::fs::write(&path, &whole[..inside]).unwrap();
        assert!(matches!(open(dir.path()).unwrap().before("Grüße", &step()).unwrap(), Before::New));
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
        for torn in ["", "{", "{\"journal\":{\"version\":2"] {
            std::fs::write(&path, torn).unwrap();
            drop(open(dir.path()).unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"journal\":{\"version\":2}}\n");
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
        let deed = |content: &str| {
            std::fs::write(&file, content).unwrap();
            Deed::new("step", Some(&file.metadata().unwrap()))
        };
        let mut journal = open(dir.path()).unwrap();
        for key in ["begun", "done", "failed"] {
            journal.begin(key, deed("content")).unwrap();
        }
        journal.done("done", "{}").unwrap();
        journal.failed("failed").unwrap();
        drop(journal);
        let mut journal = open(dir.path()).unwrap();
        let changed = deed("other content");
        for key in ["begun", "done"] {
            assert_eq!(journal.before(key, &changed).err().unwrap().reason(), "journal_source_changed", "{key}");
        }
        assert!(matches!(journal.before("failed", &changed).unwrap(), Before::New));
        assert!(matches!(journal.before("done", &step()).unwrap(), Before::Done(_)), "a file that is gone hasn't changed");
    }

    #[test]
    fn the_ids_of_links_are_known_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path()).unwrap();
        journal.begin("links", step()).unwrap();
        journal.done("links", r#"{"result":{"attached":1,"links":[{"url":"a","attachment":{"id":"8"}},{"url":"b","error":{}}]}}"#).unwrap();
        drop(journal);
        assert_eq!(open(dir.path()).unwrap().stored_ids(), HashSet::from(["8".to_owned()]));
    }

    #[cfg(unix)]
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
}
