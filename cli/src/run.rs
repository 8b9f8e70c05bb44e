//! `zcrm run`: steps from standard input, one after the other as far as their results go.

use serde::Serialize;
use zcrm::step::{self, StepResult};
use zcrm::{Client, Detail, Outcome, Result};

use crate::app::App;
use crate::exit::Stop;
use crate::lines::{Lines, text};
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
}

#[derive(Serialize)]
struct Failed<'a> {
    line: u64,
    error: &'a Detail,
}

pub fn run(args: &Args, app: &App) -> std::result::Result<(), Stop> {
    let client = app.client()?;
    let mut lines = Lines::new(&app.cancel);
    let one = |(_, line): &(u64, Vec<u8>)| step(app, &client, line);
    pool::in_order(&mut lines, args.parallel.into(), &app.cancel, one, |(line, _), ended| match ended {
        Some(Ok(outcome)) => app.out.object(&outcome),
        Some(Err(error)) => {
            app.out.count(&error);
            app.out.object(&Failed { line: *line, error: error.detail() })
        }
        None => Ok(()),
    })?;
    lines.broken.map_or(Ok(()), |error| Err(Stop::new(format_args!("standard input can't be read: {error}"))))
}

fn step(app: &App, client: &Client, line: &[u8]) -> Result<Outcome<StepResult>> {
    step::run(client, text(line)?, app.call())
}
