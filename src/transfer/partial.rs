//! A file that has its name only when it is whole.
//!
//! Where the system can, it has no name at all until then, so that a killed process leaves nothing. Else it has a name of its own beside the
//! target: see [`left`].

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Seek};
use std::os::fd::AsRawFd;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Stat, Uid};
use rustix::io::Errno;

use super::directory::Directory;
use super::left;

/// Everybody may read and write it, as far as the umask lets them.
const ANYBODY: Mode = Mode::from_raw_mode(0o666);
const OWNER: Mode = Mode::from_raw_mode(0o600);

pub(crate) struct Partial {
    directory: Directory,
    pub(crate) file: fs::File,
    /// The name that it has meanwhile, where it needs one.
    name: Option<String>,
    /// The mode that the umask left it when it was made.
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
pub(super) fn there(directory: &Directory, name: &OsStr) -> io::Result<There> {
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
    pub(super) fn create(directory: Directory, private: bool) -> io::Result<Partial> {
        let partial = Partial::of_mode(directory, ANYBODY)?;
        if private {
            let _ = rustix::fs::fchmod(&partial.file, partial.mode & Mode::RWXU); // some file systems have no modes
        }
        Ok(partial)
    }

    /// An empty file in this directory that nobody but its owner can ever read, unless it is published with another's mode.
    pub(crate) fn secret(directory: Directory) -> io::Result<Partial> {
        Partial::of_mode(directory, OWNER)
    }

    fn of_mode(directory: Directory, mode: Mode) -> io::Result<Partial> {
        left::clear(&directory);
        let (file, name) = match unnamed(&directory, mode) {
            Some(file) => (file, None),
            None => left::create(&directory, mode).map(|(file, name)| (file, Some(name)))?,
        };
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&file)?.st_mode & 0o7777);
        Ok(Partial { directory, file, name, mode })
    }

    /// Whether a file of this name has the same bytes already.
    pub(super) fn is_there(&mut self, name: &OsStr) -> io::Result<bool> {
        super::same_bytes(self.directory.read(name)?, &mut self.file)
    }

    /// Makes its bytes durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        flush(&self.file)
    }

    /// Gives it its name; an `AlreadyExists` when that is taken and `overwrite` isn't set. What it replaces hands on mode and owner.
    pub(super) fn publish(mut self, name: &OsStr, overwrite: bool) -> io::Result<()> {
        if !overwrite {
            return self.publish_new(name);
        }
        self.dress(name)?;
        self.replace(name)
    }

    /// The same for a file that is kept open, in place of another: it is locked since before it had the name.
    pub(crate) fn publish_locked(mut self, name: &OsStr) -> io::Result<fs::File> {
        self.dress(name)?;
        self.take_place(name)?;
        self.file.try_clone()
    }

    /// Takes the place of whatever file has this name, with its own mode and owner.
    pub(crate) fn replace(mut self, name: &OsStr) -> io::Result<()> {
        self.take_place(name)
    }

    fn take_place(&mut self, name: &OsStr) -> io::Result<()> {
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
        let placeholder = rustix::fs::fstat(rustix::fs::openat(&self.directory, name, flags, ANYBODY)?)?;
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
        let name = left::own_name()?;
        if link(&self.file, &self.directory, OsStr::new(&name)).is_ok() {
            self.name = Some(name);
            return Ok(());
        }
        // It can be made without a name and never get one: the bytes move to one that has one.
        let own = rustix::fs::fstat(&self.file)?;
        let (mut file, name) = left::create(&self.directory, OWNER)?;
        self.file.rewind()?;
        self.name = Some(name);
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

/// A file without a name; none where the system can't make or can't name one.
fn unnamed(directory: &Directory, mode: Mode) -> Option<fs::File> {
    #[cfg(target_os = "linux")]
    {
        let file = rustix::fs::openat(directory, ".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, mode).ok()?;
        let file = fs::File::from(file);
        rustix::fs::statat(CWD, through_proc(&file), AtFlags::empty()).ok()?;
        Some(file)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (directory, mode);
        None
    }
}

fn link(file: &fs::File, directory: &Directory, name: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::linkat(CWD, through_proc(file), directory, name, AtFlags::SYMLINK_FOLLOW)
}

fn through_proc(file: &fs::File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    fn open(dir: &Path) -> Directory {
        Directory::open(dir).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A file as a file system without unnamed files has it.
    fn with_name(dir: &Path) -> Partial {
        let (file, name) = left::create(&open(dir), ANYBODY).unwrap();
        Partial { directory: open(dir), file, name: Some(name), mode: ANYBODY }
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
}
