//! `zcrm sync`: one record is brought up to a folder.

use std::fs;
use std::path::{Path, PathBuf};

use zcrm::attachment::{self, Attachment, ListArgs};
use zcrm::{Client, Error, File, Record, Result, Source};

use crate::app::App;
use crate::budget::Budget;
use crate::exit::Stop;
use crate::folder::{Folder, inside};
use crate::output::About;
use crate::same;
use crate::target::OneRecord;

/// Bring a record up to a folder: what is in the folder and not on the record is attached
#[derive(clap::Args)]
pub struct Args {
    /// The folder; what lies in folders below it is left out. A file NAME.url is a link
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The record, such as Contacts/3652397000000649013
    #[arg(value_name = "MODULE/ID")]
    record: OneRecord,
    /// Delete what the record has and the folder hasn't, once all of the folder is attached
    #[arg(long)]
    delete: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What becomes of one thing.
#[derive(serde::Serialize)]
struct Change {
    did: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    let record = &args.record.0;
    let files = files(&args.dir)?;
    let list = match attachment::list(&client, record, &ListArgs::default(), app.call()) {
        Ok(outcome) => outcome.result.attachments,
        Err(error) => return app.out.failed(&About::record(record), &error),
    };
    let mut sync = Sync { args, app, client: &client, record, left: by_name(&list) };
    let mut all_there = true;
    for path in &files {
        if app.cancel.is_fired() {
            return Ok(());
        }
        let about = About::record(record).source(path.display().to_string());
        match sync.file(path) {
            Ok(did) => sync.tell(&about, did)?,
            Err(error) => {
                all_there = false;
                app.out.failed(&about, &error)?;
            }
        }
    }
    // What the folder replaces is deleted last, so that at no time the record has neither.
    for attachment in list.iter().filter(|attachment| sync.left.iter().any(|(_, left)| left.id == attachment.id)) {
        let about = About::record(record).source(zcrm::one_line(&attachment.file_name)).attachment(&attachment.id);
        match sync.surplus(attachment, args.delete && all_there) {
            Ok(did) => sync.tell(&about, did)?,
            Err(error) => app.out.failed(&about, &error)?,
        }
    }
    Ok(())
}

/// The files of the folder, by name.
fn files(dir: &Path) -> std::result::Result<Vec<PathBuf>, Stop> {
    let failed = |e: std::io::Error| Stop::new(format_args!("{}: {e}", dir.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What the record has: links by their URL, files by the name that `zcrm get` gives them in a folder.
fn by_name(list: &[Attachment]) -> Vec<(String, &Attachment)> {
    let mut folder = Folder::new("");
    let key = |attachment: &Attachment, folder: &mut Folder| match attachment.is_link {
        true => format!("link {}", attachment.link_url),
        false => folder.place(&attachment.safe_name, &attachment.id).to_string_lossy().into_owned(),
    };
    list.iter().map(|attachment| (key(attachment, &mut folder), attachment)).collect()
}

struct Sync<'a> {
    args: &'a Args,
    app: &'a App,
    client: &'a Client,
    record: &'a Record,
    /// What the record has and no file has stood for yet.
    left: Vec<(String, &'a Attachment)>,
}

impl Sync<'_> {
    fn tell(&self, about: &About, did: &'static str) -> std::result::Result<(), Stop> {
        let would = if self.args.dry_run { "would be " } else { "" };
        let name = about.source.as_deref().unwrap_or_default();
        self.app.out.done(about, Change { did, dry_run: self.args.dry_run }, || format!("{would}{did}: {}", zcrm::one_line(name)))
    }

    fn file(&mut self, path: &Path) -> Result<&'static str> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = &inside(&self.args.dir, path)?;
        if let Some(url) = link(path, &name) {
            let key = format!("link {url}");
            if let Some(at) = self.left.iter().position(|(left, _)| *left == key) {
                self.left.remove(at);
                return Ok("kept");
            }
            return self.upload(Source::link(url, &name[..name.len() - URL.len()]));
        }
        let length = fs::metadata(path).map_err(|e| Error::io("source_open", path.display(), &e))?.len();
        if let Some(at) = self.left.iter().position(|(left, there)| *left == name && there.bytes == Some(length))
            && same::attachment(self.app, self.client, &Budget::new(None), self.record, &self.left[at].1.id, path)?
        {
            self.left.remove(at);
            return Ok("kept");
        }
        self.upload(File::open(path)?.named(&name).into())
    }

    fn upload(&self, source: Source<'_>) -> Result<&'static str> {
        if !self.args.dry_run {
            attachment::upload(self.client, self.record, source, self.app.call())?;
        }
        Ok("attached")
    }

    fn surplus(&self, attachment: &Attachment, delete: bool) -> Result<&'static str> {
        if !delete {
            return Ok("left alone");
        }
        if !self.args.dry_run {
            attachment::delete(self.client, self.record, &[&attachment.id], self.app.call())?;
        }
        Ok("deleted")
    }
}

/// How the name of a file that is a link ends.
const URL: &str = ".url";

/// The URL in a file that is a link.
fn link(path: &Path, name: &str) -> Option<String> {
    let is_small = fs::metadata(path).is_ok_and(|meta| meta.len() < 64 << 10);
    let is_named = name.len().checked_sub(URL.len()).and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(URL));
    let text = (is_named && is_small).then(|| fs::read_to_string(path).ok())??;
    text.starts_with("[InternetShortcut]").then(|| text.lines().find_map(|line| line.strip_prefix("URL=")).map(str::to_owned))?
}
