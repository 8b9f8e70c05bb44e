//! HTTP/1.1 over a socket, written by hand so that the emulator can break it at any byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::reply::{Framing, Reply, reason};
use crate::request::Head;
use crate::world::hex;

/// How long a connection that the emulator ends is read on.
const LINGER: Duration = Duration::from_secs(1);

/// A plain or encrypted stream.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(s) => s.read(into),
            Stream::Tls(s) => s.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(s) => s.write(from),
            Stream::Tls(s) => s.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(s) => s.flush(),
            Stream::Tls(s) => s.flush(),
        }
    }
}

/// How the reading of a head went.
pub enum HeadRead {
    /// A head.
    Head(Box<Head>),
    /// The client went, or was idle for too long.
    Gone,
    /// Not HTTP.
    Malformed,
    /// Over the limit.
    TooLong,
    /// Begun, and not ended in time.
    TooSlow,
}

/// How the reading of a body ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum BodyEnd {
    /// At its end.
    Complete,
    /// At the byte where the script wanted to stop.
    Stopped,
    /// The client went before.
    Gone,
    /// The chunks are malformed.
    Malformed,
}

/// Takes in a body: counts, hashes and, up to a limit, keeps it.
pub struct Sink {
    /// The bytes kept.
    pub kept: Vec<u8>,
    /// The bytes received.
    pub received: u64,
    /// More came than is kept.
    pub oversize: bool,
    limit: u64,
    hash: Sha256,
}

impl Sink {
    /// Keeps at most `limit` bytes; `announced` sizes the memory.
    pub fn new(limit: u64, announced: Option<u64>) -> Sink {
        let oversize = announced.is_some_and(|a| a > limit);
        // Who announces much may never send it.
        let room = if oversize { 0 } else { announced.unwrap_or(0).min(128 << 20) as usize };
        Sink { kept: Vec::with_capacity(room), received: 0, oversize, limit, hash: Sha256::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        self.hash.update(bytes);
        if self.received > self.limit {
            self.oversize = true;
            self.kept = Vec::new();
        }
        if !self.oversize {
            self.kept.extend_from_slice(bytes);
        }
    }

    /// SHA-256 of what was received.
    pub fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// A connection.
pub struct Wire {
    stream: Stream,
    tcp: TcpStream,
    unread: Vec<u8>,
    scratch: Vec<u8>,
    chunk_left: u64,
}

impl Wire {
    /// Wraps a stream; `tcp` is a second handle on its socket.
    pub fn new(stream: Stream, tcp: TcpStream) -> Wire {
        Wire { stream, tcp, unread: Vec::new(), scratch: vec![0; 65_536], chunk_left: 0 }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.stream.read(&mut self.scratch) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(n) => {
                    self.unread.extend_from_slice(&self.scratch[..n]);
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads a head. `idle` bounds the wait for its first byte, `whole` that from the first to the last.
    pub fn read_head(&mut self, idle: Option<Duration>, whole: Duration, limit: usize) -> HeadRead {
        let mut end = idle.map(|idle| Instant::now() + idle);
        let mut begun = false;
        let read = loop {
            // RFC 9112 lets a server skip empty lines before a request line.
            while self.unread.starts_with(b"\r\n") {
                self.unread.drain(..2);
            }
            match parse_head(&self.unread) {
                Ok(Some((head, size))) => {
                    self.unread.drain(..size);
                    break HeadRead::Head(Box::new(head));
                }
                Ok(None) if self.unread.len() > limit => break HeadRead::TooLong,
                Ok(None) => {}
                Err(httparse::Error::TooManyHeaders) => break HeadRead::TooLong,
                Err(_) => break HeadRead::Malformed,
            }
            if !begun && !self.unread.is_empty() {
                begun = true;
                end = Some(Instant::now() + whole);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break if begun { HeadRead::TooSlow } else { HeadRead::Gone };
            }
            let _ = self.tcp.set_read_timeout(left);
            match self.fill() {
                Ok(0) => break HeadRead::Gone,
                Ok(_) => {}
                // The clock says above whether it was the time.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break HeadRead::Gone,
            }
        };
        let _ = self.tcp.set_read_timeout(None);
        read
    }

    /// Bounds each pause within what is read from now on.
    pub fn bound_pauses(&self, most: Option<Duration>) {
        let _ = self.tcp.set_read_timeout(most);
    }

    /// Reads a body into a sink, stopping once `stop` bytes have come.
    pub fn read_body(&mut self, head: &Head, sink: &mut Sink, stop: Option<u64>) -> BodyEnd {
        if head.is_chunked() {
            return self.read_chunks(sink, stop).unwrap_or(BodyEnd::Gone);
        }
        let length = head.content_length().unwrap_or(0).saturating_sub(sink.received);
        self.read_exactly(length, sink, stop).unwrap_or(BodyEnd::Gone)
    }

    fn read_exactly(&mut self, mut length: u64, sink: &mut Sink, stop: Option<u64>) -> io::Result<BodyEnd> {
        loop {
            let until_stop = stop.map_or(u64::MAX, |s| s.saturating_sub(sink.received));
            if length == 0 {
                return Ok(BodyEnd::Complete);
            }
            if until_stop == 0 {
                return Ok(BodyEnd::Stopped);
            }
            let want = length.min(until_stop).min(self.scratch.len() as u64) as usize;
            let got = self.read_some(want, sink)?;
            if got == 0 {
                return Ok(BodyEnd::Gone);
            }
            length -= got as u64;
        }
    }

    /// Moves up to `want` bytes to the sink, those already here first.
    fn read_some(&mut self, want: usize, sink: &mut Sink) -> io::Result<usize> {
        if !self.unread.is_empty() {
            let got = want.min(self.unread.len());
            sink.take(&self.unread[..got]);
            self.unread.drain(..got);
            return Ok(got);
        }
        let got = self.stream.read(&mut self.scratch[..want])?;
        sink.take(&self.scratch[..got]);
        Ok(got)
    }

    fn read_chunks(&mut self, sink: &mut Sink, stop: Option<u64>) -> io::Result<BodyEnd> {
        loop {
            // A stop in the middle of a chunk left some of it for the next call.
            if self.chunk_left == 0 {
                let Some(line) = self.read_line()? else { return Ok(BodyEnd::Gone) };
                let digits = line.split(';').next().unwrap_or_default().trim();
                let Ok(size) = u64::from_str_radix(digits, 16) else { return Ok(BodyEnd::Malformed) };
                if size == 0 {
                    return self.read_trailers();
                }
                self.chunk_left = size;
            }
            let before = sink.received;
            let end = self.read_exactly(self.chunk_left, sink, stop)?;
            self.chunk_left = self.chunk_left.saturating_sub(sink.received - before);
            if end != BodyEnd::Complete {
                return Ok(end);
            }
            match self.read_line()? {
                None => return Ok(BodyEnd::Gone),
                Some(rest) if !rest.is_empty() => return Ok(BodyEnd::Malformed),
                Some(_) => {}
            }
        }
    }

    fn read_trailers(&mut self) -> io::Result<BodyEnd> {
        loop {
            match self.read_line()? {
                None => return Ok(BodyEnd::Gone),
                Some(line) if line.is_empty() => return Ok(BodyEnd::Complete),
                Some(_) => {}
            }
        }
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.unread, b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Ok(Some(line));
            }
            if self.unread.len() > 65_536 || self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Waits, and says whether the other side is gone. Where `take` is set, what has come is taken in meanwhile, without
    /// which the end behind it cannot be seen.
    pub fn is_gone(&mut self, wait: Duration, take: bool) -> bool {
        let _ = self.tcp.set_read_timeout(Some(wait));
        let take = take && self.unread.len() < 65_536;
        let came = if take { self.fill() } else { self.tcp.peek(&mut [0; 1]) };
        let _ = self.tcp.set_read_timeout(None);
        match came {
            Ok(0) => true,
            Ok(_) => {
                std::thread::sleep(wait);
                false
            }
            Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Makes the coming close a TCP reset.
    pub fn arm_reset(&self) {
        let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }

    /// Ends the connection in order.
    pub fn finish(&mut self, close_notify: bool) {
        if let Stream::Tls(tls) = &mut self.stream
            && close_notify
        {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
        self.linger();
    }

    /// Reads what the client still sends, for a moment. To close over unread bytes is a TCP reset, and that can destroy an answer
    /// which the client hasn't read yet; servers such as nginx linger for this reason.
    fn linger(&mut self) {
        let end = Instant::now() + LINGER;
        let _ = self.tcp.set_read_timeout(Some(LINGER));
        let mut waste = [0; 16384];
        while Instant::now() < end && matches!(self.tcp.read(&mut waste), Ok(n) if n > 0) {}
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, httparse::Error> {
    let mut space = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut space);
    let size = match parsed.parse(bytes)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(size) => size,
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = parsed.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect();
    let head = Head {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        minor: parsed.version.unwrap_or(1),
        headers,
    };
    Ok(Some((head, size)))
}

/// The head of a reply and the bytes that follow it.
pub fn encode(reply: &Reply, keep_alive: bool, no_body: bool) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status)).into_bytes();
    for (name, value) in &reply.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    for line in &reply.lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match reply.framing {
        // 204 and 304 carry no length.
        _ if matches!(reply.status, 204 | 304) => {}
        _ if reply.frames_itself() => {}
        Framing::Chunked if !no_body => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Close => {}
        _ => out.extend_from_slice(format!("Content-Length: {}\r\n", reply.body.bytes().len()).as_bytes()),
    }
    if !keep_alive && !reply.names("Connection") {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}
