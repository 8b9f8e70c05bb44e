//! Unfinished files that have a name, and what dead processes left of them.
//!
//! The process that makes one holds it locked: what isn't locked any more is nobody's, and the next process clears it away.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::{MOST_SEARCHED, PREFIX, SUFFIX, is_old};
use crate::process::PerProcess;

/// Directories that a process remembers to have cleared.
const MOST_REMEMBERED: usize = 10_000;

/// A new file under a name of its own, locked, and its name.
pub(super) fn create(directory: &Directory, mode: Mode) -> io::Result<(File, String)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let name = own_name()?;
        let file = match rustix::fs::openat(directory, name.as_str(), flags, mode) {
            Ok(file) => File::from(file),
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(error.into()),
        };
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        let gone = rustix::fs::statat(directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).err() == Some(Errno::NOENT);
        if locked == Err(Errno::WOULDBLOCK) || gone {
            continue; // another process was just clearing up
        }
        return Ok((file, name));
    }
}

/// A name that nobody has, and that says which machine made it.
pub(super) fn own_name() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("{PREFIX}{}-{}{SUFFIX}", machine(), super::hex(&random)))
}

/// A short word for this machine: its name's hash.
fn machine() -> String {
    let name = rustix::system::uname();
    super::sha256(name.nodename().to_bytes())[..8].to_owned()
}

/// Clears what dead processes left in this directory, once a process and directory, or once more after [`forget_cleared`].
pub(super) fn clear(directory: &Directory) {
    let Ok(stat) = rustix::fs::fstat(directory) else { return };
    let mut cleared = cleared();
    if cleared.len() > MOST_REMEMBERED {
        cleared.clear();
    }
    let first = cleared.insert((stat.st_dev, stat.st_ino));
    drop(cleared);
    if first {
        let _ = clear_now(directory);
    }
}

/// Directories are cleared anew: a process has died since, and this one goes on with its work.
pub(crate) fn forget_cleared() {
    cleared().clear();
}

/// Device and inode of each directory that was cleared.
fn cleared() -> MutexGuard<'static, BTreeSet<(u64, u64)>> {
    static CLEARED: PerProcess<Mutex<BTreeSet<(u64, u64)>>> = PerProcess::new();
    CLEARED.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
}

fn clear_now(directory: &Directory) -> io::Result<()> {
    // The directory may be open only to pass through it.
    let listed = rustix::fs::openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in Dir::new(listed)?.take(MOST_SEARCHED) {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let middle = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|name| name.strip_suffix(SUFFIX));
        if middle.is_some_and(|middle| is_left(directory, name, middle)) {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
    Ok(())
}

/// Whether an unfinished file is nobody's: this user's, of this machine, and unlocked; or of a place without locks or another machine, and a day old.
fn is_left(directory: &Directory, name: &OsStr, middle: &str) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { return false };
    let Ok(stat) = rustix::fs::fstat(&file) else { return false };
    if !FileType::from_raw_mode(stat.st_mode).is_file() || stat.st_uid != rustix::process::geteuid().as_raw() {
        return false;
    }
    let file = File::from(file);
    // Nobody here can see whether a process of another machine lives.
    let old = || is_old(file.metadata());
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => middle.split('-').next() == Some(&machine()) || old(),
        Err(Errno::WOULDBLOCK) => false,
        Err(_) => old(), // no locks here
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_a_dead_process_left_is_cleared_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create_new(dir.path().join(name)).unwrap();
        let day_old = SystemTime::now() - super::super::OLD - Duration::from_secs(60);
        file(&own_name().unwrap());
        file(".zcrm-old.partial").set_modified(day_old).unwrap();
        for stays in [".zcrm-otherhost-12.partial", ".zcrm-x", "a.partial", "a"] {
            file(stays);
        }
        file("my.partial").set_modified(day_old).unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let (_live, live_name) = create(&directory, Mode::RUSR | Mode::WUSR).unwrap();
        clear_now(&directory).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected = vec![".zcrm-otherhost-12.partial", ".zcrm-x", "a", "a.partial", "my.partial", live_name.as_str()];
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
