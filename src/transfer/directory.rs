//! A directory that is open: a name in it means the same, whatever becomes of its path meanwhile.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// A directory that is open.
pub struct Directory(OwnedFd);

/// Only to name things in it: whoever may write there may not be allowed to read.
#[cfg(target_os = "linux")]
const PASS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = OFlags::RDONLY;

impl Directory {
    /// The directory of this path. Links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Directory> {
        at(CWD, path.as_os_str(), PASS | OFlags::DIRECTORY).map(Directory)
    }

    /// A directory in it, which is no link.
    pub(crate) fn child(&self, name: &OsStr) -> io::Result<Directory> {
        at(self, name, PASS | OFlags::DIRECTORY | OFlags::NOFOLLOW).map(Directory)
    }

    /// A file in it, to be read, which is no link.
    pub(crate) fn read(&self, name: &OsStr) -> io::Result<File> {
        at(self, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK).map(File::from) // a fifo would be waited for
    }

    /// What is known of a file in it, which is no link. It takes no right to read that.
    pub(crate) fn metadata(&self, name: &OsStr) -> io::Result<Metadata> {
        File::from(at(self, name, PASS | OFlags::NOFOLLOW)?).metadata()
    }

    /// A file in it, to be read and written, which is no link. It is made, for its owner alone, where it isn't there.
    pub(crate) fn read_or_make(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Whether this file has the name.
    pub(crate) fn holds(&self, name: &OsStr, file: &File) -> bool {
        let there = rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW);
        file.metadata().is_ok_and(|own| there.is_ok_and(|there| (there.st_dev, there.st_ino) == (own.dev(), own.ino())))
    }

    /// The same directory, once more.
    pub(crate) fn try_clone(&self) -> io::Result<Directory> {
        self.0.try_clone().map(Directory)
    }

    /// Whether something in it couldn't be opened since it is a link, or no directory.
    pub(crate) fn was_link(error: &io::Error) -> bool {
        matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn at(directory: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// Readable and writable by its owner only.
pub(crate) fn make_private(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode == 0o600 { Ok(()) } else { file.set_permissions(Permissions::from_mode(0o600)) }
}

pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(bytes, at)
}
