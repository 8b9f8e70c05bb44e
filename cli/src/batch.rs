//! `zcrm batch`: steps from standard input with a journal, so that a killed run goes on where it was.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zcrm::batch::{self, Ended, Item, Next, Options, Source, Summary};
use zcrm::step::{self, BatchItem, ItemStatus};
use zcrm::{Call, Client, Error, Status};

use crate::app::App;
use crate::exit::Stop;
use crate::lines::Lines;

/// Run steps with a journal: killed and run again with it, each is done once
///
/// A line of standard input is a step, or {"key":"contract 17","step":{…}}; a step alone has its line's number for a key. Run it again with
/// the same lines and the same journal, and what is done isn't done again. Results are lines {"key":…,"status":…} in the order in which steps
/// end. Steps may name files only below the directories of the setting allow_paths, as in --set allow_paths=/srv/files.
#[derive(clap::Args)]
pub struct Args {
    /// File that remembers what was begun and done; it is made when it isn't there, and belongs to one run of a job
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
    /// How many at once
    #[arg(long, short = 'n', default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// API calls after which no further step is begun; the next run does the rest
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    credits: u64,
    /// It may have been run before, with a journal that is lost: look for each first
    #[arg(long)]
    again: bool,
    /// Only read the steps, and tell which are wrong; the journal is left alone
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    let client = app.client()?;
    let mut source = Steps { lines: Lines::new(&app.cancel) };
    if args.dry_run {
        return check(&client, source, app);
    }
    let options = Options { parallel: args.parallel.into(), journal: Some(args.journal.clone()), credits: args.credits, ..Options::default() };
    let mut unwritten = None;
    let ran = batch::pull(&client, &mut source, &options, Call { again: args.again, ..app.call() }, &mut |ended| {
        unwritten = app.out.object(&item(&ended)).err();
        unwritten.is_none()
    });
    if let Some(stop) = unwritten {
        return Err(stop);
    }
    let summary = ran?.result;
    source.lines.end()?;
    app.out.count_batch(&summary);
    app.out.note(&Total { batch: &summary }, || line(&summary))
}

/// Without a request.
fn check(client: &Client, mut source: Steps, app: &App) -> Result<(), Stop> {
    #[derive(Serialize)]
    struct Checked<'a> {
        key: &'a str,
        dry_run: bool,
        operation: &'static str,
    }
    loop {
        let (key, checked) = match source.next() {
            Next::Step(Item { key, step }) => (key, batch::check(client, &step)),
            Next::Refused { key, error } => (key, Err(error)),
            Next::End | Next::Failed => return source.lines.end(),
        };
        match checked {
            Ok(operation) => app.out.object(&Checked { key: &key, dry_run: true, operation })?,
            Err(error) => {
                app.out.count(&error);
                app.out.object(&item(&Ended { key: &key, outcome: Err(&error), from_journal: false, left: false }))?;
            }
        }
    }
}

#[derive(Serialize)]
struct Total<'a> {
    batch: &'a Summary,
}

fn line(summary: &Summary) -> String {
    let Summary { done, from_journal, failed, unknown, left, stopped, .. } = summary;
    let why = stopped.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{done} done, {from_journal} of them before; {} failed, {unknown} unknown, {left} left{why}", failed.saturating_sub(*unknown))
}

/// As the step `batch` has it.
fn item(ended: &Ended<'_>) -> BatchItem {
    #[derive(Deserialize)]
    struct Outcome {
        result: Box<RawValue>,
    }
    let status = match ended.outcome {
        _ if ended.left => ItemStatus::Left,
        Ok(_) => ItemStatus::Done,
        Err(error) if error.status() == Status::OutcomeUnknown => ItemStatus::Unknown,
        Err(_) => ItemStatus::Failed,
    };
    let result = ended.outcome.ok().and_then(|json| serde_json::from_str::<Outcome>(json).ok()).map(|outcome| outcome.result);
    let error = ended.outcome.err().map(|error| error.detail().clone());
    BatchItem { key: ended.key.to_owned(), status, from_journal: ended.from_journal, result, error }
}

/// The steps of standard input.
struct Steps {
    lines: Lines,
}

impl Source for Steps {
    fn next(&mut self) -> Next {
        match self.lines.next() {
            Some((number, line)) => step(number, &line),
            None if self.lines.broken.is_some() => Next::Failed,
            None => Next::End,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyed {
    key: String,
    step: Box<RawValue>,
}

fn step(number: u64, line: &[u8]) -> Next {
    let own_key = format!("line {number}");
    let line = match step::text(line) {
        Ok(line) => line.strip_prefix('\u{feff}').unwrap_or(line), // with which editors begin a file
        Err(error) => return Next::Refused { key: own_key, error },
    };
    match serde_json::from_str::<Keyed>(line) {
        Ok(Keyed { key, step }) => Next::Step(Item { key, step: step.get().to_owned() }),
        Err(_) if line.contains("\"operation\"") && !has_key(line) => Next::Step(Item { key: own_key, step: line.to_owned() }),
        Err(error) => {
            let message = format!("line {number}: is neither a step nor {{\"key\":…,\"step\":{{…}}}}: {error}");
            Next::Refused { key: own_key, error: Error::new(Status::Argument, "step_input", message) }
        }
    }
}

/// Whether a line that isn't right is meant as a key with its step.
fn has_key(line: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok_and(|object| object.contains_key("step"))
}
