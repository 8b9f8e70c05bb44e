//! Hashes of the bytes that pass: SHA-256 on request, and a fast one by which an upload can be recognised.

use once_cell::race::OnceBox;
use ring::digest::{Context, SHA256};
use twox_hash::XxHash3_128;

use crate::error::{Error, Result, Status};

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashKind {
    Sha256,
    /// XXH3 of 128 bits. What can't be read twice has to be hashed while it is sent, though hardly any reply is ever lost: SHA-256 takes 50 ms
    /// for 100 MB, which over plain http is more than all the rest, BLAKE3 10 ms, this one 2 ms. It never leaves the process, and nobody can
    /// make two files with the same one, not knowing the seed.
    Fast,
}

/// A finished hash. Other bytes have another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256([u8; 32]),
    Fast(u128),
}

impl Hash {
    pub(crate) fn kind(&self) -> HashKind {
        match self {
            Hash::Sha256(_) => HashKind::Sha256,
            Hash::Fast(_) => HashKind::Fast,
        }
    }
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for each call, and the larger variant is the usual one")]
enum Running {
    Sha256(Context),
    Fast(Box<XxHash3_128>),
}

impl Running {
    fn new(kind: HashKind) -> Running {
        static SEED: OnceBox<u64> = OnceBox::new(); // nobody waits for another thread, which a forked child may not have
        match kind {
            HashKind::Sha256 => Running::Sha256(Context::new(&SHA256)),
            HashKind::Fast => Running::Fast(Box::new(XxHash3_128::with_seed(*SEED.get_or_init(|| Box::new(getrandom::u64().unwrap_or_default()))))),
        }
    }

    fn finish(self) -> Hash {
        match self {
            Running::Sha256(running) => Hash::Sha256(running.finish().as_ref().try_into().expect("32 bytes")),
            Running::Fast(running) => Hash::Fast(running.finish_128()),
        }
    }
}

/// The running hash of one transfer; nothing is computed unless it was asked for or has something to be held against.
pub(crate) struct Digest {
    kind: Option<HashKind>,
    wanted: bool,
    running: Option<Running>,
    expected: Option<[u8; 32]>,
}

impl Digest {
    pub(crate) fn new(kind: Option<HashKind>, expected: Option<[u8; 32]>) -> Digest {
        let wanted = kind == Some(HashKind::Sha256);
        let kind = if expected.is_some() { Some(HashKind::Sha256) } else { kind };
        Digest { kind, wanted, running: kind.map(Running::new), expected }
    }

    pub(crate) fn restart(&mut self) {
        self.running = self.kind.map(Running::new);
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            None => {}
            Some(Running::Sha256(running)) => running.update(bytes),
            Some(Running::Fast(running)) => running.write(bytes),
        }
    }

    /// Holds the bytes so far against the expected hash.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.expected, self.hash()) {
            (Some(expected), Some(Hash::Sha256(value))) if expected != value => Err(Error::new(
                Status::Checksum,
                "sha256",
                format!("the bytes have SHA-256 {}, not the expected {}", super::hex(&value), super::hex(&expected)),
            )),
            _ => Ok(()),
        }
    }

    /// The hash of the bytes so far, if one runs.
    pub(crate) fn hash(&self) -> Option<Hash> {
        self.running.clone().map(Running::finish)
    }

    /// The SHA-256 of the bytes so far in hexadecimal, if it was asked for.
    pub(crate) fn sha256(&self) -> Option<String> {
        match self.hash().filter(|_| self.wanted) {
            Some(Hash::Sha256(value)) => Some(super::hex(&value)),
            _ => None,
        }
    }
}

/// A SHA-256 from its 64 hexadecimal digits.
pub(crate) fn sha256_from_hex(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut sum = [0; 32];
    for (i, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sum)
}

/// The SHA-256 of these bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    super::hex(ring::digest::digest(&SHA256, bytes).as_ref())
}
