//! The pipe from the caller's source to the connection.
//!
//! The source stays on the caller's stack and is read there; only owned pieces cross to the connection's task, which may outlive the call.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::error::Result;
use crate::fallible;
use crate::transfer::CHUNK;

/// Buffers of one upload: all the memory that its body takes, in the pipe and in the connection's own queue together.
///
/// Measured on 5 × 100 MB, CPU against libcurl and peak memory of the process: 4 buffers .94 and 5.4 MiB, 6 .89 and 5.9, 8 .88 and 6.4,
/// 12 .96 and 6.7 (http); over TLS the number makes no difference. Pieces of 16 or 32 KiB cost up to a tenth more, of 128 KiB the same.
/// With a bound on only the pieces in the pipe, the connection held 400 KB more.
const BUFFERS: usize = 6;

/// One piece, or `None` at the end of the body. A pipe that is dropped before that breaks the request off.
type Piece = Option<Bytes>;

pub(super) struct Pipe {
    to: UnboundedSender<Piece>,
    /// Buffers that the connection has let go of, to be filled again.
    free: UnboundedReceiver<Vec<u8>>,
    home: UnboundedSender<Vec<u8>>,
    /// Made so far: a short body needs fewer.
    made: usize,
}

pub(super) struct PipeBody {
    from: UnboundedReceiver<Piece>,
    length: Option<u64>,
    complete: bool,
}

/// A buffer that the connection has: it comes back when the last of its bytes is written.
struct Lent {
    buffer: Vec<u8>,
    home: UnboundedSender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = self.home.send(std::mem::take(&mut self.buffer)); // fails when the call is over
    }
}

/// The caller broke the body off; the connection is closed and the server sees an incomplete request.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the request was broken off")
    }
}

impl std::error::Error for BrokenOff {}

pub(super) fn pipe(length: Option<u64>) -> (Pipe, PipeBody) {
    let (to, from) = mpsc::unbounded_channel();
    let (home, free) = mpsc::unbounded_channel();
    (Pipe { to, free, home, made: 0 }, PipeBody { from, length, complete: length == Some(0) })
}

impl Pipe {
    /// A buffer to fill, once one is free; `None` when the connection no longer takes any.
    pub(super) async fn buffer(&mut self) -> Option<Result<Vec<u8>>> {
        if self.to.is_closed() {
            return None;
        }
        if let Ok(buffer) = self.free.try_recv() {
            return Some(Ok(buffer)); // filled again: a new one for each piece costs half as much again, in page faults
        }
        if self.made < BUFFERS {
            self.made += 1;
            return Some(fallible::zeroed(CHUNK));
        }
        tokio::select! {
            buffer = self.free.recv() => buffer.map(Ok),
            () = self.to.closed() => None,
        }
    }

    /// Sends the first `filled` bytes of the buffer.
    pub(super) fn send(&self, buffer: Vec<u8>, filled: usize) {
        let lent = Bytes::from_owner(Lent { buffer, home: self.home.clone() });
        let _ = self.to.send(Some(lent.slice(..filled))); // a closed pipe shows in the next `buffer`
    }

    /// Says that the body is complete.
    pub(super) fn finish(&self) {
        let _ = self.to.send(None);
    }
}

impl Body for PipeBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::result::Result<Frame<Bytes>, BrokenOff>>> {
        if self.complete {
            return Poll::Ready(None);
        }
        self.from.poll_recv(cx).map(|piece| match piece {
            Some(Some(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(None) => {
                self.complete = true;
                None
            }
            None => Some(Err(BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.complete
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}
