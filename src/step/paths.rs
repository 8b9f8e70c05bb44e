//! Which files a step may name: those below the directories of the setting `allow_paths`, symbolic links resolved.

use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::error::{Error, Result, Status, one_line};

/// The file to read, without symbolic links.
///
/// Whoever may rename things inside of an allowed directory while a step runs is trusted: the path is looked at before it is opened.
pub(super) fn source(config: &Config, path: &str) -> Result<PathBuf> {
    existing(config, Path::new(path)).map_err(|cause| refusal(path, cause, "source_open", "the source file"))
}

/// What is known of the file to read; `None` when it can't be found, which reading it will say.
pub(super) fn metadata(config: &Config, path: &str) -> Option<Metadata> {
    existing(config, Path::new(path)).ok()?.metadata().ok()
}

/// The file to write, in a directory without symbolic links. A link that bears the file's name is replaced by the file, not followed.
pub(super) fn target(config: &Config, path: &str) -> Result<PathBuf> {
    let given = Path::new(path);
    // `file_name` of "a/.." is none, but that of "a/." is "a", which may be a link to a directory elsewhere.
    let named = given.file_name().filter(|name| path.as_bytes().ends_with(name.as_encoded_bytes()));
    let Some(name) = named else {
        return Err(Error::argument("path", format_args!("{} names no file to write", one_line(path))));
    };
    let directory = given.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = existing(config, directory).map_err(|cause| refusal(path, cause, "sink_create", "the directory of"))?;
    Ok(directory.join(name))
}

/// The journal to read and write, in a directory without symbolic links. It is no link itself, as it would be followed.
pub(super) fn journal(config: &Config, path: &str) -> Result<PathBuf> {
    let file = target(config, path)?;
    if file.is_symlink() { Err(refusal(path, None, "journal", "")) } else { Ok(file) }
}

/// `None` = not allowed; else why it can't be found.
type Cause = Option<std::io::Error>;

fn existing(config: &Config, path: &Path) -> std::result::Result<PathBuf, Cause> {
    let allowed: Vec<PathBuf> = config.allow_paths.iter().filter_map(|d| d.canonicalize().ok()).collect();
    let inside = |path: &Path| allowed.iter().any(|d| path.starts_with(d));
    match path.canonicalize() {
        Ok(real) if inside(&real) => Ok(real),
        Ok(_) => Err(None),
        // Whether a file exists outside is nothing that a step may find out: what is missing is judged by what of its path exists.
        Err(error) => Err(deepest(path).filter(|real| inside(real)).map(|_| error)),
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

fn refusal(path: &str, cause: Cause, reason: &'static str, what: &str) -> Error {
    let shown = one_line(path);
    match cause {
        Some(error) => Error::io(reason, format_args!("{what} {shown}"), &error),
        None => {
            let message = format!("{shown} is not below a directory that the setting allow_paths names; symbolic links and .. are resolved first");
            Error::new(Status::Argument, "path_not_allowed", message).with(|d| d.field = Some("path"))
        }
    }
}
