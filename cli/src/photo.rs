//! `zcrm photo`: the photo of a record.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zcrm::photo;
use zcrm::{Call, Client, Error, File, Result, Sink, Written};

use crate::app::App;
use crate::exit::Stop;
use crate::output::{About, size};
use crate::target::OneRecord;

/// Set, download or delete the photo of a record
#[derive(clap::Subcommand)]
pub enum Command {
    /// Set the photo, in place of the one that is there: PNG, JPEG, GIF or BMP
    Set {
        /// The record, such as Contacts/3652397000000649013
        #[arg(value_name = "MODULE/ID")]
        record: OneRecord,
        /// The picture; - is standard input
        file: PathBuf,
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Download the photo
    Get {
        /// The record, such as Contacts/3652397000000649013
        #[arg(value_name = "MODULE/ID")]
        record: OneRecord,
        /// File to write; - is standard output
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        overwrite: bool,
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete the photo
    Rm {
        /// The record, such as Contacts/3652397000000649013
        #[arg(value_name = "MODULE/ID")]
        record: OneRecord,
        /// This may have been done before: no photo is a deleted one
        #[arg(long)]
        again: bool,
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(serde::Serialize)]
struct Would {
    dry_run: bool,
}

pub fn run(command: &Command, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    match command {
        Command::Set { record, file, dry_run } => set(app, &client, record, file, *dry_run),
        Command::Get { record, output, dry_run: true, .. } => {
            let line = || format!("would save the photo of {record} as {}", output.display());
            app.out.done(&About::record(&record.0), Would { dry_run: true }, line)
        }
        Command::Get { record, output, overwrite, dry_run: false } => get(app, &client, record, output, *overwrite),
        Command::Rm { record, again, dry_run } => rm(app, &client, record, *again, *dry_run),
    }
}

fn set(app: &App, client: &Client, record: &OneRecord, path: &Path, dry_run: bool) -> std::result::Result<(), Stop> {
    let about = About::record(&record.0).source(path.display().to_string());
    let uploaded = (|| -> Result<_> {
        let mut picture = Vec::new();
        let file = if path.as_os_str() == "-" {
            // A picture is small, and in memory it can be sent again.
            let most = 64 << 20;
            io::stdin().take(most).read_to_end(&mut picture).map_err(|e| Error::io("source_read", "standard input", &e))?;
            File::memory("photo", &picture)
        } else {
            File::open(path)?
        };
        if dry_run {
            return Ok(None);
        }
        let mut bar = app.out.bars().begin(&file.name);
        let mut progress = |done, total| {
            bar.at(done, total);
            true
        };
        photo::upload(client, &record.0, file, Call { progress: Some(&mut progress), ..app.call() }).map(Some)
    })();
    match uploaded {
        Ok(Some(outcome)) => app.out.done(&about, &outcome, || format!("photo of {record} set ({})", size(outcome.result.bytes))),
        Ok(None) => app.out.done(&about, Would { dry_run }, || format!("would set the photo of {record}")),
        Err(error) => app.out.failed(&about, &error),
    }
}

fn get(app: &App, client: &Client, record: &OneRecord, path: &Path, overwrite: bool) -> std::result::Result<(), Stop> {
    let about = About::record(&record.0);
    let (mut writer, to_stdout) = (Written(io::stdout()), path.as_os_str() == "-");
    let sink = if to_stdout { Sink::writer(&mut writer) } else { Sink::file(path, overwrite) };
    match photo::download(client, &record.0, sink, app.call()) {
        Ok(_) if to_stdout => Ok(()),
        Ok(outcome) => app.out.done(&about, &outcome, || format!("saved {} ({})", path.display(), size(outcome.result.bytes))),
        Err(error) if to_stdout && error.reason() == "sink_write" => Err(error.into()),
        Err(error) => app.out.failed(&about, &error),
    }
}

fn rm(app: &App, client: &Client, record: &OneRecord, again: bool, dry_run: bool) -> std::result::Result<(), Stop> {
    let about = About::record(&record.0);
    if dry_run {
        return app.out.done(&about, Would { dry_run }, || format!("would delete the photo of {record}"));
    }
    match photo::delete(client, &record.0, Call { again, ..app.call() }) {
        Ok(outcome) => app.out.done(&about, &outcome, || format!("photo of {record} deleted")),
        Err(error) => app.out.failed(&about, &error),
    }
}
