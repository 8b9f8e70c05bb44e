//! A client of a few lines, so that the tests say byte by byte what goes over the wire.
#![allow(dead_code, missing_docs)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use zcrm_emulator::{Emulator, Options};

pub fn start() -> Emulator {
    Emulator::start(Options::default()).expect("the emulator starts")
}

/// A reply.
#[derive(Debug, Clone, Default)]
pub struct Got {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Status and code in one, as most tests look at both.
    pub fn verdict(&self) -> (u16, String) {
        let json = self.json();
        let code = json["code"].as_str().or(json["data"][0]["code"].as_str());
        (self.status, code.unwrap_or_default().to_owned())
    }

    pub fn message(&self) -> String {
        let json = self.json();
        json["message"].as_str().or(json["data"][0]["message"].as_str()).unwrap_or_default().to_owned()
    }
}

pub fn address(emulator: &Emulator) -> String {
    emulator.url().split("//").nth(1).unwrap().to_owned()
}

pub fn connect(emulator: &Emulator) -> TcpStream {
    let tcp = TcpStream::connect(emulator.address()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// A whole request as bytes.
pub fn request(emulator: &Emulator, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(n, _)| *n == "Host") {
        out.push_str(&format!("Host: {}\r\n", address(emulator)));
    }
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(n, _)| *n == "Transfer-Encoding") && (!body.is_empty() || method == "POST") {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut bytes = (out + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads one reply; None when the connection ends or breaks before a whole one.
pub fn read_reply(stream: &mut impl Read) -> Option<Got> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pairs = lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut got = Got { status, headers: pairs.collect(), body: Vec::new() };
    if matches!(status, 100 | 204 | 304) {
        return Some(got);
    }
    if got.header("Transfer-Encoding") == Some("chunked") {
        got.body = read_chunks(stream)?;
    } else if let Some(length) = got.header("Content-Length") {
        got.body = vec![0; length.parse().ok()?];
        stream.read_exact(&mut got.body).ok()?;
    } else {
        stream.read_to_end(&mut got.body).ok()?;
    }
    Some(got)
}

fn read_chunks(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Sends a request on a connection of its own; None when no whole reply came.
pub fn try_send(emulator: &Emulator, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Got> {
    let mut tcp = connect(emulator);
    let _ = tcp.write_all(&request(emulator, method, target, headers, body));
    read_reply(&mut tcp)
}

/// The same, where a reply must come.
pub fn send(emulator: &Emulator, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
    try_send(emulator, method, target, headers, body).expect("a reply")
}

pub fn bearer(emulator: &Emulator) -> String {
    format!("Zoho-oauthtoken {}", emulator.access_token())
}

/// An authorised call without a body.
pub fn call(emulator: &Emulator, method: &str, target: &str) -> Got {
    send(emulator, method, target, &[("Authorization", &bearer(emulator))], b"")
}

/// A multipart body of raw parts: the lines of each head, and its content.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--XX\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

pub const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=XX");

/// Sends a form.
pub fn post(emulator: &Emulator, target: &str, parts: &[(&str, &[u8])]) -> Got {
    let authorization = bearer(emulator);
    send(emulator, "POST", target, &[("Authorization", &authorization), FORM], &form(parts))
}

pub fn file_part(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream")
}

pub fn field(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

/// Uploads one file.
pub fn upload(emulator: &Emulator, target: &str, name: &str, content: &[u8]) -> Got {
    post(emulator, target, &[(&file_part(name), content)])
}

/// The path of a seeded record, in v8.
pub fn record(emulator: &Emulator, module: &str) -> String {
    format!("/crm/v8/{module}/{}", emulator.record(module))
}

/// `…/Attachments` of a seeded record.
pub fn attachments(emulator: &Emulator, module: &str) -> String {
    record(emulator, module) + "/Attachments"
}

/// Calls the control paths.
pub fn control(emulator: &Emulator, method: &str, path: &str, body: &str) -> Got {
    send(emulator, method, &format!("/_emulator/{path}"), &[], body.as_bytes())
}

/// Calls the token endpoint with an urlencoded body.
pub fn token(emulator: &Emulator, body: &str) -> Got {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    send(emulator, "POST", "/oauth/v2/token", &[kind], body.as_bytes())
}
