//! The window that the processes of one machine share, in a file beside their token file.
//!
//! A place is a lock on one byte of that file, which the kernel gives back when its holder ends, however it ends. What is known of the organisation
//! stands in the file, as JSON. Each lock has an open file of its own (OFD locks): threads and forked children are told apart like processes. A child
//! that is forked in the middle of a call has its file open, too; so a place is given back by unlocking it, and not by closing the file alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::window::Window;

/// Bytes that are locked; what is written is shorter, and lies below but for the first byte.
const HEAD: u32 = 0;
const PLACES: Range<u32> = 10_000..12_000;
const WAITING: Range<u32> = 20_000..22_000;
const LONGEST: u64 = 4096;
/// What was found longer ago says nothing of now.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// The head is locked for some microseconds; a process that was stopped just then doesn't stop the others.
const TRIES: u32 = 40;
const EVERY: Duration = Duration::from_millis(1);

/// The file; it is made when it is first used.
pub(super) struct Shared(pub(super) PathBuf);

/// What stands in it.
#[derive(Serialize, Deserialize)]
struct Document {
    /// Since 1970, as processes share no other clock.
    at: Duration,
    window: Window,
}

/// The file, open, with its head locked: nobody else changes anything meanwhile.
pub(super) struct Table {
    head: Seat,
    /// The bytes of the places that are taken.
    taken: Vec<u32>,
    known: Window,
}

/// A byte that is locked, until it is dropped.
pub(super) struct Seat {
    file: File,
    pub(super) byte: u32,
}

impl Shared {
    /// Opens the file and puts what it knows into `window`. `None` where there can be no such file, or no such locks: each process has a window of
    /// its own then.
    pub(super) fn lock(&self, window: &mut Window) -> Option<Table> {
        let file = self.open().ok()?;
        let mut tries = 0;
        while !try_lock(&file, HEAD).ok()? {
            tries += 1;
            if tries > TRIES {
                return None;
            }
            std::thread::sleep(EVERY);
        }
        let (now, mut head) = (now(), Seat { file, byte: HEAD });
        match read(&mut head.file) {
            Some(Document { at, window: known }) if at <= now && now - at < FORGOTTEN => window.learn(known, now),
            _ => window.forget(),
        }
        let taken = taken(&head.file, PLACES).ok()?;
        Some(Table { head, taken, known: window.clone() })
    }

    /// How many places are taken.
    pub(super) fn in_flight(&self) -> Option<u32> {
        Some(taken(&self.open().ok()?, PLACES).ok()?.len() as u32)
    }

    /// Says that this process waits for a place, until it is dropped.
    pub(super) fn wait(&self, random: u32) -> Option<Seat> {
        let file = self.open().ok()?;
        let free = |byte: &u32| try_lock(&file, *byte).unwrap_or(false);
        let byte = (0..8).map(|n| WAITING.start + random.wrapping_add(n * 257) % WAITING.len() as u32).find(free)?;
        Some(Seat { file, byte })
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        }
        let file = options.open(&self.0)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }
}

impl Table {
    pub(super) fn in_flight(&self) -> u32 {
        self.taken.len() as u32
    }

    /// Whether another process waits for a place; `own` is the byte by which this one does.
    pub(super) fn others_wait(&self, own: Option<u32>) -> bool {
        let waits = |bytes: Range<u32>| !bytes.is_empty() && found(&self.head.file, bytes).is_ok_and(|found| found.is_some());
        match own {
            Some(byte) => waits(WAITING.start..byte) || waits(byte + 1..WAITING.end),
            None => waits(WAITING),
        }
    }

    /// Takes a place, and writes what is known now.
    pub(super) fn take(self, window: &Window) -> Option<Seat> {
        let file = self.head.file.try_clone().ok()?; // the same open file: its lock stays when the head is given back
        let byte = PLACES.into_iter().find(|byte| !self.taken.contains(byte) && try_lock(&file, *byte).unwrap_or(false))?;
        self.leave(window);
        Some(Seat { file, byte })
    }

    /// Writes what is known now, and lets the others on.
    pub(super) fn leave(self, window: &Window) {
        if *window == self.known {
            return;
        }
        let document = Document { at: now(), window: window.clone() };
        let Ok(mut text) = serde_json::to_vec(&document) else { return };
        text.push(b'\n');
        let mut file = &self.head.file;
        // A failure loses what was learned, and nothing else.
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&text)).and_then(|()| file.set_len(text.len() as u64));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = unlock(&self.file, self.byte);
    }
}

pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn read(file: &mut File) -> Option<Document> {
    let mut text = Vec::with_capacity(512);
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The locked ones of these bytes. The kernel tells one conflicting lock, and not the first of them: so it is asked for what lies before and behind.
fn taken(file: &File, bytes: Range<u32>) -> io::Result<Vec<u32>> {
    let (mut all, mut open) = (Vec::new(), vec![bytes]);
    while let Some(bytes) = open.pop() {
        let Some(found) = found(file, bytes.clone())? else { continue };
        open.extend([bytes.start..found.start, found.end..bytes.end].into_iter().filter(|rest| !rest.is_empty()));
        all.extend(found);
    }
    Ok(all)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod locks {
    use std::fs::File;
    use std::io;
    use std::ops::Range;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};

    fn lock(kind: i32, bytes: &Range<u32>) -> libc::flock {
        libc::flock { l_type: kind as _, l_whence: libc::SEEK_SET as _, l_start: bytes.start.into(), l_len: bytes.len() as _, l_pid: 0 }
    }

    pub(super) fn try_lock(file: &File, byte: u32) -> io::Result<bool> {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, &(byte..byte + 1)))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn unlock(file: &File, byte: u32) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK, &(byte..byte + 1)))).map(drop).map_err(Into::into)
    }

    /// Bytes of these that are locked through another open file, if any are.
    pub(super) fn found(file: &File, bytes: Range<u32>) -> io::Result<Option<Range<u32>>> {
        let mut asked = lock(libc::F_WRLCK, &bytes);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
        if i32::from(asked.l_type) == libc::F_UNLCK {
            return Ok(None);
        }
        let within = |at: i64| at.clamp(bytes.start.into(), bytes.end.into()) as u32;
        let start = within(asked.l_start);
        let end = if asked.l_len == 0 { bytes.end } else { within(asked.l_start + asked.l_len) };
        Ok(Some(start..end.max(start + 1)))
    }
}

/// Elsewhere there are no such locks.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod locks {
    use std::fs::File;
    use std::io;
    use std::ops::Range;

    pub(super) fn try_lock(_: &File, _: u32) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unlock(_: &File, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn found(_: &File, _: Range<u32>) -> io::Result<Option<Range<u32>>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

use locks::{found, try_lock, unlock};

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> (tempfile::TempDir, Shared) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.places");
        (dir, Shared(path))
    }

    #[test]
    fn a_place_is_taken_by_one_and_free_when_it_is_given_back() {
        let ((_dir, shared), mut window) = (shared(), Window::new(1));
        let mut take = || shared.lock(&mut window).unwrap().take(&Window::new(1)).unwrap();
        let (a, b) = (take(), take());
        assert!(a.byte != b.byte && shared.in_flight() == Some(2));
        drop(a);
        assert_eq!(shared.in_flight(), Some(1));
        drop((b, take()));
        assert_eq!(shared.in_flight(), Some(0));
    }

    #[test]
    fn what_one_has_learned_the_others_know() {
        let (_dir, shared) = shared();
        let (mut one, mut other) = (Window::new(1), Window::new(2));
        let table = shared.lock(&mut one).unwrap();
        let until = now() + Duration::from_secs(5);
        one.pause_until(until);
        table.leave(&one);
        drop(shared.lock(&mut other).unwrap());
        assert_eq!(other.paused_until(), until);
    }

    #[test]
    fn who_waits_is_seen_by_the_others_and_not_by_itself() {
        let (_dir, shared) = shared();
        let own = shared.wait(7).unwrap();
        let table = shared.lock(&mut Window::new(1)).unwrap();
        assert!(table.others_wait(None) && !table.others_wait(Some(own.byte)));
        let other = shared.wait(7).unwrap();
        assert!(other.byte != own.byte && table.others_wait(Some(own.byte)));
        drop(other);
        assert!(!table.others_wait(Some(own.byte)));
    }

    #[test]
    fn a_file_that_holds_something_else_or_cannot_be_made_stops_nobody() {
        let (dir, shared) = shared();
        for other in ["", "{", "null", "[section]\n", &"x".repeat(10_000)] {
            std::fs::write(&shared.0, other).unwrap();
            assert!(shared.lock(&mut Window::new(1)).is_some(), "{other:.20}");
        }
        assert!(Shared(dir.path().join("not/there")).lock(&mut Window::new(1)).is_none());
        std::os::unix::fs::symlink("victim", dir.path().join("link")).unwrap();
        assert!(Shared(dir.path().join("link")).lock(&mut Window::new(1)).is_none() && !dir.path().join("victim").exists());
    }
}
