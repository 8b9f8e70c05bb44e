//! One access token for several processes.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};
use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Client, Config, Record};
use zcrm_emulator::Emulator;

use crate::quick::emulator;

/// A process that makes a call when it is told to.
struct Worker {
    process: Child,
    ends: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(settings: &Value, record: &str) -> Worker {
        let mut command = crate::again("tokens::process");
        command.env("ZCRM_SETTINGS", settings.to_string()).env("ZCRM_RECORD", record).arg("--nocapture");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let ends = BufReader::new(process.stdout.take().unwrap()).lines();
        Worker { process, ends }
    }

    fn begin(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    fn end(&mut self) -> String {
        self.ends.by_ref().map_while(Result::ok).find(|line| line.contains("the call:")).expect("the process still lives")
    }
}

#[test]
#[ignore = "one of the processes"]
fn process() {
    let settings: Value = serde_json::from_str(&std::env::var("ZCRM_SETTINGS").expect("started by a test")).unwrap();
    let mut config = Config::new();
    settings.as_object().unwrap().iter().for_each(|(key, value)| config.set(key, value.as_str().unwrap()).unwrap());
    let client = Client::new(config).unwrap();
    let record = Record::new("Contacts", std::env::var("ZCRM_RECORD").unwrap());
    for _ in std::io::stdin().lines() {
        let outcome = attachment::list(&client, &record, &ListArgs::default(), Call::default());
        println!("the call: {:?}", outcome.map(|_| ()).map_err(|error| error.status()));
    }
}

fn token_requests(emulator: &Emulator) -> usize {
    emulator.ledger().requests.iter().filter(|r| r.operation == "token").count()
}

#[test]
fn eight_processes_whose_token_expires_at_once_ask_for_one() {
    let (emulator, dir) = (emulator(), tempfile::tempdir().unwrap());
    emulator.settings(|s| s.concurrency = 100);
    let (c, url) = (emulator.credentials(), emulator.url());
    let settings = json!({
        "accounts_url": url, "api_domain": url, "client_id": c.client_id, "client_secret": c.client_secret, "refresh_token": c.refresh_token,
        "token_file": dir.path().join("token"),
    });
    let record = emulator.add_record("Contacts");
    let mut workers: Vec<_> = (0..8).map(|_| Worker::start(&settings, &record)).collect();
    for expiry in 1..=4 {
        workers.iter_mut().for_each(Worker::begin);
        let ends: Vec<_> = workers.iter_mut().map(Worker::end).collect();
        assert!(ends.iter().all(|end| end.ends_with("Ok(())")), "{ends:?}");
        assert_eq!(token_requests(&emulator), expiry);
        emulator.expire_tokens();
    }
    for mut worker in workers {
        drop(worker.process.stdin.take());
        assert!(worker.process.wait().unwrap().success());
    }
}
