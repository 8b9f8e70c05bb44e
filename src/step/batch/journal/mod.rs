//! The journal of a batch: what was begun and how it ended, one line each, so that a killed process can go on where it was.
//!
//! A line is on the disk before its file is sent. A key that was begun and has no end is what the restart has to look for.

mod file;
mod index;
mod line;
mod rewrite;

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::claimed::Claimed;
use crate::error::{Error, Result, Status, one_line};
use file::JournalFile;
pub(crate) use file::Location;
use index::Index;
pub(crate) use line::SourceFile;
use line::{Attachments, HEAD, Line, OLD, VERSION, Written};

/// By what a journal knows a step again: what it says, and the file that it sends.
pub(crate) struct Fingerprint {
    /// The hash of what the step says.
    pub(crate) step: String,
    pub(crate) source: Option<SourceFile>,
}

/// A step that is under way, and where the journal says so.
pub(crate) struct Begun {
    fingerprint: Fingerprint,
    at: u64,
}

/// What an earlier run recorded for a key.
pub(crate) enum Before {
    /// Nothing is known of it, or it was refused.
    New,
    /// It was begun, and its end is not known.
    Begun,
    /// It was done, with this outcome.
    Done(String),
}

/// An open journal, locked for this process.
pub(crate) struct Journal {
    file: JournalFile,
    index: Index,
    /// Time since an earlier run wrote last, when it was opened.
    age: Duration,
    /// What steps of earlier runs have stored.
    claimed: Claimed,
    attachments: Attachments,
    lines: u64,
    is_old: bool,
}

/// A journal with so many lines for each key is rewritten: most of them are tries that were refused.
const LINES_A_KEY: u64 = 3;
/// Fewer lines than these are no burden.
const FEW: u64 = 100;

impl Journal {
    pub(crate) fn open(path: &Path) -> Result<Journal> {
        let location = Location::of(path)?;
        Journal::of(location.open()?, location)
    }

    /// Locks it and reads what is there. `file` was opened there. A last line that a crash has torn is taken off, but nothing of a file that is no
    /// journal: its path may be a mistake, or come from a step.
    pub(crate) fn of(file: File, location: Location) -> Result<Journal> {
        let file = JournalFile::lock(file, location)?;
        let age = file.age();
        let mut journal = Journal::read(file)?;
        if journal.is_old || journal.lines > LINES_A_KEY * journal.index.keys() as u64 + FEW {
            match rewrite::rewrite(&mut journal.file) {
                Ok(()) => journal = Journal::read(journal.file)?,
                Err(error) if journal.is_old => return Err(error),
                Err(_) => {} // where it lies that isn't possible, and it does no harm
            }
        }
        Ok(Journal { age, ..journal })
    }

    fn read(mut file: JournalFile) -> Result<Journal> {
        if !HEAD.starts_with(file.head(HEAD.len())?) {
            return Err(file.location.corrupt(1, "it is no journal"));
        }
        file.make_private()?;
        let mut journal = Journal {
            file,
            index: Index::default(),
            age: Duration::ZERO,
            claimed: Claimed::default(),
            attachments: Attachments::default(),
            lines: 0,
            is_old: false,
        };
        let end = journal.read_lines()?;
        journal.file.end_at(end)?;
        if end == 0 {
            journal.add(&Line::Journal { version: VERSION })?;
        }
        Ok(journal)
    }

    /// Gives where the last whole line ends.
    fn read_lines(&mut self) -> Result<u64> {
        let mut at = 0;
        // One that is read can't be lent to what reads another.
        let mut text = Vec::new();
        while let Some(line) = self.file.next_line(at)? {
            text.clear();
            text.extend_from_slice(line);
            self.lines += 1;
            match Written::read(&text).filter(|_| self.lines > 1) {
                Some(written) => self.note_written(&written, at)?,
                None => self.note(&text, at)?,
            }
            at += text.len() as u64 + 1;
            if at > index::LONGEST {
                return Err(self.corrupt("a journal has at most a terabyte"));
            }
        }
        Ok(at)
    }

    fn note_written(&mut self, written: &Written<'_>, at: u64) -> Result<()> {
        self.claim(written.outcome)?;
        self.note_key(written.key, at, true)
    }

    /// What was stored belongs to the step that stored it.
    fn claim(&mut self, outcome: Option<&str>) -> Result<()> {
        let Some(outcome) = outcome else { return Ok(()) };
        let read = self.attachments.of(outcome, |id| _ = self.claimed.claim(id));
        read.map_err(|e| self.corrupt(&e.to_string()))
    }

    fn note(&mut self, text: &[u8], at: u64) -> Result<()> {
        let line = Line::parse(text).map_err(|e| self.corrupt(&e.to_string()))?;
        match (self.lines, &line) {
            (1, Line::Journal { version: VERSION }) => return Ok(()),
            (1, Line::Journal { version: OLD }) => {
                self.is_old = true;
                return Ok(());
            }
            (1, Line::Journal { version }) => {
                return Err(self.corrupt(&format!("it is of version {version}, and this library knows {OLD} and {VERSION}")));
            }
            (1, _) | (_, Line::Journal { .. }) => return Err(self.corrupt("its first line is missing or repeated")),
            _ => {}
        }
        if let Line::Done { outcome, .. } = &line {
            self.claim(Some(outcome.get()))?;
        }
        self.is_old |= matches!(line, Line::Done { step: None, .. });
        let stands_alone = matches!(line, Line::Begin { .. } | Line::Done { step: Some(_), .. });
        self.note_key(line.key().expect("only the first line has none"), at, stands_alone)
    }

    /// The key's last line begins there.
    fn note_key(&mut self, key: &str, at: u64, stands_alone: bool) -> Result<()> {
        match self.find(key)? {
            Some(mut entry) => entry.set_at(at),
            None if stands_alone => self.index.insert(key, at, false),
            None => return Err(self.corrupt("it ends what never began")),
        }
        Ok(())
    }

    fn corrupt(&self, problem: &str) -> Error {
        self.file.location.corrupt(self.lines, problem)
    }

    fn find(&mut self, key: &str) -> Result<Option<index::Entry<'_>>> {
        let (file, mut failed) = (&mut self.file, None);
        let found = self.index.find(key, |at| match file.line(at) {
            Ok(line) => line.is_some_and(|line| line::tells_of(line, key)),
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        failed.map_or(Ok(found), Err)
    }

    /// Time since an earlier run wrote last.
    pub(crate) fn age(&self) -> Duration {
        self.age
    }

    /// Attachments that other keys own.
    pub(crate) fn claimed(&self) -> Claimed {
        self.claimed.clone()
    }

    /// How far the key had come. An error when it is given a second time, when it stood for another step then, or when the file that it sent has
    /// changed since, which `has_changed` is asked.
    pub(crate) fn before(&mut self, key: &str, step: &str, has_changed: impl FnOnce(&SourceFile) -> bool) -> Result<Before> {
        let Some(mut entry) = self.find(key)? else { return Ok(Before::New) };
        if entry.is_given() {
            return Err(super::running::given_twice(key));
        }
        entry.set_given();
        let at = entry.at();
        let Some(recorded) = self.file.line(at)?.and_then(Recorded::read) else {
            return Err(self.corrupt("it has changed while it was in use"));
        };
        let Recorded::Begun { step: then, source, outcome } = recorded else { return Ok(Before::New) };
        if then != step {
            let message = format!("the journal has the key {:?} with another step; keys are for one step each", one_line(key));
            return Err(Error::new(Status::Argument, "journal_key", message));
        }
        if source.as_ref().is_some_and(has_changed) {
            let message = format!(
                "the file of {:?} has changed since this journal knows the step, and nothing is sent: a journal belongs to one run of a job; \
                 begin a new one for the next run",
                one_line(key)
            );
            return Err(Error::new(Status::State, "journal_source_changed", message));
        }
        Ok(outcome.map_or(Before::Begun, |outcome| Before::Done(outcome.to_owned())))
    }

    /// Before the key's step is run: on the disk when this returns.
    pub(crate) fn begin(&mut self, key: &str, fingerprint: Fingerprint) -> Result<Begun> {
        let at = self.add(&Line::Begin { key: key.into(), step: fingerprint.step.as_str().into(), source: fingerprint.source.clone() })?;
        self.file.sync()?;
        match self.find(key)? {
            Some(mut entry) => entry.set_at(at),
            None => self.index.insert(key, at, true),
        }
        Ok(Begun { fingerprint, at })
    }

    pub(crate) fn done(&mut self, key: &str, begun: Begun, outcome: &str) -> Result<()> {
        let Begun { fingerprint: Fingerprint { step, source }, at } = begun;
        let outcome: &RawValue = serde_json::from_str(outcome).expect("an outcome is JSON");
        self.end(key, at, &Line::Done { key: key.into(), step: Some(step.into()), source, outcome })
    }

    pub(crate) fn failed(&mut self, key: &str, begun: &Begun) -> Result<()> {
        self.end(key, begun.at, &Line::Failed { key: key.into() })
    }

    fn end(&mut self, key: &str, begun: u64, line: &Line<'_>) -> Result<()> {
        let at = self.add(line)?;
        if let Some(mut entry) = self.index.find(key, |entry| entry == begun) {
            entry.set_at(at);
        }
        Ok(())
    }

    fn add(&mut self, line: &Line<'_>) -> Result<u64> {
        self.file.add(&line.text())
    }
}

/// What the last line of a key says of its step.
enum Recorded<'l> {
    Refused,
    /// Begun with this file, and done if there is an outcome.
    Begun {
        step: Cow<'l, str>,
        source: Option<SourceFile>,
        outcome: Option<&'l str>,
    },
}

impl Recorded<'_> {
    /// `None` when it isn't the line of a step.
    fn read(line: &[u8]) -> Option<Recorded<'_>> {
        if let Some(Written { step, source, outcome, .. }) = Written::read(line) {
            return Some(Recorded::Begun { step: step.into(), source, outcome });
        }
        match Line::parse(line).ok()? {
            Line::Failed { .. } => Some(Recorded::Refused),
            Line::Begin { step, source, .. } => Some(Recorded::Begun { step, source, outcome: None }),
            Line::Done { step: Some(step), source, outcome, .. } => Some(Recorded::Begun { step, source, outcome: Some(outcome.get()) }),
            Line::Done { step: None, .. } | Line::Journal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
