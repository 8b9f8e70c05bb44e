//! Rewrites a journal with one line for each key: tries that were refused are left out, and the lines of an old version become new ones.

use std::collections::HashMap;
use std::io::{self, Write};

use super::file::JournalFile;
use super::line::{Line, VERSION};
use crate::error::Result;

/// After an error it is as it was.
pub(super) fn rewrite(file: &mut JournalFile) -> Result<()> {
    file.replace(|from, to| {
        let mut at = 0;
        let mut begun: HashMap<String, Vec<u8>> = HashMap::new();
        write(from, to, &Line::Journal { version: VERSION }.text())?;
        while let Some(line) = from.next_line(at)?.map(<[u8]>::to_vec) {
            at += line.len() as u64 + 1;
            match Line::parse(&line).map_err(|e| from.location.corrupt(0, &e.to_string()))? {
                Line::Journal { .. } => {}
                Line::Begin { key, .. } => drop(begun.insert(key.into_owned(), line.clone())),
                Line::Done { key, step: Some(_), .. } => {
                    begun.remove(&*key);
                    write(from, to, &[&line, &b"\n"[..]].concat())?;
                }
                Line::Done { key, step: None, outcome, .. } => {
                    let begin = begun.remove(&*key).unwrap_or_default();
                    let Ok(Line::Begin { step, source, .. }) = Line::parse(&begin) else {
                        return Err(from.location.corrupt(0, "it ends what never began"));
                    };
                    write(from, to, &Line::Done { key, step: Some(step), source, outcome }.text())?;
                }
                Line::Failed { key } => {
                    // What was done before can't be refused, but a line that says so counts.
                    if begun.remove(&*key).is_none() {
                        write(from, to, &[&line, &b"\n"[..]].concat())?;
                    }
                }
            }
        }
        begun.into_values().try_for_each(|line| write(from, to, &[&line, &b"\n"[..]].concat()))
    })
}

fn write(from: &JournalFile, to: &mut dyn Write, line: &[u8]) -> Result<()> {
    to.write_all(line).map_err(|e: io::Error| from.location.unusable("rewriting it", &e))
}
