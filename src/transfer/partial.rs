//! A file that has its name only when it is whole.
//!
//! Where the system can, it has no name at all until then, so that a killed process leaves nothing. Else it has a name of its own beside the
//! target, which the process that made it holds locked: what isn't locked any more was left by a dead process and is cleared by the next.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Stat, Uid};
use rustix::io::Errno;

use crate::process::PerProcess;

const PREFIX: &str = ".zcrm-";
const SUFFIX: &str = ".partial";

/// What another machine has left is cleared after so long: whether its process lives can't be seen from here.
const FOREIGN: Duration = Duration::from_secs(24 * 3600);

/// A directory with more entries than this is not searched for what was left.
const MOST_SEARCHED: usize = 100_000;

/// Directories that a process remembers to have cleared.
const MOST_REMEMBERED: usize = 10_000;

pub(super) struct Partial {
    directory: OwnedFd,
    pub(super) file: fs::File,
    /// The name that it has meanwhile, where it needs one.
    name: Option<String>,
    /// The mode of a new file: 0666 less the umask.
    mode: Mode,
}

/// What stands under a name.
pub(super) enum There {
    Nothing,
    /// A regular file, or a link to one or to nothing.
    File(Stat),
    /// A directory, a device, a fifo, a socket; or a link to one.
    Other,
}

/// What stands in the directory under this name.
pub(super) fn there(directory: &OwnedFd, name: &OsStr) -> io::Result<There> {
    let regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode).is_file();
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(There::Nothing),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode).is_symlink() {
        // It is replaced, not followed; but what leads to a device has a meaning that a file in its place hasn't.
        let leads_elsewhere = rustix::fs::statat(directory, name, AtFlags::empty()).is_ok_and(|target| !regular(&target));
        return Ok(if leads_elsewhere { There::Other } else { There::File(stat) });
    }
    Ok(if regular(&stat) { There::File(stat) } else { There::Other })
}

impl Partial {
    /// An empty file in this directory. `private`: only the owner can read it until it is published.
    pub(super) fn create(directory: OwnedFd, private: bool) -> io::Result<Partial> {
        clear(&directory);
        let partial = match unnamed(&directory) {
            Some((file, mode)) => Partial { directory, file, name: None, mode },
            None => {
                let (file, name, mode) = named(&directory)?;
                Partial { directory, file, name: Some(name), mode }
            }
        };
        if private {
            let _ = rustix::fs::fchmod(&partial.file, partial.mode & Mode::RWXU); // some file systems have no modes
        }
        Ok(partial)
    }

    /// Whether a file of this name has the same bytes already.
    pub(super) fn is_there(&mut self, name: &OsStr) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let there = fs::File::from(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?);
        if !there.metadata()?.is_file() || there.metadata()?.len() != self.file.metadata()?.len() {
            return Ok(false);
        }
        self.file.rewind()?;
        let (mut there, mut own) = (BufReader::with_capacity(super::CHUNK, there), BufReader::with_capacity(super::CHUNK, &self.file));
        loop {
            let (theirs, ours) = (there.fill_buf()?, own.fill_buf()?);
            let n = theirs.len().min(ours.len());
            if theirs[..n] != ours[..n] {
                return Ok(false);
            }
            if n == 0 {
                return Ok(theirs.len() == ours.len());
            }
            there.consume(n);
            own.consume(n);
        }
    }

    /// Makes its bytes durable.
    pub(super) fn flush(&self) -> io::Result<()> {
        flush(&self.file)
    }

    /// Gives it its name; an `AlreadyExists` when that is taken and `overwrite` isn't set. What it replaces hands on mode and owner.
    pub(super) fn publish(mut self, name: &OsStr, overwrite: bool) -> io::Result<()> {
        if !overwrite {
            return self.publish_new(name);
        }
        self.dress(name)?;
        self.give_name()?;
        rustix::fs::renameat(&self.directory, self.name(), &self.directory, name)?;
        self.name = None;
        Ok(())
    }

    /// The three ways that never replace, from the one that a killed process can't leave half done.
    fn publish_new(&mut self, name: &OsStr) -> io::Result<()> {
        if self.name.is_none() {
            match link(&self.file, &self.directory, name) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
                Err(_) => self.give_name()?,
            }
        }
        let directory = &self.directory;
        match rustix::fs::renameat_with(directory, self.name(), directory, name, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.name = None;
                return Ok(());
            }
            Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
            Err(_) => {} // the file system can't
        }
        match rustix::fs::linkat(directory, self.name(), directory, name, AtFlags::empty()) {
            Ok(()) => return Ok(()), // the other name goes when this is dropped
            Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
            Err(_) => {}
        }
        self.replace_placeholder(name)
    }

    /// An empty file that only one can make, then the rename over it.
    fn replace_placeholder(&mut self, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let placeholder = rustix::fs::fstat(rustix::fs::openat(&self.directory, name, flags, Mode::from_raw_mode(0o666))?)?;
        let is_ours = |there: Stat| (there.st_dev, there.st_ino, there.st_size) == (placeholder.st_dev, placeholder.st_ino, 0);
        let there = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if !is_ours(there) {
            return Err(Errno::EXIST.into()); // somebody has put a file in its place
        }
        let renamed = rustix::fs::renameat(&self.directory, self.name(), &self.directory, name);
        match renamed {
            Ok(()) => self.name = None,
            Err(_) if rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_ours) => {
                let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            }
            Err(_) => {}
        }
        Ok(renamed?)
    }

    /// Takes mode and owner of the file that it replaces; those of a new one, when that is gone or is a link.
    fn dress(&self, name: &OsStr) -> io::Result<()> {
        let old = match there(&self.directory, name)? {
            There::File(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => stat,
            There::Other => return Err(Errno::ISDIR.into()),
            _ => {
                let _ = rustix::fs::fchmod(&self.file, self.mode);
                return Ok(());
            }
        };
        let own = rustix::fs::fstat(&self.file)?;
        let same_owner = (own.st_uid, own.st_gid) == (old.st_uid, old.st_gid)
            || rustix::fs::fchown(&self.file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid))).is_ok();
        // Bits that lend an owner's rights are kept only with that owner.
        let kept = if same_owner { 0o7777 } else { 0o777 };
        let _ = rustix::fs::fchmod(&self.file, Mode::from_raw_mode(old.st_mode & kept));
        Ok(())
    }

    /// A name of its own, for the file systems and calls that need one.
    fn give_name(&mut self) -> io::Result<()> {
        if self.name.is_some() {
            return Ok(());
        }
        let _ = rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive);
        let name = own_name()?;
        if link(&self.file, &self.directory, OsStr::new(&name)).is_ok() {
            self.name = Some(name);
            return Ok(());
        }
        // It can be made without a name and never get one: the bytes move to one that has one.
        let (mut file, name, mode) = named(&self.directory)?;
        let own = rustix::fs::fstat(&self.file)?;
        self.file.rewind()?;
        self.name = Some(name);
        self.mode = mode;
        io::copy(&mut self.file, &mut file)?;
        let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(own.st_mode & 0o7777));
        flush(&file)?;
        self.file = file;
        Ok(())
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::empty());
        }
    }
}

/// Some file systems can't flush a file; then there is nothing to wait for.
fn flush(file: &fs::File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)) => Ok(()),
        flushed => flushed,
    }
}

/// A file without a name, and the mode that the umask left it; none where the system can't make or can't name one.
fn unnamed(directory: &OwnedFd) -> Option<(fs::File, Mode)> {
    #[cfg(target_os = "linux")]
    {
        let file = rustix::fs::openat(directory, ".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, Mode::from_raw_mode(0o666)).ok()?;
        let file = fs::File::from(file);
        rustix::fs::statat(CWD, through_proc(&file), AtFlags::empty()).ok()?;
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode & 0o7777);
        Some((file, mode))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// A new file under a name of its own, locked, its name, and the mode that the umask left it.
fn named(directory: &OwnedFd) -> io::Result<(fs::File, String, Mode)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let name = own_name()?;
        let file = match rustix::fs::openat(directory, name.as_str(), flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => fs::File::from(file),
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(error.into()),
        };
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        let gone = rustix::fs::statat(directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).err() == Some(Errno::NOENT);
        if locked == Err(Errno::WOULDBLOCK) || gone {
            continue; // another process was just clearing up
        }
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&file)?.st_mode & 0o7777);
        return Ok((file, name, mode));
    }
}

fn link(file: &fs::File, directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::linkat(CWD, through_proc(file), directory, name, AtFlags::SYMLINK_FOLLOW)
}

fn through_proc(file: &fs::File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A name that nobody has, and that says which machine made it.
fn own_name() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("{PREFIX}{}-{}{SUFFIX}", machine(), super::hex(&random)))
}

/// A short word for this machine: its name's hash.
fn machine() -> String {
    let name = rustix::system::uname();
    super::sha256(name.nodename().to_bytes())[..8].to_owned()
}

/// Clears what dead processes left in this directory, once a process and directory.
fn clear(directory: &OwnedFd) {
    static CLEARED: PerProcess<Mutex<BTreeSet<(u64, u64)>>> = PerProcess::new();
    let Ok(stat) = rustix::fs::fstat(directory) else { return };
    let mut cleared = CLEARED.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner);
    if cleared.len() > MOST_REMEMBERED {
        cleared.clear();
    }
    let first = cleared.insert((stat.st_dev, stat.st_ino));
    drop(cleared);
    if first {
        let _ = clear_now(directory);
    }
}

fn clear_now(directory: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(directory)?.take(MOST_SEARCHED) {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let middle = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|name| name.strip_suffix(SUFFIX));
        if middle.is_some_and(|middle| is_left(directory, name, middle)) {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
    Ok(())
}

/// Whether a partial file belongs to nobody any more: this user's, of this machine, and unlocked; or one that nobody here could lock, a day old.
fn is_left(directory: &OwnedFd, name: &OsStr, middle: &str) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { return false };
    let Ok(stat) = rustix::fs::fstat(&file) else { return false };
    if !FileType::from_raw_mode(stat.st_mode).is_file() || stat.st_uid != rustix::process::geteuid().as_raw() {
        return false;
    }
    let file = fs::File::from(file);
    let old = || file.metadata().and_then(|m| m.modified()).is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > FOREIGN));
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => middle.split('-').next() == Some(&machine()) || old(),
        Err(Errno::WOULDBLOCK) => false,
        Err(_) => old(), // no locks here
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    fn open(dir: &Path) -> OwnedFd {
        fs::File::open(dir).unwrap().into()
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A file as a file system without unnamed files has it.
    fn with_name(dir: &Path) -> Partial {
        let (file, name, mode) = named(&open(dir)).unwrap();
        Partial { directory: open(dir), file, name: Some(name), mode }
    }

    /// A file that can't be linked into the directory.
    fn on_another_file_system(dir: &Path) -> Partial {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        Partial { directory: open(dir), file, name: None, mode: Mode::from_raw_mode(0o644) }
    }

    #[test]
    fn each_way_of_naming_refuses_what_is_there_and_leaves_nothing() {
        type Make = fn(&Path) -> Partial;
        type Way = fn(Partial, &OsStr) -> io::Result<()>;
        let ways: [(&str, Make, Way); 4] = [
            ("unnamed", |dir| Partial::create(open(dir), false).unwrap(), |partial, name| partial.publish(name, false)),
            ("unnamed for ever", on_another_file_system, |partial, name| partial.publish(name, false)),
            ("named", with_name, |partial, name| partial.publish(name, false)),
            ("placeholder", with_name, |mut partial, name| partial.replace_placeholder(name)),
        ];
        for (way, make, publish) in ways {
            let dir = tempfile::tempdir().unwrap();
            let mut partial = make(dir.path());
            partial.file.write_all(b"new").unwrap();
            publish(partial, OsStr::new("a")).unwrap();
            assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new", "{way}");
            let error = publish(make(dir.path()), OsStr::new("a")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{way}");
            assert_eq!((fs::read(dir.path().join("a")).unwrap(), names(dir.path())), (b"new".to_vec(), vec!["a".to_owned()]), "{way}");
        }
    }

    #[test]
    fn mode_and_owner_of_what_is_replaced_stay() {
        for mode in [0o600, 0o640, 0o444, 0o755] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a");
            fs::write(&path, b"old").unwrap();
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let before = path.metadata().unwrap();
            let partial = Partial::create(open(dir.path()), true).unwrap();
            assert_eq!(partial.file.metadata().unwrap().mode() & 0o077, 0, "nobody else reads it meanwhile");
            partial.publish(OsStr::new("a"), true).unwrap();
            let after = path.metadata().unwrap();
            assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
            assert_ne!(after.ino(), before.ino());
        }
    }

    #[test]
    fn what_a_dead_process_left_is_cleared_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| fs::File::create_new(dir.path().join(name)).unwrap();
        let day_old = SystemTime::now() - FOREIGN - Duration::from_secs(60);
        file(&own_name().unwrap());
        file(".zcrm-old.partial").set_modified(day_old).unwrap();
        for stays in [".zcrm-otherhost-12.partial", ".zcrm-x", "a.partial", "a"] {
            file(stays);
        }
        file("my.partial").set_modified(day_old).unwrap();
        let live = with_name(dir.path());
        let live_name = live.name().to_owned();
        clear_now(&open(dir.path())).unwrap();
        let mut left = names(dir.path());
        left.sort();
        let mut expected = vec![".zcrm-otherhost-12.partial", ".zcrm-x", "a", "a.partial", "my.partial", live_name.as_str()];
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
