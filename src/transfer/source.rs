//! Where the bytes of an upload come from.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::caller;
use crate::config::{Config, UnknownLength};
use crate::error::{Error, Result, Status, one_line};
use crate::fallible;

/// Bytes that the caller makes as they are needed.
pub trait Reader {
    /// Fills at most `buf`; 0 is the end.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize>;
    /// Whether [`Reader::rewind`] works: without it the body can't be sent twice.
    fn can_rewind(&self) -> bool {
        false
    }
    /// Goes back to the first byte.
    fn rewind(&mut self) -> Result<()> {
        Err(Error::new(Status::SourceConsumed, "source_consumed", "the source can't be read a second time"))
    }
}

/// Anything that reads and seeks is a [`Reader`] that can be sent again.
pub struct Seekable<R>(pub R);

impl<R: Read + Seek> Reader for Seekable<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        Streamed(&mut self.0).read(buf)
    }
    fn can_rewind(&self) -> bool {
        true
    }
    fn rewind(&mut self) -> Result<()> {
        self.0.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|e| Error::io("source_rewind", "the source can't be rewound", &e))
    }
}

/// Anything that reads is a [`Reader`] that can be sent once.
pub struct Streamed<R>(pub R);

impl<R: Read> Reader for Streamed<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            match self.0.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|e| unreadable(&e)),
            }
        }
    }
}

/// The bytes of an upload.
pub enum Bytes<'a> {
    /// A regular file, read from its start while it is sent, and its length.
    File(fs::File, u64),
    /// The caller's memory.
    Memory(&'a [u8]),
    /// The caller's reader, and its length if known.
    Reader(&'a mut dyn Reader, Option<u64>),
}

/// A file to upload: bytes with a name.
pub struct File<'a> {
    /// File name for Zoho to store.
    pub name: String,
    /// MIME type of the bytes; empty = `application/octet-stream`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes<'a>,
}

/// What is attached to a record.
pub enum Source<'a> {
    /// A file.
    File(File<'a>),
    /// A link.
    Link {
        /// Its URL: http or https.
        url: String,
        /// The title under which it stands in the record; empty = Zoho takes the linked page's own.
        title: String,
    },
}

impl<'a> File<'a> {
    /// The file at this path, under its own name. It must be a regular file: what can't be read twice is a reader.
    pub fn open(path: impl AsRef<Path>) -> Result<File<'a>> {
        let path = path.as_ref();
        File::opened(open_without_waiting(path).map_err(|e| broken(path, &e))?, path)
    }

    /// A file that is open already, under the name that this path gives it. It must be a regular one.
    pub fn opened(file: fs::File, path: &Path) -> Result<File<'a>> {
        let meta = file.metadata().map_err(|e| broken(path, &e))?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a directory; name the files in it" } else { "a device, a fifo or a socket; pass a reader instead" };
            return Err(Error::new(Status::Io, "source_open", format!("the source {} is {what}", shown(path))));
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(File { name, content_type: String::new(), bytes: Bytes::File(file, meta.len()) })
    }

    /// Memory, under a name.
    pub fn memory(name: impl Into<String>, bytes: &'a [u8]) -> File<'a> {
        File { name: name.into(), content_type: String::new(), bytes: Bytes::Memory(bytes) }
    }

    /// A reader, under a name, with its length if known.
    pub fn reader(name: impl Into<String>, reader: &'a mut dyn Reader, length: Option<u64>) -> File<'a> {
        File { name: name.into(), content_type: String::new(), bytes: Bytes::Reader(reader, length) }
    }

    /// The same file under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> File<'a> {
        File { name: name.into(), ..self }
    }
}

impl<'a> Source<'a> {
    /// A link, with a title or an empty one.
    pub fn link(url: impl Into<String>, title: impl Into<String>) -> Source<'a> {
        Source::Link { url: url.into(), title: title.into() }
    }
}

impl<'a> From<File<'a>> for Source<'a> {
    fn from(file: File<'a>) -> Source<'a> {
        Source::File(file)
    }
}

/// Bytes being read: what the transport asks, whichever kind they are.
pub(crate) struct Input<'a> {
    bytes: Bytes<'a>,
    /// Bytes that a check has read ahead; they are given out first.
    ahead: Vec<u8>,
    /// Bytes given out since the start.
    given: u64,
    /// Most bytes, and the reason of the error when there are more.
    limit: Option<(u64, &'static str)>,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: Bytes<'a>) -> Input<'a> {
        Input { bytes, ahead: Vec::new(), given: 0, limit: None }
    }

    /// How many bytes there are, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::File(_, length) => Some(*length),
            Bytes::Memory(memory) => Some(memory.len() as u64),
            Bytes::Reader(_, length) => *length,
        }
    }

    /// Whether it can be sent (again): nothing was given out yet, or it can be gone back.
    pub(crate) fn can_rewind(&self) -> bool {
        self.given <= self.ahead.len() as u64 || self.is_repeatable()
    }

    /// Whether its bytes can be read a second time.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.bytes {
            Bytes::File(..) | Bytes::Memory(_) => true,
            Bytes::Reader(reader, _) => reader.can_rewind(),
        }
    }

    /// Back to the first byte.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        if self.given > self.ahead.len() as u64 {
            match &mut self.bytes {
                Bytes::File(file, _) => {
                    file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("source_rewind", "the source file can't be rewound", &e))?;
                }
                Bytes::Memory(_) => {}
                Bytes::Reader(reader, _) => caller::runs(|| reader.rewind())?,
            }
            self.ahead.clear();
        }
        self.given = 0;
        Ok(())
    }

    /// The first bytes, at most `max`, without giving them out. Behind the limit it reads one byte, which shows that it is passed.
    pub(crate) fn peek(&mut self, max: usize) -> Result<&[u8]> {
        debug_assert!(self.given == 0, "a look ahead comes before the first byte is given out");
        let max = self.limit.map_or(max, |(limit, _)| usize::try_from(limit.saturating_add(1)).unwrap_or(max).min(max));
        let had = self.ahead.len();
        if had < max {
            let mut buf = std::mem::take(&mut self.ahead);
            fallible::reserve(&mut buf, max - had)?;
            buf.resize(max, 0);
            let mut filled = had;
            while filled < max {
                self.given = filled as u64; // where memory is read from
                match self.read_some(&mut buf[filled..])? {
                    0 => break,
                    n => filled += n,
                }
            }
            buf.truncate(filled);
            self.given = 0;
            self.ahead = buf;
        }
        Ok(&self.ahead[..self.ahead.len().min(max)])
    }

    /// The next bytes; 0 is the end. More or fewer bytes than the known length are an error.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let ahead = usize::try_from(self.given).ok().and_then(|given| self.ahead.get(given..)).unwrap_or_default();
        let n = if ahead.is_empty() {
            self.read_some(buf)?
        } else {
            let n = ahead.len().min(buf.len());
            buf[..n].copy_from_slice(&ahead[..n]);
            n
        };
        self.gave(n, n == 0 && !buf.is_empty())
    }

    /// Appends some of the next bytes, of which there are few and whose number is known; 0 is the end. Where zcrm itself reads them, their memory
    /// isn't zeroed first, which would cost as much as to copy them.
    pub(crate) fn append(&mut self, to: &mut Vec<u8>) -> Result<usize> {
        let left = self.length().unwrap_or_default().saturating_sub(self.given);
        if let (Bytes::File(file, _), true) = (&mut self.bytes, self.ahead.is_empty()) {
            let n = file.take(left + 1).read_to_end(to).map_err(|e| unreadable(&e))?; // one more, to see that the file has grown
            return self.gave(n, n == 0);
        }
        let at = to.len();
        let room = usize::try_from(left).map_or(1, |left| left.max(1));
        fallible::reserve(to, room)?;
        to.resize(at + room, 0);
        let n = self.read(&mut to[at..])?;
        to.truncate(at + n);
        Ok(n)
    }

    /// So many bytes were given out. More or fewer than the known length are an error.
    fn gave(&mut self, n: usize, is_end: bool) -> Result<usize> {
        self.given += n as u64;
        match (self.length(), self.limit) {
            (Some(length), _) if self.given > length || (is_end && self.given < length) => Err(changed(length, self.given)),
            (None, Some((limit, reason))) if self.given > limit => Err(too_large(&format!("more than {limit} bytes"), limit, reason)),
            _ => Ok(n),
        }
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        match &mut self.bytes {
            Bytes::File(file, _) => Streamed(file).read(buf),
            Bytes::Memory(memory) => {
                let rest = usize::try_from(self.given).ok().and_then(|given| memory.get(given..)).unwrap_or_default();
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
            Bytes::Reader(reader, _) => match caller::runs(|| reader.read(buf))? {
                n if n > buf.len() => Err(Error::new(Status::Callback, "read_overrun", "the read callback says it wrote more than the buffer holds")),
                n => Ok(n),
            },
        }
    }

    /// The same bytes, at most `limit` of them, with a length where the settings say that those without one are spooled. Where they are sent
    /// as they come, the limit holds while they are read.
    pub(crate) async fn sized(mut self, config: &Config, limit: u64, reason: &'static str) -> Result<Input<'a>> {
        self.limit = Some((limit, reason));
        match self.length() {
            Some(length) if length > limit => Err(too_large(&format!("{length} bytes"), limit, reason)),
            None if config.unknown_length == UnknownLength::Spool => self.spool(config).await,
            _ => Ok(self),
        }
    }

    /// The same bytes where they can be read twice: to be compared before they are sent.
    pub(crate) async fn kept(self, config: &Config) -> Result<Input<'a>> {
        if self.is_repeatable() { Ok(self) } else { self.spool(config).await }
    }

    /// Moves the bytes to an unnamed temporary file, so that their length is known and they can be sent again.
    async fn spool(mut self, config: &Config) -> Result<Input<'a>> {
        let dir = config.spool_dir.as_deref().unwrap_or(Path::new("/tmp"));
        let broken = |e: io::Error| {
            let what = format!("the source's bytes need a temporary file in {}, the directory of the setting spool_dir", shown(dir));
            Error::io("spool", what, &e)
        };
        let mut file = tempfile::tempfile_in(dir).map_err(broken)?;
        let mut buf = fallible::zeroed(super::CHUNK)?;
        loop {
            match self.read(&mut buf)? {
                0 => break,
                n => file.write_all(&buf[..n]).map_err(broken)?,
            }
            tokio::task::yield_now().await; // lets a cancel in
        }
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        Ok(Input::new(Bytes::File(file, self.given)))
    }
}

fn unreadable(cause: &io::Error) -> Error {
    Error::io("source_read", "the source can't be read", cause)
}

fn too_large(has: &str, limit: u64, reason: &'static str) -> Error {
    Error::new(Status::TooLarge, reason, format!("the file has {has}; at most {limit} are taken")).with(|d| d.field = Some("source"))
}

fn changed(length: u64, given: u64) -> Error {
    let how = if given > length { "more" } else { "fewer" };
    Error::new(
        Status::SourceChanged,
        "source_changed",
        format!("the source has {how} bytes than the {length} that were announced; nothing was stored"),
    )
}

fn broken(path: &Path, cause: &io::Error) -> Error {
    Error::io("source_open", format_args!("the source file {}", shown(path)), cause)
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// A fifo without a writer would block a plain `open` for ever.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &mut Input<'_>, step: usize) -> Result<Vec<u8>> {
        let (mut out, mut buf) = (Vec::new(), vec![0; step]);
        loop {
            match input.read(&mut buf)? {
                0 => return Ok(out),
                n => out.extend_from_slice(&buf[..n]),
            }
        }
    }

    #[test]
    fn what_was_peeked_is_given_out_once_for_every_kind() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let mut reader = Seekable(io::Cursor::new(bytes.clone()));
        for kind in [Bytes::Memory(&bytes), File::open(file.path()).unwrap().bytes, Bytes::Reader(&mut reader, None)] {
            let mut input = Input::new(kind);
            assert_eq!(input.peek(10).unwrap(), &bytes[..10]);
            assert_eq!(all(&mut input, 7).unwrap(), bytes);
            input.rewind().unwrap();
            assert_eq!(all(&mut input, 300).unwrap(), bytes);
        }
    }

    #[test]
    fn a_reader_that_was_only_peeked_can_still_be_sent_without_a_rewind() {
        let mut reader = Streamed(&b"abc"[..]);
        let mut input = Input::new(Bytes::Reader(&mut reader, Some(3)));
        input.peek(2).unwrap();
        assert!(input.can_rewind());
        assert_eq!(all(&mut input, 2).unwrap(), b"abc");
        assert!(!input.can_rewind());
    }

    #[test]
    fn fewer_or_more_bytes_than_announced_are_an_error() {
        for announced in [2, 4] {
            let mut reader = Streamed(&b"abc"[..]);
            let mut input = Input::new(Bytes::Reader(&mut reader, Some(announced)));
            assert_eq!(all(&mut input, 2).unwrap_err().status(), Status::SourceChanged);
        }
    }
}
