//! `zcrm import`: the way back from an export's folder. What a record has already is left alone, so that running it twice changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use zcrm::attachment::{self, Attachment, ListArgs};
use zcrm::{Call, Client, Error, File, Record, Result, Sink, Source, Status, photo};

use crate::app::App;
use crate::budget::{Budget, SPENT};
use crate::exit::Stop;
use crate::folder::inside;
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
    /// API credits after which no further call is begun
    #[arg(long, value_name = "N")]
    credits: Option<u64>,
    /// How many records at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Only look at the records, and tell what would be uploaded
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let map = args.map.as_deref().map(map).transpose()?;
    let all = manifest::records(&args.dir)?;
    let client = app.client()?;
    let budget = Budget::new(args.credits);
    let mut end = End { dry_run: args.dry_run, ..End::default() };
    let import = |(record, lines): &(Record, Vec<Line>)| -> Outcomes {
        match now(record, map.as_ref()) {
            Ok(to) => Import { args, app, client: &client, budget: &budget, record: &to }.all(lines),
            Err(error) => Outcomes { items: vec![(About::record(record), Err(error))], left: false },
        }
    };
    pool::in_order(all, args.parallel.into(), &app.cancel, import, |_, outcomes| {
        let outcomes = outcomes.unwrap_or(Outcomes { items: Vec::new(), left: true });
        end.left += u64::from(outcomes.left);
        for (about, brought) in outcomes.items {
            match brought {
                Ok(brought) => {
                    *if brought.skipped { &mut end.skipped } else { &mut end.uploaded } += 1;
                    app.out.done(&about, &brought, || brought.line(&about))?;
                }
                Err(error) => app.out.failed(&about, &error)?,
            }
        }
        Ok(())
    })?;
    end.credits = budget.spent();
    app.out.done(&About::default(), &end, || end.line())?;
    budget.tell_spent(app, end.left)
}

/// What became of a record.
struct Outcomes {
    items: Vec<(About, Result<Brought>)>,
    /// Not all of it was looked at: Ctrl-C, or no credit.
    left: bool,
}

/// How all went.
#[derive(Default, serde::Serialize)]
struct End {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    uploaded: u64,
    skipped: u64,
    /// Records of which not all was looked at.
    left: u64,
    credits: u64,
}

impl End {
    fn line(&self) -> String {
        let End { dry_run, uploaded, skipped, left, credits } = self;
        let left = if *left > 0 { format!("; {left} records are left") } else { String::new() };
        match dry_run {
            true => format!("would upload {uploaded}; {skipped} are there{left}; {credits} API credits"),
            false => format!("{uploaded} uploaded, {skipped} were there{left}; {credits} API credits"),
        }
    }
}

/// One thing that the record has now.
#[derive(serde::Serialize)]
struct Brought {
    #[serde(skip)]
    record: String,
    skipped: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

impl Brought {
    fn line(&self, about: &About) -> String {
        let verb = match (self.skipped, self.dry_run) {
            (true, _) => "is there",
            (false, true) => "would upload",
            (false, false) => "uploaded",
        };
        format!("{verb} {} in {}", zcrm::one_line(about.source.as_deref().unwrap_or_default()), self.record)
    }
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
    args: &'a Args,
    app: &'a App,
    client: &'a Client,
    budget: &'a Budget,
    record: &'a Record,
}

impl Import<'_> {
    fn all(&self, lines: &[Line]) -> Outcomes {
        let mut outcomes = Outcomes { items: Vec::new(), left: false };
        let list = match self.list() {
            Ok(list) => list,
            Err(error) => {
                self.failed(&mut outcomes, About::record(self.record), error);
                return outcomes;
            }
        };
        let mut taken = HashSet::new();
        for (line, entry) in lines.iter().filter_map(|line| Some((line, line.entry()?))) {
            let about = About::record(self.record).source(&entry.path);
            match self.one(line, entry, &list, &mut taken) {
                Ok(skipped) => outcomes.items.push((about, Ok(Brought { record: target::shown(self.record), skipped, dry_run: self.args.dry_run }))),
                Err(error) => self.failed(&mut outcomes, about, error),
            }
            if outcomes.left {
                break;
            }
        }
        outcomes
    }

    fn failed(&self, outcomes: &mut Outcomes, about: About, error: Error) {
        // A budget that is spent, and Ctrl-C, are told once and not for each.
        match error.reason() == SPENT || error.status() == Status::Cancelled {
            true => outcomes.left = true,
            false => outcomes.items.push((about, Err(error))),
        }
    }

    fn list(&self) -> Result<Vec<Attachment>> {
        let (mut pages, mut all) = (attachment::pages(self.client, self.record, &ListArgs::default())?, Vec::new());
        while let Some(page) = self.budget.page(|| pages.next(&self.app.call()))? {
            all.extend(page.attachments);
        }
        Ok(all)
    }

    /// Whether it was there already. Each attachment of the list stands for one line: two that are alike are two.
    fn one<'l>(&self, line: &Line, entry: &Entry, list: &'l [Attachment], taken: &mut HashSet<&'l str>) -> Result<bool> {
        let path = self.args.dir.join(&entry.path);
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
            Some(url) => self.send(Source::link(url, &entry.file_name), None)?,
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
        Ok(alike && (Some(&there.id) == entry.attachment_id.as_ref() || self.has_bytes_of(path, &there.id)?))
    }

    fn has_bytes_of(&self, path: &Path, id: &str) -> Result<bool> {
        same::attachment(self.app, self.client, self.budget, self.record, id, &inside(&self.args.dir, path)?)
    }

    fn upload(&self, entry: &Entry, path: &Path) -> Result<()> {
        let send = |name: &str| self.send(self.file(path)?.named(name).into(), entry.sha256.as_deref());
        match send(&entry.file_name) {
            // A name that no request can carry.
            Err(error) if error.reason() == "file_name" && !entry.safe_name.is_empty() => send(&entry.safe_name),
            sent => sent,
        }
    }

    fn send(&self, source: Source<'_>, hex: Option<&str>) -> Result<()> {
        if self.args.dry_run {
            return Ok(());
        }
        let call = Call { expected_sha256: hex.and_then(sha256), ..self.app.call() };
        self.budget.spend(|| attachment::upload(self.client, self.record, source, call)).map(drop)
    }

    fn file<'a>(&self, path: &Path) -> Result<File<'a>> {
        File::open(inside(&self.args.dir, path)?)
    }

    fn photo(&self, entry: &Entry, path: &Path) -> Result<bool> {
        let call = Call { sha256: true, ..self.app.call() };
        match self.budget.spend(|| photo::download(self.client, self.record, Sink::memory(), call)) {
            Ok(there) if there.result.sha256 == entry.sha256 => return Ok(true),
            Err(error) if error.status() != Status::NotFound => return Err(error),
            _ => {}
        }
        let file = self.file(path)?;
        if !self.args.dry_run {
            let call = Call { expected_sha256: entry.sha256.as_deref().and_then(sha256), ..self.app.call() };
            self.budget.spend(|| photo::upload(self.client, self.record, file, call))?;
        }
        Ok(false)
    }
}

fn sha256(hex: &str) -> Option<[u8; 32]> {
    let byte = |at: usize| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..32).map_while(byte).collect();
    bytes.try_into().ok()
}
