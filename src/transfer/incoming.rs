//! The body of a download on its way into a sink.

use super::digest::{Digest, Hash, HashKind};
use super::progress::Progress;
use super::sink::{Finished, Output, Sink};
use crate::error::{Error, Result, Status};

/// A download being taken in.
pub(crate) struct Incoming<'a> {
    output: Output<'a>,
    progress: Progress<'a>,
    digest: Digest,
    max_bytes: Option<u64>,
    expected_bytes: Option<u64>,
    announced: Option<u64>,
}

/// A download that is complete.
pub(crate) struct Received {
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) length_verified: bool,
    pub(crate) finished: Finished,
}

impl<'a> Incoming<'a> {
    /// Opens the sink: what is wrong with it shows before anything is asked of the server.
    pub(crate) fn open(sink: Sink<'a>, again: bool, expected_bytes: Option<u64>, progress: Progress<'a>, digest: Digest) -> Result<Incoming<'a>> {
        Ok(Incoming { output: Output::open(sink.to, again)?, progress, digest, max_bytes: sink.max_bytes, expected_bytes, announced: None })
    }

    /// Takes the bytes in only to hash them.
    pub(crate) fn hashing(kind: HashKind) -> Incoming<'a> {
        let (output, digest) = (Output::Nowhere { written: 0 }, Digest::new(Some(kind), None));
        Incoming { output, progress: Progress::new(None), digest, max_bytes: None, expected_bytes: None, announced: None }
    }

    /// A reply's head has come, with its length if it says one.
    pub(crate) fn start(&mut self, announced: Option<u64>) -> Result<()> {
        self.output.restart()?;
        self.digest.restart();
        self.announced = announced;
        announced.map_or(Ok(()), |length| self.check_max(length))?;
        self.check_expected(announced)?;
        self.output.expect(announced.unwrap_or_default())?;
        self.progress.start(announced.or(self.expected_bytes))
    }

    /// The hash of what came.
    pub(crate) fn hash(&self) -> Option<Hash> {
        self.digest.hash()
    }

    /// Whether bytes are with the caller's writer already, so that no other attempt can follow.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.output, Output::Writer { written: 1.., .. })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_max(self.output.written() + bytes.len() as u64)?;
        self.output.write(bytes)?;
        self.digest.update(bytes);
        self.progress.add(bytes.len())
    }

    /// The reply is at its end: fewer bytes than it announced are a broken connection.
    pub(crate) fn end(&self) -> Result<()> {
        let bytes = self.output.written();
        match self.announced {
            Some(announced) if announced != bytes => {
                Err(Error::new(Status::Network, "reply_truncated", format!("{bytes} bytes came of {announced}")))
            }
            _ => Ok(()),
        }
    }

    /// Holds what came against the size and hash that the caller expects, then makes it final.
    pub(crate) fn finish(mut self) -> Result<Received> {
        let bytes = self.output.written();
        self.check_expected(Some(bytes))?;
        self.digest.check()?;
        self.progress.finish()?;
        Ok(Received {
            bytes,
            sha256: self.digest.sha256(),
            length_verified: self.announced.or(self.expected_bytes).is_some(),
            finished: self.output.finish()?,
        })
    }

    fn check_expected(&self, length: Option<u64>) -> Result<()> {
        match (self.expected_bytes, length) {
            (Some(expected), Some(length)) if expected != length => {
                Err(Error::new(Status::Checksum, "size", format!("the file has {length} bytes, not the expected {expected}")))
            }
            _ => Ok(()),
        }
    }

    fn check_max(&self, length: u64) -> Result<()> {
        match self.max_bytes {
            Some(max) if length > max => {
                Err(Error::new(Status::TooLarge, "max_bytes", format!("the file has more than the {max} bytes that this sink takes")))
            }
            _ => Ok(()),
        }
    }
}
