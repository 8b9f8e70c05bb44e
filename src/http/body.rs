//! The pipe from the caller's source to the connection.
//!
//! The source stays on the caller's stack and is read there; only owned pieces cross to the connection's task, which may outlive the call.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::transfer::CHUNK;

/// Pieces under way at most: hyper gathers up to 16 into one write, and 512 KiB is all the memory that an upload takes.
const DEPTH: usize = 8;

/// One piece, or the word that the body is complete. A pipe that is dropped without that word breaks the request off.
type Piece = Option<Bytes>;

pub(super) struct Pipe {
    to: mpsc::Sender<Piece>,
    /// Clones of sent pieces: taken back and filled again once the connection has let go of them. A new buffer a piece costs half as much again.
    sent: VecDeque<Bytes>,
}

pub(super) struct PipeBody {
    from: mpsc::Receiver<Piece>,
    length: Option<u64>,
    complete: bool,
}

/// The caller broke the body off; the connection is closed and the server sees an incomplete request.
#[derive(Debug, thiserror::Error)]
#[error("the request was broken off")]
pub(super) struct BrokenOff;

pub(super) fn pipe(length: Option<u64>) -> (Pipe, PipeBody) {
    let (to, from) = mpsc::channel(DEPTH);
    (Pipe { to, sent: VecDeque::with_capacity(DEPTH + 2) }, PipeBody { from, length, complete: length == Some(0) })
}

impl Pipe {
    /// An empty buffer of [`CHUNK`] bytes.
    pub(super) fn buffer(&mut self) -> BytesMut {
        let free = if self.sent.len() > DEPTH { self.sent.pop_front().and_then(|piece| piece.try_into_mut().ok()) } else { None };
        let mut buffer = free.unwrap_or_else(|| BytesMut::with_capacity(CHUNK));
        buffer.resize(CHUNK, 0);
        buffer
    }

    /// Returns once there is room for a piece; `false` when the connection no longer takes any.
    pub(super) async fn has_room(&self) -> bool {
        self.to.reserve().await.is_ok()
    }

    /// Sends what was filled. Only after [`Pipe::has_room`].
    pub(super) fn send(&mut self, piece: BytesMut) {
        let piece = piece.freeze();
        self.sent.push_back(piece.clone());
        let _ = self.to.try_send(Some(piece)); // a closed pipe shows in the next `has_room`
    }

    /// Says that the body is complete.
    pub(super) async fn finish(&self) {
        let _ = self.to.send(None).await;
    }
}

impl Body for PipeBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
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
