//! Replies that are not as documented, clocks that differ, and what may become of a name.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;
use zcrm_emulator::*;

fn path(e: &Emulator) -> String {
    attachments(e, "Accounts")
}

fn list(e: &Emulator) -> Got {
    call(e, "GET", &(path(e) + "?fields=id,File_Name,Size,Owner,Parent_Id,Created_Time"))
}

fn names(e: &Emulator) -> Vec<String> {
    e.attachments("Accounts", &e.record("Accounts")).into_iter().map(|a| a.name).collect()
}

/// All bytes of a reply until the connection ends.
fn raw(e: &Emulator, method: &str, target: &str) -> String {
    let mut tcp = connect(e);
    let headers = [("Authorization", bearer(e)), ("Connection", "close".to_owned())].map(|(n, v)| (n, v));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    tcp.write_all(&request(e, method, target, &headers, b"")).unwrap();
    let mut all = Vec::new();
    let _ = tcp.read_to_end(&mut all); // a reset ends it too
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn values_of_a_reply_can_be_anything() {
    let e = start();
    e.script(
        "attachment.upload",
        [Fault::set("/data/0/details/id", json!("")).and_set("/data/0/message", json!(null)), Fault::edit([].into()).without("/data/0/details")],
    );
    let got = upload(&e, &path(&e), "a.txt", b"x").json();
    assert_eq!(
        (&got["data"][0]["details"]["id"], &got["data"][0]["message"], &got["data"][0]["code"]),
        (&json!(""), &json!(null), &json!("SUCCESS"))
    );
    assert!(upload(&e, &path(&e), "b.txt", b"x").json()["data"][0].get("details").is_none());
    assert_eq!(names(&e), ["a.txt", "b.txt"]);
    let script = json!({"operation": "attachment.upload", "faults": [{"kind": "edit", "without": ["/data/0/message"]}]});
    assert_eq!(control(&e, "POST", "faults", &script.to_string()).status, 200);
    assert!(upload(&e, &path(&e), "c.txt", b"x").json()["data"][0].get("message").is_none());
}

#[test]
fn rows_of_a_list_can_be_odd_and_stay_so() {
    let e = start();
    e.attach("Accounts", &e.record("Accounts"), "a.txt", b"12345");
    e.attach("Accounts", &e.record("Accounts"), "b.txt", b"12345");
    let odd = Fault::set("/data/*/Owner", json!("text")).and_set("/data/*/Parent_Id", json!(7)).and_set("/data/*/Size", json!(5.0));
    e.always("attachment.list", odd.and_set("/info/more_records", json!(null)));
    for _ in 0..2 {
        let got = list(&e);
        assert!(String::from_utf8_lossy(&got.body).contains("\"Size\":5.0"));
        let got = got.json();
        for row in got["data"].as_array().unwrap() {
            assert_eq!((&row["Owner"], &row["Parent_Id"]), (&json!("text"), &json!(7)));
        }
        assert!(got["info"]["more_records"].is_null());
    }
    e.clear_script();
    e.script("attachment.list", [Fault::set("/data", json!(null))]);
    assert!(list(&e).json()["data"].is_null());
}

#[test]
fn verdicts_of_a_deletion_can_be_wrong() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.txt", b"x");
    let twice = json!({"code": "SUCCESS", "details": {"id": id}, "message": "record deleted", "status": "success"});
    e.script(
        "attachment.delete",
        [Fault::set("/data/0/details/id", json!("77")).and_set("/data/0/status", json!("error")).and_set("/data/-", twice)],
    );
    let got = call(&e, "DELETE", &format!("{}?ids={id}", path(&e))).json();
    assert_eq!(
        (&got["data"][0]["details"]["id"], &got["data"][0]["status"], &got["data"][1]["details"]["id"]),
        (&json!("77"), &json!("error"), &json!(id))
    );
    assert!(names(&e).is_empty());
}

#[test]
fn a_fault_that_does_not_fit_its_reply_is_a_loud_500() {
    let e = start();
    e.script("attachment.upload", [Fault::set("/rows/0/id", json!(1))]);
    let got = upload(&e, &path(&e), "a.txt", b"x");
    assert_eq!(got.status, 500);
    assert!(got.message().contains("the reply has nothing at rows"), "{}", got.message());
}

#[test]
fn text_that_no_json_value_can_hold_is_put_in_by_replacing() {
    let e = start();
    e.attach("Accounts", &e.record("Accounts"), "a.txt", b"x");
    e.script("attachment.list", [Fault::replace("a.txt", "a\\ud83d.txt")]);
    assert!(String::from_utf8_lossy(&list(&e).body).contains("\"a\\ud83d.txt\""));
}

#[test]
fn the_head_of_a_reply_can_be_any() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.bin", &[b'x'; 10]);
    let target = format!("{}/{id}", path(&e));
    e.script(
        "attachment.download",
        [
            Fault::head().with_line("Content-Encoding: identity").with_line("Content-Encoding: gzip"),
            Fault::Head { status: Some(206), without: Vec::new(), lines: vec!["Content-Range: bytes 0-9/100".into()], close: false },
            Fault::head().with_line("Content-Length: 10").with_line("Transfer-Encoding: chunked"),
            Fault::head()
                .without("Content-Disposition")
                .with_line("Content-Disposition: inline")
                .with_line("Transfer-Encoding: identity")
                .with_line("Content-Length: 500")
                .closing(),
        ],
    );
    let got = raw(&e, "GET", &target);
    assert!(got.contains("Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n"), "{got}");
    let got = raw(&e, "GET", &target);
    assert!(got.starts_with("HTTP/1.1 206 ") && got.contains("Content-Range: bytes 0-9/100\r\n"), "{got}");
    let got = raw(&e, "GET", &target);
    assert!(got.contains("Content-Length: 10\r\nTransfer-Encoding: chunked\r\n") && got.ends_with("a\r\nxxxxxxxxxx\r\n0\r\n\r\n"), "{got}");
    let got = raw(&e, "GET", &target);
    assert!(got.contains("Content-Disposition: inline\r\n") && !got.contains("filename*") && got.ends_with("\r\n\r\nxxxxxxxxxx"), "{got}");
    assert_eq!(e.ledger().requests[1].status, 206);
}

#[test]
fn any_status_with_any_body_can_follow_the_storing() {
    let e = start();
    e.script("attachment.upload", [Fault::body(408, b"").after_store()]);
    let got = upload(&e, &path(&e), "a.txt", b"x");
    assert_eq!((got.status, got.body.len(), got.header("Content-Type")), (408, 0, None));
    assert_eq!(names(&e), ["a.txt"]);
}

#[test]
fn details_can_be_deep() {
    let e = start();
    e.script("attachment.list", [Fault::deep(400, 100_000)]);
    let got = list(&e);
    assert_eq!((got.status, got.body.iter().filter(|b| **b == b'{').count()), (400, 100_002));
}

#[test]
fn pages_can_have_no_end() {
    let e = start();
    e.always("attachment.list", Fault::endless_pages());
    let mut target = path(&e) + "?fields=id,File_Name&per_page=3";
    let mut ids = std::collections::HashSet::new();
    for _ in 0..4 {
        let got = call(&e, "GET", &target).json();
        assert_eq!((got["data"].as_array().unwrap().len(), &got["info"]["more_records"]), (3, &json!(true)));
        ids.extend(got["data"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()));
        target = format!("{}?fields=id,File_Name&per_page=3&page_token={}", path(&e), got["info"]["next_page_token"].as_str().unwrap());
    }
    assert_eq!(ids.len(), 12);
    e.clear_script();
    e.script("attachment.list", [Fault::EndlessPages { rows: Some(5), same_token: true }]);
    let got = call(&e, "GET", &target).json();
    assert_eq!(got["data"].as_array().unwrap().len(), 5);
    assert!(target.ends_with(got["info"]["next_page_token"].as_str().unwrap()));
}

#[test]
fn replies_can_come_without_an_end() {
    let e = start();
    for what in [Endless::Continue, Endless::Head, Endless::Body, Endless::Trailers] {
        e.script("attachment.list", [Fault::Endless { what, ms: 0, times: Some(3) }, Fault::endless(what, 0)]);
        e.attach("Accounts", &e.record("Accounts"), "a.txt", b"x");
        let got = raw(&e, "GET", &(path(&e) + "?fields=id"));
        let (unit, times) = match what {
            Endless::Continue => ("HTTP/1.1 100 Continue\r\n\r\n", 3),
            Endless::Head | Endless::Trailers => ("X-Endless: x\r\n", 3),
            Endless::Body => ("1\r\nx\r\n", 3),
        };
        assert_eq!(got.matches(unit).count(), times, "{got}");
        let mut tcp = connect(&e);
        tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
        let mut much = vec![0; 1_000_000];
        tcp.read_exact(&mut much).unwrap_or_else(|error| panic!("{what:?}: {error}"));
    }
}

#[test]
fn a_head_can_be_slow_and_its_body_quick() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.bin", &[9; 100_000]);
    e.script(
        "attachment.download",
        [Fault::Slow { bytes: 200, ms: 5, part: SlowPart::Head }, Fault::Slow { bytes: 50_000, ms: 5, part: SlowPart::Body }],
    );
    assert_eq!(call(&e, "GET", &format!("{}/{id}", path(&e))).body.len(), 100_000);
    assert_eq!(call(&e, "GET", &format!("{}/{id}", path(&e))).body.len(), 100_000);
}

#[test]
fn a_terabyte_too_much_ends_with_the_client() {
    let e = start();
    e.script("attachment.list", [Fault::overlong(1 << 40)]);
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
    tcp.read_exact(&mut vec![0; 3_000_000]).unwrap();
    drop(tcp);
    assert_eq!(list(&e).status, 204);
}

#[test]
fn an_effect_can_come_after_its_reply() {
    let e = start();
    e.script("attachment.upload", [Fault::deferred(30), Fault::Deferred { ms: 30, status: Some(504) }]);
    assert!(try_send(&e, "POST", &path(&e), &[("Authorization", &bearer(&e)), FORM], &form(&[(&file_part("a.txt"), b"x")])).is_none());
    assert_eq!(upload(&e, &path(&e), "b.txt", b"x").status, 504);
    while names(&e).len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    while e.ledger().requests.iter().any(|r| r.stored_id.is_none()) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn seconds(date: &str) -> i64 {
    let time = httpdate::parse_http_date(date).unwrap();
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

#[test]
fn date_follows_the_clock_and_can_be_ahead_of_it_or_behind() {
    let e = start();
    let date = |e: &Emulator| seconds(list(e).header("Date").unwrap());
    let before = date(&e);
    e.advance(Duration::from_secs(3600));
    assert!((3600..3660).contains(&(date(&e) - before)));
    e.settings(|s| s.date_ahead_ms = -7_200_000);
    assert!((-3600..-3540).contains(&(date(&e) - before)));
}

#[test]
fn retry_after_can_be_a_date_by_the_replys_own_clock() {
    let e = start();
    e.settings(|s| s.date_ahead_ms = 3_600_000);
    e.script("attachment.list", [Fault::status(429).with_retry_date(7)]);
    let got = list(&e);
    let wait = seconds(got.header("Retry-After").unwrap()) - seconds(got.header("Date").unwrap());
    assert!((6..=7).contains(&wait), "{wait}");
}

#[test]
fn connections_are_closed_or_told_to_be_short_as_set() {
    let e = start();
    e.settings(|s| s.keep_alive_hint_s = Some(5));
    assert_eq!((list(&e).header("Keep-Alive"), list(&e).header("Connection")), (Some("timeout=5"), None));
    e.settings(|s| s.connection = Connection::Close);
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", &(path(&e) + "?fields=id"), &[("Authorization", &bearer(&e))], b"")).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().header("Connection"), Some("close"));
    assert_eq!(tcp.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_stored_name_can_differ_from_the_one_sent() {
    let e = start();
    let store = |change: fn(&mut Settings), name: &str| {
        e.settings(|s| *s = Settings::default());
        e.settings(change);
        upload(&e, &path(&e), name, b"x");
        names(&e).pop().unwrap()
    };
    assert_eq!(store(|_| {}, " %22a%22 "), " %22a%22 ");
    assert_eq!(store(|s| s.decode_percent_in_filename = true, "%22a%22"), "\"a\"");
    assert_eq!(store(|s| s.name_trimmed = true, " a.txt "), "a.txt");
    assert_eq!(store(|s| s.name_signs_replaced = "#?*".into(), "a#b?.txt"), "a_b_.txt");
    assert_eq!(store(|s| s.name_form = NameForm::Joined, "Gru\u{308}n"), "Gr\u{fc}n");
    assert_eq!(store(|s| s.name_form = NameForm::Apart, "Gr\u{fc}n"), "Gru\u{308}n");
    let cut = |s: &mut Settings| (s.long_name, s.name_limit) = (OverLimit::Cut, 5);
    assert_eq!(store(cut, "12345678"), "12345");
}

#[test]
fn a_name_cut_through_a_pair_is_listed_with_half_of_it() {
    let e = start();
    e.settings(|s| (s.long_name, s.name_limit, s.name_limit_unit) = (OverLimit::Cut, 2, NameUnit::Utf16));
    let id = upload(&e, &path(&e), "a\u{1f600}.txt", b"x").json()["data"][0]["details"]["id"].as_str().unwrap().to_owned();
    let body = list(&e).body;
    assert!(String::from_utf8_lossy(&body).contains("\"File_Name\":\"a\\ud83d\""), "{}", String::from_utf8_lossy(&body));
    assert_eq!(call(&e, "GET", &format!("{}/{id}", path(&e))).header("Content-Disposition"), Some("attachment;filename*=UTF-8''a%3F"));
}

#[test]
fn a_connection_can_be_closed_without_an_answer() {
    let e = start();
    e.script("attachment.upload", [Fault::hang_up(), Fault::hang_up().after_store()]);
    let body = form(&[(&file_part("a.txt"), b"x")]);
    for stored in [0, 1] {
        let mut tcp = connect(&e);
        tcp.write_all(&request(&e, "POST", &path(&e), &[("Authorization", &bearer(&e)), FORM], &body)).unwrap();
        assert_eq!(tcp.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(names(&e).len(), stored);
    }
}
