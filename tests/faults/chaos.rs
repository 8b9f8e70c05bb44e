//! Chaos: many uploads from many threads through a network that loses replies, and tokens that end.
//!
//! `cargo test` runs a short one; `make soak` runs as many as fit into `SECONDS`, of 10,000 uploads each.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zcrm::attachment::{self, Uploaded};
use zcrm::{Call, Error, Outcome, Record, Source, Status};
use zcrm_emulator::Fault;

use crate::random::{Random, number, seed};
use crate::world::{World, bytes};

const THREADS: usize = 8;
const RECORDS: usize = 100;
/// More refreshes than this in ten minutes are refused by the accounts host, and by the library before it.
const EXPIRIES: usize = 5;

type Ended = Result<Outcome<Uploaded>, Error>;

/// What came of one round.
#[derive(Default, Debug)]
struct Tally {
    uploads: usize,
    settled: usize,
    unknown: usize,
    failed: usize,
    /// Copies that no result names.
    unreported: usize,
    /// Successes of which nothing, or something else, is stored.
    lost: usize,
    faults: usize,
    requests: usize,
    tokens: usize,
    secrets: usize,
}

/// 5 % lost replies, 2 % resets and 1 % of 5xx.
fn weather(random: &mut Random) -> Fault {
    match random.below(100) {
        0..=4 => Fault::reset_after_store(),
        5..=6 => Fault::reset_before_store_after(random.below(1500)),
        7 => match random.below(3) {
            0 => Fault::status(503),
            1 => Fault::status(500),
            _ => Fault::status_after_store(502),
        },
        _ => Fault::none(),
    }
}

fn content(i: usize) -> Vec<u8> {
    [bytes(900 + i % 200), i.to_le_bytes().to_vec()].concat()
}

fn name(i: usize) -> String {
    format!("{i}.bin")
}

fn round(uploads: usize, seed: u64) -> Tally {
    let w = World::new(&[("max_in_flight", "8"), ("settle_waits_ms", "20,60,200")]);
    let mut random = Random::new(seed);
    for operation in ["attachment.upload", "attachment.list", "attachment.download"] {
        w.emulator.script(operation, (0..2 * uploads).map(|_| weather(&mut random)));
    }
    let records: Vec<_> = (0..RECORDS).map(|_| Record::new("Contacts", w.emulator.add_record("Contacts"))).collect();
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(HashMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= uploads {
                        return;
                    }
                    if i % (uploads / EXPIRIES) == uploads / EXPIRIES / 2 {
                        w.emulator.expire_tokens();
                    }
                    let bytes = content(i);
                    let outcome = attachment::upload(&w.client, &records[i % RECORDS], Source::memory(name(i), &bytes), Call::default());
                    w.said(&outcome.as_ref().map_or_else(Error::to_json, |outcome| format!("{outcome:?}")));
                    ended.lock().unwrap().insert(i, outcome);
                }
            });
        }
    });
    tally(&w, &records, &ended.into_inner().unwrap())
}

fn tally(w: &World, records: &[Record], ended: &HashMap<usize, Ended>) -> Tally {
    let mut stored: HashMap<String, Vec<(String, Vec<u8>)>> = HashMap::new();
    for attachment in records.iter().flat_map(|r| w.emulator.attachments("Contacts", &r.id)) {
        stored.entry(attachment.name).or_default().push((attachment.id, attachment.bytes));
    }
    let ledger = w.emulator.ledger();
    let fired = ledger.faults_fired.len();
    let secrets = w.secrets_said().len();
    let requests = ledger.requests.len();
    let mut t = Tally { uploads: ended.len(), faults: fired, requests, tokens: w.requests("token"), secrets, ..Tally::default() };
    for (i, outcome) in ended {
        let copies = stored.remove(&name(*i)).unwrap_or_default();
        match outcome {
            Ok(outcome) => {
                let uploaded = &outcome.result;
                t.settled += usize::from(uploaded.settled);
                t.lost += usize::from(!copies.iter().any(|(id, bytes)| *id == uploaded.id && *bytes == content(*i)));
                t.unreported += copies.iter().filter(|(id, _)| *id != uploaded.id && !uploaded.twins.contains(id)).count();
            }
            Err(error) if error.status() == Status::OutcomeUnknown => t.unknown += 1,
            Err(_) => {
                t.failed += 1;
                t.unreported += copies.len();
            }
        }
    }
    t.unreported += stored.values().map(Vec::len).sum::<usize>(); // under a name that nobody sent
    t
}

/// Prints a round and says what is wrong with it.
fn judge(t: &Tally, seed: u64, took: Duration) {
    println!(
        "seed {seed}: {} uploads in {:.1} s, {} faults, {} requests, {} token requests: {} settled, {} outcomes unknown, {} failed, \
         {} unreported duplicates, {} losses",
        t.uploads,
        took.as_secs_f64(),
        t.faults,
        t.requests,
        t.tokens,
        t.settled,
        t.unknown,
        t.failed,
        t.unreported,
        t.lost
    );
    let good = t.unreported == 0 && t.lost == 0 && t.failed == 0 && t.unknown * 1000 <= t.uploads && t.secrets == 0 && t.faults > 0;
    assert!(good && t.settled > 0, "SEED={seed}: {t:?}");
}

fn run(uploads: usize, seed: u64) {
    let began = Instant::now();
    judge(&round(uploads, seed), seed, began.elapsed());
}

#[test]
fn two_thousand_uploads_through_chaos_are_each_there_once() {
    run(2_000, seed());
}

#[test]
#[ignore = "long: make soak"]
fn soak() {
    let (began, first) = (Instant::now(), seed());
    let most = Duration::from_secs(number("SECONDS").unwrap_or(60));
    for seed in first.. {
        run(number("UPLOADS").unwrap_or(10_000) as usize, seed);
        if began.elapsed() >= most {
            return;
        }
    }
}
