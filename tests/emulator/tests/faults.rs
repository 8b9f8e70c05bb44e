//! Faults, the ledger and the control paths.
#![allow(missing_docs)]

mod common;
use common::*;
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use zcrm_emulator::*;

fn path(e: &Emulator) -> String {
    attachments(e, "Accounts")
}

fn try_upload(e: &Emulator, content: &[u8]) -> Option<Got> {
    let body = form(&[(&file_part("a.bin"), content)]);
    try_send(e, "POST", &path(e), &[("Authorization", &bearer(e)), FORM], &body)
}

fn stored(e: &Emulator) -> usize {
    e.attachments("Accounts", &e.record("Accounts")).len()
}

#[test]
fn each_request_of_an_operation_takes_the_next_fault() {
    let e = start();
    e.script("attachment.upload", [Fault::status(503), Fault::none(), Fault::status(429).with_header("Retry-After", "3")]);
    assert_eq!(call(&e, "GET", &(path(&e) + "?fields=id")).status, 204);
    assert_eq!(try_upload(&e, b"x").unwrap().verdict(), (503, "SERVICE_UNAVAILABLE".into()));
    assert_eq!(try_upload(&e, b"x").unwrap().status, 200);
    assert_eq!(try_upload(&e, b"x").unwrap().header("Retry-After"), Some("3"));
    assert_eq!(try_upload(&e, b"x").unwrap().status, 200);
    assert_eq!((stored(&e), e.ledger().faults_fired.len()), (2, 2));
}

#[test]
fn the_star_queue_hits_any_operation() {
    let e = start();
    e.script("*", [Fault::html(502), Fault::status(500)]);
    assert_eq!(call(&e, "GET", &(path(&e) + "?fields=id")).header("Content-Type"), Some("text/html;charset=UTF-8"));
    assert_eq!(token(&e, "x=y").status, 500);
}

#[test]
fn a_reset_before_storing_stores_nothing() {
    let e = start();
    e.script("attachment.upload", [Fault::reset_before_store(), Fault::reset_before_store_after(0), Fault::reset_before_store_after(100)]);
    assert!((0..3).all(|_| try_upload(&e, &[1; 50_000]).is_none()));
    assert_eq!(stored(&e), 0);
    let received: Vec<u64> = e.ledger().requests.iter().map(|r| r.body_bytes).collect();
    assert_eq!((received[1], received[2], e.ledger().requests[0].body_complete), (0, 100, true));
    assert!(e.ledger().requests.iter().all(|r| r.status == 0));
}

#[test]
fn a_reset_is_a_tcp_reset() {
    let e = start();
    e.script("attachment.list", [Fault::reset_before_store()]);
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
    let error = tcp.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_after_storing_has_stored() {
    let e = start();
    e.script("attachment.upload", [Fault::reset_after_store()]);
    assert!(try_upload(&e, b"abc").is_none());
    let ledger = e.ledger();
    assert_eq!((stored(&e), ledger.stored.len(), ledger.requests[0].status), (1, 1, 0));
    assert_eq!(ledger.requests[0].stored_id.as_ref(), Some(&ledger.stored[0].id));
}

#[test]
fn an_error_status_after_storing_has_stored() {
    let e = start();
    e.script("attachment.upload", [Fault::status_after_store(502)]);
    assert_eq!(try_upload(&e, b"abc").unwrap().status, 502);
    assert_eq!(stored(&e), 1);
}

#[test]
fn a_reset_in_the_reply_comes_after_its_bytes() {
    let e = start();
    e.script("attachment.list", [Fault::reset_in_reply(12)]);
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
    let mut all = Vec::new();
    let error = tcp.read_to_end(&mut all).unwrap_err();
    assert_eq!((all.as_slice(), error.kind()), (b"HTTP/1.1 204".as_slice(), std::io::ErrorKind::ConnectionReset));
}

#[test]
fn an_early_status_comes_before_the_body_and_the_rest_is_read() {
    let e = start();
    e.script("attachment.upload", [Fault::status_early(413, 0), Fault::status_early_close(413, 10)]);
    let body = form(&[(&file_part("a"), &[0; 1000])]);
    let authorization = bearer(&e);
    let whole = request(&e, "POST", &path(&e), &[("Authorization", &authorization), FORM], &body);
    let mut tcp = connect(&e);
    tcp.write_all(&whole[..whole.len() - body.len()]).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 413);
    tcp.write_all(&body).unwrap();
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &authorization)], b"")).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 204);
    let mut tcp = connect(&e);
    tcp.write_all(&whole[..whole.len() - body.len() + 10]).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 413);
    assert_eq!(tcp.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(stored(&e), 0);
}

#[test]
fn a_stall_holds_and_an_ended_stall_goes_on() {
    let e = start();
    e.script("attachment.list", [Fault::stall(StallAt::BeforeReply)]);
    let mut tcp = connect(&e);
    tcp.set_read_timeout(Some(Duration::from_millis(80))).unwrap();
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
    assert!(read_reply(&mut tcp).is_none());
    drop(tcp);
    for at in [StallAt::Request, StallAt::BeforeReply, StallAt::Reply] {
        e.script("attachment.upload", [Fault::stall_for(at, 20, 60)]);
        let began = Instant::now();
        assert_eq!(try_upload(&e, &[1; 5000]).unwrap().status, 200, "{at:?}");
        assert!(began.elapsed() >= Duration::from_millis(60));
    }
}

#[test]
fn a_truncated_reply_promises_more_than_it_gives() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.bin", &[9; 1000]);
    e.script("attachment.download", [Fault::truncate(300), Fault::overlong(5)]);
    let get = |whole: &mut Vec<u8>| {
        let mut tcp = connect(&e);
        let target = format!("{}/{id}", path(&e));
        tcp.write_all(&request(&e, "GET", &target, &[("Authorization", &bearer(&e))], b"")).unwrap();
        tcp.read_to_end(whole).unwrap();
    };
    let (mut short, mut long) = (Vec::new(), Vec::new());
    get(&mut short);
    get(&mut long);
    assert!(String::from_utf8_lossy(&short).contains("Content-Length: 1000"));
    assert!(short.ends_with(&[9; 700]) && !short.ends_with(&[9; 701]));
    assert!(long.ends_with(b"\x09xxxxx"));
}

#[test]
fn a_corrupted_reply_differs_in_one_byte() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.bin", &[9; 1000]);
    e.script("attachment.download", [Fault::corrupt(), Fault::chunked(), Fault::no_length(), Fault::slow(400, 5)]);
    let target = format!("{}/{id}", path(&e));
    let body = call(&e, "GET", &target).body;
    assert_eq!((body.len(), body.iter().filter(|b| **b != 9).count()), (1000, 1));
    let chunked = call(&e, "GET", &target);
    assert_eq!((chunked.header("Transfer-Encoding"), chunked.body.len()), (Some("chunked"), 1000));
    let open = call(&e, "GET", &target);
    assert_eq!((open.header("Content-Length"), open.header("Connection"), open.body.len()), (None, Some("close"), 1000));
    assert_eq!(call(&e, "GET", &target).body.len(), 1000);
}

#[test]
fn garbage_bodies_and_redirects_are_as_scripted() {
    let e = start();
    let json = "{\"kind\":\"body\",\"status\":207,\"headers\":{\"Content-Type\":\"text/odd\"},\"body_base64\":\"AAE=\"}";
    control(&e, "POST", "faults", &format!("{{\"operation\":\"attachment.list\",\"faults\":[{json}]}}"));
    e.script("attachment.list", [Fault::redirect(307, "http://elsewhere.example/"), Fault::garbage()]);
    let got = call(&e, "GET", &path(&e));
    assert_eq!((got.status, got.header("Content-Type"), got.body.as_slice()), (207, Some("text/odd"), [0, 1].as_slice()));
    assert_eq!(call(&e, "GET", &path(&e)).header("Location"), Some("http://elsewhere.example/"));
    assert!(try_send(&e, "GET", &path(&e), &[], b"").is_none());
}

#[test]
fn close_idle_closes_after_a_keep_alive_reply() {
    let e = start();
    e.script("attachment.list", [Fault::none(), Fault::close_idle()]);
    let mut tcp = connect(&e);
    let list = request(&e, "GET", &(attachments(&e, "Contacts") + "?fields=id"), &[("Authorization", &bearer(&e))], b"");
    for _ in 0..2 {
        tcp.write_all(&list).unwrap();
        assert!(read_reply(&mut tcp).unwrap().header("Connection").is_none());
    }
    assert_eq!(tcp.read(&mut [0; 1]).unwrap_or(0), 0);
    let connections: Vec<u64> = e.ledger().requests.iter().map(|r| r.connection).collect();
    assert_eq!(connections[0], connections[1]);
}

#[test]
fn an_idle_connection_is_closed() {
    let e = start();
    e.settings(|s| s.idle_timeout_ms = 30);
    assert_eq!(connect(&e).read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_hidden_attachment_shows_later_and_a_renamed_one_differs() {
    let e = start();
    e.script("attachment.upload", [Fault::hide_attachment(60_000), Fault::rename("b.bin")]);
    try_upload(&e, b"x");
    assert_eq!(call(&e, "GET", &(path(&e) + "?fields=id")).status, 204);
    e.advance(Duration::from_secs(60));
    try_upload(&e, b"x");
    let rows = call(&e, "GET", &(path(&e) + "?fields=File_Name")).json()["data"].clone();
    assert_eq!((rows[0]["File_Name"].as_str(), rows[1]["File_Name"].as_str()), (Some("b.bin"), Some("a.bin")));
}

#[test]
fn the_ledger_tells_bytes_parts_and_no_secret() {
    let e = start();
    upload(&e, &(path(&e) + "?x=%41"), "a.bin", b"abc");
    let request = e.ledger().requests[0].clone();
    assert_eq!((request.operation.as_str(), request.status, request.code.as_deref()), ("attachment.upload", 200, Some("SUCCESS")));
    assert_eq!((request.query.as_str(), request.authorization_ok, request.body_complete), ("x=%41", true, true));
    let part = &request.parts[0];
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((part.name.as_str(), part.size, part.sha256.as_str()), ("file", 3, abc));
    assert_eq!(e.ledger().stored[0].sha256, abc);
    let text = serde_json::to_string(&e.ledger()).unwrap();
    assert!(!text.contains(&e.access_token()) && text.contains("Zoho-oauthtoken sha256:"));
    e.clear_ledger();
    upload(&e, &path(&e), "a.bin", b"abc");
    assert_eq!(e.ledger().requests[0].seq, 2);
}

#[test]
fn control_paths_do_what_the_library_does() {
    let e = start();
    let id = control(&e, "POST", "records", "{\"module\":\"Contacts\",\"state\":\"locked\"}").json()["id"].as_str().unwrap().to_owned();
    let attached = control(&e, "POST", &format!("records/Contacts/{id}/attachments?name=a%20b.txt"), "hello").json();
    let attachment = attached["id"].as_str().unwrap().to_owned();
    control(&e, "POST", &format!("records/Contacts/{id}/links"), "{\"url\":\"https://example.org\",\"title\":\"T\"}");
    let list = control(&e, "GET", &format!("records/Contacts/{id}/attachments"), "").json();
    assert_eq!((list[0]["name"].as_str(), list[1]["link_url"].as_str()), (Some("a b.txt"), Some("https://example.org")));
    assert_eq!(control(&e, "GET", &format!("records/Contacts/{id}/attachments/{attachment}"), "").body, b"hello");
    assert_eq!(control(&e, "PATCH", "settings", "{\"empty_list\":\"ok200\"}").json()["empty_list"], "ok200");
    assert_eq!(control(&e, "PATCH", "settings", "{\"nonsense\":1}").status, 400);
    let code = control(&e, "POST", "tokens/grant-code", "").json()["code"].as_str().unwrap().to_owned();
    assert!(code.starts_with("1000."));
    control(&e, "POST", "tokens/expire", "");
    let world = control(&e, "GET", "world", "").json();
    assert_eq!(world["organisations"][0]["access_token"], e.access_token().as_str());
    control(&e, "POST", "clock/advance", "{\"ms\":1000}");
    assert!(e.ledger().requests.is_empty());
    control(&e, "POST", "reset", "");
    assert_eq!(control(&e, "GET", "settings", "").json()["empty_list"], "no_content204");
    assert_eq!(control(&e, "GET", &format!("records/Contacts/{id}/attachments"), "").status, 404);
}

#[test]
fn ambiguous_framing_is_refused() {
    let e = start();
    for extra in ["Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Content-Length: x\r\n"] {
        let mut tcp = connect(&e);
        tcp.write_all(format!("POST /oauth/v2/token HTTP/1.1\r\nHost: a\r\n{extra}\r\n").as_bytes()).unwrap();
        assert_eq!(read_reply(&mut tcp).unwrap().status, 400, "{extra}");
    }
}

#[test]
fn dropping_the_emulator_ends_listener_and_connections() {
    let e = start();
    e.script("attachment.list", [Fault::stall(StallAt::BeforeReply)]);
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", &path(&e), &[], b"")).unwrap();
    let mut idle = connect(&e);
    while e.ledger().requests.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let address = address(&e);
    let began = Instant::now();
    drop(e);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(tcp.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn chaos_is_the_same_from_the_same_seed() {
    let run = || {
        let e = start();
        e.settings(|s| {
            s.chaos_per_mille = 500;
            s.chaos_seed = 42;
        });
        (0..30).for_each(|_| drop(try_upload(&e, &[1; 100])));
        e.ledger().faults_fired.iter().map(|f| (f.seq, format!("{:?}", f.fault))).collect::<Vec<_>>()
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(first, run());
}
