//! Rows of the reliability notes that are no cell of the matrix and no step of a replay.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use serde_json::json;
use zcrm::attachment::{self, ListArgs, Page};
use zcrm::batch::{self, Item, Options, Summary};
use zcrm::{Call, Client, File, Outcome, Record, Result, Sink, Status};
use zcrm_emulator::Fault;

use crate::quick::quick;
use crate::support::{World, bytes};

fn list(client: &Client, record: &Record) -> Result<Outcome<Page>> {
    attachment::list(client, record, &ListArgs::default(), Call::default())
}

/// A batch that uploads so many files, one to each record, with a journal in the world's directory.
fn batch(w: &World, records: &[String]) -> Summary {
    let items = records.iter().enumerate().map(|(i, record)| {
        let path = w.path(&format!("{i}.bin"));
        if !path.exists() {
            std::fs::write(&path, i.to_le_bytes()).unwrap(); // once: a journal knows when its source was written
        }
        let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": {"path": path}});
        Item { key: i.to_string(), step: step.to_string() }
    });
    let options = Options { parallel: 1, journal: Some(w.path("journal")), ..Options::default() };
    batch::run(&w.client, items.collect::<Vec<_>>(), &options, Call::default(), &mut |_| true).unwrap().result
}

fn may_read_everything() -> World {
    quick(&[("allow_paths", "/"), ("max_retries", "1")])
}

#[test]
fn t1_a_host_name_that_does_not_exist_is_a_network_error_of_a_request_that_never_left() {
    let w = quick(&[
        ("accounts_url", "http://no-such-host.invalid"),
        ("api_domain", "http://no-such-host.invalid"),
        ("allow_http", "on"),
        ("max_retries", "1"),
    ]);
    let error = list(&w.client, &w.contact).unwrap_err();
    assert_eq!((error.status(), error.detail().request_sent), (Status::Network, zcrm::Sent::No), "{error}");
}

#[test]
fn t8_an_outcome_that_a_batch_does_not_know_is_found_out_by_its_next_run() {
    for stored in [true, false] {
        let w = may_read_everything();
        let fault = if stored { Fault::reset_after_store() } else { Fault::reset_before_store() };
        w.emulator.script("attachment.upload", [fault]);
        w.emulator.script("attachment.list", [Fault::status(500), Fault::status(500)]);
        let records = [w.contact.id.clone()];
        let first = batch(&w, &records);
        assert_eq!((first.unknown, first.done), (1, 0), "{first:?}");
        let second = batch(&w, &records);
        assert_eq!((second.done, w.emulator.attachments("Contacts", &w.contact.id).len()), (1, 1), "{second:?}");
        assert_eq!(w.requests("attachment.upload").len(), if stored { 1 } else { 2 });
    }
}

#[test]
fn t15_sixty_four_uploads_that_meet_a_dead_token_renew_it_once_and_are_each_there_once() {
    let w = quick(&[("max_in_flight", "64")]);
    w.emulator.settings(|s| s.concurrency = 1000);
    list(&w.client, &w.contact).unwrap();
    w.emulator.expire_tokens();
    std::thread::scope(|scope| {
        for i in 0..64 {
            let w = &w;
            scope.spawn(move || attachment::upload(&w.client, &w.contact, File::memory(format!("{i}"), &bytes(50_000)), Call::default()).unwrap());
        }
    });
    assert_eq!((w.emulator.attachments("Contacts", &w.contact.id).len(), w.requests("token").len()), (64, 2));
}

#[test]
fn t40_a_target_that_is_a_fifo_is_refused_and_stays_one() {
    use std::os::unix::fs::FileTypeExt;
    let w = quick(&[]);
    let id = w.emulator.attach("Contacts", &w.contact.id, "a.bin", b"x");
    let path = w.path("target.bin");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for overwrite in [false, true] {
        let sink = Sink::file(path.clone(), overwrite);
        assert!(attachment::download(&w.client, &w.contact, &id, sink, Call::default()).is_err());
        assert!(path.metadata().unwrap().file_type().is_fifo());
    }
    assert_eq!(w.requests("attachment.download").len(), 0);
}

#[test]
fn t41_a_file_that_shrinks_or_grows_while_it_is_sent_is_told_and_nothing_is_stored() {
    for length in [1_000, 30_000_000] {
        let w = quick(&[]);
        let path = w.path("a.bin");
        std::fs::write(&path, bytes(20_000_000)).unwrap();
        let mut change = |done: u64, _: Option<u64>| {
            if done < 20_000_000 {
                std::fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            }
            true
        };
        let call = Call { progress: Some(&mut change), ..Call::default() };
        let error = attachment::upload(&w.client, &w.contact, File::open(&path).unwrap(), call).unwrap_err();
        assert_eq!(error.status(), Status::SourceChanged, "{error}");
        assert!(w.emulator.attachments("Contacts", &w.contact.id).is_empty());
    }
}

#[test]
fn t52_whatever_a_proxy_answers_is_an_error_without_its_password() {
    const PASSWORD: &str = "canary-of-the-proxy";
    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let page = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<h1>no way</h1>\r\n";
    for (answer, scheme) in [refused, page, "not HTTP at all\r\n\r\n", ""].into_iter().flat_map(|answer| [(answer, "http"), (answer, "https")]) {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://user:{PASSWORD}@{}", proxy.local_addr().unwrap());
        let host = format!("{scheme}://zoho.invalid");
        std::thread::spawn(move || {
            for client in proxy.incoming() {
                let (mut client, mut head) = (client.unwrap(), [0; 4096]);
                let _ = client.read(&mut head).and_then(|_| client.write_all(answer.as_bytes()));
            }
        });
        let w = quick(&[("proxy", &url), ("api_domain", &host), ("accounts_url", &host), ("allow_http", "on"), ("max_retries", "1")]);
        let error = list(&w.client, &w.contact).unwrap_err();
        let said = format!("{error} {error:?} {}", error.to_json());
        assert!(!said.contains(PASSWORD) && w.canary.found().is_empty(), "{said}");
        assert!(matches!(error.status(), Status::Network | Status::Server | Status::Protocol | Status::Auth), "{answer:?} {scheme}: {said}");
    }
}

#[test]
fn t72_a_batch_goes_on_when_a_record_is_deleted_a_file_has_a_virus_and_the_storage_is_full() {
    let w = may_read_everything();
    let records: Vec<_> = (0..8).map(|_| w.emulator.add_record("Contacts")).collect();
    w.emulator.delete_record("Contacts", &records[2]);
    w.emulator.script(
        "attachment.upload",
        [
            Fault::none(),
            Fault::status(400).with_code("VIRUS_DETECTED", "virus"),
            Fault::none(),
            Fault::status(400).with_code("STORAGE_SPACE_EXCEEDED", "full"),
        ],
    );
    let summary = batch(&w, &records);
    assert_eq!((summary.done, summary.failed, summary.unknown, summary.left), (5, 3, 0, 0), "{summary:?}");
}
