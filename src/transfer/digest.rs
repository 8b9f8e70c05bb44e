//! SHA-256 of what passes, when somebody wants it.

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result, Status};

/// The running hash of one transfer; nothing is computed unless it was asked for or has something to be held against.
pub(crate) struct Digest {
    running: Option<Sha256>,
    wanted: bool,
    expected: Option<[u8; 32]>,
}

impl Digest {
    pub(crate) fn new(wanted: bool, expected: Option<[u8; 32]>) -> Digest {
        let mut digest = Digest { running: None, wanted, expected };
        digest.restart();
        digest
    }

    pub(crate) fn restart(&mut self) {
        self.running = (self.wanted || self.expected.is_some()).then(Sha256::new);
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(running) = &mut self.running {
            running.update(bytes);
        }
    }

    /// Holds the bytes so far against the expected hash.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.expected, self.value()) {
            (Some(expected), Some(value)) if expected != value => Err(Error::new(
                Status::Checksum,
                "sha256",
                format!("the bytes have SHA-256 {}, not the expected {}", super::hex(&value), super::hex(&expected)),
            )),
            _ => Ok(()),
        }
    }

    /// The hash of the bytes so far in hexadecimal, if it was asked for.
    pub(crate) fn hex(&self) -> Option<String> {
        self.value().filter(|_| self.wanted).map(|value| super::hex(&value))
    }

    fn value(&self) -> Option<[u8; 32]> {
        self.running.clone().map(|running| running.finalize().into())
    }
}

/// The SHA-256 of these bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    super::hex(&Sha256::digest(bytes))
}
