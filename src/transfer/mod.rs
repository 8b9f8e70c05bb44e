//! The bytes of an upload or a download on their way: source, sink, multipart framing, progress.

mod digest;
#[cfg(unix)]
mod directory;
mod disposition;
mod incoming;
#[cfg(unix)]
mod left;
mod multipart;
mod name;
mod outgoing;
#[cfg_attr(windows, path = "windows.rs")]
mod partial;
mod progress;
mod sink;
mod sniff;
mod source;

pub(crate) use digest::{Digest, Hash, HashKind, sha256, sha256_from_hex};
#[cfg(unix)]
pub use directory::Directory;
#[cfg(unix)]
pub(crate) use directory::{make_private, read_at};
pub(crate) use disposition::Disposition;
pub(crate) use incoming::{Incoming, Received};
#[cfg(unix)]
pub(crate) use left::forget_cleared;
pub(crate) use multipart::Framing;
pub(crate) use name::safe_name;
pub(crate) use outgoing::Outgoing;
#[cfg(windows)]
pub use partial::Directory;
pub(crate) use partial::Partial;
#[cfg(windows)]
pub(crate) use partial::{forget_cleared, make_private, read_at};
pub(crate) use progress::Progress;
pub use sink::{Sink, To, Writer, Written};
pub(crate) use sink::{file_name, open_directory};
pub(crate) use sniff::{FIRST, begins_as_an_answer};
pub(crate) use source::Input;
pub use source::{Bytes, File, Reader, Seekable, Source, Streamed};

use std::fs;
use std::io::{self, BufRead, BufReader, Seek};
use std::time::{Duration, SystemTime};

/// What an unfinished file is called begins and ends so.
const PREFIX: &str = ".zcrm-";
const SUFFIX: &str = ".partial";
/// What may be somebody's still is cleared after this time.
const OLD: Duration = Duration::from_secs(24 * 3600);
/// At most this many entries of a directory are searched for what killed processes left.
const MOST_SEARCHED: usize = 100_000;

/// Size of the pieces in which bytes move. Measured: from 32 KiB up it hardly matters once the buffers are recycled.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
    let mut digits = vec![0; 2 * bytes.len()];
    digits.chunks_exact_mut(2).zip(bytes).for_each(|(two, b)| two.copy_from_slice(&[digit(b >> 4), digit(b & 15)]));
    String::from_utf8(digits).expect("digits are ASCII")
}

/// Whether a file was last written so long ago.
fn is_old(metadata: io::Result<fs::Metadata>) -> bool {
    let modified = metadata.and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > OLD))
}

/// Whether two files have the same bytes. The second is read from its start.
fn same_bytes(one: fs::File, other: &mut fs::File) -> io::Result<bool> {
    if !one.metadata()?.is_file() || one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    other.rewind()?;
    let (mut one, mut other) = (BufReader::with_capacity(CHUNK, one), BufReader::with_capacity(CHUNK, other));
    loop {
        let (theirs, ours) = (one.fill_buf()?, other.fill_buf()?);
        let n = theirs.len().min(ours.len());
        if theirs[..n] != ours[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(theirs.len() == ours.len());
        }
        one.consume(n);
        other.consume(n);
    }
}
