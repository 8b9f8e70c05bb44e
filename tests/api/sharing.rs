//! What clients, threads and processes share: tokens, calls in flight, credits, the retry budget.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Client, Config, Record, Result, Status};
use zcrm_emulator::{Emulator, Fault, Options};

use crate::server::{LIST, Server, record, reply};
use crate::support::{bytes, client, refreshing, why, world, world_with};

fn emulator() -> Emulator {
    Emulator::start(Options::default()).unwrap()
}

fn list(client: &Client, emulator: &Emulator) -> Result<()> {
    attachment::list(client, &Record::new("Contacts", emulator.record("Contacts")), &ListArgs::default(), Call::default()).map(drop)
}

fn token_requests(emulator: &Emulator) -> usize {
    emulator.ledger().requests.iter().filter(|r| r.operation == "token").count()
}

/// A client as another process would have it, with a token file of its own handle.
fn storing(emulator: &Emulator, file: &std::path::Path, more: &[(&'static str, &str)]) -> Client {
    let mut settings = refreshing(emulator);
    settings.push(("token_file", file.to_str().unwrap().to_owned()));
    settings.extend(more.iter().map(|(k, v)| (*k, (*v).to_owned())));
    client(emulator, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>())
}

#[test]
fn many_clients_with_one_token_file_ask_once_for_each_expiry() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token.json");
    for round in 1..=2 {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| list(&storing(&e, &file, &[]), &e).unwrap());
            }
        });
        assert_eq!(token_requests(&e), round);
        e.expire_tokens();
    }
}

#[test]
fn the_token_file_holds_no_refresh_token_and_no_client_secret() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    list(&storing(&e, &dir.path().join("t"), &[]), &e).unwrap();
    let text = std::fs::read_to_string(dir.path().join("t")).unwrap();
    let c = e.credentials();
    assert!(!text.contains(&c.refresh_token) && !text.contains(&c.client_secret) && !text.contains(&c.client_id));
}

#[test]
fn token_requests_are_counted_over_all_who_share_the_file() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let _ = list(&storing(&e, &dir.path().join("t"), &[]), &e);
        e.expire_tokens();
    }
    assert!(token_requests(&e) <= 8, "{}", token_requests(&e));
}

#[test]
fn a_lock_whose_holder_was_killed_is_free_again() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t");
    let mut holder = Command::new("flock").arg(dir.path().join("t.lock")).args(["sleep", "600"]).stdout(Stdio::null()).spawn().unwrap();
    while Command::new("flock").arg("-n").arg(dir.path().join("t.lock")).arg("true").status().unwrap().success() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(why(list(&storing(&e, &file, &[("token_timeout_ms", "200"), ("max_retries", "0")]), &e)), (Status::Timeout, "token_lock"));
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| list(&storing(&e, &file, &[]), &e));
        std::thread::sleep(Duration::from_millis(100));
        // The sleeping child holds the lock as well: both are killed.
        Command::new("pkill").args(["-9", "-P", &holder.id().to_string()]).status().unwrap();
        holder.kill().unwrap();
        holder.wait().unwrap();
        waiting.join().unwrap()
    });
    waiting.unwrap();
}

#[test]
fn a_token_file_that_is_torn_is_as_if_there_were_none() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t"), b"{\"version\":1,\"tok").unwrap();
    list(&storing(&e, &dir.path().join("t"), &[]), &e).unwrap();
    assert_eq!(token_requests(&e), 1);
}

#[test]
fn a_shared_token_that_cannot_be_sent_is_asked_for_again_once_for_all() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t");
    list(&storing(&e, &file, &[]), &e).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let torn = text.replacen("\"1000.", "\"1000.\\n", 1);
    assert_ne!(text, torn);
    std::fs::write(&file, torn).unwrap();
    for _ in 0..3 {
        list(&storing(&e, &file, &[]), &e).unwrap();
    }
    assert_eq!(token_requests(&e), 2);
}

#[test]
fn a_shared_token_for_a_host_that_may_not_be_followed_is_asked_for_again_once_for_all() {
    let e = emulator();
    e.settings(|s| s.api_domain = Some(e.url().to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t");
    let unpinned = || {
        let mut config = Config::new();
        let settings = refreshing(&e);
        let more = [("accounts_url", e.url().to_owned()), ("token_file", file.to_str().unwrap().to_owned()), ("max_retries", "0".to_owned())];
        settings.iter().chain(&more).for_each(|(key, value)| config.set(key, value).unwrap());
        Client::new(config).unwrap()
    };
    list(&unpinned(), &e).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    for elsewhere in ["https://evil.example", "http://www.zohoapis.com", "", "x y"] {
        let (before, changed) = (token_requests(&e), text.replacen(e.url(), elsewhere, 1));
        assert_ne!(text, changed);
        std::fs::write(&file, changed).unwrap();
        for _ in 0..3 {
            list(&unpinned(), &e).unwrap();
        }
        assert_eq!(token_requests(&e), before + 1, "{elsewhere}");
    }
    // What Zoho itself says so isn't kept for the others either.
    e.settings(|s| s.api_domain = Some("https://evil.example".to_owned()));
    e.expire_tokens();
    let there = std::fs::read_to_string(&file).unwrap();
    assert_eq!(why(list(&unpinned(), &e)), (Status::Protocol, "api_domain_refused"));
    assert!(there.contains(e.url()) && !std::fs::read_to_string(&file).unwrap().contains("evil"));
}

/// Why no client is made with this token file.
fn refused(emulator: &Emulator, file: &std::path::Path) -> zcrm::Error {
    let token_file = [("token_file", file.to_str().unwrap())];
    let settings = refreshing(emulator);
    let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).chain(token_file).collect();
    Client::new(crate::support::config(emulator, &settings)).err().expect("no client is made")
}

#[test]
fn a_token_file_that_can_be_none_is_told_when_the_client_is_made_and_nothing_is_made_beside_it() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink(at("fifo"), at("link")).unwrap();
    let entries = || std::fs::read_dir(dir.path()).unwrap().count() + std::fs::read_dir(at("folder")).unwrap().count();
    let before = entries();
    for (path, words) in [
        (at("folder"), "is not a regular file; name one"),
        (at("fifo"), "is not a regular file; name one"),
        (at("link"), "is not a regular file; name one"),
        ("/dev/zero".into(), "is not a regular file; name one"),
        (at("socket"), "No such device"),
        (at("missing/t"), "No such file or directory; name a file in a folder that is there"),
        (at("file/t"), "Not a directory; name a file in a folder that is there"),
        (at("folder/t/"), "name one"),
        (at("folder/.."), "name one"),
    ] {
        let error = refused(&e, &path);
        assert_eq!((error.reason(), error.detail().field), ("token_store", Some("token_file")), "{error}");
        let text = error.to_string();
        assert!(text.contains("token_file") && text.contains(path.to_str().unwrap()) && text.contains(words), "{text}");
    }
    assert_eq!((entries(), e.ledger().requests.len()), (before, 0));
}

#[test]
fn a_token_file_that_is_somebodys_other_file_is_refused_and_left_as_it_is() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.ini");
    for other in ["[section]\nkey = 1\n", "{\"version\":\"1.0.0\",\"name\":\"x\"}"] {
        std::fs::write(&file, other).unwrap();
        let error = refused(&e, &file);
        assert_eq!((error.status(), error.reason(), error.detail().field), (Status::Config, "token_store", Some("token_file")));
        assert!(error.to_string().contains("my.ini"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
    }
    assert_eq!(token_requests(&e), 0);
}

#[test]
fn a_token_file_that_cannot_be_written_costs_a_warning_and_not_the_call() {
    let e = emulator();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = refreshing(&e);
    let missing = dir.path().join("missing");
    settings.push(("token_file", missing.join("token.json").to_str().unwrap().to_owned()));
    let mut config = crate::support::config(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    let lines = Arc::new(Mutex::new(String::new()));
    let heard = lines.clone();
    config.set_log_fn(zcrm::config::LogLevel::Warn, move |_, line| *heard.lock().unwrap() += &format!("{line}\n"));
    std::fs::create_dir(&missing).unwrap();
    let client = Client::new(config).unwrap();
    std::fs::remove_dir(&missing).unwrap();
    (0..3).for_each(|_| list(&client, &e).unwrap());
    assert_eq!(token_requests(&e), 1, "the token is kept");
    let lines = lines.lock().unwrap();
    assert!(lines.contains("token_file") && lines.contains("missing/token.json: writing: No such file"), "{lines}");
}

/// A store that takes documents until its disk is full.
#[derive(Clone, Default)]
struct Disk {
    document: Arc<Mutex<Option<Vec<u8>>>>,
    full: Arc<AtomicBool>,
}

impl zcrm::config::TokenStore for Disk {
    fn get(&self) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
        Ok(self.document.lock().unwrap().clone().map(zeroize::Zeroizing::new))
    }
    fn put(&self, document: &[u8]) -> Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(zcrm::Error::io("token_store", "the store", &std::io::Error::from_raw_os_error(libc::ENOSPC)));
        }
        *self.document.lock().unwrap() = Some(document.to_vec());
        Ok(())
    }
    fn try_lock(&self) -> Result<bool> {
        Ok(true)
    }
    fn unlock(&self) {}
}

#[test]
fn token_requests_that_a_full_disk_does_not_remember_are_counted_all_the_same() {
    let e = emulator();
    let disk = Disk::default();
    let settings = refreshing(&e);
    let mut config = crate::support::config(&e, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    config.set_token_store(disk.clone());
    let client = Client::new(config).unwrap();
    let mut ends = Vec::new();
    for round in 0..20 {
        // Full in between: the requests of that time are put into the store as soon as it takes them.
        disk.full.store((3..6).contains(&round), Ordering::SeqCst);
        ends.push(list(&client, &e).is_ok());
        e.expire_tokens();
    }
    assert_eq!((token_requests(&e), ends.iter().filter(|ok| **ok).count()), (8, 8), "{ends:?}");
    let stored = String::from_utf8(disk.document.lock().unwrap().clone().unwrap()).unwrap();
    let asked_at = stored.split_once("\"asked_at\":[").unwrap().1.split_once(']').unwrap().0;
    assert_eq!(asked_at.split(',').count(), 8, "{asked_at}");
}

#[test]
fn all_clients_of_an_organisation_together_keep_to_the_calls_in_flight() {
    let e = emulator();
    e.settings(|s| s.concurrency = 4);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let client = client(&e, &[("max_in_flight", "4")]);
                (0..5).for_each(|_| list(&client, &e).unwrap());
            });
        }
    });
    assert!(e.ledger().requests.iter().all(|r| r.status != 429), "four at once and never a refusal");
}

#[test]
fn when_zoho_bears_less_than_expected_all_calls_still_end_well() {
    let w = world_with(&[("max_in_flight", "16"), ("max_retries", "10")]);
    w.emulator.settings(|s| s.concurrency = 3);
    std::thread::scope(|scope| {
        for t in 0..16 {
            let w = &w;
            scope.spawn(move || (0..5).for_each(|i| drop(w.upload(&format!("{t}-{i}"), &bytes(20_000)).unwrap())));
        }
    });
    assert_eq!(w.stored().len(), 80);
}

#[test]
fn exhausted_credits_stop_all_calls_with_a_resumable_error() {
    let w = world();
    w.emulator.settings(|s| s.credits = 10);
    let mut failures = Vec::new();
    for i in 0..30 {
        if let Err(error) = w.upload(&format!("{i}"), b"x") {
            failures.push(error);
        }
    }
    assert_eq!((w.stored().len(), failures.len()), (10, 20));
    for error in &failures {
        assert_eq!((error.status(), error.reason(), error.detail().retryable), (Status::RateLimited, "credits_exhausted", true));
        assert!(error.retry_after().is_some());
    }
    assert!(w.requests("attachment.upload").len() <= 13, "at most three calls after the last credit");
}

#[test]
fn credits_are_told_and_a_reserve_is_left_alone() {
    let w = world_with(&[("credits_reserve", "3")]);
    w.emulator.settings(|s| s.credits = 10);
    let told: Vec<_> = (0..10).filter_map(|i| w.upload(&format!("{i}"), b"x").ok()).map(|o| o.credits_remaining).collect();
    assert!(told.iter().flatten().last().is_some_and(|left| (2..=3).contains(left)), "{told:?}");
    assert!((7..=8).contains(&told.len()), "{told:?}");
}

#[test]
fn in_a_total_outage_retries_add_little_to_the_load() {
    let w = world_with(&[("max_retries", "5"), ("retry_base_ms", "1")]);
    w.emulator.script("attachment.list", (0..2000).map(|_| Fault::status(503)));
    for _ in 0..300 {
        assert!(attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).is_err());
    }
    let requests = w.requests("attachment.list").len();
    assert!(requests <= 360, "{requests} requests for 300 calls");
}

#[test]
fn a_wait_for_a_place_is_told_with_its_reason_and_can_be_cancelled() {
    let w = world_with(&[("max_in_flight", "1")]);
    w.emulator.script("attachment.list", [Fault::delay(400)]);
    std::thread::scope(|scope| {
        scope.spawn(|| attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap());
        while w.requests("attachment.list").is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let waited = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap();
        assert!(waited.wait_reason == Some("in_flight") && waited.waited_ms > 0, "{waited:?}");
    });
    w.emulator.script("attachment.list", [Fault::delay(1000)]);
    std::thread::scope(|scope| {
        scope.spawn(|| attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        let cancel = zcrm::Cancel::new();
        let firing = cancel.clone();
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            firing.fire();
        });
        let began = Instant::now();
        let call = Call { cancel: Some(cancel), ..Call::default() };
        assert_eq!(why(attachment::list(&w.client, &w.contact, &ListArgs::default(), call)).0, Status::Cancelled);
        assert!(began.elapsed() < Duration::from_millis(800));
    });
}

#[test]
fn while_zoho_asks_for_a_pause_nobody_of_the_organisation_sends() {
    // Whoever comes too early makes it count its second from the start again, as a server may.
    let until = Mutex::new(None::<Instant>);
    let server = Server::start(move |_| {
        let (mut until, now) = (until.lock().unwrap(), Instant::now());
        if until.is_some_and(|until| until <= now) {
            return Some(reply("200 OK", "", LIST));
        }
        let asked = until.map_or(Duration::ZERO, |until| until - now) + Duration::from_secs(1);
        *until = Some(now + asked);
        Some(reply("429 Too Many Requests", &format!("Retry-After: {}\r\n", asked.as_secs_f64().ceil()), ""))
    });
    let client = server.client(&[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| attachment::list(&client, &record(), &ListArgs::default(), Call::default()).unwrap());
        }
    });
    // The first four go together, before there is a word of a pause.
    assert!(server.requests() <= 8 + 4, "{} requests", server.requests());
}

#[test]
fn a_longer_pause_than_allowed_fails_each_call_at_once() {
    let server = Server::start(|_| Some(reply("429 Too Many Requests", "Retry-After: 600\r\n", "")));
    let client = server.client(&[]);
    for _ in 0..3 {
        let error = attachment::list(&client, &record(), &ListArgs::default(), Call::default()).unwrap_err();
        assert_eq!((error.status(), error.reason(), error.detail().retryable), (Status::RateLimited, "rate_limited", true));
        assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(500)), "{error}");
    }
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_refusal_for_concurrency_spends_no_retries() {
    let server = Server::start({
        let count = std::sync::atomic::AtomicUsize::new(0);
        move |_| Some(if count.fetch_add(1, Ordering::SeqCst) < 6 { reply("429 Too Many Requests", "", "") } else { reply("200 OK", "", LIST) })
    });
    let waited = attachment::list(&server.client(&[("max_retries", "1")]), &record(), &ListArgs::default(), Call::default()).unwrap();
    assert_eq!((waited.attempts, waited.wait_reason), (7, Some("rate_limited")));
}
