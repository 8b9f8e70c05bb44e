//! `manifest.ndjson` in the folder of an export: a line for each file that is complete, and one for each record of which all is there.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Component, Path};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use zcrm::Record;

use crate::exit::Stop;

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    File(Entry),
    Link(Entry),
    Photo(Entry),
    /// All that the record has is there.
    Record(Whole),
}

/// What is in a file of the folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Entry {
    pub module: String,
    pub record_id: String,
    /// None of a photo, which has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// Below the folder, with slashes.
    pub path: String,
    /// As Zoho has it; of a link the title.
    #[serde(default)]
    pub file_name: String,
    /// The same, made safe as the name of a file.
    #[serde(default)]
    pub safe_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_time: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub modified_time: String,
    #[serde(default)]
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whole {
    pub module: String,
    pub record_id: String,
    /// Files, links and photos that it has.
    pub items: u64,
}

/// What a manifest knows of a module.
#[derive(Default)]
pub struct Known {
    /// Records that are complete.
    pub whole: HashSet<String>,
    /// Of the others, what is there.
    pub parts: HashMap<String, Vec<Line>>,
}

/// A manifest that is being written, by one process at a time.
pub struct Manifest(Mutex<Written>);

struct Written {
    file: File,
    /// Where its last whole line ends.
    end: u64,
}

const NAME: &str = "manifest.ndjson";

impl Manifest {
    /// Opens the folder's manifest, or begins one. A last line that was cut off when an export was killed goes.
    pub fn open(dir: &Path, module: &str) -> Result<(Manifest, Known), Stop> {
        let path = dir.join(NAME);
        let failed = |e: std::io::Error| Stop::new(format_args!("{}: {e}", path.display()));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Stop::new(format_args!("{}: another zcrm writes it; one at a time may", path.display()))),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
            Ok(()) => {}
        }
        let mut known = Known::default();
        let whole_lines = read(&path, &file, |line| known.add(module, line))?;
        file.set_len(whole_lines).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok((Manifest(Mutex::new(Written { file, end: whole_lines })), known))
    }

    /// Adds a line, whole or not at all: what a full disk has taken of it is taken away again, so that no later line stands behind a half one.
    pub fn add(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line).expect("a line holds only what JSON can say");
        text.push(b'\n');
        let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = written.file.write_all(&text) {
            written.file.set_len(written.end)?;
            return Err(error);
        }
        written.end += text.len() as u64;
        Ok(())
    }
}

impl Known {
    fn add(&mut self, module: &str, line: Line) {
        match line {
            Line::Record(whole) if whole.module == module => {
                self.parts.remove(&whole.record_id);
                self.whole.insert(whole.record_id);
            }
            Line::File(ref entry) | Line::Link(ref entry) | Line::Photo(ref entry) if entry.module == module => {
                self.parts.entry(entry.record_id.clone()).or_default().push(line);
            }
            _ => {}
        }
    }
}

/// Each record of a folder's manifest, with what there is of it; a path that stands twice counts once.
pub fn records(dir: &Path) -> Result<Vec<(Record, Vec<Line>)>, Stop> {
    let path = dir.join(NAME);
    let file = File::open(&path).map_err(|e| Stop::new(format_args!("{}: {e}; give the folder of an export", path.display())))?;
    let mut all: Vec<(Record, Vec<Line>)> = Vec::new();
    let (mut at, mut seen) = (HashMap::<(String, String), usize>::new(), HashSet::new());
    read(&path, &file, |line| {
        let Some(entry) = line.entry().filter(|entry| seen.insert(entry.path.clone())) else { return };
        let (module, id) = (entry.module.clone(), entry.record_id.clone());
        let index = *at.entry((module.clone(), id.clone())).or_insert_with(|| {
            all.push((Record::new(module, id), Vec::new()));
            all.len() - 1
        });
        all[index].1.push(line);
    })?;
    Ok(all)
}

impl Line {
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Line::File(entry) | Line::Link(entry) | Line::Photo(entry) => Some(entry),
            Line::Record(_) => None,
        }
    }
}

/// Gives each whole line; returns where the last one ends.
fn read(path: &Path, file: &File, mut each: impl FnMut(Line)) -> Result<u64, Stop> {
    let wrong = |number: usize, what: &dyn std::fmt::Display| Stop::new(format_args!("{}: line {number}: {what}", path.display()));
    let (mut lines, mut line, mut number, mut end) = (BufReader::new(file), Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        lines.read_until(b'\n', &mut line).map_err(|e| wrong(number, &e))?;
        if line.last() != Some(&b'\n') {
            return Ok(end);
        }
        end += line.len() as u64;
        let read: Line =
            serde_json::from_slice(&line).map_err(|e| wrong(number, &format_args!("{e}; take the line out, and an export makes it again")))?;
        let inside = |entry: &Entry| !entry.path.is_empty() && Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_)));
        if read.entry().is_some_and(|entry| !inside(entry)) {
            return Err(wrong(number, &"its path leads out of the folder"));
        }
        each(read);
    }
}
