//! A server that answers as a test says, for what the emulator doesn't do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use zcrm::{Client, Config, Record};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Number of its connection, from 0.
    pub connection: usize,
    /// Number of the request on its connection, from 0.
    pub nth: usize,
    pub head: String,
}

/// What a test answers: bytes, or `None` to close the connection without a word.
type Answer = dyn Fn(&Seen) -> Option<Vec<u8>> + Send + Sync;

pub struct Server {
    pub address: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that are open, with their ends.
    open: Arc<Mutex<Vec<(usize, TcpStream)>>>,
    stop: TcpListener,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            open: Arc::default(),
            stop: listener.try_clone().unwrap(),
        };
        let (answer, seen, open): (Arc<Answer>, _, _) = (Arc::new(answer), server.seen.clone(), server.open.clone());
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(|stream| stream.ok()).enumerate() {
                open.lock().unwrap().push((connection, stream.try_clone().unwrap()));
                let (answer, seen, open) = (answer.clone(), seen.clone(), open.clone());
                std::thread::spawn(move || {
                    serve(connection, stream, &*answer, &seen);
                    open.lock().unwrap().retain(|(other, _)| *other != connection);
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    /// A client for it. Its token is its own: with one token for all, tests would share one organisation, and each other's pauses.
    pub fn client(&self, settings: &[(&str, &str)]) -> Client {
        let (mut config, token) = (Config::new(), format!("1000.{}", self.address));
        for (key, value) in [("api_domain", self.url().as_str()), ("access_token", &token), ("retry_base_ms", "10")].iter().chain(settings) {
            config.set(key, value).unwrap();
        }
        Client::new(config).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        socket2::SockRef::from(&self.stop).shutdown(Shutdown::Both).unwrap(); // ends the accepting thread
        self.open.lock().unwrap().drain(..).for_each(|(_, stream)| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn serve(connection: usize, mut stream: TcpStream, answer: &Answer, all: &Mutex<Vec<Seen>>) {
    for nth in 0.. {
        let Some(head) = request(&mut stream) else { return };
        let seen = Seen { connection, nth, head };
        all.lock().unwrap().push(seen.clone());
        match answer(&seen) {
            Some(bytes) if stream.write_all(&bytes).is_ok() => {}
            _ => return drop(stream.shutdown(Shutdown::Both)),
        }
    }
}

/// Reads a request with its body, byte by byte up to the end of its head.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
    Some(head)
}

/// A reply with a length.
pub fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A list of one attachment.
pub const LIST: &str = r#"{"data":[{"id":"5000000000000000001","File_Name":"a","Size":"5"}],"info":{"more_records":false}}"#;

/// The record of the calls to such a server.
pub fn record() -> Record {
    Record::new("Contacts", "1")
}
