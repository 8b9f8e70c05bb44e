//! Many steps with one call: in parallel, each with its own outcome, and with a journal, so that a killed process goes on where it was.

pub(crate) mod journal;
mod json;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

pub use super::output::Summary;
use super::output::{Attached, StepResult};
use crate::call::{Call, Claimed, IfExists, Outcome};
use crate::cancel::Cancel;
use crate::client::Client;
use crate::error::{Error, Result, Sent, Status};
use crate::panics::{self, Caught};
use crate::threads;
use journal::{Before, Journal};

/// One step of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    /// What the caller calls it: unique in the batch, and the same when the batch is run again.
    pub key: String,
    /// The step as JSON, as [`step::run`] takes it, but no batch.
    pub step: String,
}

/// How a batch is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Steps at once; 0 = 4. The setting `max_in_flight` holds beside it.
    pub parallel: usize,
    /// File that remembers what was begun and done. Run again with the same journal, a batch sends only what its record doesn't show yet.
    pub journal: Option<PathBuf>,
    /// API calls after which no further step is begun; 0 = no bound.
    pub credits: u64,
    /// Holds the batch while it is on.
    pub pause: Pause,
}

impl Options {
    fn parallel(&self) -> usize {
        if self.parallel == 0 { 4 } else { self.parallel.min(256) }
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
/// Of `call`, cancel and timeout hold for the whole; `if_exists`, `sha256` and `trace_id` for each step.
/// An error only when the batch can't be run as a whole: a refused step is told to `ended` and counted.
pub fn run(
    client: &Client,
    items: impl IntoIterator<Item = Item>,
    options: &Options,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    let began = Instant::now();
    let mut journal = options.journal.as_deref().map(Journal::open).transpose()?;
    let claimed = Claimed::default();
    journal.iter().flat_map(Journal::stored_ids).for_each(|id| claimed.insert(id));
    let parallel = options.parallel();
    let cancel = call.cancel.clone().unwrap_or_default();
    let deadline = call.timeout.and_then(|t| began.checked_add(t));
    // What a killed process had sent may show late: nothing of it is looked for before the waits for a lost upload have passed.
    let late: Duration = client.config().settle_waits.iter().sum();
    let settled = began + journal.as_ref().map_or(Duration::ZERO, |journal| late.saturating_sub(journal.age()));
    let shared = Shared { client, claimed, cancel, deadline, settled, if_exists: call.if_exists, sha256: call.sha256, trace_id: call.trace_id };
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, &shared, parallel);
        let mut batch = Batch {
            options,
            journal: &mut journal,
            workers,
            shared: &shared,
            summary: Summary::default(),
            waited_ms: 0,
            keys: HashSet::new(),
            in_flight: 0,
            ended,
        };
        batch.all(items.into_iter())?;
        let attempts = u32::try_from(batch.summary.attempts).unwrap_or(u32::MAX);
        let waited_ms = batch.waited_ms;
        Ok(Outcome { operation: "batch", result: batch.summary, attempts, waited_ms, wait_reason: None, credits_remaining: None })
    })
}

/// What every worker needs.
struct Shared<'c> {
    client: &'c Client,
    /// Attachments that other keys have got, in this run or an earlier one: none of them is what is looked for.
    claimed: Claimed,
    cancel: Cancel,
    deadline: Option<Instant>,
    /// When the uploads of an earlier run show, if they are stored.
    settled: Instant,
    if_exists: IfExists,
    sha256: bool,
    trace_id: Option<String>,
}

/// A step for a worker.
struct Job {
    item: Item,
    /// It was begun in an earlier run: look before sending.
    begun_before: bool,
}

struct Report {
    item: Item,
    /// A panic goes on where the batch was called, and no report is waited for in vain.
    outcome: std::result::Result<Result<Outcome<StepResult>>, Caught>,
}

impl Shared<'_> {
    fn run(&self, job: Job) -> Report {
        let outcome = panics::catch(|| self.step(&job));
        Report { item: job.item, outcome }
    }

    fn step(&self, job: &Job) -> Result<Outcome<StepResult>> {
        if job.begun_before {
            self.wait_until_settled();
        }
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let call = Call {
            cancel: Some(self.cancel.clone()),
            timeout: left.map(|left| left.max(Duration::from_millis(1))),
            if_exists: if job.begun_before { IfExists::SkipSameBytes } else { self.if_exists },
            sha256: self.sha256,
            claimed: Some(self.claimed.clone()),
            trace_id: self.trace_id.clone(),
            ..Call::default()
        };
        let outcome = super::run_alone(self.client, &job.item.step, call)?;
        if let StepResult::Attached(Attached::One(uploaded)) = &outcome.result {
            self.claimed.insert(uploaded.id.clone());
        }
        Ok(outcome)
    }

    /// Returns early when the batch is over, which the step then sees for itself.
    fn wait_until_settled(&self) {
        const EVERY: Duration = Duration::from_millis(20);
        let until = self.deadline.map_or(self.settled, |deadline| deadline.min(self.settled));
        while Instant::now() < until && !self.cancel.is_fired() {
            std::thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// Threads that live as long as the batch. Callbacks never run on them.
struct Workers {
    /// `None` when the system gives no thread: then the calling thread does the work.
    jobs: Option<mpsc::Sender<Job>>,
    reports: mpsc::Receiver<Report>,
    own: mpsc::Sender<Report>,
}

impl Workers {
    fn start<'scope>(scope: &'scope std::thread::Scope<'scope, '_>, shared: &'scope Shared<'scope>, parallel: usize) -> Workers {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (own, reports) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut count = 0;
        for _ in 0..parallel {
            let (queue, to) = (queue.clone(), own.clone());
            let work = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    if to.send(shared.run(job)).is_err() {
                        return;
                    }
                }
            };
            let started = threads::start(|| threads::builder("zcrm-batch").spawn_scoped(scope, work));
            count += u32::from(started.is_ok());
        }
        Workers { jobs: (count > 0).then_some(jobs), reports, own }
    }

    fn give(&self, job: Job, shared: &Shared<'_>) {
        match &self.jobs {
            Some(jobs) => drop(jobs.send(job)),
            None => drop(self.own.send(shared.run(job))),
        }
    }
}

/// A batch under way, on the calling thread.
struct Batch<'b, 'c> {
    options: &'b Options,
    journal: &'b mut Option<Journal>,
    workers: Workers,
    shared: &'b Shared<'c>,
    summary: Summary,
    waited_ms: u64,
    keys: HashSet<String>,
    in_flight: usize,
    ended: &'b mut dyn FnMut(Ended<'_>) -> bool,
}

impl Batch<'_, '_> {
    fn all(&mut self, mut items: impl Iterator<Item = Item>) -> Result<()> {
        let parallel = self.options.parallel();
        loop {
            self.look_for_a_stop();
            let may_begin = self.summary.stopped.is_none() && self.in_flight < parallel && !self.options.pause.is_on();
            match if may_begin { items.next() } else { None } {
                Some(item) => self.begin(item)?,
                None if self.in_flight > 0 => self.wait()?,
                // Held, with nothing under way: look again soon.
                None if self.options.pause.is_on() && self.summary.stopped.is_none() => std::thread::sleep(Duration::from_millis(20)),
                None => break,
            }
        }
        self.summary.left += items.count() as u64;
        Ok(())
    }

    fn look_for_a_stop(&mut self) {
        let spent = self.options.credits > 0 && self.summary.attempts + self.in_flight as u64 >= self.options.credits;
        let late = self.shared.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        for (stop, reason) in [(self.shared.cancel.is_fired(), "cancelled"), (late, "call_timeout"), (spent, "credits_budget")] {
            if stop && self.summary.stopped.is_none() {
                self.summary.stopped = Some(reason);
            }
        }
    }

    fn begin(&mut self, item: Item) -> Result<()> {
        if !self.keys.insert(item.key.clone()) {
            let error = Error::argument("key", format!("{:?} is given twice in this batch", crate::error::one_line(&item.key)));
            return self.fail(&item.key, &error);
        }
        let before = match self.journal.as_mut().map(|journal| journal.before(&item.key, &item.step)) {
            None => Before::New,
            Some(Ok(before)) => before,
            Some(Err(error)) => return self.fail(&item.key, &error),
        };
        if let Before::Done(outcome) = before {
            (self.summary.done, self.summary.from_journal) = (self.summary.done + 1, self.summary.from_journal + 1);
            self.tell(Ended { key: &item.key, outcome: Ok(outcome.get()), from_journal: true, left: false });
            return Ok(());
        }
        if let Some(journal) = self.journal.as_mut() {
            journal.begin(&item.key, &item.step)?;
        }
        self.in_flight += 1;
        self.workers.give(Job { item, begun_before: matches!(before, Before::Begun) }, self.shared);
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let Report { item, outcome } = self.workers.reports.recv().expect("this side holds a sender too");
        self.in_flight -= 1;
        match outcome.unwrap_or_else(|panic| panic.go_on()) {
            Ok(outcome) => {
                self.summary.attempts += u64::from(outcome.attempts);
                self.waited_ms += outcome.waited_ms;
                self.summary.done += 1;
                let json = serde_json::to_string(&outcome).expect("an outcome is JSON");
                if let Some(journal) = self.journal.as_mut() {
                    journal.done(&item.key, &json)?;
                }
                self.tell(Ended { key: &item.key, outcome: Ok(&json), from_journal: false, left: false });
                Ok(())
            }
            Err(error) => {
                self.summary.attempts += u64::from(error.detail().attempts);
                self.waited_ms += error.detail().waited_ms;
                self.end_badly(&item.key, &error)
            }
        }
    }

    /// A refusal is final for this run; what ended for another reason is left to the next one.
    fn end_badly(&mut self, key: &str, error: &Error) -> Result<()> {
        let stops = match error.status() {
            Status::Cancelled => Some("cancelled"),
            Status::Timeout if error.reason() == "call_timeout" => Some("call_timeout"),
            Status::RateLimited if error.reason() == "credits_exhausted" => Some("credits_exhausted"),
            _ => None,
        };
        let unknown = error.detail().outcome_open;
        // A step that was broken off may have had its effect, once anything of it was sent.
        let broken_off = matches!(error.status(), Status::Cancelled | Status::Timeout) && error.detail().request_sent != Sent::No;
        if let Some(journal) = self.journal.as_mut().filter(|_| !unknown && !broken_off) {
            journal.failed(key)?;
        }
        let Some(reason) = stops else {
            self.summary.unknown += u64::from(unknown);
            return self.fail(key, error);
        };
        self.summary.stopped.get_or_insert(reason);
        self.summary.left += 1;
        self.tell(Ended { key, outcome: Err(error), from_journal: false, left: true });
        Ok(())
    }

    fn fail(&mut self, key: &str, error: &Error) -> Result<()> {
        self.summary.failed += 1;
        self.tell(Ended { key, outcome: Err(error), from_journal: false, left: false });
        Ok(())
    }

    fn tell(&mut self, end: Ended<'_>) {
        if !(self.ended)(end) {
            self.shared.cancel.fire();
        }
    }
}
