//! A batch under way: steps are begun, their ends are noted and told.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use super::super::dispatch::Step;
use super::super::output::Summary;
use super::super::paths;
use super::journal::{Before, Begun, Fingerprint, Journal, SourceFile};
use super::meaning::Meanings;
use super::source::{Next, Source};
use super::workers::{Job, Report, Shared, Workers};
use super::{Ended, Item, Options};
use crate::call::Outcome;
use crate::config::{Config, LogLevel};
use crate::error::{Error, Result, Sent, Status, one_line};
use crate::sorted::Sorted;

/// A batch under way, on the calling thread.
pub(super) struct Batch<'b, 'c> {
    options: &'b Options,
    parallel: usize,
    journal: &'b mut Option<Journal>,
    workers: Workers,
    shared: &'b Shared<'c>,
    /// When the uploads of an earlier run show, if they are stored.
    settled: Instant,
    /// Uploads that an earlier run had begun: they come last, so that the others use the time until they would show.
    late: VecDeque<Ready>,
    summary: Summary,
    /// Why the journal can't be written. Nothing is begun without it.
    broken: Option<Error>,
    waited_ms: u64,
    wait_reason: Option<&'static str>,
    keys: Keys,
    meanings: Meanings,
    in_flight: usize,
    ended: &'b mut dyn FnMut(Ended<'_>) -> bool,
}

/// Whether the file that a step sends, which has this path, is another one than then.
fn source_has_changed(config: &Config, path: &str, then: &SourceFile) -> bool {
    // Most files are as they were, and to see that takes no opening.
    let looks_same = fs::metadata(path).is_ok_and(|now| SourceFile::of(&now) == *then);
    !looks_same && paths::metadata(config, path).is_some_and(|now| SourceFile::of(&now) != *then)
}

/// A step that may be begun.
struct Ready {
    key: String,
    step: Step,
    /// What the journal is to know of it.
    fingerprint: Option<Fingerprint>,
    /// It was begun in an earlier run.
    begun_before: bool,
}

/// How often a batch that only waits looks up.
const LOOKS: Duration = Duration::from_millis(20);

impl<'b, 'c> Batch<'b, 'c> {
    pub(super) fn new(
        options: &'b Options,
        journal: &'b mut Option<Journal>,
        workers: Workers,
        shared: &'b Shared<'c>,
        settled: Instant,
        ended: &'b mut dyn FnMut(Ended<'_>) -> bool,
    ) -> Batch<'b, 'c> {
        Batch {
            parallel: options.parallel(shared.client.config()),
            options,
            journal,
            workers,
            shared,
            settled,
            late: VecDeque::new(),
            summary: Summary::default(),
            broken: None,
            waited_ms: 0,
            wait_reason: None,
            keys: Keys::default(),
            meanings: Meanings::default(),
            in_flight: 0,
            ended,
        }
    }

    /// Ends are told before more is asked for: a source may wait for them, and take its time.
    pub(super) fn all(mut self, source: &mut dyn Source) -> Result<Outcome<Summary>> {
        let mut is_at_its_end = false;
        loop {
            self.look_for_a_stop();
            let stopped = self.summary.stopped.is_some();
            let is_free = !stopped && self.in_flight < self.parallel && !self.options.pause.is_on();
            if let Some(report) = self.workers.ended() {
                self.take(report);
            } else if is_free && !is_at_its_end {
                match source.next() {
                    Next::Step(item) => self.begin(item),
                    Next::Refused { key, error } => self.fail(&key, &error),
                    Next::End => is_at_its_end = true,
                    Next::Failed => self.stop("source"),
                }
            } else if is_free && let Some(ready) = self.due() {
                self.give(ready);
            } else if self.in_flight > 0 {
                self.wait_for_a_report();
            } else if stopped || is_free && self.late.is_empty() {
                break;
            } else {
                self.wait_for_late_ones();
            }
        }
        self.summary.left += self.late.len() as u64 + if is_at_its_end { 0 } else { source.left() };
        self.outcome()
    }

    fn due(&mut self) -> Option<Ready> {
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
            if stop {
                self.stop(reason);
            }
        }
    }

    /// No further step is begun. The first reason counts.
    fn stop(&mut self, reason: &'static str) {
        self.summary.stopped.get_or_insert(reason);
    }

    fn begin(&mut self, Item { key, step: json }: Item) {
        let ready = match self.journal {
            Some(_) => self.recorded(&key, &json),
            None => Step::for_batch(&json).and_then(|step| match self.keys.add(&key) {
                true => Ok(Some(Ready { key: key.clone(), step, fingerprint: None, begun_before: false })),
                false => Err(given_twice(&key)),
            }),
        };
        match ready {
            Ok(Some(ready)) if ready.begun_before && ready.step.shows_late() => {
                self.shared.expect(&ready.step);
                self.late.push_back(ready);
            }
            Ok(Some(ready)) => self.give(ready),
            Ok(None) => {}
            Err(error) => self.fail(&key, &error),
        }
    }

    /// The step as the journal lets it be run. `None` when an earlier run has done it, which is told: it need not even be read.
    fn recorded(&mut self, key: &str, json: &str) -> Result<Option<Ready>> {
        let config = self.shared.client.config();
        let (Some(journal), meaning) = (self.journal.as_mut(), self.meanings.of(json)) else { return Ok(None) };
        let has_changed = |then: &SourceFile| meaning.path.as_ref().is_some_and(|path| source_has_changed(config, path, then));
        let before = journal.before(key, &meaning.hash, has_changed);
        if let Ok(Before::Done(outcome)) = &before {
            (self.summary.done, self.summary.from_journal) = (self.summary.done + 1, self.summary.from_journal + 1);
            self.tell(Ended { key, outcome: Ok(outcome), from_journal: true, left: false });
            return Ok(None);
        }
        let step = Step::for_batch(json)?;
        let begun_before = matches!(before?, Before::Begun);
        let source = step.source().and_then(|path| paths::metadata(config, path)).as_ref().map(SourceFile::of);
        Ok(Some(Ready { key: key.to_owned(), step, fingerprint: Some(Fingerprint { step: meaning.hash, source }), begun_before }))
    }

    fn give(&mut self, Ready { key, step, fingerprint, begun_before }: Ready) {
        let begun = self.journal.as_mut().zip(fingerprint).map(|(journal, fingerprint)| journal.begin(&key, fingerprint)).transpose();
        match begun {
            Ok(begun) => {
                self.in_flight += 1;
                self.workers.give(Job { key, step, begun, begun_before }, self.shared);
            }
            Err(error) => {
                self.breaks(Err(error));
                self.summary.left += 1;
            }
        }
    }

    /// Whether the journal couldn't be written, which stops the batch: what is under way is still told.
    fn breaks(&mut self, written: Result<()>) -> bool {
        let Err(error) = written else { return false };
        self.broken.get_or_insert(error);
        self.stop("journal");
        true
    }

    fn wait_for_a_report(&mut self) {
        // Late ones may become due meanwhile.
        let at_most = (!self.late.is_empty()).then_some(LOOKS);
        if let Some(report) = self.workers.wait(at_most) {
            self.take(report);
        }
    }

    fn take(&mut self, Report { key, begun, begun_before, outcome }: Report) {
        self.in_flight -= 1;
        match outcome.unwrap_or_else(|panic| panic.go_on()) {
            Ok(outcome) => {
                self.summary.attempts += u64::from(outcome.attempts);
                self.waited_ms += outcome.waited_ms;
                self.summary.done += 1;
                let json = serde_json::to_string(&outcome).expect("an outcome is JSON");
                let written = self.journal.as_mut().zip(begun).map_or(Ok(()), |(journal, begun)| journal.done(&key, begun, &json));
                self.breaks(written);
                self.tell(Ended { key: &key, outcome: Ok(&json), from_journal: false, left: false });
            }
            Err(error) => {
                self.summary.attempts += u64::from(error.detail().attempts);
                self.waited_ms += error.detail().waited_ms;
                // What an earlier run did is as open as it was: a failure may come before anything was looked for.
                let begun = begun.filter(|_| !begun_before);
                self.end_badly(&key, begun.as_ref(), &error);
            }
        }
    }

    /// A refusal is final for this run; what ended for another reason is left to the next one.
    fn end_badly(&mut self, key: &str, begun: Option<&Begun>, error: &Error) {
        let stops = match error.status() {
            Status::Cancelled => Some("cancelled"),
            // The batch's time, and not only that of this step.
            Status::Timeout if error.reason() == "call_timeout" && self.shared.is_out_of_time() => Some("call_timeout"),
            Status::RateLimited if error.reason() == "credits_exhausted" => Some("credits_exhausted"),
            // No other step would get one either.
            Status::RateLimited if error.reason() == "token_throttled" => Some("no_token"),
            Status::Auth => Some("no_token"),
            _ if error.reason() == "token_reply" => Some("no_token"), // another server than Zoho's answers
            _ => None,
        };
        let unknown = error.detail().outcome_open;
        // A step that was broken off may have had its effect, once anything of it was sent.
        let broken_off = matches!(error.status(), Status::Cancelled | Status::Timeout) && error.detail().request_sent != Sent::No;
        let refused = self.journal.as_mut().zip(begun).filter(|_| !unknown && !broken_off);
        let written = refused.map_or(Ok(()), |(journal, begun)| journal.failed(key, begun));
        self.breaks(written);
        let Some(reason) = stops else {
            self.summary.unknown += u64::from(unknown);
            return self.fail(key, error);
        };
        self.stop(reason);
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

pub(super) fn given_twice(key: &str) -> Error {
    Error::argument("key", format!("{:?} is given twice in this batch", one_line(key)))
}

/// The keys of this run where no journal has them, each by a hash: two of a million steps are taken for one with a chance of 1 in 30 millions,
/// and the second is told as refused then.
#[derive(Default)]
struct Keys {
    given: Sorted,
    hasher: RandomState,
}

impl Keys {
    /// `false` when it was there.
    fn add(&mut self, key: &str) -> bool {
        self.given.add(self.hasher.hash_one(key))
    }
}
