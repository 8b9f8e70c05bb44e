//! The threads of a batch, and what each step needs on them.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::super::dispatch::Step;
use super::super::output::StepResult;
use super::journal::Begun;
use crate::call::{Call, IfExists, Outcome};
use crate::cancel::Cancel;
use crate::claimed::Claimed;
use crate::client::Client;
use crate::error::Result;
use crate::panics::{self, Caught};
use crate::threads;

/// What every worker needs.
pub(super) struct Shared<'c> {
    pub(super) client: &'c Client,
    pub(super) cancel: Cancel,
    /// Attachments that steps own, of this run or an earlier one: none of them is what another step looks for.
    claimed: Claimed,
    /// When the whole batch is out of time.
    deadline: Option<Instant>,
    if_exists: IfExists,
    again: bool,
    sha256: bool,
    trace_id: Option<String>,
}

/// A step for a worker.
pub(super) struct Job {
    pub(super) key: String,
    pub(super) step: Step,
    /// What the journal knows of it.
    pub(super) begun: Option<Begun>,
    /// It was begun in an earlier run: look before doing anything.
    pub(super) begun_before: bool,
}

pub(super) struct Report {
    pub(super) key: String,
    pub(super) begun: Option<Begun>,
    pub(super) begun_before: bool,
    /// A panic goes on where the batch was called, and no report is waited for in vain.
    pub(super) outcome: std::result::Result<Result<Outcome<StepResult>>, Caught>,
}

impl<'c> Shared<'c> {
    pub(super) fn new(client: &'c Client, call: Call<'_>, claimed: Claimed) -> Shared<'c> {
        Shared {
            client,
            cancel: call.cancel.unwrap_or_default(),
            claimed,
            deadline: call.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            if_exists: call.if_exists,
            again: call.again,
            sha256: call.sha256,
            trace_id: call.trace_id,
        }
    }

    pub(super) fn is_out_of_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// An earlier run had begun this step: what it may have stored is no other step's.
    pub(super) fn expect(&self, step: &Step) {
        if let Some((record, name)) = step.attaches() {
            self.claimed.await_name(record, name);
        }
    }

    fn run(&self, Job { key, step, begun, begun_before }: Job) -> Report {
        Report { key, begun, begun_before, outcome: panics::catch(|| self.step(step, begun_before)) }
    }

    fn step(&self, step: Step, begun_before: bool) -> Result<Outcome<StepResult>> {
        let call = Call {
            cancel: Some(self.cancel.clone()),
            timeout: self.time_of_a_step(),
            if_exists: self.if_exists,
            again: self.again || begun_before,
            sha256: self.sha256,
            claimed: Some(self.claimed.clone()),
            trace_id: self.trace_id.clone(),
            ..Call::default()
        };
        step.run(self.client, call)
    }

    /// A step has the time that the setting gives to every call, and no more than the batch has left.
    fn time_of_a_step(&self) -> Option<Duration> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        [left, self.client.config().call_timeout].into_iter().flatten().min()
    }
}

/// Threads that live as long as the batch. Callbacks never run on them.
pub(super) struct Workers {
    /// `None` when the system gives no thread: then the calling thread does the work.
    jobs: Option<mpsc::Sender<Job>>,
    reports: mpsc::Receiver<Report>,
    own: mpsc::Sender<Report>,
}

impl Workers {
    pub(super) fn start<'scope>(scope: &'scope std::thread::Scope<'scope, '_>, shared: &'scope Shared<'scope>, parallel: usize) -> Workers {
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

    pub(super) fn give(&self, job: Job, shared: &Shared<'_>) {
        match &self.jobs {
            Some(jobs) => drop(jobs.send(job)),
            None => drop(self.own.send(shared.run(job))),
        }
    }

    /// A step that has ended.
    pub(super) fn ended(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// The next step that ends, `None` after this time.
    pub(super) fn wait(&self, at_most: Option<Duration>) -> Option<Report> {
        match at_most {
            Some(time) => self.reports.recv_timeout(time).ok(),
            None => self.reports.recv().ok(),
        }
    }
}
