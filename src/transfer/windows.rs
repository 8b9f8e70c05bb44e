//! Directories and unfinished files on Windows, where files that are open can't be moved away: that is what keeps a name's meaning.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use same_file::Handle;

use super::{MOST_SEARCHED, PREFIX, SUFFIX, is_old};

const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;

/// A directory that is open, with those above it that it was reached by: as long as it is, none of them can be renamed or deleted.
pub struct Directory {
    path: PathBuf,
    held: Vec<Arc<File>>,
}

impl Directory {
    /// The directory of this path. Links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Directory> {
        Ok(Directory { path: path.to_owned(), held: vec![hold(path, 0)?] })
    }

    /// A directory in it, which is no link.
    pub(crate) fn child(&self, name: &OsStr) -> io::Result<Directory> {
        let path = self.path.join(name);
        let opened = hold(&path, FILE_FLAG_OPEN_REPARSE_POINT)?;
        let held = self.held.iter().cloned().chain([opened]).collect();
        Ok(Directory { path, held })
    }

    /// A file in it, to be read, which is no link.
    pub(crate) fn read(&self, name: &OsStr) -> io::Result<File> {
        self.file(name, OpenOptions::new().read(true))
    }

    /// What is known of a file in it, which is no link.
    pub(crate) fn metadata(&self, name: &OsStr) -> io::Result<Metadata> {
        let metadata = self.path.join(name).symlink_metadata()?;
        if is_link(&metadata) { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(metadata) }
    }

    /// A file in it, to be read and written, which is no link. It is made where it isn't there.
    pub(crate) fn read_or_make(&self, name: &OsStr) -> io::Result<File> {
        self.file(name, OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    /// Whether this file has the name.
    pub(crate) fn holds(&self, name: &OsStr, file: &File) -> bool {
        let own = file.try_clone().and_then(Handle::from_file);
        own.is_ok_and(|own| self.read(name).and_then(Handle::from_file).is_ok_and(|there| there == own))
    }

    /// The same directory, once more.
    pub(crate) fn try_clone(&self) -> io::Result<Directory> {
        Ok(Directory { path: self.path.clone(), held: self.held.clone() })
    }

    /// Whether something in it couldn't be opened since it is a link, or no directory.
    pub(crate) fn was_link(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotADirectory
    }

    fn file(&self, name: &OsStr, options: &mut OpenOptions) -> io::Result<File> {
        let file = options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(self.path.join(name))?;
        if is_link(&file.metadata()?) { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(file) }
    }
}

fn hold(path: &Path, flag: u32) -> io::Result<Arc<File>> {
    let mut options = OpenOptions::new();
    options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flag);
    let directory = options.open(path)?;
    let metadata = directory.metadata()?;
    if is_link(&metadata) || !metadata.is_dir() { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(Arc::new(directory)) }
}

fn is_link(metadata: &Metadata) -> bool {
    metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0
}

/// Files have the rights that their folder gives them.
pub(crate) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(bytes, at)
}

/// A file that has its name only when it is whole, and until then one of its own beside it.
pub(crate) struct Partial {
    directory: Directory,
    pub(crate) file: File,
    own: PathBuf,
}

/// What stands under a name.
pub(super) enum There {
    Nothing,
    /// A file, or a link to one or to nothing.
    File(()),
    /// A directory, or a link to one.
    Other,
}

/// What stands in the directory under this name.
pub(super) fn there(directory: &Directory, name: &OsStr) -> io::Result<There> {
    let path = directory.path.join(name);
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() || path.is_dir() => Ok(There::Other),
        Ok(_) => Ok(There::File(())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(error) => Err(error),
    }
}

impl Partial {
    /// An empty file in this directory.
    pub(super) fn create(directory: Directory, _private: bool) -> io::Result<Partial> {
        clear(&directory.path);
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
        let own = directory.path.join(format!("{PREFIX}{}{SUFFIX}", super::hex(&random)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&own)?;
        Ok(Partial { directory, file, own })
    }

    /// The same.
    pub(crate) fn secret(directory: Directory) -> io::Result<Partial> {
        Partial::create(directory, true)
    }

    /// Whether a file of this name has the same bytes already.
    pub(super) fn is_there(&mut self, name: &OsStr) -> io::Result<bool> {
        super::same_bytes(self.directory.read(name)?, &mut self.file)
    }

    /// Makes its bytes durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name; an `AlreadyExists` when that is taken and `overwrite` isn't set.
    pub(super) fn publish(self, name: &OsStr, overwrite: bool) -> io::Result<()> {
        if overwrite {
            return self.replace(name);
        }
        let path = self.directory.path.join(name);
        match fs::hard_link(&self.own, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // A file system without links, such as FAT: an empty file that only one can make, then the rename over it.
                File::create_new(&path)?;
                fs::rename(&self.own, &path)
            }
            linked => linked, // the other name goes when this is dropped
        }
    }

    /// The same for a file that is kept open, in place of another, and locked before it has the name.
    pub(crate) fn publish_locked(self, name: &OsStr) -> io::Result<File> {
        self.file.lock()?;
        fs::rename(&self.own, self.directory.path.join(name))?;
        self.file.try_clone()
    }

    /// Takes the place of whatever file has this name.
    pub(crate) fn replace(self, name: &OsStr) -> io::Result<()> {
        let path = self.directory.path.join(name);
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        fs::rename(&self.own, path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.own); // it is gone where it was renamed
    }
}

/// Nothing is remembered: each directory is cleared each time.
pub(crate) fn forget_cleared() {}

/// Clears what killed processes left in this directory.
fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().take(MOST_SEARCHED).flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) && is_old(entry.metadata()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
