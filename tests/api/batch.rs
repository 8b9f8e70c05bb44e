//! Batches: many steps, each with its outcome, and a journal that survives.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use zcrm::batch::{self, Item, Options, Pause, Summary};
use zcrm::{Call, Cancel, Result, Status};
use zcrm_emulator::{Fault, StallAt};

use crate::support::{World, bytes, why, world_with};

/// A directory of files, and a world whose steps may name them.
struct Files {
    dir: tempfile::TempDir,
    w: World,
}

fn files(count: usize, settings: &[(&str, &str)]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..count {
        std::fs::write(dir.path().join(format!("{i}.bin")), [bytes(1000 + i), i.to_le_bytes().to_vec()].concat()).unwrap();
    }
    let allow = dir.path().to_str().unwrap().to_owned();
    let w = world_with(&[&[("allow_paths", allow.as_str()), ("settle_waits_ms", "20,50")], settings].concat());
    Files { dir, w }
}

impl Files {
    fn upload(&self, i: usize) -> Item {
        let path = self.dir.path().join(format!("{i}.bin"));
        let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": self.w.contact.id, "source": {"path": path}});
        Item { key: format!("file {i}"), step: step.to_string() }
    }

    fn uploads(&self, count: usize) -> Vec<Item> {
        (0..count).map(|i| self.upload(i)).collect()
    }

    fn journal(&self) -> Options {
        Options { journal: Some(self.dir.path().join("journal")), ..Options::default() }
    }

    fn run(&self, items: Vec<Item>, options: &Options) -> (Summary, BTreeMap<String, Value>) {
        self.run_with(items, options, Call::default()).unwrap()
    }

    fn run_with(&self, items: Vec<Item>, options: &Options, call: Call<'_>) -> Result<(Summary, BTreeMap<String, Value>)> {
        let mut ended = BTreeMap::new();
        let outcome = batch::run(&self.w.client, items, options, call, &mut |end| {
            let told = match end.outcome {
                Ok(json) => json!({"ok": serde_json::from_str::<Value>(json).unwrap(), "from_journal": end.from_journal}),
                Err(error) => json!({"error": error.reason()}),
            };
            assert!(ended.insert(end.key.to_owned(), told).is_none(), "{} is told once", end.key);
            true
        })?;
        Ok((outcome.result, ended))
    }

    fn posts(&self) -> usize {
        self.w.requests("attachment.upload").len()
    }
}

#[test]
fn every_step_has_its_own_outcome_and_one_summary_counts_them() {
    let f = files(20, &[]);
    let mut items = f.uploads(20);
    items.push(Item { key: "bad path".into(), step: f.upload(0).step.replace("0.bin", "missing.bin") });
    items.push(Item { key: "not JSON".into(), step: "{".into() });
    items.push(Item {
        key: "list".into(),
        step: json!({"operation": "attachment.list", "module": "Contacts", "record_id": f.w.contact.id}).to_string(),
    });
    items.push(f.upload(3));
    let mut keys = Vec::new();
    let outcome = batch::run(&f.w.client, items, &Options::default(), Call::default(), &mut |end| {
        keys.push((end.key.to_owned(), end.outcome.is_ok()));
        true
    });
    let summary = outcome.unwrap().result;
    assert_eq!((summary.done, summary.failed, summary.left, summary.stopped), (21, 3, 0, None));
    assert_eq!(keys.iter().filter(|(_, ok)| !ok).count(), 3);
    assert_eq!(f.w.stored().len(), 20);
}

/// Steps that are made when they are asked for, and how many were.
struct Pulled<'f>(&'f Files, usize, usize);

impl batch::Source for Pulled<'_> {
    fn next(&mut self) -> batch::Next {
        if self.1 == self.2 {
            return batch::Next::End;
        }
        self.1 += 1;
        batch::Next::Step(self.0.upload(self.1 - 1))
    }
}

#[test]
fn a_source_is_asked_for_no_more_than_there_is_room_for_and_not_again_after_a_stop() {
    let f = files(20, &[]);
    let options = Options { parallel: 2, credits: 6, ..f.journal() };
    let mut pulled = Pulled(&f, 0, 20);
    let summary = batch::pull(&f.w.client, &mut pulled, &options, Call::default(), &mut |_| true).unwrap().result;
    assert_eq!((summary.done, summary.left, summary.stopped, pulled.1), (6, 1, Some("credits_budget"), 6));
    let summary = batch::pull(&f.w.client, &mut Pulled(&f, 0, 20), &f.journal(), Call::default(), &mut |_| true).unwrap().result;
    assert_eq!((summary.done, summary.from_journal, summary.left, f.posts()), (20, 6, 0, 20));
}

#[test]
fn more_steps_at_once_than_there_can_be_are_refused() {
    let f = files(1, &[]);
    let at_once = |parallel| batch::run(&f.w.client, f.uploads(1), &Options { parallel, ..Options::default() }, Call::default(), &mut |_| true);
    let error = at_once(257).expect_err("257 at once");
    assert_eq!((error.status(), error.detail().field, f.posts()), (Status::Argument, Some("parallel"), 0), "{error}");
    assert_eq!(at_once(256).unwrap().result.done, 1);
}

#[test]
fn without_a_number_of_its_own_a_batch_has_as_many_steps_under_way_as_the_setting_lets_in() {
    let f = files(12, &[("max_in_flight", "3")]);
    let (asked, mut most, mut ended) = (Cell::new(0), 0, 0);
    let items = f.uploads(12).into_iter().inspect(|_| asked.set(asked.get() + 1));
    let summary = batch::run(&f.w.client, items, &Options::default(), Call::default(), &mut |_| {
        most = most.max(asked.get() - ended);
        ended += 1;
        true
    });
    assert_eq!((summary.unwrap().result.done, most), (12, 3));
}

#[test]
fn the_setting_for_the_time_of_a_call_bounds_each_step_and_the_calls_timeout_the_whole() {
    let f = files(6, &[("call_timeout_ms", "400"), ("settle", "off")]);
    let serial = Options { parallel: 1, ..Options::default() };
    f.w.emulator.script("attachment.upload", [Fault::stall(StallAt::BeforeReply), Fault::stall(StallAt::BeforeReply)]);
    let (summary, _) = f.run(f.uploads(6), &serial);
    assert_eq!((summary.done, summary.failed, summary.left, summary.stopped), (4, 2, 0, None));
    f.w.emulator.script("attachment.upload", [Fault::stall(StallAt::BeforeReply), Fault::stall(StallAt::BeforeReply)]);
    let whole = Call { timeout: Some(std::time::Duration::from_millis(600)), ..Call::default() };
    let (summary, _) = f.run_with(f.uploads(6), &serial, whole).unwrap();
    assert_eq!((summary.failed, summary.done, summary.left, summary.stopped), (2, 0, 4, Some("call_timeout")));
}

#[test]
fn callbacks_run_on_the_calling_thread() {
    let f = files(8, &[]);
    let here = std::thread::current().id();
    batch::run(&f.w.client, f.uploads(8), &Options::default(), Call::default(), &mut |_| {
        assert_eq!(std::thread::current().id(), here);
        true
    })
    .unwrap();
}

#[test]
fn a_second_run_with_the_journal_sends_nothing_and_tells_the_same_outcomes() {
    let f = files(10, &[]);
    let (first, told) = f.run(f.uploads(10), &f.journal());
    assert_eq!((first.done, first.from_journal), (10, 0));
    let (second, again) = f.run(f.uploads(10), &f.journal());
    assert_eq!((second.done, second.from_journal, f.posts()), (10, 10, 10));
    for (key, outcome) in told {
        assert_eq!(outcome["ok"]["result"]["id"], again[&key]["ok"]["result"]["id"], "{key}");
    }
}

#[test]
fn refused_steps_are_tried_again_by_the_next_run_and_done_ones_are_not() {
    let f = files(5, &[]);
    f.w.emulator.script("attachment.upload", [Fault::none(), Fault::status(403)]);
    let serial = Options { parallel: 1, ..f.journal() };
    let (first, _) = f.run(f.uploads(5), &serial);
    assert_eq!((first.done, first.failed), (4, 1));
    let (second, _) = f.run(f.uploads(5), &serial);
    assert_eq!((second.done, second.from_journal, second.failed), (5, 4, 0));
    assert_eq!((f.w.stored().len(), f.posts()), (5, 6));
}

#[test]
fn a_step_that_was_begun_and_never_ended_is_looked_for_before_it_is_sent() {
    for stored in [true, false] {
        let f = files(3, &[]);
        f.run(f.uploads(3), &f.journal());
        // As a crash leaves it: the end of one line is missing from the journal, and its file is stored or not.
        let journal = f.dir.path().join("journal");
        let text = std::fs::read_to_string(&journal).unwrap();
        let torn: String =
            text.lines().filter(|line| !(line.contains("\"done\"") && line.contains("\"file 1\""))).map(|l| format!("{l}\n")).collect();
        std::fs::write(&journal, torn).unwrap();
        if !stored {
            let lost = f.w.emulator.attachments("Contacts", &f.w.contact.id).into_iter().find(|a| a.name == "1.bin").unwrap();
            zcrm::attachment::delete(&f.w.client, &f.w.contact, &[&lost.id], Call::default()).unwrap();
        }
        f.w.emulator.clear_ledger();
        let (summary, told) = f.run(f.uploads(3), &f.journal());
        assert_eq!((summary.done, summary.from_journal), (3, 2));
        assert_eq!(told["file 1"]["ok"]["result"]["skipped"], json!(stored));
        assert_eq!((f.posts(), f.w.requests("attachment.list").len(), f.w.stored().len()), (usize::from(!stored), 1, 3));
    }
}

#[test]
fn a_restart_looks_only_when_what_was_sent_before_has_had_time_to_show() {
    let f = files(1, &[("settle_waits_ms", "300,300")]);
    f.run(f.uploads(1), &f.journal());
    // As a crash leaves it, with the file committed and listed a little later than the restart.
    let journal = f.dir.path().join("journal");
    let begun: String = std::fs::read_to_string(&journal).unwrap().lines().filter(|l| !l.contains("\"done\"")).map(|l| format!("{l}\n")).collect();
    let stored = f.w.emulator.attachments("Contacts", &f.w.contact.id).remove(0);
    zcrm::attachment::delete(&f.w.client, &f.w.contact, &[&stored.id], Call::default()).unwrap();
    std::fs::write(&journal, begun).unwrap();
    f.w.emulator.clear_ledger();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            f.w.attach("0.bin", &stored.bytes);
        });
        let (summary, told) = f.run(f.uploads(1), &f.journal());
        assert_eq!((summary.done, &told["file 0"]["ok"]["result"]["skipped"]), (1, &json!(true)));
    });
    assert_eq!((f.posts(), f.w.requests("attachment.list").len(), f.w.stored().len()), (0, 1, 1));
}

#[test]
fn equal_files_of_two_keys_are_two_attachments_also_after_a_restart() {
    let f = files(2, &[]);
    std::fs::create_dir(f.dir.path().join("b")).unwrap();
    std::fs::copy(f.dir.path().join("0.bin"), f.dir.path().join("b/0.bin")).unwrap();
    let other = Item { key: "equal".into(), step: f.upload(0).step.replace("0.bin", "b/0.bin") };
    let serial = Options { parallel: 1, ..f.journal() };
    f.run(vec![f.upload(0)], &serial);
    // The other was begun, and the process died before anything was sent.
    let journal = f.dir.path().join("journal");
    let begun = std::fs::read_to_string(&journal).unwrap();
    f.w.emulator.script("attachment.upload", [Fault::status(403)]);
    f.run(vec![f.upload(0), other.clone()], &serial);
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(text.len() > begun.len());
    std::fs::write(&journal, text.lines().filter(|l| !l.contains("\"failed\"")).map(|l| format!("{l}\n")).collect::<String>()).unwrap();
    let (summary, _) = f.run(vec![f.upload(0), other], &serial);
    assert_eq!((summary.done, f.w.stored().len()), (2, 2));
}

#[test]
fn a_cancelled_batch_leaves_the_rest_to_the_next_run() {
    let f = files(30, &[]);
    let cancel = Cancel::new();
    let mut count = 0;
    let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
    let summary = batch::run(&f.w.client, f.uploads(30), &f.journal(), call, &mut |_| {
        count += 1;
        if count == 5 {
            cancel.fire();
        }
        true
    });
    let summary = summary.unwrap().result;
    assert_eq!(summary.stopped, Some("cancelled"));
    assert!(summary.left > 0 && summary.done + summary.failed + summary.left == 30, "{summary:?}");
    let (second, _) = f.run(f.uploads(30), &f.journal());
    assert_eq!((second.done, f.w.stored().len()), (30, 30));
}

#[test]
fn an_ended_callback_that_says_no_cancels() {
    let f = files(10, &[]);
    let serial = Options { parallel: 1, ..Options::default() };
    let summary = batch::run(&f.w.client, f.uploads(10), &serial, Call::default(), &mut |_| false).unwrap().result;
    assert_eq!((summary.done, summary.left, summary.stopped), (1, 9, Some("cancelled")));
}

#[test]
fn a_credit_budget_ends_the_batch_and_the_next_run_goes_on() {
    let f = files(10, &[]);
    let (summary, _) = f.run(f.uploads(10), &Options { credits: 4, ..f.journal() });
    assert_eq!((summary.done, summary.left, summary.stopped, f.posts()), (4, 6, Some("credits_budget"), 4));
    let (summary, _) = f.run(f.uploads(10), &f.journal());
    assert_eq!((summary.done, f.w.stored().len()), (10, 10));
}

#[test]
fn exhausted_credits_end_the_batch_with_few_further_calls() {
    let f = files(20, &[]);
    f.w.emulator.settings(|s| s.credits = 8);
    let (summary, _) = f.run(f.uploads(20), &f.journal());
    assert_eq!((summary.done, summary.stopped), (8, Some("credits_exhausted")));
    assert!(f.posts() <= 12, "{}", f.posts());
}

#[test]
fn a_batch_that_can_get_no_token_stops_and_leaves_the_rest() {
    let f = files(20, &[]);
    let settings = crate::support::refreshing(&f.w.emulator);
    let allow = f.dir.path().to_str().unwrap().to_owned();
    let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).chain([("allow_paths", allow.as_str()), ("max_retries", "1")]).collect();
    f.w.emulator.settings(|s| s.tokens_per_window = 0);
    let gateway = Fault::body(400, br#"{"message":"no Route matched"}"#);
    for fault in [None, Some(Fault::body(200, br#"{"error":"invalid_code"}"#)), Some(gateway)] {
        f.w.emulator.clear_script();
        f.w.emulator.script("token", fault.map_or_else(Vec::new, |fault| vec![fault; 8]));
        let client = crate::support::client(&f.w.emulator, &settings);
        let options = Options { parallel: 2, ..f.journal() };
        let summary = batch::run(&client, f.uploads(20), &options, Call::default(), &mut |end| {
            assert!(end.left, "{}", end.key);
            true
        });
        let summary = summary.unwrap().result;
        assert_eq!((summary.failed, summary.left, summary.stopped), (0, 20, Some("no_token")));
    }
    f.w.emulator.clear_script();
    let (summary, _) = f.run(f.uploads(20), &f.journal());
    assert_eq!((summary.done, f.w.stored().len()), (20, 20));
}

#[test]
fn a_paused_batch_begins_nothing_until_it_goes_on() {
    let f = files(6, &[]);
    let pause = Pause::default();
    let options = Options { parallel: 1, pause: pause.clone(), ..Options::default() };
    let mut count = 0;
    let (later, goes_on) = (pause.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let sign = goes_on.clone();
    let summary = batch::run(&f.w.client, f.uploads(6), &options, Call::default(), &mut |_| {
        count += 1;
        if count == 2 {
            pause.set(true);
            let (later, sign) = (later.clone(), sign.clone());
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(150));
                sign.store(true, std::sync::atomic::Ordering::SeqCst);
                later.set(false);
            });
        }
        assert!(count <= 2 || goes_on.load(std::sync::atomic::Ordering::SeqCst), "nothing ends while it is held");
        true
    });
    assert_eq!(summary.unwrap().result.done, 6);
}

#[test]
fn a_journal_that_is_in_use_broken_or_unwritable_lets_nothing_be_sent() {
    let f = files(2, &[]);
    let journal = f.dir.path().join("journal");
    std::fs::write(&journal, "nonsense\n").unwrap();
    assert_eq!(why(f.run_with(f.uploads(2), &f.journal(), Call::default())), (Status::Protocol, "journal_corrupt"));
    let nowhere = Options { journal: Some(Path::new("/nonexistent/journal").into()), ..Options::default() };
    assert_eq!(why(f.run_with(f.uploads(2), &nowhere, Call::default())), (Status::Io, "journal"));
    let full = Options { journal: Some(Path::new("/dev/full").into()), ..Options::default() };
    assert_eq!(why(f.run_with(f.uploads(2), &full, Call::default())).0, Status::Io);
    assert!(f.w.emulator.ledger().requests.is_empty());
}

#[test]
fn lost_replies_within_a_batch_are_settled_and_nothing_is_twice() {
    let f = files(40, &[]);
    f.w.emulator.script("attachment.upload", (0..40).map(|i| if i % 4 == 0 { Fault::reset_after_store() } else { Fault::none() }));
    let (summary, _) = f.run(f.uploads(40), &Options { parallel: 8, ..f.journal() });
    assert_eq!((summary.done, f.w.stored().len()), (40, 40));
}

#[test]
fn a_batch_that_comes_a_second_time_attaches_nothing_twice_when_its_call_says_so() {
    let f = files(3, &[]);
    for _ in 0..2 {
        let call = Call { if_exists: zcrm::IfExists::SkipSameBytes, ..Call::default() };
        let (summary, _) = f.run_with(f.uploads(3), &Options::default(), call).unwrap();
        assert_eq!((summary.done, f.posts()), (3, 3));
    }
}

#[test]
fn a_panic_in_a_step_goes_on_where_the_batch_was_called() {
    struct Broken;
    impl zcrm::config::TokenStore for Broken {
        fn get(&self) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
            panic!("store")
        }
        fn put(&self, _: &[u8]) -> Result<()> {
            Ok(())
        }
        fn try_lock(&self) -> Result<bool> {
            Ok(true)
        }
        fn unlock(&self) {}
    }
    let f = files(4, &[]);
    let settings = crate::support::refreshing(&f.w.emulator);
    let mut config = crate::support::config(&f.w.emulator, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    config.set_token_store(Broken);
    let client = zcrm::Client::new(config).unwrap();
    let list = json!({"operation": "attachment.list", "module": "Contacts", "record_id": f.w.contact.id}).to_string();
    let items = (0..4).map(|i| Item { key: i.to_string(), step: list.clone() });
    let run = std::panic::AssertUnwindSafe(|| batch::run(&client, items, &Options::default(), Call::default(), &mut |_| true));
    let panicked = std::panic::catch_unwind(run).expect_err("it goes on");
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"store"));
}
