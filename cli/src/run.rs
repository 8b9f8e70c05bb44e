//! `zcrm run`: steps from standard input, one after the other as far as their results go.

use serde::Serialize;
use zcrm::step::{self, StepResult};
use zcrm::{Client, Detail, Error, Outcome, Result};

use crate::app::App;
use crate::exit::Stop;
use crate::lines::Lines;
use crate::pool;

/// Run steps: a JSON object a line on standard input, and its result a line on standard output, in the same order
///
/// A step is one operation, such as {"operation":"attachment.list","module":"Contacts","record_id":"…"}; zcrm_step_describe() and
/// examples/README.md have all of them. It may name files only below the directories of the setting allow_paths, as in
/// --set allow_paths=/srv/files. A step that fails is a line {"line":7,"error":{…}}.
#[derive(clap::Args)]
pub struct Args {
    /// How many at once
    #[arg(long, short = 'n', default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Only read the steps, and tell which are wrong
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Failed<'a> {
    line: u64,
    error: &'a Detail,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    let mut lines = Lines::new(&app.cancel);
    if args.dry_run {
        return check(&client, lines, app);
    }
    let one = |(_, line): &(u64, Vec<u8>)| step(app, &client, line);
    pool::in_order(&mut lines, args.parallel.into(), &app.cancel, one, |(line, _), ended| match ended {
        Some(Ok(outcome)) => {
            if let StepResult::Batch(done) = &outcome.result {
                app.out.count_batch(&done.summary); // it is done itself, whatever became of its steps
            }
            app.out.object(&outcome)
        }
        Some(Err(error)) => failed(*line, &error, app),
        None => Ok(()),
    })?;
    lines.end()
}

fn failed(line: u64, error: &Error, app: &App) -> std::result::Result<(), Stop> {
    app.out.count(error);
    app.out.object(&Failed { line, error: error.detail() })
}

/// Without a request.
fn check(client: &Client, mut lines: Lines, app: &App) -> std::result::Result<(), Stop> {
    #[derive(Serialize)]
    struct Checked {
        line: u64,
        dry_run: bool,
        operation: &'static str,
    }
    for (line, bytes) in &mut lines {
        match step::text(&bytes).and_then(|json| step::check(client, json)) {
            Ok(operation) => app.out.object(&Checked { line, dry_run: true, operation })?,
            Err(error) => failed(line, &error, app)?,
        }
    }
    lines.end()
}

fn step(app: &App, client: &Client, line: &[u8]) -> Result<Outcome<StepResult>> {
    step::run(client, step::text(line)?, app.call())
}
