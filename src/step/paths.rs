//! Which files a step may name: those below the directories of the setting `allow_paths`, symbolic links resolved.
//!
//! Others may put things into such a directory while a step runs, a link among them. So the path is resolved and looked at first, and then
//! opened from the allowed directory on, piece by piece and without following any link: what has changed in between isn't there.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::error::{Error, Result, Status, one_line};
use crate::transfer::{self, Directory, To};

/// The file to send, opened, under the name that the step gives it.
pub(super) fn source<'a>(config: &Config, path: &str) -> Result<transfer::File<'a>> {
    let failed = |cause| refusal(config, path, cause, "source_open", "the source file");
    let file = existing(config, Path::new(path)).and_then(|beneath| beneath.file(Directory::read)).map_err(failed)?;
    transfer::File::opened(file, Path::new(path))
}

/// What is known of the file to send; `None` when it can't be found, which sending it will say.
pub(super) fn metadata(config: &Config, path: &str) -> Option<fs::Metadata> {
    existing(config, Path::new(path)).ok()?.file(Directory::metadata).ok()
}

/// The file to write, its directory opened. A link that bears the file's name is replaced by the file, not followed.
pub(super) fn target<'a>(config: &Config, path: &str, overwrite: bool) -> Result<To<'a>> {
    Ok(To::File { path: path.into(), directory: Some(directory_of(config, path, "sink_create")?), overwrite })
}

/// The journal to read and write, opened, and created readable by the owner only where it isn't there; and its directory. It is no link, as that
/// would be followed.
pub(super) fn journal(config: &Config, path: &str) -> Result<(fs::File, Directory)> {
    let directory = directory_of(config, path, "journal")?;
    let file = directory.read_or_make(transfer::file_name(Path::new(path))?);
    Ok((file.map_err(|e| refusal(config, path, moved(e), "journal", "journal"))?, directory))
}

/// The directory of a file to write, opened.
fn directory_of(config: &Config, path: &str, reason: &'static str) -> Result<Directory> {
    let given = Path::new(path);
    transfer::file_name(given)?;
    let directory = given.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let opened = existing(config, directory).and_then(|beneath| beneath.directory(&beneath.real));
    opened.map_err(|cause| refusal(config, path, cause, reason, "the directory of"))
}

/// `None` = not allowed; else why it can't be found.
type Cause = Option<io::Error>;

/// Something that is there, at or below an allowed directory.
struct Beneath {
    allowed: PathBuf,
    /// Its path without links.
    real: PathBuf,
}

impl Beneath {
    /// Opens a directory at or below the allowed one, links followed nowhere.
    fn directory(&self, real: &Path) -> std::result::Result<Directory, Cause> {
        let pieces = real.strip_prefix(&self.allowed).map_err(|_| None)?.components();
        let allowed = Directory::open(&self.allowed).map_err(moved)?;
        pieces.map(|piece| piece.as_os_str()).try_fold(allowed, |at, piece| at.child(piece)).map_err(moved)
    }

    /// Opens it, or asks what is known of it, links followed nowhere.
    fn file<T>(&self, open: impl Fn(&Directory, &OsStr) -> io::Result<T>) -> std::result::Result<T, Cause> {
        match (self.real.parent(), self.real.file_name()) {
            (Some(parent), Some(name)) if self.real != self.allowed => open(&self.directory(parent)?, name).map_err(moved),
            _ => open(&self.directory(&self.real)?, OsStr::new(".")).map_err(moved),
        }
    }
}

/// What was no link when it was looked at is one now: it isn't allowed any more.
fn moved(error: io::Error) -> Cause {
    if Directory::was_link(&error) { None } else { Some(error) }
}

fn existing(config: &Config, path: &Path) -> std::result::Result<Beneath, Cause> {
    let allowed: Vec<PathBuf> = config.allow_paths.iter().filter_map(|d| d.canonicalize().ok()).collect();
    let inside = |path: &Path| allowed.iter().find(|d| path.starts_with(d));
    match path.canonicalize() {
        Ok(real) => inside(&real).map(|allowed| Beneath { allowed: allowed.clone(), real: real.clone() }).ok_or(None),
        // Whether a file exists outside is nothing that a step may find out: what is missing is judged by what of its path exists.
        Err(error) => Err(deepest(path).filter(|real| inside(real).is_some()).map(|_| error)),
    }
}

/// The nearest directory above that exists; none when the way up isn't plain.
fn deepest(path: &Path) -> Option<PathBuf> {
    for above in path.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(path);
            return rest.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)).then_some(real);
        }
    }
    None
}

fn refusal(config: &Config, path: &str, cause: Cause, reason: &'static str, what: &str) -> Error {
    let shown = one_line(path);
    match cause {
        Some(error) => Error::io(reason, format_args!("{what} {shown}"), &error),
        None => {
            let message = format!("{shown}: {}", why_not_allowed(config, Path::new(path)));
            Error::new(Status::Argument, "path_not_allowed", message).with(|d| d.field = Some("path"))
        }
    }
}

fn why_not_allowed(config: &Config, path: &Path) -> String {
    let shown = |directory: &PathBuf| one_line(&directory.display().to_string());
    if config.allow_paths.is_empty() {
        return "allow_paths is not set, so no step may name a file; set it to the directory of your files".into();
    }
    if let Some(absent) = config.allow_paths.iter().find(|allowed| path.starts_with(allowed) && !allowed.is_dir()) {
        return format!("there is no directory {}, which the setting allow_paths names", shown(absent));
    }
    let allowed: Vec<String> = config.allow_paths.iter().map(shown).collect();
    format!("is not below a directory of the setting allow_paths ({}); symbolic links and .. are resolved first", allowed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{Bytes, Incoming, Progress, Sink};
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// How often file and link are swapped while the paths are used.
    const SWAPS: usize = 100_000;

    fn allowing(dir: &Path) -> Config {
        let mut config = Config::new();
        config.set("allow_paths", dir.to_str().unwrap()).unwrap();
        config
    }

    /// Runs `work` again and again while a file and a link out of the allowed directory, or a directory and such a link, change places.
    fn swapping(inside: &Path, what: &str, outside: &Path, mut work: impl FnMut()) {
        let (name, link, aside) = (inside.join(what), inside.join("link"), inside.join("aside"));
        symlink(outside, &link).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..SWAPS / 2 {
                    fs::rename(&name, &aside).unwrap();
                    let _ = fs::rename(&link, &name);
                    let _ = fs::rename(&name, &link);
                    let _ = fs::remove_file(&name); // what was written while nothing stood there
                    fs::rename(&aside, &name).unwrap();
                }
                ended.store(true, Relaxed);
            });
            while !ended.load(Relaxed) {
                work();
            }
        });
    }

    #[test]
    fn no_link_that_is_swapped_in_leads_a_source_outside() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inside, secret) = (dir.path().canonicalize().unwrap(), outside.path().join("secret"));
        fs::write(inside.join("file"), b"inside").unwrap();
        fs::write(&secret, b"secret").unwrap();
        let (config, path) = (allowing(&inside), inside.join("file"));
        let mut read = 0;
        swapping(&inside, "file", &secret, || {
            if let Ok(source) = source(&config, path.to_str().unwrap()) {
                let Bytes::File(mut file, _) = source.bytes else { unreachable!("it was a path") };
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "inside");
                read += 1;
            }
        });
        assert!(read > 0, "the file itself was read too");
    }

    #[test]
    fn no_directory_that_is_swapped_in_leads_a_sink_or_a_journal_outside() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = dir.path().canonicalize().unwrap();
        fs::create_dir(inside.join("drop")).unwrap();
        let config = allowing(&inside);
        let (target_path, journal_path) = (inside.join("drop/file"), inside.join("drop/journal"));
        let mut written = 0;
        swapping(&inside, "drop", outside.path(), || {
            if let Ok(to) = target(&config, target_path.to_str().unwrap(), true) {
                let digest = transfer::Digest::new(None, None);
                if let Ok(mut incoming) = Incoming::open(Sink::from(to), false, None, Progress::new(None), digest) {
                    let _ = incoming.write(b"bytes");
                    written += usize::from(incoming.finish().is_ok());
                }
            }
            if let Ok((mut file, ..)) = journal(&config, journal_path.to_str().unwrap()) {
                let _ = file.write_all(b"bytes");
            }
        });
        assert!(written > 0, "the directory itself was written to too");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_within_the_allowed_directories_are_followed() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("file"), b"other").unwrap();
        symlink(other.path().join("file"), dir.path().join("link")).unwrap();
        symlink(other.path(), dir.path().join("directory")).unwrap();
        let mut config = Config::new();
        config.set("allow_paths", &format!("{}:{}", dir.path().display(), other.path().display())).unwrap();
        for path in ["link", "directory/file"] {
            let source = source(&config, dir.path().join(path).to_str().unwrap()).unwrap();
            assert_eq!(source.name, Path::new(path).file_name().unwrap().to_str().unwrap());
        }
        let beneath = allowing(dir.path());
        assert_eq!(source(&beneath, dir.path().join("link").to_str().unwrap()).err().unwrap().reason(), "path_not_allowed");
    }
}
