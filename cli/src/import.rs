//! `zcrm import`: the way back from an export's folder. What a record has already is left alone, so that running it twice changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use zcrm::attachment::{self, Attachment, ListArgs};
use zcrm::{Call, Client, Error, File, Record, Result, Sink, Source, Status, photo};

use crate::app::App;
use crate::exit::Stop;
use crate::manifest::{self, Entry, Line};
use crate::output::About;
use crate::{pool, same, target};

/// Bring what an export has written back to its records
#[derive(clap::Args)]
pub struct Args {
    /// The folder of the export
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Records that have other ids now: old,new on each line of the file
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// How many records at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let map = args.map.as_deref().map(map).transpose()?;
    let all = manifest::records(&args.dir)?;
    let client = app.client()?;
    let (mut sent, mut skipped) = (0, 0);
    let import = |(record, lines): &(Record, Vec<Line>)| -> Vec<(About, Result<Brought>)> {
        match now(record, map.as_ref()) {
            Ok(to) => Import { app, client: &client, dir: &args.dir, record: &to }.all(lines),
            Err(error) => vec![(About::record(record), Err(error))],
        }
    };
    pool::in_order(all, args.parallel.into(), &app.cancel, import, |_, told| {
        for (about, brought) in told.unwrap_or_default() {
            match brought {
                Ok(brought) => {
                    *if brought.skipped { &mut skipped } else { &mut sent } += 1;
                    let verb = if brought.skipped { "is there" } else { "uploaded" };
                    app.out.done(&about, &brought, || format!("{verb} {} in {}", about.source.as_deref().unwrap_or_default(), brought.record))?;
                }
                Err(error) => app.out.failed(&about, &error)?,
            }
        }
        Ok(())
    })?;
    #[derive(serde::Serialize)]
    struct End {
        uploaded: u64,
        skipped: u64,
    }
    app.out.done(&About::default(), End { uploaded: sent, skipped }, || format!("{sent} uploaded, {skipped} were there"))
}

/// One thing that the record has now.
#[derive(serde::Serialize)]
struct Brought {
    #[serde(skip)]
    record: String,
    skipped: bool,
}

/// The ids that records have now.
fn map(path: &Path) -> std::result::Result<HashMap<String, String>, Stop> {
    let failed = |what: &dyn std::fmt::Display| Stop::new(format_args!("--map {}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| failed(&e))?;
    let mut map = HashMap::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let ids = line.split_once(',').map(|(old, new)| (old.trim().trim_matches('"'), new.trim().trim_matches('"')));
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        match ids {
            Some((old, new)) if is_id(old) && is_id(new) => {
                if map.insert(old.to_owned(), new.to_owned()).is_some_and(|before| before != new) {
                    return Err(failed(&format_args!("line {}: {old} stands there twice, with two new ids", at + 1)));
                }
            }
            Some((old, new)) if at == 0 && !is_id(old) && !is_id(new) => {} // the names of the columns
            _ => return Err(failed(&format_args!("line {}: {:?} is not old,new: two ids, of digits", at + 1, zcrm::one_line(line)))),
        }
    }
    Ok(map)
}

/// The record that this one is now. With a map, one that isn't in it is none of them.
fn now(record: &Record, map: Option<&HashMap<String, String>>) -> Result<Record> {
    let Some(map) = map else { return Ok(record.clone()) };
    let id = map.get(&record.id).ok_or_else(|| {
        Error::new(Status::Argument, "not_mapped", format!("--map: it has no line for {}; add one, or leave --map out", target::shown(record)))
    })?;
    Ok(Record::new(&record.module, id))
}

struct Import<'a> {
    app: &'a App,
    client: &'a Client,
    dir: &'a Path,
    record: &'a Record,
}

impl Import<'_> {
    fn all(&self, lines: &[Line]) -> Vec<(About, Result<Brought>)> {
        let list = match attachment::list(self.client, self.record, &ListArgs::default(), self.app.call()) {
            Ok(outcome) => outcome.result.attachments,
            Err(error) => return vec![(About::record(self.record), Err(error))],
        };
        let mut taken = HashSet::new();
        let mut told = Vec::new();
        for (line, entry) in lines.iter().filter_map(|line| Some((line, line.entry()?))) {
            if self.app.cancel.is_fired() {
                break;
            }
            let skipped = self.one(line, entry, &list, &mut taken);
            let brought = skipped.map(|skipped| Brought { record: target::shown(self.record), skipped });
            told.push((About::record(self.record).source(&entry.path), brought));
        }
        told
    }

    /// Whether it was there already. Each attachment of the list stands for one line: two that are alike are two.
    fn one<'l>(&self, line: &Line, entry: &Entry, list: &'l [Attachment], taken: &mut HashSet<&'l str>) -> Result<bool> {
        let path = self.dir.join(&entry.path);
        if let Line::Photo(_) = line {
            return self.photo(entry, &path);
        }
        for there in list {
            if !taken.contains(there.id.as_str()) && self.is_it(line, entry, &path, there)? {
                taken.insert(&there.id);
                return Ok(true);
            }
        }
        match &entry.link_url {
            Some(url) => drop(attachment::upload(self.client, self.record, Source::link(url, &entry.file_name), self.app.call())?),
            None => self.upload(entry, &path)?,
        }
        Ok(false)
    }

    fn is_it(&self, line: &Line, entry: &Entry, path: &Path, there: &Attachment) -> Result<bool> {
        if matches!(line, Line::Link(_)) {
            return Ok(there.is_link && Some(&there.link_url) == entry.link_url.as_ref());
        }
        let alike = !there.is_link && there.safe_name == entry.safe_name && there.bytes == Some(entry.bytes);
        // The bytes of an attachment never change: one with the same id has them.
        Ok(alike && (Some(&there.id) == entry.attachment_id.as_ref() || same::attachment(self.app, self.client, self.record, &there.id, path)?))
    }

    fn upload(&self, entry: &Entry, path: &Path) -> Result<()> {
        let upload = |name: &str| {
            let call = Call { expected_sha256: entry.sha256.as_deref().and_then(sha256), ..self.app.call() };
            attachment::upload(self.client, self.record, File::open(path)?.named(name), call).map(drop)
        };
        match upload(&entry.file_name) {
            // A name that no request can carry.
            Err(error) if error.reason() == "file_name" && !entry.safe_name.is_empty() => upload(&entry.safe_name),
            uploaded => uploaded,
        }
    }

    fn photo(&self, entry: &Entry, path: &Path) -> Result<bool> {
        let call = Call { sha256: true, ..self.app.call() };
        match photo::download(self.client, self.record, Sink::memory(), call) {
            Ok(there) if there.result.sha256 == entry.sha256 => return Ok(true),
            Err(error) if error.status() != Status::NotFound => return Err(error),
            _ => {}
        }
        let call = Call { expected_sha256: entry.sha256.as_deref().and_then(sha256), ..self.app.call() };
        photo::upload(self.client, self.record, File::open(path)?, call)?;
        Ok(false)
    }
}

fn sha256(hex: &str) -> Option<[u8; 32]> {
    let byte = |at: usize| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..32).map_while(byte).collect();
    bytes.try_into().ok()
}
