//! `zcrm upload`: files, standard input and links.

use std::fs;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use zcrm::attachment::{self, Uploaded};
use zcrm::{Bytes, Call, Client, Error, File, IfExists, Outcome, Result, Source, Status, Streamed};

use crate::app::App;
use crate::exit::Stop;
use crate::output::{About, size};
use crate::pool;
use crate::target::OneRecord;

/// Attach files, standard input or links to a record
#[derive(clap::Args)]
pub struct Args {
    /// The record, such as Contacts/3652397000000649013
    #[arg(value_name = "MODULE/ID")]
    record: OneRecord,
    /// Files to attach; - is standard input, which needs --name, as a pipe does
    #[arg(value_name = "FILE", required_unless_present = "links")]
    files: Vec<PathBuf>,
    /// A link to attach; may be given several times
    #[arg(long = "link", value_name = "URL")]
    links: Vec<String>,
    /// Name under which one file is stored, or title of one link
    #[arg(long)]
    name: Option<String>,
    /// Don't upload what the record has already: of the same name and size, or of the same bytes as well
    #[arg(long, value_name = "WHAT")]
    if_exists: Option<Skip>,
    /// This may have been done before: look for each first, and don't do it twice
    #[arg(long)]
    again: bool,
    /// Tell the SHA-256 of what was sent
    #[arg(long)]
    sha256: bool,
    /// How many at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Only tell what would be sent
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Skip {
    Skip,
    SkipSameBytes,
}

impl From<Skip> for IfExists {
    fn from(skip: Skip) -> IfExists {
        match skip {
            Skip::Skip => IfExists::Skip,
            Skip::SkipSameBytes => IfExists::SkipSameBytes,
        }
    }
}

/// What one upload sends.
enum Sent {
    File(PathBuf),
    Stdin,
    Link(String),
}

impl Sent {
    fn shown(&self) -> String {
        match self {
            Sent::File(path) => path.display().to_string(),
            Sent::Stdin => "-".to_owned(),
            Sent::Link(url) => url.clone(),
        }
    }
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let all = args.sent()?;
    let client = app.client()?;
    let about = |sent: &Sent| About::record(&args.record.0).source(sent.shown());
    if args.dry_run {
        return all.iter().try_for_each(|sent| would(sent, args, app, &about(sent)));
    }
    let sizes = all.iter().map(|sent| if let Sent::File(path) = sent { fs::metadata(path).map_or(0, |meta| meta.len()) } else { 0 });
    app.out.bars().expect(sizes.sum());
    let one = |sent: &Sent| args.upload(&client, app, sent);
    pool::in_order(all, args.parallel.into(), &app.cancel, one, |sent, ended| match ended {
        Some(Ok(outcome)) => app.out.done(&about(sent), &outcome, || line(&outcome.result, sent)),
        Some(Err(error)) => app.out.failed(&about(sent), &error),
        None => Ok(()),
    })
}

impl Args {
    fn sent(&self) -> std::result::Result<Vec<Sent>, Stop> {
        let files = self.files.iter().map(|path| if path.as_os_str() == "-" { Sent::Stdin } else { Sent::File(path.clone()) });
        let all: Vec<Sent> = files.chain(self.links.iter().cloned().map(Sent::Link)).collect();
        let stdin = all.iter().filter(|sent| matches!(sent, Sent::Stdin)).count();
        match &self.name {
            None if stdin > 0 => Err(Stop::new("-: standard input has no name; give one with --name")),
            Some(_) if all.len() > 1 => Err(Stop::new("--name: names one file or link, and several are given")),
            _ => Ok(all),
        }
    }

    fn upload(&self, client: &Client, app: &App, sent: &Sent) -> Result<Outcome<Uploaded>> {
        let (mut stream, mut pipe) = (Streamed(io::stdin()), None);
        let source = match sent {
            Sent::File(path) if is_pipe(path) => {
                let pipe = pipe.insert(Streamed(self.pipe(path)?));
                self.named(File::reader("", pipe, None)).into()
            }
            Sent::File(path) => self.named(File::open(path)?).into(),
            Sent::Link(url) => Source::link(url, self.name.as_deref().unwrap_or_default()),
            Sent::Stdin => match stdin_file() {
                Some(file) => self.named(File::opened(file, Path::new("-"))?).into(),
                None => self.named(File::reader("", &mut stream, None)).into(),
            },
        };
        let mut bar = app.out.bars().begin(&sent.shown());
        let mut progress = |done, total| {
            bar.at(done, total);
            true
        };
        let call = Call {
            progress: Some(&mut progress),
            if_exists: self.if_exists.map(Into::into).unwrap_or_default(),
            again: self.again,
            sha256: self.sha256,
            ..app.call()
        };
        attachment::upload(client, &self.record.0, source, call)
    }

    /// A pipe to read from. Without --name it would be stored under a name that says nothing, such as 63.
    fn pipe(&self, path: &Path) -> Result<fs::File> {
        if self.name.is_none() {
            let message = format!("{} is a pipe, which has no name; give one with --name", path.display());
            return Err(Error::new(Status::Argument, "file_name", message));
        }
        fs::File::open(path).map_err(|e| Error::io("source_open", path.display(), &e))
    }

    fn named<'a>(&self, file: File<'a>) -> File<'a> {
        match &self.name {
            Some(name) => file.named(name),
            None => file,
        }
    }
}

/// Whether it is a pipe, as of a shell's `<(command)`.
fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
}

/// What can be seen without a request.
fn would(sent: &Sent, args: &Args, app: &App, about: &About) -> std::result::Result<(), Stop> {
    #[derive(serde::Serialize)]
    struct Would {
        dry_run: bool,
        bytes: Option<u64>,
    }
    let bytes = match sent {
        Sent::Stdin | Sent::Link(_) => None,
        Sent::File(path) if is_pipe(path) => None,
        Sent::File(path) => match File::open(path) {
            Ok(file) => {
                if let Bytes::File(_, length) = file.bytes {
                    Some(length)
                } else {
                    None
                }
            }
            Err(error) => return app.out.failed(about, &error),
        },
    };
    let known = bytes.map(|bytes| format!(" ({})", size(bytes))).unwrap_or_default();
    app.out.done(about, Would { dry_run: true, bytes }, || format!("would upload {}{known} to {}", zcrm::one_line(&sent.shown()), args.record))
}

/// Standard input as a file, where it is one and was not begun: it can be sent a second time then.
fn stdin_file() -> Option<fs::File> {
    let mut file = fs::File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    (file.metadata().ok()?.is_file() && file.stream_position().ok()? == 0).then_some(file)
}

fn line(uploaded: &Uploaded, sent: &Sent) -> String {
    let Uploaded { id, file_name, bytes, link_url, skipped, .. } = uploaded;
    let name = if file_name.is_empty() { sent.shown() } else { file_name.clone() };
    let name = zcrm::one_line(&name);
    match (skipped, link_url) {
        (true, _) => format!("is there {id} {name}"),
        (false, Some(_)) => format!("linked {id} {name}"),
        (false, None) => format!("uploaded {id} {name} ({})", size(*bytes)),
    }
}
