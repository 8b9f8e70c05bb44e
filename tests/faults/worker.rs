//! A process that runs a batch with a journal, and that its test kills.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use zcrm::batch::{self, Item, Options};
use zcrm::{Call, Client, Config};
use zcrm_emulator::Emulator;

use crate::quick::emulator;
use crate::relay::{Act, Relay, Step};

/// The batch and its files. The emulator outlives the processes.
pub struct Worker {
    pub emulator: Emulator,
    pub dir: tempfile::TempDir,
    pub parallel: usize,
    /// The looks for a lost upload, and so how long a restart waits before it looks for what was under way.
    pub settle_waits: &'static str,
}

impl Worker {
    pub fn new(parallel: usize) -> Worker {
        Worker { emulator: emulator(), dir: tempfile::tempdir().unwrap(), parallel, settle_waits: "20,60" }
    }

    /// The steps that each process gets, with their keys.
    pub fn set_steps(&self, steps: &[(String, Value)]) {
        std::fs::write(self.dir.path().join("steps.json"), json!(steps).to_string()).unwrap();
    }

    /// A process that runs the batch, against this address.
    pub fn start(&self, url: &str) -> Child {
        let c = self.emulator.credentials();
        let settings = json!({
            "accounts_url": url, "api_domain": url, "client_id": c.client_id, "client_secret": c.client_secret, "refresh_token": c.refresh_token,
            "token_file": self.dir.path().join("token"), "allow_paths": self.dir.path(), "retry_base_ms": "5", "settle_waits_ms": self.settle_waits,
            "max_in_flight": "100",
        });
        let batch = json!({"settings": settings, "dir": self.dir.path(), "parallel": self.parallel});
        let mut process = crate::again("worker::process");
        process.env("ZCRM_BATCH", batch.to_string()).arg("--nocapture").stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a process to its end, which must be a good one.
    pub fn finish(&self, what: impl std::fmt::Debug) -> Vec<EndedStep> {
        let output = self.start(self.emulator.url()).wait_with_output().unwrap();
        assert!(output.status.success(), "{what:?}: the last run");
        String::from_utf8(output.stdout).unwrap().lines().filter_map(EndedStep::of).collect()
    }

    /// A process that is killed where what passes between it and the emulator has come to the step. What it told until then.
    pub fn killed_at(&self, step: Step) -> Vec<EndedStep> {
        let relay = Relay::to(self.emulator.url(), Some((step, Act::Hold)));
        let mut process = self.start(&relay.url);
        assert!(relay.wait(Duration::from_secs(30)), "{step:?} was never reached");
        process.kill().unwrap();
        let output = process.wait_with_output().unwrap();
        // What had left the process arrives, or is cut off with it.
        relay.free();
        self.quiet();
        String::from_utf8(output.stdout).unwrap().lines().filter_map(EndedStep::of).collect()
    }

    /// A process that is killed a moment after it has told of so many steps. What it told, and `false` when it had ended before.
    pub fn killed_after(&self, steps: u64, moment: Duration) -> (Vec<EndedStep>, bool) {
        let mut process = self.start(self.emulator.url());
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok).filter_map(|line| EndedStep::of(&line));
        let mut told: Vec<_> = lines.by_ref().filter(|told| !told.from_journal).take(steps as usize).collect();
        if told.len() == steps as usize {
            std::thread::sleep(moment);
            process.kill().unwrap();
        }
        told.extend(lines); // to the end: a pipe that closes sooner would end the process in another way
        let ended = process.wait().unwrap();
        self.quiet();
        (told, ended.signal() == Some(9))
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
}

/// What a process says of a step that has ended.
#[derive(Debug, Clone)]
pub struct EndedStep {
    pub key: String,
    /// The error's text, if it failed.
    pub error: Option<String>,
    pub from_journal: bool,
}

impl EndedStep {
    const MARK: &str = "ended: ";

    fn of(line: &str) -> Option<EndedStep> {
        let (key, error, from_journal) = serde_json::from_str(line.split_once(EndedStep::MARK)?.1).ok()?;
        Some(EndedStep { key, error, from_journal })
    }
}

#[test]
#[ignore = "the process that is killed"]
fn process() {
    let batch: Value = serde_json::from_str(&std::env::var("ZCRM_BATCH").expect("started by a test")).unwrap();
    let mut config = Config::new();
    batch["settings"].as_object().unwrap().iter().for_each(|(key, value)| config.set(key, value.as_str().unwrap()).unwrap());
    let client = Client::new(config).unwrap();
    let dir = Path::new(batch["dir"].as_str().unwrap());
    let steps: Vec<(String, Value)> = serde_json::from_slice(&std::fs::read(dir.join("steps.json")).unwrap()).unwrap();
    let items = steps.into_iter().map(|(key, step)| Item { key, step: step.to_string() });
    let parallel = batch["parallel"].as_u64().unwrap() as usize;
    let options = Options { parallel, journal: Some(dir.join("journal")), ..Options::default() };
    let summary = batch::run(&client, items, &options, Call::default(), &mut |end| {
        let error = end.outcome.err().map(|error| error.to_string());
        println!("{}{}", EndedStep::MARK, json!([end.key, error, end.from_journal]));
        true
    });
    let summary = summary.unwrap().result;
    assert_eq!(summary.failed + summary.left, 0, "{summary:?}");
}
