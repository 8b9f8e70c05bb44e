//! A batch of uploads that is killed at random again and again, and goes on with its journal each time.

use std::time::{Duration, Instant};

use serde_json::json;
use zcrm_emulator::Fault;

use crate::random::{Random, seed};
use crate::relay::Relay;
use crate::support::bytes;
use crate::worker::Worker;

/// Files and their records.
struct Batch {
    worker: Worker,
    records: Vec<String>,
    files: usize,
}

impl Batch {
    /// So few files a record that each of its lists is one page.
    fn new(files: usize, parallel: usize) -> Batch {
        let worker = Worker::new(parallel);
        let records: Vec<_> = (0..files.div_ceil(50)).map(|_| worker.emulator.add_record("Contacts")).collect();
        let step = |i: usize| {
            let path = worker.dir.path().join(format!("{i}.bin"));
            std::fs::write(&path, content(i)).unwrap();
            let record = &records[i % records.len()];
            (i.to_string(), json!({"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": {"path": path}}))
        };
        worker.set_steps(&(0..files).map(step).collect::<Vec<_>>());
        Batch { worker, records, files }
    }

    /// Each file is on its record once, and nothing else is.
    fn check(&self) {
        let mut names = Vec::new();
        for (r, record) in self.records.iter().enumerate() {
            for stored in self.worker.emulator.attachments("Contacts", record) {
                let i: usize = stored.name.trim_end_matches(".bin").parse().unwrap();
                assert!(i % self.records.len() == r && stored.bytes == content(i), "{} is on another record or has other bytes", stored.name);
                names.push(i);
            }
        }
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| format!("{}.bin", pair[0]));
        for r in self.worker.emulator.ledger().requests.iter().filter(|_| twice.is_some()) {
            let file = r.parts.first().and_then(|p| p.filename.clone());
            println!("{} ms, connection {}: {} {} {file:?} {} {:?}", r.at_ms, r.connection, r.operation, r.path, r.status, r.stored_id);
        }
        assert_eq!(names, (0..self.files).collect::<Vec<_>>(), "each file once; twice: {twice:?}");
        assert_eq!(self.worker.emulator.ledger().stored.iter().filter(|s| s.seq > 0).count(), self.files, "and never twice in between");
    }

    fn lists(&self) -> usize {
        self.worker.emulator.ledger().requests.iter().filter(|r| r.operation == "attachment.list").count()
    }
}

fn content(i: usize) -> Vec<u8> {
    [bytes(200), i.to_le_bytes().to_vec()].concat()
}

#[test]
fn a_thousand_files_survive_fifty_kills_each_once() {
    let (seed, began) = (seed(), Instant::now());
    let mut random = Random::new(seed);
    println!("SEED={seed}");
    let batch = Batch::new(1_000, 8);
    let mut kills = 0;
    for _ in 0..60 {
        let (steps, moment) = (random.below(14), Duration::from_micros(random.below(4_000)));
        kills += usize::from(batch.worker.killed_after(steps, moment).1);
    }
    batch.worker.finish(seed);
    println!("{kills} kills, {} lists, {:.1} s", batch.lists(), began.elapsed().as_secs_f64());
    batch.check();
    assert!(kills >= 50, "only {kills} kills");
    let tokens = batch.worker.emulator.ledger().tokens_issued.len();
    assert!(tokens <= 2, "{tokens} tokens for all processes, of which some were killed while they held the token file's lock");
    assert!(batch.lists() <= kills * batch.worker.parallel, "{} lists for {kills} kills", batch.lists());
}

#[test]
fn a_batch_that_is_killed_at_any_step_goes_on_to_each_file_once() {
    let counted = Batch::new(4, 1);
    let relay = Relay::to(counted.worker.emulator.url(), None);
    assert!(counted.worker.start(&relay.url).wait_with_output().unwrap().status.success());
    counted.check();
    let steps = relay.steps();
    println!("{} steps", steps.len());
    assert!(steps.len() >= 4 * 8);
    for step in steps {
        let batch = Batch::new(4, 1);
        batch.worker.killed_at(step);
        batch.worker.finish(step);
        batch.check();
        assert!(batch.lists() <= 1, "{step:?}: {} lists", batch.lists());
    }
}

/// Every upload shows a second after it was stored. The process that follows a kill doesn't wait for that: it starts at once.
fn late(files: usize, parallel: usize) -> Batch {
    let mut batch = Batch::new(files, parallel);
    batch.worker.settle_waits = "20,3000";
    batch.worker.emulator.script("attachment.upload", vec![Fault::hide_attachment(1_000); 2 * files]);
    batch
}

#[test]
fn what_shows_late_after_a_kill_is_waited_for_and_not_sent_again() {
    let counted = Batch::new(4, 1);
    let relay = Relay::to(counted.worker.emulator.url(), None);
    assert!(counted.worker.start(&relay.url).wait_with_output().unwrap().status.success());
    let replies: Vec<_> = relay.steps().into_iter().filter(|step| step.turn % 2 == 1 && step.byte == 0).collect();
    assert!(replies.len() >= 4, "{replies:?}");
    std::thread::scope(|scope| {
        for step in replies {
            scope.spawn(move || {
                let batch = late(4, 1);
                batch.worker.killed_at(step);
                batch.worker.finish(step);
                batch.check();
            });
        }
    });
}

#[test]
fn random_kills_and_uploads_that_show_late_leave_each_file_once() {
    let seed = seed();
    let mut random = Random::new(seed);
    println!("SEED={seed}");
    let batch = late(200, 4);
    let mut kill = || batch.worker.killed_after(5 + random.below(20), Duration::from_micros(random.below(4_000))).1;
    let kills = (0..6).filter(|_| kill()).count();
    batch.worker.finish(seed);
    println!("{kills} kills, {} lists", batch.lists());
    batch.check();
    assert!(kills >= 4, "only {kills} kills");
}
