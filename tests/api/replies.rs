//! Replies as networks and intermediaries bring them: odd, slow, without an end.

use std::time::Duration;

use zcrm::attachment::{self, ListArgs, Page};
use zcrm::{Call, Client, File, Outcome, Result, Sink, Status, photo};
use zcrm_emulator::{Endless, Fault, SlowPart};

use crate::server::{LIST, Server, record, reply};
use crate::support::{bytes, why, world_with};

fn list(client: &Client) -> Result<Outcome<Page>> {
    attachment::list(client, &record(), &ListArgs::default(), Call::default())
}

#[test]
fn harmless_oddities_of_a_reply_are_read() {
    let mark = format!("\u{feff}{LIST}");
    let odd = [reply("200 OK", "", mark), reply("200 OK", "X-Odd : 1\r\n", LIST), reply("200", "", format!("\r\n {LIST}\r\n"))];
    for bytes in odd {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let server = Server::start(move |_| Some(bytes.clone()));
        assert_eq!(list(&server.client(&[])).expect(&shown).result.attachments.len(), 1, "{shown}");
    }
}

/// What reads JSON into types takes an array of an object's values for the object, unless it is told not to.
#[test]
fn an_array_is_taken_for_no_object() {
    let stored = r#"{"code":"SUCCESS","details":{"id":"7"},"message":"done","status":"success"}"#;
    let lists = [r#"[[{"id":"1","File_Name":"a"}],{"more_records":false}]"#, r#"{"data":[["1","a","5"]],"info":{}}"#, "[[]]"];
    let verdicts = [
        format!("[[{stored}]]"),
        r#"{"data":[["SUCCESS","success","done",{"id":"7"}]]}"#.into(),
        r#"["SUCCESS","success","done",{"id":"7"}]"#.into(),
        r#"{"data":[{"code":"SUCCESS","details":["7"],"message":"done","status":"success"}]}"#.into(),
    ];
    for body in lists {
        let server = Server::start(move |_| Some(reply("200 OK", "", body)));
        assert_eq!(why(list(&server.client(&[]))).0, Status::Protocol, "{body}");
    }
    for body in verdicts {
        let shown = body.clone();
        let server = Server::start(move |seen| Some(reply("200 OK", "", if seen.head.starts_with("GET") { LIST } else { &body })));
        let sent = attachment::upload(&server.client(&[("settle_waits_ms", "0")]), &record(), File::memory("b", b"b"), Call::default());
        assert_eq!(why(sent).0, Status::Protocol, "{shown}");
        assert!(attachment::delete(&server.client(&[("max_retries", "0")]), &record(), &["7"], Call::default()).is_err(), "{shown}");
    }
}

#[test]
fn an_encoding_that_nobody_asked_for_is_named() {
    let server = Server::start(|_| Some(reply("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08")));
    let error = list(&server.client(&[])).unwrap_err();
    assert_eq!((error.status(), error.reason()), (Status::Protocol, "content_encoding"));
    assert!(error.to_string().contains("gzip") && error.to_string().contains(&server.address), "{error}");
}

#[test]
fn a_reply_that_drips_is_bounded_as_a_whole() {
    for (fault, reason) in [
        (Fault::slow(1, 20), "stalled"),
        (Fault::Slow { bytes: 1, ms: 20, part: SlowPart::Body }, "too_slow"),
        (Fault::endless(Endless::Trailers, 20), "stalled"),
        (Fault::endless(Endless::Continue, 0), "stalled"),
    ] {
        let w = world_with(&[("reply_timeout_ms", "1000"), ("stall_timeout_ms", "500"), ("connect_timeout_ms", "500"), ("max_retries", "0")]);
        w.attach("a", b"x");
        w.emulator.script("attachment.list", [fault.clone()]);
        let error = attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default()).unwrap_err();
        assert_eq!(error.reason(), reason, "{fault:?}: {error}");
    }
}

#[test]
fn a_download_must_reach_its_least_speed() {
    let w = world_with(&[("stall_timeout_ms", "500"), ("least_speed", "100000"), ("max_retries", "0")]);
    let id = w.attach("a", &bytes(200_000));
    w.emulator.script("attachment.download", [Fault::slow(500, 50)]);
    let error = attachment::download(&w.client, &w.contact, &id, Sink::memory(), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.reason()), (Status::Timeout, "too_slow"), "{error}");
    assert!(error.to_string().contains("least_speed"), "{error}");
}

#[test]
fn what_is_looked_at_before_it_is_taken_must_come_as_fast() {
    let w = world_with(&[("stall_timeout_ms", "500"), ("least_speed", "1000"), ("max_retries", "0")]);
    w.emulator.set_photo("Contacts", &w.contact.id, zcrm_emulator::PNG);
    w.emulator.script("photo.download", [Fault::Slow { bytes: 1, ms: 20, part: SlowPart::Body }]);
    let began = std::time::Instant::now();
    let error = photo::download(&w.client, &w.contact, Sink::memory(), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.reason()), (Status::Timeout, "too_slow"), "{error} after {:?}", began.elapsed());
}

#[test]
fn the_time_that_a_writer_takes_is_not_the_servers() {
    struct Slow;
    impl zcrm::Writer for Slow {
        fn write(&mut self, _: &[u8]) -> Result<()> {
            std::thread::sleep(Duration::from_millis(30));
            Ok(())
        }
    }
    let w = world_with(&[("stall_timeout_ms", "100"), ("least_speed", "1000000000"), ("max_retries", "0")]);
    let id = w.attach("a", &bytes(2_000_000));
    attachment::download(&w.client, &w.contact, &id, Sink::writer(&mut Slow), Call::default()).unwrap();
}

#[test]
fn a_cancel_comes_through_a_flood() {
    let w = world_with(&[]);
    w.emulator.script("attachment.list", [Fault::endless(Endless::Continue, 0)]);
    let cancel = zcrm::Cancel::new();
    let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            cancel.fire();
        });
        assert_eq!(why(attachment::list(&w.client, &w.contact, &ListArgs::default(), call)).0, Status::Cancelled);
    });
}

#[test]
fn details_that_a_hosts_parser_may_not_take_are_not_handed_on() {
    let refusal = |details: &str| format!(r#"{{"code":"INVALID_DATA","details":{details},"message":"wrong","status":"error"}}"#);
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (details, kept) in [
        (nested(64), true),
        (nested(65), false),
        (nested(100_000), false),
        (format!("{{\"a\":\"{}\"}}", "[".repeat(1000)), true),
        (format!("{{\"a\":\"\\\"{}\"}}", "{".repeat(1000)), true),
        (format!("\"{}\"", "x".repeat(100_000)), false),
        (r#"{"a":1e999}"#.into(), false),
        (format!("[-{}]", "9".repeat(400)), false),
        (r#"{"a":[-1.5e+3,0,18446744073709551616,true,null]}"#.into(), true),
        (r#"{"a":"\ud83d"}"#.into(), false),
        (r#"{"\ude00\ud83d":1}"#.into(), false),
        (r#"{"a":"\ud83d\ude00 \\ud83d 1e999 \\"}"#.into(), true),
    ] {
        let body = refusal(&details);
        let server = Server::start(move |_| Some(reply("400 Bad Request", "", &body)));
        let error = list(&server.client(&[])).unwrap_err();
        assert_eq!((error.reason(), error.detail().details.is_some()), ("invalid_data", kept), "{} bytes of details", details.len());
    }
}
