//! What a command tells: a line for a person or, with `--json`, one object a line; and how it went in all.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use zcrm::batch::Summary;
use zcrm::{Error, Record, Status};

use crate::bars::Bars;
use crate::exit::{Exit, Stop};
use crate::target;

/// What a line is about. In JSON its fields stand before those of the outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    /// The record, as `MODULE/ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The file or link that was named on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The attachment's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
}

impl About {
    pub fn record(record: &Record) -> About {
        About { record: Some(target::shown(record)), ..About::default() }
    }

    pub fn source(self, source: impl Into<String>) -> About {
        About { source: Some(source.into()), ..self }
    }

    pub fn attachment(self, id: impl Into<String>) -> About {
        About { attachment_id: Some(id.into()), ..self }
    }

    /// For a person: the most particular of them.
    fn shown(&self) -> &str {
        [&self.source, &self.attachment_id, &self.record].into_iter().flatten().next().map_or("", String::as_str)
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(flatten)]
    about: &'a About,
    #[serde(flatten)]
    what: T,
}

/// Where a command tells what it does. It counts what failed.
pub struct Output {
    json: bool,
    quiet: bool,
    bars: Bars,
    failed: AtomicU64,
    unknown: AtomicU64,
}

impl Output {
    pub fn new(json: bool, quiet: bool) -> Output {
        Output { json, quiet, bars: Bars::new(!json && !quiet), failed: AtomicU64::new(0), unknown: AtomicU64::new(0) }
    }

    pub fn bars(&self) -> &Bars {
        &self.bars
    }

    /// What was done: `what` as JSON, or the line.
    pub fn done(&self, about: &About, what: impl Serialize, line: impl FnOnce() -> String) -> Result<(), Stop> {
        match (self.json, self.quiet) {
            (true, _) => self.print(&json(&Line { about, what })),
            (false, true) => Ok(()),
            (false, false) => self.print(&line()),
        }
    }

    /// A line that is the command's very purpose, such as one of a list: told with `--quiet` too.
    pub fn row(&self, about: &About, what: impl Serialize, line: impl FnOnce() -> String) -> Result<(), Stop> {
        if self.json { self.print(&json(&Line { about, what })) } else { self.print(&line()) }
    }

    /// What failed, or may have been done all the same.
    pub fn failed(&self, about: &About, error: &Error) -> Result<(), Stop> {
        self.count(error);
        if self.json {
            #[derive(Serialize)]
            struct Failed<'a> {
                error: &'a zcrm::Detail,
            }
            return self.print(&json(&Line { about, what: Failed { error: error.detail() } }));
        }
        let way_out = if error.reason() == "target_exists" { " (--overwrite)" } else { "" }; // the library can't know how it is asked here
        let place = Some(about.shown()).filter(|shown| !shown.is_empty()).map(|shown| format!("{}: ", zcrm::one_line(shown)));
        self.warn(format_args!("{}{error}{way_out}", place.unwrap_or_default()));
        Ok(())
    }

    /// A failure that is told elsewhere.
    pub fn count(&self, error: &Error) {
        let count = if error.status() == Status::OutcomeUnknown { &self.unknown } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How a batch went: what is left isn't done.
    pub fn count_batch(&self, Summary { failed, unknown, left, .. }: &Summary) {
        self.failed.fetch_add(failed.saturating_sub(*unknown) + left, Ordering::Relaxed);
        self.unknown.fetch_add(*unknown, Ordering::Relaxed);
    }

    /// An object of a command that speaks JSON alone.
    pub fn object(&self, what: &impl Serialize) -> Result<(), Stop> {
        self.print(&json(what))
    }

    /// How all went: as JSON, or a line on standard error.
    pub fn note(&self, what: &impl Serialize, line: impl FnOnce() -> String) -> Result<(), Stop> {
        match (self.json, self.quiet) {
            (true, _) => self.object(what),
            (false, true) => Ok(()),
            (false, false) => {
                self.warn(line());
                Ok(())
            }
        }
    }

    /// Something was told that is no success.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Something that a person should know, on standard error.
    pub fn warn(&self, what: impl std::fmt::Display) {
        self.bars.above(|| drop(writeln!(io::stderr(), "zcrm: {what}"))); // where nobody reads, there is nobody to tell
    }

    /// One line on standard output, at once: who reads it may wait for it.
    fn print(&self, line: &str) -> Result<(), Stop> {
        let written = self.bars.above(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        });
        written.map_err(|e| Stop::new(format_args!("the output can't be written: {e}")))
    }

    /// How it went in all.
    pub fn exit(&self) -> Exit {
        match (self.failed.load(Ordering::Relaxed), self.unknown.load(Ordering::Relaxed)) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Unknown,
            _ => Exit::Failed,
        }
    }
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("a line holds only what JSON can say")
}

/// A size for a person.
pub fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}
