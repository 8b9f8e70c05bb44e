//! The file of a journal: locked, added to at its end, and read anywhere.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result, Status, one_line};
use crate::transfer::{self, Directory, Partial};

/// Where a journal lies: a name in a directory that is open.
pub(crate) struct Location {
    directory: Directory,
    name: OsString,
    shown: String,
}

impl Location {
    pub(crate) fn new(directory: Directory, path: &Path) -> Result<Location> {
        Ok(Location { directory, name: transfer::file_name(path)?.to_owned(), shown: one_line(&path.display().to_string()) })
    }

    /// Where the program itself says. A link is followed.
    pub(super) fn of(path: &Path) -> Result<Location> {
        let shown = one_line(&path.display().to_string());
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let Some(name) = real.file_name() else { return Err(Error::argument("journal", format!("{shown} names no file"))) };
        let directory = transfer::open_directory(&real).map_err(|e| unusable(&shown, "opening", &e))?;
        Ok(Location { directory, name: name.to_owned(), shown })
    }

    /// Opens or makes it, readable by the owner only. It is no link, as that would be followed.
    pub(super) fn open(&self) -> Result<File> {
        self.directory.read_or_make(&self.name).map_err(|e| self.unusable("opening", &e))
    }

    /// Whether this file still has the name: another process may have put the rewritten journal in its place.
    fn holds(&self, file: &File) -> bool {
        self.directory.holds(&self.name, file)
    }

    pub(super) fn unusable(&self, what: &str, cause: &io::Error) -> Error {
        unusable(&self.shown, what, cause)
    }

    /// Sending without knowing what was sent would make twins.
    pub(super) fn corrupt(&self, line: u64, problem: &str) -> Error {
        let message = format!("journal {}: line {line}: {problem}; nothing is sent without it: repair it, or begin a new one", self.shown);
        Error::new(Status::Protocol, "journal_corrupt", message)
    }
}

fn unusable(shown: &str, what: &str, cause: &io::Error) -> Error {
    Error::io("journal", format_args!("journal {shown}: {what}"), cause)
}

/// The open file of a journal, locked for this process.
pub(super) struct JournalFile {
    pub(super) location: Location,
    file: File,
    /// Where the whole lines end. The file goes on behind it only as long as `torn` says so.
    end: u64,
    /// Part of a line was written, and could not be taken off again yet.
    torn: bool,
    /// For the lines one after another, and for one here and there.
    all: Window,
    one: Window,
}

/// A piece of the file.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

/// Read at once, when one line is wanted, and when all are.
const WINDOW: usize = 16 << 10;
const LARGE_WINDOW: usize = 1 << 20;
/// Of a large window, what stays when it moves on: the steps that are begun together end together.
const BEHIND: u64 = 256 << 10;

impl JournalFile {
    /// Locks it. `file` was opened there.
    pub(super) fn lock(mut file: File, location: Location) -> Result<JournalFile> {
        loop {
            // A device or a fifo would be read for ever.
            if !file.metadata().map_err(|e| location.unusable("opening", &e))?.is_file() {
                return Err(Error::new(Status::Io, "journal", format!("journal {}: is not a regular file", location.shown)));
            }
            match file.try_lock() {
                Ok(()) if location.holds(&file) => return Ok(JournalFile::of(location, file)),
                Ok(()) => file = location.open()?,
                Err(TryLockError::WouldBlock) => {
                    let message = format!("journal {}: another batch works with it, in this process or another", location.shown);
                    return Err(Error::new(Status::State, "journal_in_use", message));
                }
                Err(TryLockError::Error(e)) => return Err(location.unusable("locking", &e)),
            }
        }
    }

    fn of(location: Location, file: File) -> JournalFile {
        JournalFile { location, file, end: 0, torn: false, all: Window::default(), one: Window::default() }
    }

    /// Time since it was written. A clock that jumped back says nothing: then it is as if it were written now.
    pub(super) fn age(&self) -> Duration {
        let written = self.file.metadata().and_then(|meta| meta.modified());
        written.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
    }

    /// Its first bytes, at most so many.
    pub(super) fn head(&mut self, bytes: usize) -> Result<&[u8]> {
        self.one.read(&self.file, 0, WINDOW).map_err(|e| self.location.unusable("reading", &e))?;
        Ok(&self.one.bytes[..bytes.min(self.one.bytes.len())])
    }

    /// Results hold the names of files, and the ids of records.
    pub(super) fn make_private(&self) -> Result<()> {
        transfer::make_private(&self.file).map_err(|e| self.location.unusable("making it private", &e))
    }

    /// All lines were read. The whole ones end here, and the file with them: what a crash has torn is taken off.
    pub(super) fn end_at(&mut self, end: u64) -> Result<()> {
        self.all = Window::default();
        self.end = end;
        self.torn = true;
        self.take_off().map_err(|e| self.location.unusable("repairing", &e))
    }

    fn take_off(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Adds a line; gives where it begins. What a full disk takes of it is taken off again, so that a later line doesn't follow on half of one.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<u64> {
        if let Err(error) = self.take_off().and_then(|()| self.file.write_all(line)) {
            self.torn = true;
            let _ = self.take_off(); // else it is tried again before the next line
            return Err(self.location.unusable("writing", &error));
        }
        let at = self.end;
        self.end += line.len() as u64;
        Ok(at)
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.location.unusable("writing", &e))
    }

    /// The line that begins there, without its end. `None` where no whole line is.
    pub(super) fn line(&mut self, at: u64) -> Result<Option<&[u8]>> {
        let JournalFile { location, file, all, one, .. } = self;
        match all.line(at) {
            Some(line) => Ok(Some(&all.bytes[line])),
            None => one.find(file, at, at, WINDOW).map_err(|e| location.unusable("reading", &e)),
        }
    }

    /// The same, when the following lines are wanted next.
    pub(super) fn next_line(&mut self, at: u64) -> Result<Option<&[u8]>> {
        let JournalFile { location, file, all, .. } = self;
        all.find(file, at, at.saturating_sub(BEHIND), LARGE_WINDOW).map_err(|e| location.unusable("reading", &e))
    }

    #[cfg(test)]
    pub(super) fn tear(&mut self, part: &[u8]) {
        self.file.write_all(part).unwrap();
        self.torn = true;
    }

    /// Puts another file, which `write` fills, in its place: all of it or nothing. Read it again afterwards.
    pub(super) fn replace(&mut self, write: impl FnOnce(&mut JournalFile, &mut dyn Write) -> Result<()>) -> Result<()> {
        let written = self.written_anew(write);
        (self.all, self.one) = Default::default();
        self.file = written?;
        Ok(())
    }

    fn written_anew(&mut self, write: impl FnOnce(&mut JournalFile, &mut dyn Write) -> Result<()>) -> Result<File> {
        let failed = |location: &Location, e: &io::Error| location.unusable("rewriting it", e);
        let directory = self.location.directory.try_clone().map_err(|e| failed(&self.location, &e))?;
        let partial = Partial::secret(directory).map_err(|e| failed(&self.location, &e))?;
        let mut to = io::BufWriter::with_capacity(LARGE_WINDOW, &partial.file);
        write(self, &mut to)?;
        to.flush().map_err(|e| failed(&self.location, &e))?;
        drop(to);
        partial.flush().and_then(|()| partial.publish_locked(&self.location.name)).map_err(|e| failed(&self.location, &e))
    }
}

impl Window {
    /// Where the line is that begins there.
    fn line(&self, at: u64) -> Option<Range<usize>> {
        let from = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let length = memchr::memchr(b'\n', self.bytes.get(from..)?)?;
        Some(from..from + length)
    }

    /// The same, read with what begins at `from` where it isn't there.
    fn find(&mut self, file: &File, at: u64, from: u64, mut length: usize) -> io::Result<Option<&[u8]>> {
        loop {
            if let Some(line) = self.line(at) {
                return Ok(Some(&self.bytes[line]));
            }
            self.read(file, from, length)?;
            if self.bytes.len() < length && self.line(at).is_none() {
                return Ok(None); // the file ends before
            }
            length *= 2;
        }
    }

    fn read(&mut self, file: &File, at: u64, length: usize) -> io::Result<()> {
        self.bytes.resize(length, 0);
        self.at = at;
        let mut filled = 0;
        while filled < length {
            match transfer::read_at(file, &mut self.bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}
