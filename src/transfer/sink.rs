//! Where the bytes of a download go.

use std::ffi::OsStr;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use super::Directory;
use super::name::refused_by_windows;
use super::partial::{self, Partial, There};
use crate::caller;
use crate::error::{Error, Result, Status, one_line};
use crate::fallible;

/// Takes the bytes of a download as they come.
pub trait Writer {
    /// Takes all of `bytes`, or fails.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Anything that writes is a [`Writer`].
pub struct Written<W>(pub W);

impl<W: Write> Writer for Written<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(|e| Error::io("sink_write", "the sink can't be written", &e))
    }
}

/// Where a download goes, and how much of it.
pub struct Sink<'a> {
    /// Where the bytes go.
    pub to: To<'a>,
    /// Most bytes to take: a larger file is `Status::TooLarge`. `None` = no bound but that of the setting `memory_max_bytes`, for memory.
    pub max_bytes: Option<u64>,
}

/// Where the bytes of a download go.
pub enum To<'a> {
    /// A file that appears under this path only when it is complete. An existing file is replaced only with `overwrite`.
    File {
        /// The path; its directory must exist.
        path: PathBuf,
        /// The path's directory, where it is opened already; `None` = it is opened by its name.
        directory: Option<Directory>,
        /// Whether a file of that name is replaced.
        overwrite: bool,
    },
    /// Memory, returned with the result.
    Memory,
    /// The caller's writer. What it was given before a failure stays given.
    Writer(&'a mut dyn Writer),
}

impl<'a> Sink<'a> {
    /// A file. An existing one is replaced only with `overwrite`.
    pub fn file(path: impl Into<PathBuf>, overwrite: bool) -> Sink<'a> {
        To::File { path: path.into(), directory: None, overwrite }.into()
    }

    /// Memory, returned with the result.
    pub fn memory() -> Sink<'a> {
        To::Memory.into()
    }

    /// The caller's writer.
    pub fn writer(writer: &'a mut dyn Writer) -> Sink<'a> {
        To::Writer(writer).into()
    }

    /// The same sink, which takes at most this many bytes.
    #[must_use]
    pub fn at_most(self, bytes: u64) -> Sink<'a> {
        Sink { max_bytes: Some(bytes), ..self }
    }
}

impl<'a> From<To<'a>> for Sink<'a> {
    fn from(to: To<'a>) -> Sink<'a> {
        Sink { to, max_bytes: None }
    }
}

/// A sink being written.
pub(crate) enum Output<'a> {
    File {
        partial: Partial,
        path: PathBuf,
        overwrite: bool,
        /// What bears the name already may be this very download, of an earlier process.
        again: bool,
        written: u64,
    },
    Memory(Vec<u8>),
    Writer {
        writer: &'a mut dyn Writer,
        written: u64,
    },
    /// Only the hash is wanted.
    Nowhere {
        written: u64,
    },
}

/// What is left of a sink once the download is complete.
#[derive(Default)]
pub(crate) struct Finished {
    pub(crate) path: Option<PathBuf>,
    pub(crate) data: Option<Vec<u8>>,
}

impl<'a> Output<'a> {
    /// Opens it. What is wrong with a file shows here, before anything is asked of the server.
    pub(crate) fn open(to: To<'a>, again: bool) -> Result<Output<'a>> {
        match to {
            To::Memory => Ok(Output::Memory(Vec::new())),
            To::Writer(writer) => Ok(Output::Writer { writer, written: 0 }),
            To::File { path, directory, overwrite } => {
                let name = file_name(&path)?;
                let broken = |e: io::Error| Error::io("sink_create", format_args!("a file in the directory of {}", shown(&path)), &e);
                let directory = directory.map_or_else(|| open_directory(&path), Ok).map_err(broken)?;
                let replaces = match partial::there(&directory, name).map_err(broken)? {
                    There::Nothing => false,
                    There::File(_) if again && !overwrite => false, // compared once it is here
                    There::Other => return Err(no_file(&path)),
                    There::File(_) if !overwrite => return Err(exists(&path)),
                    There::File(_) => true,
                };
                let partial = Partial::create(directory, replaces).map_err(broken)?;
                Ok(Output::File { partial, path, overwrite, again, written: 0 })
            }
        }
    }

    /// Bytes taken so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Output::File { written, .. } | Output::Writer { written, .. } | Output::Nowhere { written } => *written,
            Output::Memory(data) => data.len() as u64,
        }
    }

    /// Makes room for so many bytes in all, which the sink's bound has allowed: growing piece by piece takes up to twice the memory.
    /// What is reserved costs nothing until it is written, so a server that announces too much gains nothing.
    pub(crate) fn expect(&mut self, length: u64) -> Result<()> {
        match (self, usize::try_from(length)) {
            (Output::Memory(data), Ok(length)) => {
                data.try_reserve_exact(length.saturating_sub(data.len())).map_err(|_| fallible::out_of_memory(length))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Output::File { partial, path, written, .. } => {
                partial.file.write_all(bytes).map_err(|e| Error::io("sink_write", format_args!("writing {}", shown(path)), &e))?;
                *written += bytes.len() as u64;
            }
            Output::Memory(data) => {
                fallible::append(data, bytes)?;
            }
            Output::Writer { writer, written } => {
                caller::runs(|| writer.write(bytes))?;
                *written += bytes.len() as u64;
            }
            Output::Nowhere { written } => *written += bytes.len() as u64,
        }
        Ok(())
    }

    /// Back to nothing for another attempt. What a writer was given stays given.
    pub(crate) fn restart(&mut self) -> Result<()> {
        match self {
            Output::File { written: 0, .. } => {}
            Output::File { partial, written, .. } => {
                let file = &mut partial.file;
                file.set_len(0).and_then(|()| file.rewind()).map_err(|e| Error::io("sink_write", "the temporary file can't be emptied", &e))?;
                *written = 0;
            }
            Output::Memory(data) => data.clear(),
            Output::Nowhere { written } => *written = 0,
            Output::Writer { .. } => {}
        }
        Ok(())
    }

    /// Makes a complete file durable and gives it its name.
    pub(crate) fn finish(self) -> Result<Finished> {
        match self {
            Output::Writer { .. } | Output::Nowhere { .. } => Ok(Finished::default()),
            Output::Memory(data) => Ok(Finished { data: Some(data), ..Finished::default() }),
            Output::File { mut partial, path, overwrite, again, .. } => {
                if again && !overwrite && partial.is_there(file_name(&path)?).unwrap_or_default() {
                    return Ok(Finished { path: Some(path), ..Finished::default() });
                }
                partial.flush().map_err(|e| Error::io("sink_sync", format_args!("flushing {}", shown(&path)), &e))?;
                partial.publish(file_name(&path)?, overwrite).map_err(|e| match e.kind() {
                    io::ErrorKind::AlreadyExists => exists(&path),
                    io::ErrorKind::IsADirectory => no_file(&path),
                    _ => Error::io("sink_rename", format_args!("naming {}", shown(&path)), &e),
                })?;
                Ok(Finished { path: Some(path), ..Finished::default() })
            }
        }
    }
}

/// The file's name in its directory. (`Path::file_name` of `a/.` and `a/` is `a`, which may be a directory or a link to one.)
pub(crate) fn file_name(path: &Path) -> Result<&OsStr> {
    let name = path.file_name().filter(|name| path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()));
    let name = name.ok_or_else(|| Error::argument("path", format_args!("{} names no file to write", shown(path))))?;
    match refused_by_windows(&name.to_string_lossy()) {
        Some(why) if cfg!(windows) => Err(Error::argument("path", format_args!("{}: {why}", shown(path)))),
        _ => Ok(name),
    }
}

/// The directory of this path, to name things in.
pub(crate) fn open_directory(path: &Path) -> io::Result<Directory> {
    Directory::open(path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn exists(path: &Path) -> Error {
    Error::new(Status::Io, "target_exists", format!("{} exists; remove it or ask to overwrite", shown(path))).with(|d| d.os_error = libc::EEXIST)
}

fn no_file(path: &Path) -> Error {
    Error::new(Status::Io, "target_not_a_file", format!("{} is not a regular file, so it is not replaced", shown(path)))
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_finished_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let mut output = Output::open(To::File { path: path.clone(), directory: None, overwrite: false }, false).unwrap();
        output.write(b"abc").unwrap();
        assert!(!path.exists());
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dropped_sink_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::open(To::File { path: dir.path().join("a"), directory: None, overwrite: false }, false).unwrap();
        output.write(b"abc").unwrap();
        drop(output);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request_even_when_it_appears_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let output = Output::open(To::File { path: path.clone(), directory: None, overwrite: false }, false).unwrap();
        std::fs::write(&path, b"old").unwrap();
        assert_eq!(output.finish().err().unwrap().reason(), "target_exists");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let mut output = Output::open(To::File { path: path.clone(), directory: None, overwrite: true }, false).unwrap();
        output.write(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_directory_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let error = Output::open(To::File { path: dir.path().to_owned(), directory: None, overwrite: true }, false).err().unwrap();
        assert_eq!(error.reason(), "target_not_a_file");
    }

    #[test]
    fn a_symbolic_link_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut output = Output::open(To::File { path: link.clone(), directory: None, overwrite: true }, false).unwrap();
        output.write(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), std::fs::read(&link).unwrap()), (b"precious".to_vec(), b"new".to_vec()));
    }

    #[test]
    fn a_file_that_may_be_this_very_download_is_it_when_it_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for (there, is_it) in [("abc", true), ("abd", false), ("abcd", false), ("", false)] {
            std::fs::write(&path, there).unwrap();
            let mut output = Output::open(To::File { path: path.clone(), directory: None, overwrite: false }, true).unwrap();
            output.write(b"abc").unwrap();
            let finished = output.finish();
            assert_eq!(finished.err().map(|e| e.reason()), (!is_it).then_some("target_exists"), "{there}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), there);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_to_the_same_bytes_is_no_earlier_download() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, b"abc").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut output = Output::open(To::File { path: link, directory: None, overwrite: false }, true).unwrap();
        output.write(b"abc").unwrap();
        assert_eq!(output.finish().err().unwrap().reason(), "target_exists");
    }
}
