//! The bytes of an upload or a download on their way: source, sink, multipart framing, progress.

mod sink;
mod source;

pub use sink::{Sink, Writer, Written};
pub use source::{Bytes, Reader, Seekable, Source, Streamed};

/// Size of the pieces in which bytes move. Measured: from 32 KiB up it hardly matters once the buffers are recycled.
pub(crate) const CHUNK: usize = 64 * 1024;
