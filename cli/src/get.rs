//! `zcrm get`: attachments into a folder, or one to standard output.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zcrm::attachment::{self, Attachment, Downloaded, ListArgs};
use zcrm::{Call, Client, Error, Outcome, Record, Result, Sink, Status, Written};

use crate::app::App;
use crate::exit::Stop;
use crate::folder::Folder;
use crate::output::{About, size};
use crate::pool;
use crate::target::Target;

/// Download attachments into a folder
#[derive(clap::Args)]
pub struct Args {
    /// A record, for all of its attachments, or some of them: Contacts/ID/ATTACHMENT/ATTACHMENT
    #[arg(value_name = "MODULE/ID[/ATTACHMENT…]", required = true)]
    targets: Vec<Target>,
    /// Folder, which is made when it isn't there; - writes one attachment to standard output
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    overwrite: bool,
    /// This may have been done before: a file of the same bytes that is there is the download
    #[arg(long)]
    again: bool,
    /// Tell the SHA-256 of what was written
    #[arg(long)]
    sha256: bool,
    /// How many at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Only list, and tell what would be written
    #[arg(long)]
    dry_run: bool,
}

/// One attachment to fetch.
struct Wanted<'a> {
    record: &'a Record,
    attachment: Attachment,
    path: PathBuf,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    if args.output.as_os_str() == "-" {
        return to_stdout(args, app, &client);
    }
    let mut folder = Folder::new(&args.output);
    let mut wanted = Vec::new();
    for target in &args.targets {
        for attachment in listed(target, app, &client)? {
            if attachment.is_link {
                tell_link(app, &target.record, &attachment)?;
            } else {
                let path = folder.place(&attachment.safe_name, &attachment.id);
                wanted.push(Wanted { record: &target.record, attachment, path });
            }
        }
    }
    if args.dry_run {
        return wanted.iter().try_for_each(|file| would(app, file));
    }
    fs::create_dir_all(&args.output).map_err(|e| Stop::new(format_args!("{}: {e}", args.output.display())))?;
    app.out.bars().expect(wanted.iter().filter_map(|file| file.attachment.bytes).sum());
    pool::in_order(
        &wanted,
        args.parallel.into(),
        &app.cancel,
        |file| args.fetch(app, &client, file),
        |file, ended| {
            let about = About::record(file.record).attachment(&file.attachment.id);
            match ended {
                Some(Ok(outcome)) => app.out.done(&about, &outcome, || line(&file.path, &outcome.result)),
                Some(Err(error)) => app.out.failed(&about, &error),
                None => Ok(()),
            }
        },
    )
}

impl Args {
    fn fetch(&self, app: &App, client: &Client, file: &Wanted<'_>) -> Result<Outcome<Downloaded>> {
        let mut bar = app.out.bars().begin(&file.attachment.file_name);
        let mut progress = |done, total| {
            bar.at(done, total);
            true
        };
        let call =
            Call { progress: Some(&mut progress), expected_bytes: file.attachment.bytes, again: self.again, sha256: self.sha256, ..app.call() };
        attachment::download(client, file.record, &file.attachment.id, Sink::file(&file.path, self.overwrite), call)
    }
}

/// What of the record is wanted, as its list says it. What can't be listed, or isn't in the list, is told here.
fn listed(target: &Target, app: &App, client: &Client) -> std::result::Result<Vec<Attachment>, Stop> {
    let Target { record, attachments } = target;
    let list = match attachment::list(client, record, &ListArgs::default(), app.call()) {
        Ok(outcome) => outcome.result.attachments,
        Err(error) => {
            app.out.failed(&About::record(record), &error)?;
            return Ok(Vec::new());
        }
    };
    if attachments.is_empty() {
        return Ok(list);
    }
    let there: HashSet<&str> = list.iter().map(|attachment| attachment.id.as_str()).collect();
    for id in attachments.iter().filter(|id| !there.contains(id.as_str())) {
        let error = Error::new(Status::NotFound, "attachment_unknown", "the record has no such attachment");
        app.out.failed(&About::record(record).attachment(id), &error)?;
    }
    Ok(list.into_iter().filter(|attachment| attachments.contains(&attachment.id)).collect())
}

fn to_stdout(args: &Args, app: &App, client: &Client) -> std::result::Result<(), Stop> {
    let [Target { record, attachments }] = &args.targets[..] else { return Err(only_one()) };
    let [id] = &attachments[..] else { return Err(only_one()) };
    let about = About::record(record).attachment(id);
    let mut writer = Written(io::stdout());
    match attachment::download(client, record, id, Sink::writer(&mut writer), app.call()) {
        Ok(_) => Ok(()),
        Err(error) if error.reason() == "sink_write" => Err(error.into()),
        Err(error) => app.out.failed(&about, &error),
    }
}

fn only_one() -> Stop {
    Stop::new("-o -: standard output takes one attachment; name it, as Contacts/ID/ATTACHMENT")
}

fn tell_link(app: &App, record: &Record, link: &Attachment) -> std::result::Result<(), Stop> {
    let about = About::record(record).attachment(&link.id);
    app.out.done(&about, link, || format!("link {} {} {}", link.id, zcrm::one_line(&link.file_name), zcrm::one_line(&link.link_url)))
}

fn would(app: &App, file: &Wanted<'_>) -> std::result::Result<(), Stop> {
    #[derive(serde::Serialize)]
    struct Would<'a> {
        dry_run: bool,
        bytes: Option<u64>,
        path: &'a Path,
    }
    let Wanted { record, attachment, path } = file;
    let about = About::record(record).attachment(&attachment.id);
    let known = attachment.bytes.map(|bytes| format!(" ({})", size(bytes))).unwrap_or_default();
    app.out.done(&about, Would { dry_run: true, bytes: attachment.bytes, path }, || format!("would save {}{known}", path.display()))
}

fn line(path: &Path, downloaded: &Downloaded) -> String {
    format!("saved {} ({})", path.display(), size(downloaded.bytes))
}
