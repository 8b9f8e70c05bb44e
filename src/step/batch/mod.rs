//! Many steps with one call: in parallel, each with its own outcome, and with a journal, so that a killed process goes on where it was.

pub(crate) mod journal;
mod json;
mod meaning;

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::dispatch::Step;
use super::output::StepResult;
pub use super::output::Summary;
use super::paths;
use crate::call::{Call, Claimed, IfExists, Outcome};
use crate::cancel::Cancel;
use crate::client::Client;
use crate::config::LogLevel;
use crate::error::{Error, Result, Sent, Status};
use crate::panics::{self, Caught};
use crate::threads;
use journal::{Before, Deed, Journal};

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
    /// File that remembers what was begun and done. Run again with the same journal, a batch sends only what its record doesn't show yet. It
    /// belongs to one run of a job: what it has as done isn't sent again.
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
/// `cancel` and `timeout` of `call` apply to the whole batch; `if_exists`, `again`, `sha256` and `trace_id` to each step.
/// An error only when the batch can't be run as a whole: a refused step is told to `ended` and counted.
pub fn run(
    client: &Client,
    items: impl IntoIterator<Item = Item>,
    options: &Options,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    let journal = options.journal.as_deref().map(Journal::open).transpose()?;
    run_with(client, items, options, journal, call, ended)
}

/// [`run`] with a journal that is open already.
fn run_with(
    client: &Client,
    items: impl IntoIterator<Item = Item>,
    options: &Options,
    mut journal: Option<Journal>,
    call: Call<'_>,
    ended: &mut dyn FnMut(Ended<'_>) -> bool,
) -> Result<Outcome<Summary>> {
    let began = Instant::now();
    let claimed = Claimed::default();
    for id in journal.iter().flat_map(Journal::stored_ids) {
        claimed.claim(id);
    }
    // What a killed process had sent may show late: nothing of it is looked for before the waits for a lost upload have passed.
    let late: Duration = client.config().settle_waits.iter().sum();
    let settled = began + journal.as_ref().map_or(Duration::ZERO, |journal| late.saturating_sub(journal.age()));
    let shared = Shared {
        client,
        claimed,
        cancel: call.cancel.clone().unwrap_or_default(),
        deadline: call.timeout.and_then(|t| began.checked_add(t)),
        if_exists: call.if_exists,
        again: call.again,
        sha256: call.sha256,
        trace_id: call.trace_id,
    };
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, &shared, options.parallel());
        let mut batch = Batch {
            options,
            journal: &mut journal,
            workers,
            shared: &shared,
            settled,
            late: VecDeque::new(),
            summary: Summary::default(),
            broken: None,
            waited_ms: 0,
            wait_reason: None,
            keys: HashSet::new(),
            in_flight: 0,
            ended,
        };
        batch.all(items.into_iter().fuse());
        batch.outcome()
    })
}

/// What every worker needs.
struct Shared<'c> {
    client: &'c Client,
    /// Attachments that steps own, of this run or an earlier one: none of them is what another step looks for.
    claimed: Claimed,
    cancel: Cancel,
    deadline: Option<Instant>,
    if_exists: IfExists,
    again: bool,
    sha256: bool,
    trace_id: Option<String>,
}

/// A step for a worker.
struct Job {
    key: String,
    step: Step,
    /// What the journal has to know of it.
    deed: Option<Deed>,
    /// It was begun in an earlier run: look before doing anything.
    begun_before: bool,
}

struct Report {
    key: String,
    /// A panic goes on where the batch was called, and no report is waited for in vain.
    outcome: std::result::Result<Result<Outcome<StepResult>>, Caught>,
}

impl Shared<'_> {
    fn is_out_of_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn run(&self, Job { key, step, begun_before, .. }: Job) -> Report {
        Report { key, outcome: panics::catch(|| self.step(step, begun_before)) }
    }

    fn step(&self, step: Step, begun_before: bool) -> Result<Outcome<StepResult>> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let call = Call {
            cancel: Some(self.cancel.clone()),
            timeout: left.map(|left| left.max(Duration::from_millis(1))),
            if_exists: self.if_exists,
            again: self.again || begun_before,
            sha256: self.sha256,
            claimed: Some(self.claimed.clone()),
            trace_id: self.trace_id.clone(),
            ..Call::default()
        };
        step.run(self.client, call)
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
    /// When the uploads of an earlier run show, if they are stored.
    settled: Instant,
    /// Uploads that an earlier run had begun: they come last, so that the others use the time until they would show.
    late: VecDeque<Job>,
    summary: Summary,
    /// Why the journal can't be written. Nothing is begun without it.
    broken: Option<Error>,
    waited_ms: u64,
    wait_reason: Option<&'static str>,
    keys: HashSet<String>,
    in_flight: usize,
    ended: &'b mut dyn FnMut(Ended<'_>) -> bool,
}

/// How often a batch that only waits looks up.
const LOOKS: Duration = Duration::from_millis(20);

impl Batch<'_, '_> {
    fn all(&mut self, mut items: impl Iterator<Item = Item>) {
        loop {
            self.look_for_a_stop();
            let stopped = self.summary.stopped.is_some();
            let is_free = !stopped && self.in_flight < self.options.parallel() && !self.options.pause.is_on();
            if let Some(item) = items.by_ref().take(usize::from(is_free)).next() {
                self.begin(item);
            } else if is_free && let Some(job) = self.due() {
                self.give(job);
            } else if self.in_flight > 0 {
                self.take_report();
            } else if stopped || is_free && self.late.is_empty() {
                break;
            } else {
                self.wait_for_late_ones();
            }
        }
        self.summary.left += (items.count() + self.late.len()) as u64;
    }

    fn due(&mut self) -> Option<Job> {
        if Instant::now() < self.settled { None } else { self.late.pop_front() }
    }

    fn outcome(self) -> Result<Outcome<Summary>> {
        let attempts = u32::try_from(self.summary.attempts).unwrap_or(u32::MAX);
        let (waited_ms, wait_reason) = (self.waited_ms, self.wait_reason);
        match self.broken {
            Some(error) => Err(error),
            None => Ok(Outcome { operation: "batch", result: self.summary, attempts, waited_ms, wait_reason, credits_remaining: None }),
        }
    }

    /// Held, or with nothing to do until the uploads of an earlier run show.
    fn wait_for_late_ones(&mut self) {
        let left = self.settled.saturating_duration_since(Instant::now());
        if !self.late.is_empty() && !left.is_zero() && self.wait_reason.is_none() {
            self.wait_reason = Some("settling");
            self.shared.client.config().log(LogLevel::Warn, || {
                let seconds = left.as_secs_f64();
                let uploads = self.late.len();
                format!(
                    "waiting {seconds:.1} s before looking for {uploads} uploads that an earlier run had begun: settle_waits_ms, since its last word"
                )
            });
        }
        let wait = if self.late.is_empty() { LOOKS } else { LOOKS.min(left) };
        std::thread::sleep(wait);
        self.waited_ms += if self.late.is_empty() { 0 } else { wait.as_millis() as u64 };
    }

    fn look_for_a_stop(&mut self) {
        let spent = self.options.credits > 0 && self.summary.attempts + self.in_flight as u64 >= self.options.credits;
        let late = self.shared.is_out_of_time();
        for (stop, reason) in [(self.shared.cancel.is_fired(), "cancelled"), (late, "call_timeout"), (spent, "credits_budget")] {
            if stop && self.summary.stopped.is_none() {
                self.summary.stopped = Some(reason);
            }
        }
    }

    fn begin(&mut self, Item { key, step: json }: Item) {
        if !self.keys.insert(key.clone()) {
            let error = Error::argument("key", format!("{:?} is given twice in this batch", crate::error::one_line(&key)));
            return self.fail(&key, &error);
        }
        let step = match Step::for_batch(&json) {
            Ok(step) => step,
            Err(error) => return self.fail(&key, &error),
        };
        let Some(journal) = self.journal.as_mut() else {
            return self.give(Job { key, step, deed: None, begun_before: false });
        };
        let source = step.source().and_then(|path| paths::metadata(self.shared.client.config(), path));
        let deed = Deed::new(&json, source.as_ref());
        match journal.before(&key, &deed) {
            Err(error) => self.fail(&key, &error),
            Ok(Before::Done(outcome)) => {
                (self.summary.done, self.summary.from_journal) = (self.summary.done + 1, self.summary.from_journal + 1);
                self.tell(Ended { key: &key, outcome: Ok(outcome.get()), from_journal: true, left: false });
            }
            Ok(before) => {
                let begun_before = matches!(before, Before::Begun);
                let waits = begun_before && step.shows_late();
                let job = Job { key, step, deed: Some(deed), begun_before };
                if waits { self.late.push_back(job) } else { self.give(job) }
            }
        }
    }

    fn give(&mut self, mut job: Job) {
        if let (Some(journal), Some(deed)) = (self.journal.as_mut(), job.deed.take()) {
            let written = journal.begin(&job.key, deed);
            if self.breaks(written) {
                self.summary.left += 1;
                return;
            }
        }
        self.in_flight += 1;
        self.workers.give(job, self.shared);
    }

    /// Whether the journal couldn't be written, which stops the batch: what is under way is still told.
    fn breaks(&mut self, written: Result<()>) -> bool {
        let Err(error) = written else { return false };
        self.broken.get_or_insert(error);
        self.summary.stopped.get_or_insert("journal");
        true
    }

    fn take_report(&mut self) {
        // Late ones may become due meanwhile.
        let report = match self.late.is_empty() {
            true => self.workers.reports.recv().ok(),
            false => self.workers.reports.recv_timeout(LOOKS).ok(),
        };
        let Some(Report { key, outcome }) = report else { return };
        self.in_flight -= 1;
        match outcome.unwrap_or_else(|panic| panic.go_on()) {
            Ok(outcome) => {
                self.summary.attempts += u64::from(outcome.attempts);
                self.waited_ms += outcome.waited_ms;
                self.summary.done += 1;
                let json = serde_json::to_string(&outcome).expect("an outcome is JSON");
                let written = self.journal.as_mut().map_or(Ok(()), |journal| journal.done(&key, &json));
                self.breaks(written);
                self.tell(Ended { key: &key, outcome: Ok(&json), from_journal: false, left: false });
            }
            Err(error) => {
                self.summary.attempts += u64::from(error.detail().attempts);
                self.waited_ms += error.detail().waited_ms;
                self.end_badly(&key, &error);
            }
        }
    }

    /// A refusal is final for this run; what ended for another reason is left to the next one.
    fn end_badly(&mut self, key: &str, error: &Error) {
        let stops = match error.status() {
            Status::Cancelled => Some("cancelled"),
            // The batch's time, and not only that of this step.
            Status::Timeout if error.reason() == "call_timeout" && self.shared.is_out_of_time() => Some("call_timeout"),
            Status::RateLimited if error.reason() == "credits_exhausted" => Some("credits_exhausted"),
            // No other step would get one either.
            Status::RateLimited if error.reason() == "token_throttled" => Some("no_token"),
            Status::Auth => Some("no_token"),
            _ => None,
        };
        let unknown = error.detail().outcome_open;
        // A step that was broken off may have had its effect, once anything of it was sent.
        let broken_off = matches!(error.status(), Status::Cancelled | Status::Timeout) && error.detail().request_sent != Sent::No;
        let written = self.journal.as_mut().filter(|_| !unknown && !broken_off).map_or(Ok(()), |journal| journal.failed(key));
        self.breaks(written);
        let Some(reason) = stops else {
            self.summary.unknown += u64::from(unknown);
            return self.fail(key, error);
        };
        self.summary.stopped.get_or_insert(reason);
        self.summary.left += 1;
        self.tell(Ended { key, outcome: Err(error), from_journal: false, left: true });
    }

    fn fail(&mut self, key: &str, error: &Error) {
        self.summary.failed += 1;
        self.tell(Ended { key, outcome: Err(error), from_journal: false, left: false });
    }

    fn tell(&mut self, end: Ended<'_>) {
        if !(self.ended)(end) {
            self.shared.cancel.fire();
        }
    }
}
