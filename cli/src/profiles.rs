//! Writing a profile: the whole file or nothing, and nobody else may read it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use toml_edit::{DocumentMut, Item, Table, value};
use zcrm::config::{KEYS, Profile};

use crate::exit::Stop;

/// A file of profiles that is about to be replaced. What keeps it from being written is found before a grant code is spent.
pub struct Profiles {
    path: PathBuf,
    document: DocumentMut,
    new: NamedTempFile,
}

impl Profiles {
    /// The file at `path`, or the user's own, which need not exist.
    pub fn open(path: Option<&Path>) -> Result<Profiles, Stop> {
        let path = Profiles::look(path)?;
        let refused = |why: String| Stop::new(format_args!("{}: {why}", path.display()));
        let text = if path.exists() { fs::read_to_string(&path).map_err(|e| refused(e.to_string()))? } else { String::new() };
        // The parser's own text would show the line.
        let document = text.parse().map_err(|_| refused("is not TOML".to_owned()))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| refused(e.to_string()))?;
        let new = NamedTempFile::new_in(folder).map_err(|e| refused(format!("can't be written: {e}")))?; // with mode 0600
        Ok(Profiles { path, document, new })
    }

    /// Where they are or will be; refuses a file that isn't one of profiles, or isn't the user's alone.
    pub fn look(path: Option<&Path>) -> Result<PathBuf, Stop> {
        let named = path.map_or_else(Profile::own_path, |path| Ok(path.to_owned()))?;
        let path = fs::canonicalize(&named).unwrap_or(named); // a link stays one
        match Profile::read(Some(&path), None) {
            Err(error) if error.reason() != "profile_absent" => Err(error.into()), // it isn't ours to replace
            _ => Ok(path),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the login in the place of the one that the profile has. Its other settings stay, and so do other profiles.
    pub fn put<'s>(mut self, name: &str, login: impl IntoIterator<Item = (&'s str, &'s str)>) -> Result<(), Stop> {
        let profile = self.document.entry(name).or_insert_with(|| Item::Table(Table::new()));
        let profile = profile.as_table_mut().ok_or_else(|| Stop::new(format_args!("{}: {name:?} is no profile", self.path.display())))?;
        for key in KEYS.iter().filter(|key| is_of_a_login(key.group)) {
            profile.remove(key.name);
        }
        for (key, text) in login {
            profile.insert(key, value(text));
        }
        let failed = |e: &dyn std::fmt::Display| Stop::new(format_args!("{}: can't be written: {e}", self.path.display()));
        self.new.write_all(self.document.to_string().as_bytes()).map_err(|e| failed(&e))?;
        self.new.as_file().sync_all().map_err(|e| failed(&e))?;
        self.new.persist(&self.path).map(drop).map_err(|e| failed(&e.error))
    }
}

/// Whether settings of this group say who logs in, and where.
pub fn is_of_a_login(group: &str) -> bool {
    matches!(group, "hosts" | "credentials")
}
