//! `zcrm export`: the files, links and photos of a module's records, into a folder that an export which was killed goes on with.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use zcrm::attachment::{self, Attachment, ListArgs};
use zcrm::{Call, Client, Error, Record, Result, Sink, Status, photo, records};

use crate::app::App;
use crate::budget::{Budget, SPENT};
use crate::exit::Stop;
use crate::folder::Folder;
use crate::manifest::{Entry, Known, Line, Manifest, Whole};
use crate::output::{About, size};
use crate::{pool, streams};

/// Export the attachments and photos of a module's records into a folder
#[derive(clap::Args)]
pub struct Args {
    /// The module's API name, such as Contacts
    module: String,
    /// Folder, which gets MODULE/ID/… and manifest.ndjson. Run again with it, the export goes on where it was
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Only these records: an id on each line of the file; - is standard input
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// API credits after which no further call is begun
    #[arg(long, value_name = "N")]
    credits: Option<u64>,
    /// How many records at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Only list the records, and tell what the export would cost
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    let budget = Budget::new(args.credits);
    let pages = records::pages(&client, &args.module, &ListArgs::default())?; // a module that can't be is told here
    let ids = match &args.ids {
        Some(path) => ids_in(path)?,
        None => listed(pages, app, &budget)?,
    };
    fs::create_dir_all(&args.output).map_err(|e| Stop::new(format_args!("{}: {e}", args.output.display())))?;
    let (manifest, known) = Manifest::open(&args.output, &args.module)?;
    let left: Vec<String> = ids.iter().filter(|id| !known.whole.contains(*id)).cloned().collect();
    let has_photos = photo::offered(&client, &args.module);
    tell_plan(args, app, ids.len(), left.len(), has_photos)?;
    if args.dry_run {
        return Ok(());
    }
    let export = Export { args, app, client, budget, manifest, known, has_photos, full: AtomicBool::new(false) };
    let mut total = Done::default();
    pool::in_order(
        left,
        args.parallel.into(),
        &app.cancel,
        |id| export.record(id),
        |id, done| {
            let done = done.unwrap_or_else(Done::left);
            let about = About::record(&Record::new(&args.module, id));
            done.failures.iter().try_for_each(|(about, error)| app.out.failed(about, error))?;
            if done.records > 0 {
                app.out.done(&about, &done, || format!("exported {}/{id}: {} items ({})", args.module, done.items, size(done.bytes)))?;
            }
            total.add(&done);
            Ok(())
        },
    )?;
    export.tell_end(&total)
}

/// What the records have come to.
#[derive(Default, serde::Serialize)]
struct Done {
    #[serde(skip)]
    records: u64,
    items: u64,
    bytes: u64,
    #[serde(skip)]
    left: u64,
    #[serde(skip)]
    failures: Vec<(About, Error)>,
}

impl Done {
    fn left() -> Done {
        Done { left: 1, ..Done::default() }
    }

    fn add(&mut self, one: &Done) {
        self.records += one.records;
        self.items += one.items;
        self.bytes += one.bytes;
        self.left += one.left;
    }
}

fn tell_plan(args: &Args, app: &App, records: usize, left: usize, has_photos: bool) -> std::result::Result<(), Stop> {
    #[derive(serde::Serialize)]
    struct Plan<'a> {
        module: &'a str,
        records: usize,
        left: usize,
        least_credits: u64,
    }
    let least_credits = left as u64 * if has_photos { 2 } else { 1 };
    app.out.done(&About::default(), Plan { module: &args.module, records, left, least_credits }, || {
        let what = if has_photos { "list and photo" } else { "list" };
        format!(
            "{}: {left} of {records} records to export; that costs {least_credits} API credits at least ({what}), and one for each file",
            args.module
        )
    })
}

/// The ids that a file names.
fn ids_in(path: &Path) -> std::result::Result<Vec<String>, Stop> {
    let failed = |e: io::Error| Stop::new(format_args!("--ids {}: {e}", path.display()));
    let lines: Box<dyn BufRead> = if path.as_os_str() == "-" {
        streams::check(true)?; // main doesn't see it in --ids=-
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(fs::File::open(path).map_err(failed)?))
    };
    let (mut ids, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for (at, line) in lines.lines().enumerate() {
        let line = line.map_err(failed)?;
        let id = line.trim_start_matches('\u{feff}').trim();
        if !id.bytes().all(|b| b.is_ascii_digit()) || id.len() > 32 {
            let message = format!("--ids {}: line {}: {:?} is not an id, which has digits only", path.display(), at + 1, zcrm::one_line(id));
            return Err(Stop::new(message));
        }
        if !id.is_empty() && seen.insert(id.to_owned()) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

/// The ids that Zoho lists.
fn listed(mut pages: records::Pages, app: &App, budget: &Budget) -> std::result::Result<Vec<String>, Stop> {
    let mut ids = Vec::new();
    while let Some(page) = budget.page(|| pages.next(&app.call()))? {
        ids.extend(page.record_ids);
    }
    Ok(ids)
}

/// The reason of the error that the manifest can't be written.
const MANIFEST: &str = "manifest";

/// An export under way.
struct Export<'a> {
    args: &'a Args,
    app: &'a App,
    client: Client,
    budget: Budget,
    manifest: Manifest,
    known: Known,
    has_photos: bool,
    /// The folder takes no more: no further record is begun.
    full: AtomicBool,
}

impl Export<'_> {
    fn record(&self, id: &str) -> Done {
        if self.full.load(Ordering::Relaxed) {
            return Done::left();
        }
        let record = Record::new(&self.args.module, id);
        let mut one = OneRecord::new(self, &record);
        if let Err(error) = one.attachments().and_then(|()| one.photo()) {
            self.ends(&error);
            one.fail(About::record(&record), error);
        }
        one.end()
    }

    fn call<'c>(&self) -> Call<'c> {
        Call { again: true, sha256: true, ..self.app.call() }
    }

    fn add(&self, line: &Line) -> Result<()> {
        self.manifest.add(line).map_err(|e| Error::io(MANIFEST, "manifest.ndjson", &e))
    }

    /// Whether nothing further of a record is worth a call: credits are spent, Ctrl-C came, or the folder takes no more.
    fn ends(&self, error: &Error) -> bool {
        let no_room = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS].iter().any(|errno| errno.raw_os_error() == error.detail().os_error);
        if no_room || error.reason() == MANIFEST {
            self.full.store(true, Ordering::Relaxed);
        }
        error.reason() == SPENT || error.status() == Status::Cancelled || self.full.load(Ordering::Relaxed)
    }

    fn tell_end(&self, total: &Done) -> std::result::Result<(), Stop> {
        let (out, none) = (&self.app.out, About::default());
        #[derive(serde::Serialize)]
        struct End {
            records: u64,
            items: u64,
            bytes: u64,
            left: u64,
            credits: u64,
        }
        let Done { records, items, bytes, left, .. } = *total;
        let credits = self.budget.spent();
        out.done(&none, End { records, items, bytes, left, credits }, || {
            format!("exported {records} records with {items} items ({}); {left} records are left; {credits} API credits", size(bytes))
        })?;
        self.budget.tell_spent(self.app, left)
    }
}

/// A record being exported.
struct OneRecord<'e, 'a> {
    export: &'e Export<'a>,
    record: &'e Record,
    /// Below the export's folder.
    place: String,
    folder: Folder,
    /// What an earlier export has brought, by attachment id; of the photo by none.
    there: HashMap<Option<String>, Entry>,
    done: Done,
}

impl<'e, 'a> OneRecord<'e, 'a> {
    fn new(export: &'e Export<'a>, record: &'e Record) -> OneRecord<'e, 'a> {
        let place = format!("{}/{}", record.module, record.id);
        let mut folder = Folder::new(export.args.output.join(&place));
        let known = export.known.parts.get(&record.id).map(Vec::as_slice).unwrap_or_default();
        let whole = |entry: &&Entry| fs::metadata(export.args.output.join(&entry.path)).is_ok_and(|meta| meta.len() == entry.bytes);
        let there: HashMap<_, _> =
            known.iter().filter_map(Line::entry).filter(whole).map(|entry| (entry.attachment_id.clone(), entry.clone())).collect();
        for entry in there.values() {
            folder.place(entry.path.rsplit('/').next().unwrap_or_default(), "");
        }
        OneRecord { export, record, place, folder, there, done: Done::default() }
    }

    fn fail(&mut self, about: About, error: Error) {
        self.done.left = 1;
        // A budget that is spent, and Ctrl-C, are told once and not for each record.
        if error.reason() != SPENT && error.status() != Status::Cancelled {
            self.done.failures.push((about, error));
        }
    }

    fn end(mut self) -> Done {
        if self.done.left == 0 {
            let whole = Whole { module: self.record.module.clone(), record_id: self.record.id.clone(), items: self.done.items };
            match self.export.add(&Line::Record(whole)) {
                Ok(()) => self.done.records = 1,
                Err(error) => self.fail(About::record(self.record), error),
            }
        }
        self.done
    }

    fn attachments(&mut self) -> Result<()> {
        let mut pages = attachment::pages(&self.export.client, self.record, &ListArgs::default())?;
        while let Some(page) = self.export.budget.page(|| pages.next(&self.export.app.call()))? {
            for attachment in &page.attachments {
                match self.attachment(attachment) {
                    Err(error) if self.export.ends(&error) => return Err(error),
                    Err(error) => self.fail(About::record(self.record).attachment(&attachment.id), error),
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }

    fn attachment(&mut self, attachment: &Attachment) -> Result<()> {
        if self.is_there(Some(&attachment.id)) {
            return Ok(());
        }
        let wanted = if attachment.is_link { link_name(&attachment.safe_name) } else { attachment.safe_name.clone() };
        let path = self.folder.place(&wanted, &attachment.id);
        self.make_folder()?;
        let mut entry = Entry {
            attachment_id: Some(attachment.id.clone()),
            file_name: attachment.file_name.clone(),
            safe_name: attachment.safe_name.clone(),
            created_time: attachment.created_time.clone(),
            modified_time: attachment.modified_time.clone(),
            ..self.entry(&path)
        };
        if attachment.is_link {
            let text = format!("[InternetShortcut]\r\nURL={}\r\n", zcrm::one_line(&attachment.link_url));
            store(&path, text.as_bytes())?;
            (entry.bytes, entry.link_url) = (text.len() as u64, Some(attachment.link_url.clone()));
            return self.keep(Line::Link(entry));
        }
        let Export { client, budget, .. } = self.export;
        let call = Call { expected_bytes: attachment.bytes, ..self.export.call() };
        let file = budget.spend(|| attachment::download(client, self.record, &attachment.id, Sink::file(&path, false), call));
        let file = file.map_err(|error| taken(&path, error))?.result;
        (entry.bytes, entry.sha256) = (file.bytes, file.sha256);
        self.keep(Line::File(entry))
    }

    fn photo(&mut self) -> Result<()> {
        if !self.export.has_photos || self.is_there(None) {
            return Ok(());
        }
        let call = self.export.call();
        let picture = match self.export.budget.spend(|| photo::download(&self.export.client, self.record, Sink::memory(), call)) {
            Err(error) if error.status() == Status::NotFound => return Ok(()),
            picture => picture?.result,
        };
        let bytes = picture.data.unwrap_or_default();
        let path = self.folder.place(&format!("photo.{}", extension(&bytes)), "");
        self.make_folder()?;
        store(&path, &bytes)?;
        self.keep(Line::Photo(Entry { bytes: picture.bytes, sha256: picture.sha256, ..self.entry(&path) }))
    }

    fn is_there(&mut self, attachment_id: Option<&str>) -> bool {
        let there = self.there.get(&attachment_id.map(str::to_owned));
        self.done.items += u64::from(there.is_some());
        there.is_some()
    }

    fn make_folder(&self) -> Result<()> {
        let folder = self.export.args.output.join(&self.place);
        fs::create_dir_all(&folder).map_err(|e| Error::io("folder", folder.display(), &e))
    }

    fn entry(&self, path: &Path) -> Entry {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Entry { module: self.record.module.clone(), record_id: self.record.id.clone(), path: format!("{}/{name}", self.place), ..Entry::default() }
    }

    fn keep(&mut self, line: Line) -> Result<()> {
        self.export.add(&line)?;
        self.done.items += 1;
        self.done.bytes += line.entry().map_or(0, |entry| entry.bytes);
        Ok(())
    }
}

/// An export replaces no file, and has no option to do so.
fn taken(path: &Path, error: Error) -> Error {
    match error.reason() {
        "target_exists" => {
            let message =
                format!("{} is there with other bytes; move it away, and run the export again", zcrm::one_line(&path.display().to_string()));
            Error::new(error.status(), "export_target", message)
        }
        _ => error,
    }
}

/// Writes a file whole or not at all. One that is there with the same bytes is it.
fn store(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: &io::Error| Error::io("sink_write", path.display(), e);
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).map_err(|e| failed(&e))?;
    file.write_all(bytes).map_err(|e| failed(&e))?;
    file.persist_noclobber(path).map_err(|e| failed(&e.error))?;
    Ok(())
}

/// The name of the file that a link becomes.
fn link_name(safe: &str) -> String {
    let mut cut = safe.len().min(251);
    while !safe.is_char_boundary(cut) {
        cut -= 1;
    }
    if cut == 0 { String::new() } else { format!("{}.url", &safe[..cut]) }
}

fn extension(picture: &[u8]) -> &'static str {
    match picture {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        _ => "bmp",
    }
}
