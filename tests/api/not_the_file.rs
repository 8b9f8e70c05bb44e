//! What comes in place of a file is never saved as one, whoever sends it and however: replies as they stand on the wire.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use zcrm::attachment::Downloaded;
use zcrm::{Call, Client, Config, Error, Record, Result, Sink, Status, attachment, photo};
use zcrm_emulator::PNG;

/// A server that answers each request with the same bytes, on connections that it keeps open.
struct Raw {
    client: Client,
    connections: Arc<AtomicUsize>,
    answer: Arc<Mutex<Vec<u8>>>,
    dir: tempfile::TempDir,
}

impl Raw {
    fn new() -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::new();
        for (key, value) in [("api_domain", &*format!("http://{}", listener.local_addr().unwrap())), ("access_token", "token"), ("max_retries", "0")]
        {
            config.set(key, value).unwrap();
        }
        let (connections, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, answers) = (connections.clone(), answer.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                count.fetch_add(1, SeqCst);
                let answers = answers.clone();
                std::thread::spawn(move || serve(connection, &answers));
            }
        });
        Raw { client: Client::new(config).unwrap(), connections, answer, dir: tempfile::tempdir().unwrap() }
    }

    fn download(&self, answer: &[u8]) -> Result<Downloaded> {
        *self.answer.lock().unwrap() = answer.to_vec();
        let (record, path) = (Record::new("Contacts", "1"), self.dir.path().join("contract.pdf"));
        let got = attachment::download(&self.client, &record, "2", Sink::file(&path, false), Call::default()).map(|o| o.result);
        assert_eq!(path.exists(), got.is_ok());
        assert_eq!(std::fs::read_dir(self.dir.path()).unwrap().count(), usize::from(got.is_ok()), "nothing else stays");
        let _ = std::fs::remove_file(path);
        got
    }

    fn photo(&self, answer: &[u8]) -> Result<Downloaded> {
        *self.answer.lock().unwrap() = answer.to_vec();
        photo::download(&self.client, &Record::new("Contacts", "1"), Sink::memory(), Call::default()).map(|o| o.result)
    }
}

fn serve(mut connection: TcpStream, answer: &Mutex<Vec<u8>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while connection.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let answer = answer.lock().unwrap().clone();
            // A reply whose end is that of the connection.
            let closes = !answer.windows(11).any(|w| w == b"Content-Len") && !answer.ends_with(b"0\r\n\r\n");
            if connection.write_all(&answer).is_err() || closes {
                return;
            }
        }
    }
}

/// A whole reply with a length.
fn reply(status: &str, head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{head}\r\n", body.len()).as_bytes(), body].concat()
}

const FILE: &str = "Content-Type: application/pdf\r\nContent-Disposition: attachment;filename*=UTF-8''contract.pdf\r\n";

#[track_caller]
fn refused(got: Result<Downloaded>, reason: &str) -> Error {
    let error = got.expect_err("it is no file");
    assert_eq!((error.status(), error.reason()), (Status::Protocol, reason), "{error}");
    error
}

#[test]
fn a_part_of_the_file_is_not_the_file() {
    let raw = Raw::new();
    let range = format!("{FILE}Content-Range: bytes 0-9/100\r\n");
    for (status, head) in
        [("206 Partial Content", &*range), ("200 OK", &range), ("203 Non-Authoritative", FILE), ("201 Created", FILE), ("205 Reset", FILE)]
    {
        refused(raw.download(&reply(status, head, b"0123456789")), "not_the_file");
    }
    for another in ["0-99/100", "0-8/9", "0-9/10\r\nContent-Range: bytes 5-9/10"] {
        refused(raw.download(&reply("200 OK", &format!("{FILE}Content-Range: bytes {another}\r\n"), b"0123456789")), "not_the_file");
    }
    let whole = format!("{FILE}Content-Range: bytes 0-9/10\r\n");
    assert_eq!(raw.download(&reply("200 OK", &whole, b"0123456789")).unwrap().bytes, 10);
}

#[test]
fn bytes_in_another_coding_are_not_the_file() {
    let raw = Raw::new();
    for coding in ["gzip", "identity\r\nContent-Encoding: gzip", "identity, br", "gzip\r\nContent-Encoding: identity", "GZIP", "x-unknown"] {
        refused(raw.download(&reply("200 OK", &format!("{FILE}Content-Encoding: {coding}\r\n"), b"\x1f\x8b\x08")), "content_encoding");
    }
    assert!(raw.download(&reply("200 OK", &format!("{FILE}Content-Encoding: Identity\r\n"), b"%PDF")).is_ok());
}

#[test]
fn a_reply_whose_end_is_not_clear_is_refused_and_its_connection_not_used_again() {
    for head in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 500\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let raw = Raw::new();
        let answer = format!("HTTP/1.1 200 OK\r\n{FILE}{head}\r\n5\r\nhello\r\n0\r\n\r\n");
        refused(raw.download(answer.as_bytes()), "framing");
        assert!(raw.download(&reply("200 OK", FILE, b"%PDF")).is_ok());
        assert_eq!(raw.connections.load(SeqCst), 2, "{head}");
    }
}

#[test]
fn lengths_that_differ_are_no_reply() {
    let raw = Raw::new();
    for length in ["5\r\nContent-Length: 3", "5, 3", "-1", "5x"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{FILE}Content-Length: {length}\r\n\r\nhello");
        assert_eq!(raw.download(answer.as_bytes()).unwrap_err().status(), Status::Network, "{length}");
    }
}

#[test]
fn each_clear_framing_brings_the_file() {
    let raw = Raw::new();
    for framed in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello",
    ] {
        let got = raw.download(format!("HTTP/1.1 200 OK\r\n{FILE}{framed}").as_bytes()).unwrap();
        assert_eq!(got.bytes, 5, "{framed}");
    }
}

#[test]
fn a_page_or_an_answer_is_not_the_file_and_the_error_says_who_seems_to_answer() {
    let raw = Raw::new();
    let html: &[u8] = b"<!DOCTYPE html><html><body>Sign in</body></html>";
    let json: &[u8] = br#"{"message":"gateway"}"#;
    for (head, body) in [
        ("Content-Type: text/html\r\n", html),
        ("Content-Type: text/html; charset=utf-8\r\nContent-Disposition: inline\r\n", html),
        ("Content-Type: text/html\r\nContent-Disposition: inline; filename=\"contract.pdf\"\r\n", html),
        ("Content-Type: text/html\r\nContent-Disposition: attachment\r\n", html),
        ("Content-Type: application/xhtml+xml\r\n", html),
        ("Content-Type: text/plain\r\n", b"Please sign in"),
        ("Content-Type: application/problem+json\r\n", json),
        ("Content-Type: application/json\r\nContent-Disposition: attachment; filename=response.json\r\n", json),
        ("Content-Type: application/vnd.wap.xhtml+xml\r\n", b"words"),
        ("Content-Type: text/x-json\r\n", b"words"),
        ("Content-Type: application/x-ndjson\r\n", b"words"),
        ("Content-Type: multipart/byteranges; boundary=b\r\n", b"--b\r\n"),
        ("Content-Type: application/pdf, text/html\r\n", b"words"),
        ("Content-Type: text/html\r\nContent-Disposition: attachment; filename=a.html\r\nContent-Disposition: inline\r\n", html),
        ("Content-Type: text/html\r\nContent-Disposition: inline\r\nContent-Disposition: attachment; filename=a.html\r\n", html),
        ("Content-Type: application/octet-stream\r\n", b"<h2>503</h2>"),
        ("Content-Type: application/octet-stream\r\n", html),
        ("Content-Type: application/octet-stream\r\n", json),
        ("Content-Type: application/pdf\r\nContent-Disposition: inline; filename=\"contract.pdf\"\r\n", html),
        ("Content-Type: application/pdf\r\nContent-Type: text/html\r\n", b"%PDF-1.7"),
        ("", b"%PDF-1.7"),
        ("Content-Type:\r\n", b"%PDF-1.7"),
    ] {
        let error = refused(raw.download(&reply("200 OK", head, body)), "not_the_file");
        assert!(error.to_string().contains("proxy") && error.to_string().contains("login page"), "{error}");
    }
}

#[test]
fn zohos_own_refusal_inside_a_success_is_its_error_whatever_its_type() {
    let raw = Raw::new();
    let body = br#"{"code":"NO_PERMISSION","details":{},"message":"Permission denied to download attachment","status":"error"}"#;
    for head in [
        "Content-Type: application/json;charset=UTF-8\r\nContent-Disposition: attachment; filename=response.json\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"response.json\"\r\n",
    ] {
        assert_eq!(raw.download(&reply("200 OK", head, body)).unwrap_err().status(), Status::Forbidden, "{head}");
    }
}

#[test]
fn what_is_named_as_an_attachment_is_a_file_whatever_it_holds() {
    let raw = Raw::new();
    for (head, body) in [
        ("Content-Type: text/html\r\nContent-Disposition: attachment; filename=report.html\r\n", b"<html></html>".as_slice()),
        ("Content-Type: application/json\r\nContent-Disposition: attachment;filename*=UTF-8''response.json\r\n", b"{\"code\":\"X\"}"),
        ("Content-Type: text/plain\r\nContent-Disposition: ATTACHMENT; FileName=\"a.txt\"\r\n", b"text"),
        ("Content-Disposition: attachment; filename=no-type.bin\r\n", b"<a>"),
        ("Content-Type: application/x-download\r\nContent-Disposition: attachment; filename=empty.bin\r\n", b""),
    ] {
        assert_eq!(raw.download(&reply("200 OK", head, body)).unwrap().bytes, body.len() as u64, "{head}");
    }
}

#[test]
fn without_a_name_a_type_and_first_bytes_that_are_no_answers_make_a_file() {
    let raw = Raw::new();
    for (kind, body) in [
        ("application/pdf", b"%PDF-1.7".as_slice()),
        ("application/rtf", b"{\\rtf1 }"),
        ("application/octet-stream", b"[settings]\nname=1"),
        ("text/csv", b"a,b"),
        ("application/octet-stream", b""),
    ] {
        for disposition in ["", "Content-Disposition: inline\r\n"] {
            let got = raw.download(&reply("200 OK", &format!("Content-Type: {kind}\r\n{disposition}"), body)).unwrap();
            assert_eq!(got.bytes, body.len() as u64, "{kind}");
        }
    }
}

#[test]
fn a_page_that_comes_byte_by_byte_is_known_too() {
    let raw = Raw::new();
    let body: String = "  \r\n<!doctype HTML>".bytes().map(|b| format!("1\r\n{}\r\n", char::from(b))).collect();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n");
    refused(raw.download(answer.as_bytes()), "not_the_file");
}

#[test]
fn a_photo_begins_as_a_picture_does() {
    let raw = Raw::new();
    let named = "Content-Type: image/png\r\nContent-Disposition: attachment;filename*=UTF-8''p.png\r\n";
    assert_eq!(raw.photo(&reply("200 OK", named, PNG)).unwrap().data.as_deref(), Some(PNG));
    assert!(raw.photo(&reply("200 OK", "Content-Type: image/png\r\n", PNG)).is_ok());
    assert!(raw.photo(&reply("200 OK", "Content-Type: image/webp\r\n", b"RIFF\x10\0\0\0WEBPVP8 ")).is_ok(), "another kind than was taken");
    for (head, body) in [
        (named, b"".as_slice()),
        (named, b"no picture"),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment; filename=p.txt\r\n", b"text"),
        ("Content-Type: image/png\r\n", b"<html>"),
    ] {
        refused(raw.photo(&reply("200 OK", head, body)), "not_the_file");
    }
}
