//! One connection: HTTP/1.1 with keep-alive, over TCP or TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::api::{Answer, Api, FILLER};

/// What is read at once.
const BUFFER: usize = 256 * 1024;

/// A head of a request is at most this long.
const HEAD: usize = 16 * 1024;

/// Reads through a buffer and writes directly.
struct Socket(BufReader<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl BufRead for Socket {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }
    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(buf)
    }
    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(bufs)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serves a plain connection until the client closes it.
pub fn plain(stream: TcpStream, api: &Api) -> io::Result<()> {
    serve(Socket(BufReader::with_capacity(BUFFER, stream)), api)
}

/// Serves a connection over TLS until the client closes it.
pub fn tls(stream: TcpStream, config: Arc<ServerConfig>, api: &Api) -> io::Result<()> {
    let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
    session.set_buffer_limit(Some(1 << 20));
    serve(StreamOwned::new(session, Socket(BufReader::with_capacity(BUFFER, stream))), api)
}

/// What of a request's head counts.
struct Request {
    method: String,
    target: String,
    authorized: bool,
    body: Body,
    expects: bool,
}

enum Body {
    Length(u64),
    Chunked,
}

fn serve(mut stream: impl BufRead + Write, api: &Api) -> io::Result<()> {
    api.count.connections.add(1);
    while let Some(request) = head(&mut stream)? {
        if request.expects {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let drained = match request.body {
            Body::Length(length) => drain(&mut stream, length)?,
            Body::Chunked => chunks(&mut stream)?,
        };
        match api.answer(&request.method, &request.target, request.authorized, drained) {
            Answer::Whole(bytes) => stream.write_all(&bytes)?,
            Answer::Filler { head, mut length } => {
                stream.write_all(&head)?;
                while length > 0 {
                    let n = length.min(FILLER.len() as u64);
                    stream.write_all(&FILLER[..n as usize])?;
                    length -= n;
                }
            }
        }
        stream.flush()?;
    }
    Ok(())
}

/// The next head; `None` when the client has closed.
fn head(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut carried: Vec<u8> = Vec::new();
    loop {
        let fresh = stream.fill_buf()?;
        if fresh.is_empty() {
            return Ok(None);
        }
        let (before, n) = (carried.len(), fresh.len());
        carried.extend_from_slice(fresh);
        match parse(&carried)? {
            Some((request, used)) => {
                stream.consume(used - before);
                return Ok(Some(request));
            }
            None if carried.len() > HEAD => return Err(io::Error::other("the head is too long")),
            None => stream.consume(n),
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(used) = parsed.parse(bytes).map_err(io::Error::other)? else { return Ok(None) };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        authorized: false,
        body: Body::Length(0),
        expects: false,
    };
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|v| v.trim().parse().ok());
            request.body = Body::Length(length.ok_or_else(|| io::Error::other("Content-Length is no number"))?);
        } else if is("transfer-encoding") {
            request.body = Body::Chunked;
        } else if is("expect") {
            request.expects = true;
        } else if is("authorization") {
            request.authorized = header.value.starts_with(b"Zoho-oauthtoken ");
        }
    }
    Ok(Some((request, used)))
}

fn drain(stream: &mut impl BufRead, length: u64) -> io::Result<u64> {
    let mut left = length;
    while left > 0 {
        let n = stream.fill_buf()?.len();
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let n = left.min(n as u64);
        stream.consume(n as usize);
        left -= n;
    }
    Ok(length)
}

fn chunks(stream: &mut impl BufRead) -> io::Result<u64> {
    let (mut all, mut line) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        all += drain(stream, length)?;
        line.clear();
        stream.read_line(&mut line)?; // the line end after a chunk, or after the last one
        if length == 0 {
            return Ok(all);
        }
    }
}
