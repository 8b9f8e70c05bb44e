//! Names in a folder for files that a server names: each another one, and none that leads out of it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use icu_normalizer::ComposingNormalizer;
use zcrm::{Error, Result, Status};

/// A name has at most this many bytes on common file systems.
const MOST: usize = 255;

/// The names that are given away. Two that differ in case only, or in how their letters are composed, are one file on some systems.
pub struct Folder {
    path: PathBuf,
    given: HashSet<String>,
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into(), given: HashSet::new() }
    }

    /// The path for a file that wants the name `safe`, which the library made safe; `else_name` when nothing was left of it. Where the name is
    /// given away, a number follows its stem.
    pub fn place(&mut self, safe: &str, else_name: &str) -> PathBuf {
        let wanted = if safe.is_empty() { else_name } else { safe };
        let mut number = 1;
        loop {
            let name = if number == 1 { wanted.to_owned() } else { numbered(wanted, number) };
            if self.given.insert(key(&name)) {
                return self.path.join(name);
            }
            number += 1;
        }
    }
}

/// Where a file of the folder really is. A link in it that leads elsewhere isn't followed: the folder may be somebody else's.
pub fn inside(folder: &Path, file: &Path) -> Result<PathBuf> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("source_open", path.display(), &e));
    let found = real(file)?;
    match found.starts_with(real(folder)?) {
        true => Ok(found),
        false => Err(Error::new(Status::Argument, "source_open", format!("{}: is a link that leads out of the folder", file.display()))),
    }
}

fn key(name: &str) -> String {
    ComposingNormalizer::new_nfc().normalize(&name.to_lowercase()).into_owned()
}

/// `a.pdf` becomes `a (2).pdf`, at most as long as a name may be.
fn numbered(name: &str, number: u64) -> String {
    let (stem, extension) = match name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 16) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let end = format!(" ({number}){extension}");
    let mut cut = stem.len().min(MOST - end.len());
    while !stem.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &stem[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_and_those_that_a_file_system_may_take_for_equal_get_a_number() {
        let mut folder = Folder::new("d");
        let wanted = ["a.pdf", "A.PDF", "a.pdf", "a (2).pdf", "é", "e\u{301}", "", "", "x", "X"];
        let placed = wanted.map(|name| folder.place(name, "77").strip_prefix("d").unwrap().to_str().unwrap().to_owned());
        assert_eq!(placed, ["a.pdf", "A (2).PDF", "a (3).pdf", "a (2) (2).pdf", "é", "e\u{301} (2)", "77", "77 (2)", "x", "X (2)"]);
    }

    #[test]
    fn a_number_makes_no_name_too_long() {
        let mut folder = Folder::new("");
        for long in ["ü".repeat(127), format!("{}.pdf", "ü".repeat(125)), "a".repeat(255)] {
            let first = folder.place(&long, "1");
            let second = folder.place(&long, "1");
            assert!(second.as_os_str().len() <= MOST && second != first && second.extension() == first.extension());
        }
    }
}
