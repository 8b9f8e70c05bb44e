//! `max_in_flight` = `auto`: how many calls at once the organisation bears is found from its answers, and what it refuses is waited out.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zcrm::attachment::{self, ListArgs};
use zcrm::step::batch::{self, Item, Options as BatchOptions};
use zcrm::{Call, Client, Record};
use zcrm_emulator::{Emulator, Options};

use crate::support::{World, client, world_with};

/// An organisation that bears `limit` calls at once, each of 40 ms.
fn bearing(limit: u32) -> Emulator {
    let emulator = Emulator::start(Options::default()).unwrap();
    emulator.settings(|s| (s.concurrency, s.service_ms) = (limit, 40));
    emulator
}

/// Who begins with the others has its part after this time at the latest.
const FAIR_WITHIN: Duration = Duration::from_secs(30);

fn call(client: &Client, record: &Record) {
    attachment::list(client, record, &ListArgs::default(), Call::default()).unwrap();
}

/// So many threads take calls from `left`, which all must end well; how many this client made.
fn work(client: &Client, record: &Record, threads: usize, left: &AtomicUsize) -> usize {
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    call(client, record);
                    made.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    made.into_inner()
}

fn refused(emulator: &Emulator) -> usize {
    emulator.ledger().requests.iter().filter(|r| r.status == 429).count()
}

fn connections(emulator: &Emulator) -> usize {
    emulator.ledger().requests.iter().map(|r| r.connection).collect::<HashSet<_>>().len()
}

#[test]
fn it_grows_to_what_the_organisation_bears_without_a_failed_call_and_with_few_refusals() {
    for limit in [5, 10, 25] {
        let w = World::of(bearing(limit), &[]);
        let began = Instant::now();
        assert_eq!(work(&w.client, &w.contact, 30, &AtomicUsize::new(300)), 300);
        let share = 300.0 * 0.04 / f64::from(limit) / began.elapsed().as_secs_f64();
        let refused = refused(&w.emulator);
        println!("{limit}: {share:.2} of the optimum, {refused} refused");
        assert!(refused <= 30, "{limit}: {refused} refusals");
        let grown = if limit < 25 { refused > 0 } else { connections(&w.emulator) > 12 };
        assert!(grown, "{limit}: nothing was refused, and there were {} connections", connections(&w.emulator));
    }
}

#[test]
fn a_bound_and_a_fixed_number_are_kept() {
    for (setting, least, most) in [("auto:6", 5, 6), ("3", 1, 3)] {
        let w = World::of(bearing(25), &[("max_in_flight", setting)]);
        assert_eq!(work(&w.client, &w.contact, 12, &AtomicUsize::new(100)), 100);
        let connections = connections(&w.emulator);
        assert!((least..=most).contains(&connections) && refused(&w.emulator) == 0, "{setting}: {connections} connections");
    }
}

#[test]
fn a_fixed_number_above_what_is_borne_fails_no_call() {
    let w = World::of(bearing(5), &[("max_in_flight", "25")]);
    assert_eq!(work(&w.client, &w.contact, 30, &AtomicUsize::new(200)), 200);
    assert!((1..=60).contains(&refused(&w.emulator)), "{} refusals", refused(&w.emulator));
}

#[test]
fn strangers_at_one_organisation_both_get_on() {
    // Clients with different labels know nothing of each other, as processes don't.
    for strangers in [2, 4] {
        let emulator = bearing(10);
        let record = Record::new("Contacts", emulator.record("Contacts"));
        let clients: Vec<_> = (0..strangers).map(|i| client(&emulator, &[("organisation", &format!("stranger {strangers} {i}"))])).collect();
        let made: Vec<_> = clients.iter().map(|_| AtomicUsize::new(0)).collect();
        let (counts, until) = (|| made.iter().map(|made| made.load(Ordering::SeqCst)).collect::<Vec<_>>(), Instant::now() + FAIR_WITHIN);
        let all_get_on = || counts().iter().sum::<usize>() >= 400 && counts().iter().all(|made| *made >= 400 / strangers / 5);
        std::thread::scope(|scope| {
            for (client, made) in clients.iter().zip(&made).flat_map(|one| [one; 12]) {
                scope.spawn(|| {
                    while !all_get_on() && Instant::now() < until {
                        call(client, &record);
                        made.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let (made, refused) = (counts(), refused(&emulator));
        println!("{strangers} on 10: {made:?}, {refused} refused");
        assert!(made.iter().all(|made| *made >= 400 / strangers / 5), "{made:?}");
        assert!(refused <= made.iter().sum::<usize>() / 2, "{made:?}, {refused} refused");
    }
}

#[test]
fn another_limit_in_the_middle_fails_no_call() {
    let w = World::of(bearing(25), &[]);
    let left = AtomicUsize::new(500);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work(&w.client, &w.contact, 30, &left));
        for (below, limit) in [(350, 5), (200, 25)] {
            while left.load(Ordering::SeqCst) > below {
                std::thread::sleep(Duration::from_millis(5));
            }
            w.emulator.settings(|s| s.concurrency = limit);
        }
        assert_eq!(worker.join().unwrap(), 500);
    });
    assert!(refused(&w.emulator) <= 100, "{} refusals", refused(&w.emulator));
}

#[test]
fn a_batch_without_a_number_of_its_own_follows_the_setting() {
    for (setting, least, most) in [("auto", 5, 25), ("auto:5", 5, 5), ("2", 1, 2)] {
        let w = World::of(bearing(25), &[("max_in_flight", setting)]);
        let step = format!(r#"{{"operation":"attachment.list","module":"Contacts","record_id":"{}"}}"#, w.contact.id);
        let items = (0..80).map(|i| Item { key: i.to_string(), step: step.clone() });
        let outcome = batch::run(&w.client, items, &BatchOptions::default(), Call::default(), &mut |_| true).unwrap();
        assert_eq!(outcome.result.done, 80);
        let connections = connections(&w.emulator);
        assert!((least..=most).contains(&connections), "{setting}: {connections} connections");
    }
}

#[test]
fn a_refusal_is_waited_out_within_the_calls_time() {
    let w = world_with(&[("call_timeout_ms", "700"), ("retry_max_wait_ms", "100")]);
    w.emulator.settings(|s| s.concurrency = 0);
    let began = Instant::now();
    let error = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.reason()), (zcrm::Status::Timeout, "call_timeout"));
    assert!(began.elapsed() >= Duration::from_millis(700) && refused(&w.emulator) > 1);
    // Where it has no time, it waits for retry_max_wait_ms in all.
    let w = world_with(&[("retry_max_wait_ms", "300")]);
    w.emulator.settings(|s| s.concurrency = 0);
    let error = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.reason()), (zcrm::Status::RateLimited, "too_many_requests"));
    assert!((1..=300).contains(&error.detail().waited_ms) && refused(&w.emulator) > 1, "{error}");
}

/// What [`processes_that_share_a_token_file_share_the_window`] starts.
#[test]
#[ignore = "a process of another test"]
fn process() {
    let [url, token, file, record, calls] =
        std::env::var("ZCRM_TEST_PROCESS").unwrap().split('\n').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    let mut config = zcrm::Config::new();
    for (key, value) in [("accounts_url", &url), ("api_domain", &url), ("access_token", &token), ("token_file", &file)] {
        config.set(key, value).unwrap();
    }
    let client = Client::new(config).unwrap();
    let calls: usize = calls.parse().unwrap();
    assert_eq!(work(&client, &Record::new("Contacts", record), 4, &AtomicUsize::new(calls)), calls);
}

fn start(emulator: &Emulator, dir: &std::path::Path, calls: usize) -> std::process::Child {
    let file = dir.join("token");
    let what = [emulator.url(), &emulator.access_token(), file.to_str().unwrap(), &emulator.record("Contacts"), &calls.to_string()].join("\n");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "window::process"]).env("ZCRM_TEST_PROCESS", what).stdout(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn processes_that_share_a_token_file_share_the_window() {
    let (emulator, dir) = (bearing(10), tempfile::tempdir().unwrap());
    let mut children: Vec<_> = (0..20).map(|_| start(&emulator, dir.path(), 20)).collect();
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let refused = refused(&emulator);
    println!("20 processes on 10: {refused} of 400 refused");
    // Those by which the window is found, and its steps of growth: one process would see as many. Without the file there are a hundred.
    assert!(refused <= 30, "{refused} refusals");
}

#[test]
fn the_places_of_a_killed_process_are_free_again() {
    let (emulator, dir) = (bearing(4), tempfile::tempdir().unwrap());
    emulator.settings(|s| s.service_ms = 60_000);
    let mut killed = start(&emulator, dir.path(), 4);
    while emulator.ledger().requests.iter().filter(|r| r.operation == "attachment.list").count() < 4 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut other = start(&emulator, dir.path(), 8);
    killed.kill().unwrap();
    killed.wait().unwrap();
    emulator.settings(|s| (s.service_ms, s.concurrency) = (10, 25));
    assert!(other.wait().unwrap().success());
}
