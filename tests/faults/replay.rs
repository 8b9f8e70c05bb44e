//! Replay: the steps of a scenario are counted, and then it is run again with each of them failing, and with a cancel at each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zcrm::{Cancel, Error, Status};
use zcrm_emulator::Fault;

use crate::operation::{ALL, Operation};
use crate::quick::{emulator, quick_of};
use crate::relay::{Act, Relay, Step};

/// An operation, and a fault that it meets beside the failing step.
struct Scenario {
    name: String,
    operation: Operation,
    script: Vec<Fault>,
}

/// Every operation, and the failures of uploads and downloads that are mended by further requests.
fn scenarios() -> Vec<Scenario> {
    use Operation::{DeleteSeveral, DownloadFile, Link, UploadFile, UploadStrict};
    let plain = ALL.iter().map(|operation| (*operation, "", Vec::new()));
    let more = [
        (UploadFile, " after a reset in its body", vec![Fault::reset_before_store_after(150_000)]),
        (UploadFile, " stored, and its reply lost", vec![Fault::reset_after_store()]),
        (UploadFile, " whole, not stored, and its reply lost", vec![Fault::reset_before_store()]),
        (UploadFile, " stored under another name, and its reply lost", vec![Fault::rename("another.bin").and_lost()]),
        (UploadStrict, " stored, and its reply lost", vec![Fault::reset_after_store()]),
        (UploadFile, " with a token that has died", vec![Fault::status(401)]),
        (DownloadFile, " truncated", vec![Fault::truncate(10_000)]),
        (DownloadFile, " with a token that has died", vec![Fault::status(401)]),
        (Link, " stored, and its reply lost", vec![Fault::reset_after_store()]),
        (DeleteSeveral, " where one request for all is unknown", vec![Fault::status(404)]),
    ];
    let all = plain.chain(more);
    all.map(|(operation, what, script)| Scenario { name: format!("{operation:?}{what}"), operation, script }).collect()
}

/// How a run ended.
struct Run {
    error: Option<Error>,
    violations: Vec<String>,
    steps: Vec<Step>,
    reached: bool,
    /// From the cancel to the call's return.
    latency: Duration,
}

impl Scenario {
    fn run(&self, plan: Option<(Step, Act)>) -> Run {
        let emulator = emulator();
        let relay = Relay::to(emulator.url(), plan);
        let settings = [&[("accounts_url", relay.url.as_str()), ("api_domain", relay.url.as_str())], self.operation.settings()].concat();
        let w = quick_of(emulator, &settings);
        let before = self.operation.prepare(&w);
        w.emulator.script(self.operation.queue(), self.script.clone());
        let (cancel, fired) = (Cancel::new(), Mutex::new(None));
        let after = std::thread::scope(|scope| {
            if plan.is_some_and(|(_, act)| act == Act::Hold) {
                scope.spawn(|| {
                    if relay.wait(Duration::from_secs(20)) {
                        *fired.lock().unwrap() = Some(Instant::now());
                        cancel.fire();
                    }
                });
            }
            self.operation.perform(&w, &before, &cancel)
        });
        let latency = fired.into_inner().unwrap().map(|at: Instant| at.elapsed()).unwrap_or_default();
        relay.free();
        let mut violations = self.operation.violations(&w, &before, &after, false);
        if !w.canary.found().is_empty() {
            violations.push("I5: secrets were said".to_owned());
        }
        let requests = w.emulator.ledger().requests.iter().filter(|request| request.operation != "token").count();
        if requests > self.operation.budget(self.script.len() + 2) {
            violations.push(format!("I7: {requests} requests"));
        }
        Run { error: after.error, violations, steps: relay.steps(), reached: relay.reached(), latency }
    }

    /// The steps that come each time. A reset within a body comes before or after its last byte has left, and that decides how often is looked.
    fn steps(&self) -> Vec<Step> {
        let mut steps = self.run(None).steps;
        for _ in 0..3 {
            let again = self.run(None).steps;
            steps.retain(|step| again.contains(step));
        }
        steps
    }

    /// Whether one broken connection is mended by the library.
    fn mends(&self) -> bool {
        !matches!(self.operation, Operation::UploadReader | Operation::DownloadWriter | Operation::Settling)
    }
}

/// Runs every scenario with `act` at every step, on some threads; `check` gives what is wrong with a run.
fn at_every_step(act: Act, check: impl Fn(&Scenario, &Run) -> Option<String> + Sync) -> Vec<Duration> {
    let scenarios = scenarios();
    let steps: Vec<_> = scenarios.iter().map(Scenario::steps).collect();
    let runs: Vec<_> = scenarios.iter().zip(&steps).flat_map(|(s, steps)| steps.iter().map(move |step| (s, *step))).collect();
    let (next, wrong, latencies) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((scenario, step)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut runs = std::iter::repeat_with(|| scenario.run(Some((*step, act)))).take(5);
                    let mut run = runs.find(|run| run.reached || !run.violations.is_empty()).unwrap_or_else(|| scenario.run(Some((*step, act))));
                    run.violations.extend(check(scenario, &run));
                    if !run.reached {
                        run.violations.push("I8: the step was never reached".to_owned());
                    }
                    latencies.lock().unwrap().push(run.latency);
                    if !run.violations.is_empty() {
                        wrong.lock().unwrap().push(format!("  {} at {step:?}: {:?} ({:?})", scenario.name, run.violations, run.error));
                    }
                }
            });
        }
    });
    println!("{act:?}: {} scenarios, {} steps", scenarios.len(), runs.len());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} runs fail:\n{}", wrong.len(), wrong.join("\n"));
    latencies.into_inner().unwrap()
}

#[test]
fn a_connection_that_breaks_at_any_step_breaks_no_promise() {
    at_every_step(Act::Cut, |scenario, run| {
        let failed = run.error.as_ref().filter(|_| scenario.mends());
        failed.map(|error| format!("it has to succeed: {error}"))
    });
}

#[test]
fn a_cancel_at_any_step_ends_the_call_and_breaks_no_promise() {
    let mut latencies = at_every_step(Act::Hold, |_, run| match &run.error {
        Some(error) if matches!(error.status(), Status::Cancelled | Status::OutcomeUnknown) => None,
        Some(error) => Some(format!("it ends otherwise: {error}")),
        None => Some("it goes on to its end".to_owned()),
    });
    latencies.sort();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_millis();
    println!("from cancel to return: median {} ms, 99 % {} ms, longest {} ms", at(50), at(99), at(100));
    // The bar is 100 ms; on a busy machine only a hang is a failure.
    assert!(at(100) < 5_000);
}
