//! The window that the processes of one machine share, in a file beside their token file.
//!
//! A place is a lock on one byte of that file, which the kernel gives back when its holder ends, however it ends. What is known of the organisation
//! stands in the file, as JSON. Each lock has an open file of its own (OFD locks): threads and forked children are told apart like processes. A child
//! that is forked in the middle of a call has its file open, too; so a place is given back by unlocking it, and not by closing the file alone.
//!
//! While a call is in its caller's own code, one more byte is locked, another one each time. Whoever waits and sees the same byte locked for a moment
//! borrows that call's place: it locks a byte that belongs to that one, so that nobody else borrows it too, and takes a place of its own. The
//! lender's isn't counted until the lender goes on. Calls of one process borrow from each other in the same way, so that no place is lent twice.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::place::moment;
use super::window::Window;

/// Bytes that are locked; what is written is shorter, and lies below but for the first byte.
const HEAD: u32 = 0;
const PLACES: Range<u32> = 10_000..12_000;
const WAITING: Range<u32> = 20_000..22_000;
const OUTSIDE: Range<u32> = 1 << 30..2 << 30;
/// From a byte of `OUTSIDE` to the one by which that call's place is borrowed.
const BORROWED: u32 = 1 << 30;
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
    head: Locked,
    /// The bytes of the places that are taken.
    taken: Vec<u32>,
    known: Window,
}

/// A byte that is locked, until it is dropped.
pub(super) struct Locked {
    file: File,
    pub(super) byte: u32,
}

/// A place among those of all processes, until it is dropped.
pub(super) struct Seat {
    /// Given back before the place: in between there seems to be a call more, and not one less.
    borrowed: Option<Locked>,
    place: Locked,
    /// Where in `OUTSIDE` the call's bytes begin.
    first: u32,
}

/// The locked bytes of `OUTSIDE`, and when each was seen first.
pub(super) type Outside = BTreeMap<u32, Instant>;

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
        let (now, mut head) = (now(), Locked { file, byte: HEAD });
        match read(&mut head.file) {
            Some(Document { at, window: known }) if at <= now && now - at < FORGOTTEN => window.learn(known, now),
            _ => window.forget(),
        }
        let taken = taken(&head.file, PLACES).ok()?;
        Some(Table { head, taken, known: window.clone() })
    }

    /// How many calls there are, but for those whose places are lent.
    pub(super) fn in_flight(&self) -> Option<u32> {
        let file = self.open().ok()?;
        Some(in_flight(&file, &taken(&file, PLACES).ok()?))
    }

    /// Says that this process waits for a place, until it is dropped.
    pub(super) fn wait(&self, random: u32) -> Option<Locked> {
        let file = self.open().ok()?;
        let free = |byte: &u32| try_lock(&file, *byte).unwrap_or(false);
        let byte = (0..8).map(|n| WAITING.start + random.wrapping_add(n * 257) % WAITING.len() as u32).find(free)?;
        Some(Locked { file, byte })
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
        in_flight(&self.head.file, &self.taken)
    }

    /// Whether another process waits for a place; `own` is the byte by which this one does.
    pub(super) fn others_wait(&self, own: Option<u32>) -> bool {
        let waits = |bytes: Range<u32>| !bytes.is_empty() && found(&self.head.file, bytes).is_ok_and(|found| found.is_some());
        match own {
            Some(byte) => waits(WAITING.start..byte) || waits(byte + 1..WAITING.end),
            None => waits(WAITING),
        }
    }

    /// Borrows the place of a call that has been in its caller's code for a moment, if there is one, where there are `most`. The head's file has the
    /// lock, which stays when the head is given back.
    pub(super) fn borrow(&self, outside: &mut Outside, most: u32, now: Instant) -> Option<Locked> {
        let bytes = taken(&self.head.file, OUTSIDE).ok()?;
        *outside = bytes.into_iter().map(|byte| (byte, *outside.get(&byte).unwrap_or(&now))).collect();
        let moment = moment(self.taken.len().saturating_sub(most as usize));
        let long = outside.iter().filter(|(_, since)| now.duration_since(**since) >= moment);
        let file = self.head.file.try_clone().ok()?;
        let byte = long.map(|(byte, _)| byte + BORROWED).find(|byte| try_lock(&file, *byte).unwrap_or(false))?;
        Some(Locked { file, byte })
    }

    /// Takes a place, beside one that is `borrowed` where all are taken, and writes what is known now.
    pub(super) fn take(self, window: &Window, borrowed: Option<Locked>) -> Option<Seat> {
        let file = self.head.file.try_clone().ok()?; // the same open file: its lock stays when the head is given back
        let byte = PLACES.into_iter().find(|byte| !self.taken.contains(byte) && try_lock(&file, *byte).unwrap_or(false))?;
        self.leave(window);
        let first = now().as_nanos() as u32; // another call begins at another time, so that its bytes are others
        Some(Seat { borrowed, place: Locked { file, byte }, first })
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

impl Seat {
    pub(super) fn is_borrowed(&self) -> bool {
        self.borrowed.is_some()
    }

    /// Shows the others whether the call is in its caller's own code: the `word` is that of its whereabouts.
    pub(super) fn show(&self, word: u64) {
        let file = &self.place.file;
        let byte = |word: u64| OUTSIDE.start + self.first.wrapping_add((word / 2) as u32) % OUTSIDE.len() as u32;
        // A failure lends nothing.
        let _ = if word % 2 == 1 { try_lock(file, byte(word)).map(drop) } else { unlock(file, byte(word - 1)) };
    }
}

impl Drop for Locked {
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

/// Calls with these places, but for those that are in their callers' code while another one has borrowed their place.
fn in_flight(file: &File, places: &[u32]) -> u32 {
    let borrowed = taken(file, OUTSIDE.start + BORROWED..OUTSIDE.end + BORROWED).unwrap_or_default();
    let is_outside = |byte: u32| found(file, byte..byte + 1).is_ok_and(|found| found.is_some());
    let lent = borrowed.into_iter().filter(|byte| is_outside(byte - BORROWED)).count();
    places.len().saturating_sub(lent) as u32
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
    use super::super::place::MOMENT;
    use super::*;

    fn shared() -> (tempfile::TempDir, Shared) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.places");
        (dir, Shared(path))
    }

    #[test]
    fn a_place_is_taken_by_one_and_free_when_it_is_given_back() {
        let ((_dir, shared), mut window) = (shared(), Window::new(1));
        let mut take = || shared.lock(&mut window).unwrap().take(&Window::new(1), None).unwrap();
        let (a, b) = (take(), take());
        assert!(a.place.byte != b.place.byte && shared.in_flight() == Some(2));
        drop(a);
        assert_eq!(shared.in_flight(), Some(1));
        drop((b, take()));
        assert_eq!(shared.in_flight(), Some(0));
    }

    #[test]
    fn a_place_is_lent_once_while_its_call_is_in_one_and_the_same_callback() {
        let (_dir, shared) = shared();
        let (window, mut outside, mut at) = (Window::new(1), Outside::new(), Instant::now());
        let table = || shared.lock(&mut Window::new(1)).unwrap();
        let lender = table().take(&window, None).unwrap();
        let mut after = |wait: Duration| {
            at += wait;
            table().borrow(&mut outside, 1, at)
        };
        assert!(after(MOMENT).is_none() && after(MOMENT).is_none(), "it is in no callback");
        lender.show(1);
        assert!(after(MOMENT).is_none(), "nobody knows since when");
        lender.show(2);
        lender.show(3);
        assert!(after(MOMENT).is_none(), "this is another one");
        assert!(after(MOMENT / 2).is_none() && after(MOMENT / 2).is_some());
        let borrowed = after(Duration::ZERO);
        assert!(after(Duration::ZERO).is_none(), "it is borrowed");
        let borrower = table().take(&window, borrowed).unwrap();
        assert_eq!(shared.in_flight(), Some(1));
        lender.show(4);
        assert_eq!(shared.in_flight(), Some(2));
        drop(lender);
        assert_eq!(shared.in_flight(), Some(1));
        drop(borrower);
        assert_eq!(shared.in_flight(), Some(0));
    }

    #[test]
    fn where_many_places_are_lent_the_next_one_is_lent_later() {
        let (_dir, shared) = shared();
        let (window, mut outside, mut at) = (Window::new(1), Outside::new(), Instant::now());
        let table = || shared.lock(&mut Window::new(1)).unwrap();
        let seats: Vec<_> = (0..33).map(|_| table().take(&window, None).unwrap()).collect();
        seats[0].show(1);
        let mut after = |wait: Duration| {
            at += wait;
            table().borrow(&mut outside, 1, at)
        };
        assert!(after(MOMENT).is_none() && after(MOMENT).is_none() && after(MOMENT).is_some());
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
