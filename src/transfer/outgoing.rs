//! The body of a request: framing and source as one stream of bytes, of a known length whenever the source's is.

use std::borrow::Cow;

use bytes::Bytes;

use super::digest::{Digest, Hash, HashKind};
use super::multipart::Framing;
use super::progress::Progress;
use super::source::Input;

use crate::error::{Error, Result, Status};
use crate::fallible;

/// A request's body.
pub(crate) struct Outgoing<'a> {
    head: Cow<'a, [u8]>,
    tail: Vec<u8>,
    file: Option<FilePart<'a>>,
    at: At,
}

/// A file on its way out.
struct FilePart<'a> {
    input: Input<'a>,
    progress: Progress<'a>,
    digest: Digest,
    sent: u64,
}

/// Free behind a body that is read as a whole, so that the end of a file is seen without more memory.
const ROOM: usize = 64;

/// Where the next byte comes from.
enum At {
    Head(usize),
    File,
    Tail(usize),
}

impl<'a> Outgoing<'a> {
    /// A body without a file.
    pub(crate) fn small(bytes: &'a [u8]) -> Outgoing<'a> {
        Outgoing { head: Cow::Borrowed(bytes), tail: Vec::new(), file: None, at: At::Head(0) }
    }

    /// A form without a file.
    pub(crate) fn form(framing: Framing) -> Outgoing<'a> {
        let (head, tail) = framing.around();
        Outgoing { head: Cow::Owned(head), tail, file: None, at: At::Head(0) }
    }

    /// A form with a file.
    pub(crate) fn file(framing: Framing, input: Input<'a>, progress: Progress<'a>, digest: Digest) -> Outgoing<'a> {
        Outgoing { file: Some(FilePart { input, progress, digest, sent: 0 }), ..Outgoing::form(framing) }
    }

    /// Length of the whole body, if the source's is known.
    pub(crate) fn length(&self) -> Option<u64> {
        let framing = (self.head.len() + self.tail.len()) as u64;
        match &self.file {
            Some(file) => file.input.length().map(|length| length + framing),
            None => Some(framing),
        }
    }

    /// Bytes of the file, if they are known before it is sent.
    pub(crate) fn file_length(&self) -> Option<u64> {
        self.file.as_ref().and_then(|file| file.input.length())
    }

    /// Bytes of the file, once it is sent.
    pub(crate) fn sent(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.sent)
    }

    /// SHA-256 of the file, once it is sent, if it was asked for.
    pub(crate) fn sha256(&self) -> Option<String> {
        self.file.as_ref().and_then(|file| file.digest.sha256())
    }

    /// Whether the source's bytes were lost before all of them were read: no server can have the whole file.
    pub(crate) fn is_torn(&self) -> bool {
        !matches!(self.at, At::Tail(_)) && self.file.as_ref().is_some_and(|file| !file.input.can_rewind())
    }

    /// Hash of the file, read once more from its start, or as it was computed while it was sent; `None` when there is neither.
    /// The body has to be rewound afterwards.
    pub(crate) async fn source_hash(&mut self) -> Result<Option<Hash>> {
        let whole = !self.is_torn();
        let Some(file) = self.file.as_mut() else { return Ok(None) };
        if !file.input.can_rewind() {
            return Ok(file.digest.hash().filter(|_| whole));
        }
        file.input.rewind()?;
        let (mut digest, mut buf) = (Digest::new(Some(HashKind::Sha256), None), fallible::zeroed(super::CHUNK)?);
        loop {
            match file.input.read(&mut buf)? {
                0 => break,
                n => digest.update(&buf[..n]),
            }
            tokio::task::yield_now().await; // lets a cancel in
        }
        Ok(digest.hash())
    }

    /// Back to the first byte, for another attempt. An error when the source's bytes are gone.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        if let Some(file) = &mut self.file {
            if !file.input.can_rewind() {
                let message =
                    "the source's bytes were used up by an attempt that has to be repeated; give a reader that can rewind, a file or memory";
                return Err(Error::new(Status::SourceConsumed, "source_consumed", message));
            }
            file.input.rewind()?;
            file.digest.restart();
            file.sent = 0;
        }
        self.at = At::Head(0);
        Ok(())
    }

    /// The whole body from its start, which is known to be short.
    pub(crate) fn read_all(&mut self) -> Result<Bytes> {
        let mut all = Vec::new();
        fallible::reserve(&mut all, self.length().unwrap_or_default() as usize + ROOM)?;
        all.extend_from_slice(&self.head);
        self.at = At::File;
        if let Some(file) = &mut self.file {
            file.progress.start(file.input.length())?;
            while file.append(&mut all)? > 0 {}
        }
        all.extend_from_slice(&self.tail);
        self.at = At::Tail(self.tail.len());
        Ok(all.into())
    }

    /// Some of the next bytes of the body; 0 is the end. A reader is asked once at most.
    pub(crate) fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        match &mut self.at {
            At::Head(at) => {
                let n = copy(&self.head[*at..], buf);
                *at += n;
                if n > 0 {
                    return Ok(n);
                }
                self.at = At::File;
                if let Some(file) = &mut self.file {
                    file.progress.start(file.input.length())?;
                }
                self.read_some(buf)
            }
            At::File => {
                let n = self.file.as_mut().map_or(Ok(0), |file| file.read(buf))?;
                if n > 0 {
                    return Ok(n);
                }
                self.at = At::Tail(0);
                self.read_some(buf)
            }
            At::Tail(at) => {
                let n = copy(&self.tail[*at..], buf);
                *at += n;
                Ok(n)
            }
        }
    }
}

impl FilePart<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = self.input.read(buf)?;
        self.was_read(&buf[..n])
    }

    /// Appends some of the next bytes; 0 is the end.
    fn append(&mut self, to: &mut Vec<u8>) -> Result<usize> {
        let n = self.input.append(to)?;
        self.was_read(&to[to.len() - n..])
    }

    fn was_read(&mut self, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            // Before the closing boundary is sent: a body with the wrong bytes never becomes complete, so nothing is stored.
            self.digest.check()?;
            self.progress.finish()?;
            return Ok(0);
        }
        self.digest.update(bytes);
        self.sent += bytes.len() as u64;
        self.progress.add(bytes.len())?;
        Ok(bytes.len())
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n
}

#[cfg(test)]
mod tests {
    use super::super::source::{Bytes as SourceBytes, Streamed};
    use super::*;

    fn body<'a>(bytes: SourceBytes<'a>, digest: Digest) -> Outgoing<'a> {
        let mut framing = Framing::new().unwrap();
        framing.file("a", "").unwrap();
        Outgoing::file(framing, Input::new(bytes), Progress::new(None), digest)
    }

    #[test]
    fn the_announced_length_is_the_length_whatever_the_pieces() {
        let bytes = vec![7; 1000];
        for step in [1, 7, 150, 1 << 20] {
            let mut body = body(SourceBytes::Memory(&bytes), Digest::new(None, None));
            let (mut all, mut buf) = (0, vec![0; step]);
            loop {
                match body.read_some(&mut buf).unwrap() {
                    0 => break,
                    n => all += n as u64,
                }
            }
            assert_eq!(Some(all), body.length());
            assert_eq!(body.sent(), 1000);
        }
    }

    #[test]
    fn a_body_with_another_hash_than_expected_never_becomes_complete() {
        let mut body = body(SourceBytes::Memory(b"abc"), Digest::new(None, Some([0; 32])));
        assert_eq!(body.read_all().unwrap_err().status(), Status::Checksum);
    }

    #[test]
    fn a_used_up_reader_is_not_sent_again() {
        let mut reader = Streamed(&b"abc"[..]);
        let mut body = body(SourceBytes::Reader(&mut reader, Some(3)), Digest::new(None, None));
        body.read_all().unwrap();
        assert_eq!(body.rewind().unwrap_err().status(), Status::SourceConsumed);
    }
}
