//! Many steps with one call: in parallel, each with its own outcome, and with a journal, so that a killed process goes on where it was.

pub(crate) mod journal;
mod json;
mod meaning;
mod running;
mod source;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use super::output::Summary;
use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::transfer;
use journal::Journal;
use running::Batch;
use source::Listed;
pub use source::{Next, Source};
use workers::{Shared, Workers};

/// One step of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    /// What the caller calls it: unique in the batch, and the same when the batch is run again.
    pub key: String,
    /// The step as JSON, as [`step::run`] takes it, but no batch.
    pub step: String,
}

/// Each is a thread.
const MOST_AT_ONCE: usize = 256;

/// How a batch is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Steps at once, at most 256; 0 = as many as the setting `max_in_flight` lets in, which applies as well.
    pub parallel: usize,
    /// File that remembers what was begun and done. Run again with the same journal, a batch sends only what its record doesn't show yet. It
    /// belongs to one run of a job: what it has as done isn't sent again.
    pub journal: Option<PathBuf>,
    /// API calls after which no further step is begun; 0 = no bound.
    pub credits: u64,
    /// Holds the batch while it is on.
    pub pause: Pause,
}

impl Options {
    fn check(&self) -> Result<()> {
        match self.parallel {
            0..=MOST_AT_ONCE => Ok(()),
            more => Err(Error::argument("parallel", format_args!("{more} is over {MOST_AT_ONCE}, the most steps at once"))),
        }
    }

    fn parallel(&self, config: &Config) -> usize {
        let wanted = if self.parallel == 0 { config.max_in_flight.most() as usize } else { self.parallel };
        wanted.min(MOST_AT_ONCE)
    }
}

/// Holds a batch, from any thread: steps under way end, and none is begun. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Pause(Arc<AtomicBool>);

impl Pause {
    /// Holds it, or lets it go on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How one step ended.
pub struct Ended<'a> {
    /// Its key.
    pub key: &'a str,
    /// The outcome's JSON, or the error.
    pub outcome: std::result::Result<&'a str, &'a Error>,
    /// It was done in an earlier run, and the journal knows its outcome.
    pub from_journal: bool,
    /// It was not ended, as the batch was stopped: the next run takes it up.
    pub left: bool,
}

/// Runs the items. `ended` is told of each on the calling thread, in the order in which they end; `false` cancels the batch.
/// `cancel` and `timeout` of `call` apply to the whole batch, and the setting `call_timeout_ms` to each step, as do `if_exists`, `again`, `sha256`
/// and `trace_id`. An error only when the batch can't be run as a whole: a refused step is told to `ended` and counted.
pub fn run(
    client: &Client,
    items: impl IntoIterator<Item = Item>,
    options: &Options,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    pull(client, &mut Listed(items.into_iter()), options, call, ended)
}

/// [`run`] with steps that are asked for when there is room, so that a batch of any length takes little memory.
pub fn pull(
    client: &Client,
    source: &mut dyn Source,
    options: &Options,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    options.check()?;
    let journal = options.journal.as_deref().map(Journal::open).transpose()?;
    run_with(client, source, options, journal, call, ended)
}

/// [`step::check`](crate::step::check) of a step that is to stand in a batch.
pub fn check(client: &Client, json: &str) -> Result<&'static str> {
    super::dispatch::Step::for_batch(json)?.check(client, json)
}

/// [`pull`] with a journal that is open already.
fn run_with(
    client: &Client,
    source: &mut dyn Source,
    options: &Options,
    mut journal: Option<Journal>,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    if journal.is_some() {
        transfer::forget_cleared(); // a killed run may have left unfinished files where this process has cleared before
    }
    let claimed = journal.as_ref().map(Journal::claimed).unwrap_or_default();
    // What a killed process had sent may show late: nothing of it is looked for before the waits for a lost upload have passed.
    let late: Duration = client.config().settle_waits.iter().sum();
    let settled = Instant::now() + journal.as_ref().map_or(Duration::ZERO, |journal| late.saturating_sub(journal.age()));
    let shared = Shared::new(client, call, claimed);
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, &shared, options.parallel(client.config()));
        Batch::new(options, &mut journal, workers, &shared, settled, ended).all(source)
    })
}
