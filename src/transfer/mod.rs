//! The bytes of an upload or a download on their way: source, sink, multipart framing, progress.

mod digest;
mod disposition;
mod incoming;
mod left;
mod multipart;
mod name;
mod outgoing;
mod partial;
mod progress;
mod sink;
mod sniff;
mod source;

pub(crate) use digest::{Digest, Hash, HashKind, sha256, sha256_from_hex};
pub(crate) use disposition::Disposition;
pub(crate) use incoming::{Incoming, Received};
pub(crate) use multipart::Framing;
pub(crate) use name::safe_name;
pub(crate) use outgoing::Outgoing;
pub(crate) use partial::Partial;
pub(crate) use progress::Progress;
pub use sink::{Sink, To, Writer, Written};
pub(crate) use sink::{file_name, open_directory};
pub(crate) use sniff::{FIRST, begins_as_an_answer};
pub(crate) use source::Input;
pub use source::{Bytes, File, Reader, Seekable, Source, Streamed};

/// Size of the pieces in which bytes move. Measured: from 32 KiB up it hardly matters once the buffers are recycled.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for b in bytes {
        text.extend([digit(b >> 4), digit(b & 15)]);
    }
    text
}
