//! The matrix: every operation under every fault, and the invariants I1 to I10 after each.
//!
//! I1 each upload is stored once, or its twins are named. I2 success means that it is so. I3 a refusal means that nothing has changed.
//! I4 no partial and no temporary file. I5 no secret in a log line, error or result. I6 threads and file descriptors back to the start (and the heap:
//! `heap`).
//! I7 no more requests than the budget. I8 the fault has fired. I9 an end in bounded time. I10 nothing is sent to a host that wasn't named.
//!
//! The cells run in several processes, one after another in each, so that threads and descriptors can be counted. One cell alone:
//! `ZCRM_CELL='DownloadFile: truncated by one byte' cargo test --test faults matrix -- --nocapture`

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zcrm::Cancel;

use crate::cause::{Cause, Expect, Hosts, causes};
use crate::held::{held, leaks};
use crate::operation::{ALL, Operation};
use crate::quick::quick;

const PROCESSES: usize = 8;
/// I9. Far above what any cell needs, as the machine may be busy.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn every_operation_keeps_the_invariants_under_every_fault() {
    let out = tempfile::tempdir().unwrap();
    let path = |shard: usize| out.path().join(shard.to_string());
    let start = |shard: usize| {
        let mut worker = crate::again("matrix::worker");
        worker.env("ZCRM_SHARD", shard.to_string()).env("ZCRM_OUT", path(shard)).spawn().unwrap()
    };
    let workers: Vec<_> = (0..PROCESSES).map(start).collect();
    let ended: Vec<_> = workers.into_iter().map(|mut worker| worker.wait().unwrap()).collect();
    let mut cells = Vec::new();
    for shard in 0..PROCESSES {
        let text = std::fs::read_to_string(path(shard)).unwrap_or_default();
        cells.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    let failed = report(&cells);
    assert!(ended.iter().all(|status| status.success()), "a process has died: {ended:?}");
    assert!(failed.is_empty(), "{} cells fail:\n{}", failed.len(), failed.join("\n"));
    assert!(cells.len() >= 440 || std::env::var_os("ZCRM_CELL").is_some(), "only {} cells", cells.len());
}

/// Prints one line for each operation; gives the cells that failed with the way to run them again.
fn report(cells: &[Value]) -> Vec<String> {
    println!("{:<16} {:>6} {:>9} {:>8} {:>7}", "operation", "cells", "succeeded", "refused", "failing");
    let mut failed = Vec::new();
    for operation in ALL {
        let name = format!("{operation:?}");
        let own: Vec<_> = cells.iter().filter(|cell| cell["operation"] == *name).collect();
        let bad: Vec<_> = own.iter().filter(|cell| cell["violations"] != json!([])).collect();
        let ok = own.iter().filter(|cell| cell["end"] == "ok").count();
        println!("{name:<16} {:>6} {ok:>9} {:>8} {:>7}", own.len(), own.len() - ok, bad.len());
        for cell in bad {
            let name = format!("{}: {}", cell["operation"].as_str().unwrap(), cell["cause"].as_str().unwrap());
            failed.push(format!("  {} ({})\n    ZCRM_CELL='{name}' cargo test --test faults matrix -- --nocapture", cell["violations"], cell["end"]));
        }
    }
    println!("{:<16} {:>6}", "all", cells.len());
    failed
}

#[test]
#[ignore = "one process of the matrix, started by it"]
fn worker() {
    use std::io::Write as _;
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<usize>().ok());
    let shard = number("ZCRM_SHARD").expect("started by the matrix");
    let mut out = std::fs::File::create(std::env::var("ZCRM_OUT").unwrap()).unwrap();
    let only = std::env::var("ZCRM_CELL").ok();
    let foreign = TcpListener::bind(("localhost", 0)).unwrap();
    foreign.set_nonblocking(true).unwrap();
    let url = format!("http://localhost:{}/", foreign.local_addr().unwrap().port());
    // What a first call sets up for good (roots, tables) is no leak of the second.
    drop(cell(Operation::UploadFile, 0, &url));
    let mut turn = 0;
    for operation in ALL {
        for (index, cause) in causes(*operation, &Hosts { own: &url, foreign: &url }).iter().enumerate() {
            turn += 1;
            let wanted = only.as_ref().is_none_or(|only| *only == format!("{operation:?}: {}", cause.name));
            if turn % PROCESSES != shard || !wanted {
                continue;
            }
            let (before, began) = (held(), Instant::now());
            let (end, mut violations) = cell(*operation, index, &url);
            if began.elapsed() > BOUND {
                violations.push(format!("I9: it took {} s", began.elapsed().as_secs()));
            }
            violations.extend(leaks(before));
            if foreign.accept().is_ok() {
                violations.push("I10: a foreign host was called".to_owned());
            }
            let line = json!({"operation": format!("{operation:?}"), "cause": cause.name, "end": end, "violations": violations});
            writeln!(out, "{line}").unwrap();
        }
    }
}

/// Runs one cell in a world of its own; gives how the call ended and what is wrong with that.
pub fn cell(operation: Operation, index: usize, foreign: &str) -> (String, Vec<String>) {
    let short = [("stall_timeout_ms", "150"), ("connect_timeout_ms", "150"), ("token_timeout_ms", "300")];
    let stalls = causes(operation, &Hosts { own: foreign, foreign })[index].stalls;
    let settings = [operation.settings(), if stalls { &short } else { &[] }].concat();
    let w = quick(&settings);
    let own = format!("{}/crm/v8/Contacts", w.emulator.url());
    let cause = causes(operation, &Hosts { own: &own, foreign }).swap_remove(index);
    let before = operation.prepare(&w);
    let queue = operation.queue();
    w.emulator.script(queue, cause.script.clone());
    let after = operation.perform(&w, &before, &Cancel::new());
    let fired = cause.script.len() - w.emulator.faults_left(queue);
    w.emulator.clear_script();
    let mut found = operation.violations(&w, &before, &after, cause.lie);
    found.extend(expectation(&cause, after.error.as_ref()));
    let secrets = w.canary.found();
    if !secrets.is_empty() {
        found.push(format!("I5: secrets were said: {secrets:?}"));
    }
    let (api, tokens) = (w.emulator.ledger().requests.len() - w.requests("token").len(), w.requests("token").len());
    // Where a busy machine makes a short bound strike once more than the fault does, that is a failure more.
    let budget = operation.budget(fired + if cause.stalls { 4 } else { 1 });
    if api > budget || tokens > 5 {
        found.push(format!("I7: {api} API requests of {budget}, {tokens} token requests"));
    }
    if fired < cause.fires {
        found.push(format!("I8: {fired} faults fired of {}", cause.fires));
    }
    let end = after.error.map_or("ok".to_owned(), |error| format!("{} {}", error.status().name(), error.reason()));
    (end, found)
}

fn expectation(cause: &Cause, error: Option<&zcrm::Error>) -> Option<String> {
    match (cause.expect, error) {
        (Expect::Success, Some(error)) => Some(format!("it has to succeed: {error}")),
        (Expect::Failure, None) => Some("it has to fail".to_owned()),
        _ => None,
    }
}
