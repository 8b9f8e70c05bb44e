//! A place where processes and machines keep one access token together, so that each expiry costs one token request in all.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::caller;
use crate::config::{Secret, TokenStore};
use crate::error::{Error, Result, Status, one_line, systems_words};
use crate::process::PerProcess;
use crate::transfer::{self, Partial};

/// The store of the setting `token_file`: mode 0600, replaced by a rename, locked by the system, which ends the lock of a killed process.
pub struct FileStore {
    path: PathBuf,
    locked: PerProcess<Mutex<Option<File>>>,
}

/// Far more than the tokens of some hundred credentials need.
const LONGEST: u64 = 1 << 20;
/// How each of our documents begins.
const BEGINS: &[u8] = b"{\"version\":";

/// Whether it is a document of ours, of whichever version, or the beginning of one that was cut off. Anything else is somebody else's.
fn is_ours(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "version")]
        _version: u32,
        #[serde(rename = "tokens")]
        _tokens: HashMap<String, IgnoredAny>,
    }
    let begins = document.iter().zip(BEGINS).all(|(a, b)| a == b) && document.get(BEGINS.len()).is_none_or(u8::is_ascii_digit);
    begins && serde_json::from_slice::<Shape>(document).map_or_else(|e| e.is_eof(), |_| true)
}

impl FileStore {
    /// The store in this file, which need not exist; its directory must.
    pub fn new(path: impl Into<PathBuf>) -> FileStore {
        FileStore { path: path.into(), locked: PerProcess::new() }
    }

    /// Whether the file can be a store, if it is there. It stays as it is, and nothing is made beside it.
    pub(crate) fn check(&self) -> Result<()> {
        transfer::file_name(&self.path).map_err(|_| self.refused("names no file; name one"))?;
        match transfer::open_directory(&self.path) {
            Ok(_) => Document::read(self).map(drop),
            Err(e) => {
                Err(self.refused(&format!("its folder can't be opened: {}; name a file in a folder that is there", systems_words(&e.to_string()))))
            }
        }
    }

    /// The file whose lock is the document's: the document itself is replaced, and a lock would stay with the old one.
    fn lock_file(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        path.into()
    }

    fn failed(&self, what: &str, cause: &io::Error) -> Error {
        Error::io("token_store", format_args!("token_file {}: {what}", self.shown()), cause).with(|d| d.field = Some("token_file"))
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(Status::Config, "token_store", format!("token_file {}: {why}", self.shown())).with(|d| d.field = Some("token_file"))
    }

    fn shown(&self) -> String {
        one_line(&self.path.display().to_string())
    }

    fn locked(&self) -> MutexGuard<'_, Option<File>> {
        self.locked.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for FileStore {
    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match regular(OpenOptions::new().read(true), &self.path, Link::Followed) {
            Ok(file) => file.ok_or_else(|| self.refused("is not a regular file; name one, or one that isn't there yet"))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("reading", &e)),
        };
        // Large enough that it rarely moves: moving it would leave a copy that isn't wiped.
        let mut document = Zeroizing::new(Vec::with_capacity(4096));
        file.take(LONGEST + 1).read_to_end(&mut document).map_err(|e| self.failed("reading", &e))?;
        if document.len() as u64 > LONGEST || !is_ours(&document) {
            return Err(self.refused("holds something else than tokens, and is left as it is; name another file"));
        }
        Ok(Some(document))
    }

    fn put(&self, document: &[u8]) -> Result<()> {
        let name = transfer::file_name(&self.path)?;
        let write = || -> io::Result<()> {
            let mut new = Partial::secret(transfer::open_directory(&self.path)?)?;
            new.file.write_all(document)?;
            new.flush()?;
            new.replace(name)
        };
        write().map_err(|e| self.failed("writing", &e))
    }

    fn try_lock(&self) -> Result<bool> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = regular(&mut options, &self.lock_file(), Link::Refused).map_err(|e| self.failed("opening its lock", &e))?;
        let file = file.ok_or_else(|| self.refused("its lock is not a regular file"))?;
        match file.try_lock() {
            Ok(()) => {
                *self.locked() = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(self.failed("locking", &e)),
        }
    }

    fn unlock(&self) {
        if let Some(file) = self.locked().take() {
            let _ = file.unlock(); // a forked child may have the file open, too: closing it would not be enough
        }
    }
}

/// What is done about a symbolic link in the place of a file.
#[derive(PartialEq, Eq)]
enum Link {
    Followed,
    Refused,
}

/// Opens a file without waiting for the other end of a FIFO or a device; `None` when it is anything but a regular file.
fn regular(options: &mut OpenOptions, path: &Path, link: Link) -> io::Result<Option<File>> {
    #[cfg(unix)]
    {
        let nofollow = if link == Link::Refused { libc::O_NOFOLLOW } else { 0 };
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK | libc::O_NOCTTY | nofollow);
    }
    #[cfg(not(unix))]
    let _ = link;
    let file = options.open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// The lock, held; given back when dropped.
pub(super) struct Locked<'s>(&'s dyn TokenStore);

/// Waits for the lock. The holder is at a token request, which has the same bound.
pub(super) async fn lock(store: &dyn TokenStore, bound: Duration) -> Result<Locked<'_>> {
    const EVERY: Duration = Duration::from_millis(25);
    let mut waited = Duration::ZERO;
    while !caller::runs(|| store.try_lock())? {
        if waited > bound {
            let message = format!("another process holds the token store's lock for over {} ms", bound.as_millis());
            return Err(Error::new(Status::Timeout, "token_lock", message));
        }
        tokio::time::sleep(EVERY).await;
        waited += EVERY;
    }
    Ok(Locked(store))
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        caller::runs(|| self.0.unlock());
    }
}

/// The document. Times are seconds since 1970, as processes share no other clock.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document {
    version: u32,
    tokens: HashMap<String, Entry>,
}

/// What is kept for one refresh token (or other credentials), under its hash.
#[derive(Serialize, Deserialize, Default, Clone)]
pub(crate) struct Entry {
    pub(super) access_token: Secret,
    pub(super) api_domain: Option<String>,
    pub(super) expires_at: u64,
    /// When tokens were asked for lately: Zoho counts over all who share the refresh token.
    pub(super) asked_at: Vec<u64>,
}

const VERSION: u32 = 1;

impl Document {
    /// What the store holds. An empty or broken document counts as none: everything in it can be fetched again.
    pub(crate) fn read(store: &dyn TokenStore) -> Result<Document> {
        let none = Document { version: VERSION, tokens: HashMap::new() };
        let Some(bytes) = caller::runs(|| store.get())? else { return Ok(none) };
        match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) if document.version == VERSION => Ok(document),
            Ok(document) => {
                let message = format!("the token store is of version {}, and this library knows {VERSION}; use another store", document.version);
                Err(Error::new(Status::Config, "token_store", message))
            }
            Err(_) => Ok(none),
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Entry {
        self.tokens.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn write(mut self, store: &dyn TokenStore, key: &str, entry: Entry) -> Result<()> {
        // Tokens of credentials that are no longer used would stay for ever.
        self.tokens.retain(|_, entry| entry.expires_at.saturating_add(3600) > now());
        self.tokens.insert(key.to_owned(), entry);
        let document = Zeroizing::new(serde_json::to_vec(&self).expect("a document is JSON"));
        caller::runs(|| store.put(&document))
    }
}

impl Entry {
    /// How long the token claims to live yet, never more than an hour: clocks jump.
    pub(crate) fn lives(&self) -> Option<Duration> {
        let left = self.expires_at.checked_sub(now()).filter(|left| *left > 0)?;
        (!self.access_token.expose().is_empty()).then(|| Duration::from_secs(left.min(3600)))
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(path: impl Into<PathBuf>) -> FileStore {
        let store = FileStore::new(path);
        assert!(store.try_lock().unwrap());
        store
    }

    #[test]
    fn a_file_store_keeps_its_document_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = locked(dir.path().join("token.json"));
        assert!(store.get().unwrap().is_none());
        store.put(br#"{"version":1"#).unwrap();
        store.put(br#"{"version":2"#).unwrap();
        assert_eq!(store.get().unwrap().unwrap().as_slice(), br#"{"version":2"#);
        let mode = || std::fs::metadata(dir.path().join("token.json")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(dir.path().join("token.json"), std::fs::Permissions::from_mode(0o644)).unwrap();
        store.put(br#"{"version":2"#).unwrap();
        assert_eq!(mode(), 0o600);
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "the document and its lock: {names:?}");
    }

    #[test]
    fn a_document_is_whole_whoever_writes_it_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let documents = ["a", "b", "c", "d"].map(|key| format!(r#"{{"version":1,"tokens":{{"{}":{{}}}}}}"#, key.repeat(100_000)));
        std::thread::scope(|scope| {
            for document in &documents {
                scope.spawn(|| (0..10).for_each(|_| FileStore::new(&path).put(document.as_bytes()).unwrap())); // without the lock
            }
        });
        let there = std::fs::read_to_string(&path).unwrap();
        assert!(documents.contains(&there) && std::fs::read_dir(dir.path()).unwrap().count() == 1);
    }

    #[test]
    fn one_holder_at_a_time_has_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (FileStore::new(dir.path().join("t")), FileStore::new(dir.path().join("t")));
        assert!(a.try_lock().unwrap() && !b.try_lock().unwrap());
        a.unlock();
        assert!(b.try_lock().unwrap());
    }

    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("victim"), dir.path().join("t.lock")).unwrap();
        assert_eq!(FileStore::new(dir.path().join("t")).try_lock().unwrap_err().reason(), "token_store");
        assert!(!dir.path().join("victim").exists());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        for device in ["/dev/zero", "/dev/null", "/"] {
            assert_eq!(FileStore::new(device).get().unwrap_err().reason(), "token_store", "{device}");
        }
    }

    #[test]
    fn somebodys_other_file_is_refused_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.ini");
        let large = "x".repeat(2 << 20);
        let package = r#"{"version":"1.0.0","name":"x"}"#;
        let lock = r#"{"version":1,"packages":{}}"#;
        let cut = r#"{"version":"1.0"#;
        for other in ["[section]\nkey = 1\n", "null", "{\"a\":1}", "1", large.as_str(), package, lock, cut, r#"{"version":2,"tokens":[]}"#] {
            std::fs::write(&path, other).unwrap();
            let error = Document::read(&FileStore::new(&path)).err().unwrap();
            assert_eq!((error.reason(), error.detail().field), ("token_store", Some("token_file")));
            assert!(std::fs::read_to_string(&path).unwrap() == other);
        }
    }

    #[test]
    fn a_broken_document_is_none_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = locked(dir.path().join("t"));
        for broken in ["", "{", r#"{"version":1,"tok"#] {
            store.put(broken.as_bytes()).unwrap();
            assert!(Document::read(&store).unwrap().tokens.is_empty(), "{broken}");
        }
        store.put(br#"{"version":2,"tokens":{}}"#).unwrap();
        assert_eq!(Document::read(&store).err().unwrap().reason(), "token_store");
    }

    #[test]
    fn a_token_that_claims_to_live_for_ever_is_believed_for_an_hour_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = locked(dir.path().join("t"));
        let entry = Entry { access_token: Secret::new("x"), expires_at: u64::MAX, ..Entry::default() };
        assert!(entry.lives().is_some_and(|lives| lives <= Duration::from_secs(3600)));
        Document::read(&store).unwrap().write(&store, "a", entry.clone()).unwrap();
        Document::read(&store).unwrap().write(&store, "b", Entry::default()).unwrap();
        assert_eq!(Document::read(&store).unwrap().entry("a").expires_at, u64::MAX);
        assert_eq!(Entry { expires_at: now(), ..entry }.lives(), None);
    }
}
