//! A batch of every operation that is killed and goes on with its journal: each step is done and told as done, and nothing is there twice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use zcrm_emulator::PNG;

use crate::random::{Random, number, seed};
use crate::relay::Relay;
use crate::support::bytes;
use crate::worker::{EndedStep, Worker};

/// One step of each operation, and what it works on.
struct Round {
    /// Uploads and a link go to this record, which bears a file already, and it gets a photo.
    record: String,
    /// Two attachments are deleted from it, and its photo.
    emptied: String,
}

struct Batch {
    worker: Worker,
    rounds: Vec<Round>,
    /// How often each step was told of by the process that did it.
    told: BTreeMap<String, usize>,
}

impl Batch {
    fn new(rounds: usize, parallel: usize) -> Batch {
        let mut batch = Batch { worker: Worker::new(parallel), rounds: Vec::new(), told: BTreeMap::new() };
        let steps: Vec<_> = (0..rounds).flat_map(|i| batch.round(i)).collect();
        batch.worker.set_steps(&steps);
        batch
    }

    fn round(&mut self, i: usize) -> Vec<(String, Value)> {
        let (emulator, dir) = (&self.worker.emulator, self.worker.dir.path());
        let [record, emptied] = [(); 2].map(|()| emulator.add_record("Contacts"));
        let there = emulator.attach("Contacts", &record, "there.bin", &file(i, "there"));
        let gone = ["a.bin", "b.bin"].map(|name| emulator.attach("Contacts", &emptied, name, &file(i, name)));
        emulator.set_photo("Contacts", &emptied, PNG);
        let shown = emulator.add_record("Contacts");
        emulator.set_photo("Contacts", &shown, PNG);
        let [path, photo] = ["new.bin", "photo.png"].map(|name| dir.join(format!("{i}-{name}")));
        std::fs::write(&path, file(i, "new")).unwrap();
        std::fs::write(&photo, PNG).unwrap();
        let sink = |name: &str| json!({"path": dir.join(format!("{i}-{name}"))});
        let steps = [
            ("attachment.upload", &record, json!({"source": {"path": path}})),
            ("attachment.upload", &record, json!({"source": {"url": format!("https://example.com/{i}"), "title": "link"}})),
            ("attachment.list", &record, json!({})),
            ("attachment.download", &record, json!({"attachment_id": there, "sink": sink("there.out")})),
            ("photo.upload", &record, json!({"source": {"path": photo}})),
            ("photo.download", &shown, json!({"sink": sink("photo.out")})),
            ("photo.delete", &emptied, json!({})),
            ("attachment.delete", &emptied, json!({"attachment_ids": gone})),
        ];
        let step = |(n, (operation, record, more)): (usize, (&str, &String, Value))| {
            let mut step = json!({"operation": operation, "module": "Contacts", "record_id": record});
            step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            (format!("{i}/{n} {operation}"), step)
        };
        let steps = steps.into_iter().enumerate().map(step).collect();
        self.rounds.push(Round { record, emptied });
        steps
    }

    /// What a killed process has told: no step is a failure for it, as nothing failed but the process.
    fn hear(&mut self, told: Vec<EndedStep>) {
        for step in told {
            assert_eq!(step.error, None, "{}", step.key);
            *self.told.entry(step.key).or_default() += usize::from(!step.from_journal);
        }
    }

    /// Every step was told, by the process that did it at most once; each effect is there once, and nothing half done is left.
    fn check(&self, last: &[EndedStep]) {
        let keys: BTreeMap<_, _> = last.iter().map(|told| (told.key.as_str(), ())).collect();
        assert_eq!((keys.len(), last.len()), (8 * self.rounds.len(), 8 * self.rounds.len()), "each step has one outcome in the last run");
        assert!(self.told.values().all(|times| *times <= 1), "told as new more than once: {:?}", self.told);
        let (emulator, dir) = (&self.worker.emulator, self.worker.dir.path());
        for (i, round) in self.rounds.iter().enumerate() {
            let mut names: Vec<_> = emulator.attachments("Contacts", &round.record).into_iter().map(|stored| stored.name).collect();
            names.sort();
            assert_eq!(names, [format!("{i}-new.bin"), "link".into(), "there.bin".into()], "round {i}");
            assert!(emulator.photo("Contacts", &round.record).is_some_and(|photo| photo == PNG), "round {i}: the photo is there");
            assert!(emulator.attachments("Contacts", &round.emptied).is_empty() && emulator.photo("Contacts", &round.emptied).is_none(), "round {i}");
            assert!(std::fs::read(dir.join(format!("{i}-there.out"))).unwrap() == file(i, "there"), "round {i}: the download is whole");
            assert!(std::fs::read(dir.join(format!("{i}-photo.out"))).unwrap() == PNG, "round {i}: the photo is whole");
        }
        let left = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let partial: Vec<_> = left.filter(|name| name.starts_with(".zcrm-")).collect();
        assert!(partial.is_empty(), "left half written: {partial:?}");
    }
}

fn file(i: usize, name: &str) -> Vec<u8> {
    [bytes(300), format!("{i} {name}").into_bytes()].concat()
}

#[test]
fn every_operation_goes_on_after_a_kill_at_any_step_of_what_is_sent_and_received() {
    let counted = Batch::new(1, 1);
    let relay = Relay::to(counted.worker.emulator.url(), None);
    assert!(counted.worker.start(&relay.url).wait_with_output().unwrap().status.success());
    let steps = relay.steps();
    println!("{} kills", steps.len());
    assert!(steps.len() >= 8 * 7);
    for step in steps {
        let mut batch = Batch::new(1, 1);
        let told = batch.worker.killed_at(step);
        batch.hear(told);
        let last = batch.worker.finish(step);
        batch.hear(last.clone());
        batch.check(&last);
    }
}

#[test]
fn every_operation_goes_on_after_kills_at_random() {
    let (seed, kills) = (seed(), number("KILLS").unwrap_or(60));
    let mut random = Random::new(seed);
    println!("SEED={seed}");
    let (mut killed, mut batches) = (0, 0);
    while killed < kills {
        let mut batch = Batch::new(12, 3);
        loop {
            let (told, was_killed) = batch.worker.killed_after(random.below(8), Duration::from_micros(random.below(6_000)));
            batch.hear(told);
            if !was_killed {
                break;
            }
            killed += 1;
        }
        let last = batch.worker.finish(seed);
        batch.hear(last.clone());
        batch.check(&last);
        batches += 1;
    }
    println!("{killed} kills in {batches} batches of 96 steps");
}
