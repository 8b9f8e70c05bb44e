//! A batch that is killed at random again and again, and goes on with its journal each time.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use zcrm::batch::{self, Item, Options};
use zcrm::{Call, Client, Config};
use zcrm_emulator::{Emulator, Fault};

use crate::quick::emulator;
use crate::random::{Random, seed};
use crate::relay::{Act, Relay, Step};
use crate::support::bytes;

/// Files, their records and the state of a batch; the emulator outlives the processes.
struct Batch {
    emulator: Emulator,
    dir: tempfile::TempDir,
    records: Vec<String>,
    files: usize,
    parallel: usize,
    /// The looks for a lost upload, and so how long a restart waits before it looks for what was under way.
    settle_waits: &'static str,
}

impl Batch {
    /// So few files a record that each of its lists is one page.
    fn new(files: usize, parallel: usize) -> Batch {
        let (emulator, dir) = (emulator(), tempfile::tempdir().unwrap());
        let records: Vec<_> = (0..files.div_ceil(50)).map(|_| emulator.add_record("Contacts")).collect();
        for i in 0..files {
            std::fs::write(dir.path().join(format!("{i}.bin")), content(i)).unwrap();
        }
        Batch { emulator, dir, records, files, parallel, settle_waits: "20,60" }
    }

    /// The process that runs the batch, against this address.
    fn start(&self, url: &str) -> Child {
        let c = self.emulator.credentials();
        let settings = json!({
            "accounts_url": url, "api_domain": url, "client_id": c.client_id, "client_secret": c.client_secret, "refresh_token": c.refresh_token,
            "token_file": self.dir.path().join("token"), "allow_paths": self.dir.path(), "retry_base_ms": "5", "settle_waits_ms": self.settle_waits,
            "max_in_flight": "100",
        });
        let batch = json!({"settings": settings, "dir": self.dir.path(), "records": self.records, "files": self.files, "parallel": self.parallel});
        let mut process = crate::again("kill::process");
        process.env("ZCRM_BATCH", batch.to_string()).arg("--nocapture").stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Each file is on its record once, and nothing else is.
    fn check(&self) {
        let mut names = Vec::new();
        for (r, record) in self.records.iter().enumerate() {
            for stored in self.emulator.attachments("Contacts", record) {
                let i: usize = stored.name.trim_end_matches(".bin").parse().unwrap();
                assert!(i % self.records.len() == r && stored.bytes == content(i), "{} is on another record or has other bytes", stored.name);
                names.push(i);
            }
        }
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| format!("{}.bin", pair[0]));
        for r in self.emulator.ledger().requests.iter().filter(|_| twice.is_some()) {
            let file = r.parts.first().and_then(|p| p.filename.clone());
            println!("{} ms, connection {}: {} {} {file:?} {} {:?}", r.at_ms, r.connection, r.operation, r.path, r.status, r.stored_id);
        }
        assert_eq!(names, (0..self.files).collect::<Vec<_>>(), "each file once; twice: {twice:?}");
        assert_eq!(self.emulator.ledger().stored.iter().filter(|s| s.seq > 0).count(), self.files, "and never twice in between");
    }

    /// Waits until the emulator has taken in what a killed process left in its sockets, and has closed them. What is stored after the next
    /// process has looked, no client can know of.
    fn quiet(&self) {
        const OPEN: [&str; 2] = ["01", "08"]; // established, and closed by the other side alone
        let port: u16 = self.emulator.url().rsplit(':').next().unwrap().parse().unwrap();
        let own = format!(":{port:04X}");
        let is_open = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect(); // number, own address, the other's, state, …
            fields[1].ends_with(&own) && OPEN.contains(&fields[3])
        };
        while std::fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1).any(is_open) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lists(&self) -> usize {
        self.emulator.ledger().requests.iter().filter(|r| r.operation == "attachment.list").count()
    }
}

fn content(i: usize) -> Vec<u8> {
    [bytes(200), i.to_le_bytes().to_vec()].concat()
}

#[test]
#[ignore = "the process that is killed"]
fn process() {
    let batch: serde_json::Value = serde_json::from_str(&std::env::var("ZCRM_BATCH").expect("started by a test")).unwrap();
    let mut config = Config::new();
    batch["settings"].as_object().unwrap().iter().for_each(|(key, value)| config.set(key, value.as_str().unwrap()).unwrap());
    let client = Client::new(config).unwrap();
    let (dir, records) = (Path::new(batch["dir"].as_str().unwrap()), batch["records"].as_array().unwrap());
    let step = |i: u64| {
        let path = dir.join(format!("{i}.bin"));
        let record = &records[i as usize % records.len()];
        json!({"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": {"path": path}}).to_string()
    };
    let items = (0..batch["files"].as_u64().unwrap()).map(|i| Item { key: i.to_string(), step: step(i) });
    let parallel = batch["parallel"].as_u64().unwrap() as usize;
    let options = Options { parallel, journal: Some(dir.join("journal")), ..Options::default() };
    let summary = batch::run(&client, items, &options, Call::default(), &mut |end| {
        if let Err(error) = end.outcome {
            eprintln!("{}: {error}", end.key);
        }
        if !end.from_journal {
            println!("ended");
        }
        true
    });
    let summary = summary.unwrap().result;
    assert_eq!(summary.failed + summary.left, 0, "{summary:?}");
}

/// Lets the process end so many steps, and a moment more, then kills it. `false` when it had ended before.
fn kill_after(mut process: Child, steps: u64, moment: Duration) -> bool {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok).filter(|line| line.ends_with("ended"));
    if lines.by_ref().take(steps as usize).count() == steps as usize {
        std::thread::sleep(moment);
        process.kill().unwrap();
    }
    let ended = process.wait().unwrap();
    drop(lines); // a pipe that closes sooner would end the process in another way
    ended.signal() == Some(9)
}

#[test]
fn a_thousand_files_survive_fifty_kills_each_once() {
    let (seed, began) = (seed(), Instant::now());
    let mut random = Random::new(seed);
    println!("SEED={seed}");
    let batch = Batch::new(1_000, 8);
    let mut kills = 0;
    for _ in 0..60 {
        let moment = Duration::from_micros(random.below(4_000));
        kills += usize::from(kill_after(batch.start(batch.emulator.url()), random.below(14), moment));
        batch.quiet();
    }
    assert!(batch.start(batch.emulator.url()).wait_with_output().unwrap().status.success(), "SEED={seed}: the last run");
    println!("{kills} kills, {} lists, {:.1} s", batch.lists(), began.elapsed().as_secs_f64());
    batch.check();
    assert!(kills >= 50, "only {kills} kills");
    let tokens = batch.emulator.ledger().tokens_issued.len();
    assert!(tokens <= 2, "{tokens} tokens for all processes, of which some were killed while they held the token file's lock");
    assert!(batch.lists() <= kills * batch.parallel, "{} lists for {kills} kills", batch.lists());
}

#[test]
fn a_batch_that_is_killed_at_any_step_goes_on_to_each_file_once() {
    let counted = Batch::new(4, 1);
    let relay = Relay::to(counted.emulator.url(), None);
    assert!(counted.start(&relay.url).wait_with_output().unwrap().status.success());
    counted.check();
    let steps = relay.steps();
    println!("{} steps", steps.len());
    assert!(steps.len() >= 4 * 8);
    for step in steps {
        let batch = Batch::new(4, 1);
        killed_at(&batch, step);
        batch.quiet();
        assert!(batch.start(batch.emulator.url()).wait_with_output().unwrap().status.success(), "{step:?}");
        batch.check();
        assert!(batch.lists() <= 1, "{step:?}: {} lists", batch.lists());
    }
}

/// Every upload shows a second after it was stored. The process that follows a kill doesn't wait for that: it starts at once.
fn late(files: usize, parallel: usize) -> Batch {
    let batch = Batch { settle_waits: "20,3000", ..Batch::new(files, parallel) };
    batch.emulator.script("attachment.upload", vec![Fault::hide_attachment(1_000); 2 * files]);
    batch
}

#[test]
fn what_shows_late_after_a_kill_is_waited_for_and_not_sent_again() {
    let counted = Batch::new(4, 1);
    let relay = Relay::to(counted.emulator.url(), None);
    assert!(counted.start(&relay.url).wait_with_output().unwrap().status.success());
    let replies: Vec<_> = relay.steps().into_iter().filter(|step| step.turn % 2 == 1 && step.byte == 0).collect();
    assert!(replies.len() >= 4, "{replies:?}");
    std::thread::scope(|scope| {
        for step in replies {
            scope.spawn(move || {
                let batch = late(4, 1);
                killed_at(&batch, step);
                assert!(batch.start(batch.emulator.url()).wait_with_output().unwrap().status.success(), "{step:?}");
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
    let mut kill = || kill_after(batch.start(batch.emulator.url()), 5 + random.below(20), Duration::from_micros(random.below(4_000)));
    let kills = (0..6).filter(|_| kill()).count();
    assert!(batch.start(batch.emulator.url()).wait_with_output().unwrap().status.success(), "SEED={seed}: the last run");
    println!("{kills} kills, {} lists", batch.lists());
    batch.check();
    assert!(kills >= 4, "only {kills} kills");
}

fn killed_at(batch: &Batch, step: Step) {
    let relay = Relay::to(batch.emulator.url(), Some((step, Act::Hold)));
    let mut process = batch.start(&relay.url);
    assert!(relay.wait(Duration::from_secs(30)), "{step:?} was never reached");
    process.kill().unwrap();
    process.wait().unwrap();
    // What had left the process arrives, or is cut off with it.
    relay.free();
}
