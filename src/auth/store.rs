//! A place where processes and machines keep one access token together, so that each expiry costs one token request in all.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{Secret, TokenStore};
use crate::error::{Error, Result, Status, one_line};
use crate::process::PerProcess;

/// The store of the setting `token_file`: mode 0600, replaced by a rename, locked by the system, which ends the lock of a killed process.
pub struct FileStore {
    path: PathBuf,
    locked: PerProcess<Mutex<Option<File>>>,
}

impl FileStore {
    /// The store in this file, which need not exist; its directory must.
    pub fn new(path: impl Into<PathBuf>) -> FileStore {
        FileStore { path: path.into(), locked: PerProcess::new() }
    }

    fn broken(&self, what: &str, cause: &io::Error) -> Error {
        Error::io("token_store", format_args!("token_file {}: {what}", one_line(&self.path.display().to_string())), cause)
    }

    fn locked(&self) -> MutexGuard<'_, Option<File>> {
        self.locked.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

impl TokenStore for FileStore {
    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match std::fs::read(&self.path) {
            Ok(document) => Ok(Some(Zeroizing::new(document))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.broken("reading", &e)),
        }
    }

    fn put(&self, document: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            private(&mut options);
            let mut temp = tempfile::Builder::new().prefix(".zcrm-token-").make_in(self.directory(), |temp| options.open(temp))?;
            temp.as_file_mut().write_all(document)?;
            temp.as_file().sync_all()?;
            temp.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|e| self.broken("writing", &e))
    }

    fn try_lock(&self) -> Result<bool> {
        // A file beside it: the document itself is replaced, and a lock would stay with the old one.
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        private(&mut options);
        let file = options.open(path).map_err(|e| self.broken("opening its lock", &e))?;
        match file.try_lock() {
            Ok(()) => {
                *self.locked() = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(self.broken("locking", &e)),
        }
    }

    fn unlock(&self) {
        if let Some(file) = self.locked().take() {
            let _ = file.unlock(); // a forked child may have the file open, too: closing it would not be enough
        }
    }
}

/// For the owner's eyes alone.
fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

/// The lock, held; given back when dropped.
pub(super) struct Locked<'s>(&'s dyn TokenStore);

/// Waits for the lock. The holder is at a token request, which has the same bound.
pub(super) async fn lock(store: &dyn TokenStore, bound: Duration) -> Result<Locked<'_>> {
    const EVERY: Duration = Duration::from_millis(25);
    let mut waited = Duration::ZERO;
    while !store.try_lock()? {
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
        self.0.unlock();
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
    /// What the store holds. An empty or broken document is as if there were none: it holds nothing that can't be had again.
    pub(crate) fn read(store: &dyn TokenStore) -> Result<Document> {
        let none = Document { version: VERSION, tokens: HashMap::new() };
        let Some(bytes) = store.get()? else { return Ok(none) };
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
        self.tokens.retain(|_, entry| entry.expires_at + 3600 > now());
        self.tokens.insert(key.to_owned(), entry);
        store.put(&Zeroizing::new(serde_json::to_vec(&self).expect("a document is JSON")))
    }
}

impl Entry {
    /// Time that the token has left by its own word, never more than an hour: clocks jump.
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

    #[test]
    fn a_file_store_keeps_its_document_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("token.json"));
        assert!(store.get().unwrap().is_none());
        store.put(b"one").unwrap();
        store.put(b"two").unwrap();
        assert_eq!(store.get().unwrap().unwrap().as_slice(), b"two");
        let mode = std::fs::metadata(dir.path().join("token.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
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
    fn a_broken_document_is_none_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("t"));
        for broken in ["", "{", r#"{"version":1,"tok"#, "null"] {
            store.put(broken.as_bytes()).unwrap();
            assert!(Document::read(&store).unwrap().tokens.is_empty(), "{broken}");
        }
        store.put(br#"{"version":2,"tokens":{}}"#).unwrap();
        assert_eq!(Document::read(&store).err().unwrap().reason(), "token_store");
    }

    #[test]
    fn a_token_that_claims_to_live_for_days_is_believed_for_an_hour() {
        let entry = Entry { access_token: Secret::new("x"), expires_at: now() + 1_000_000, ..Entry::default() };
        assert_eq!(entry.lives(), Some(Duration::from_secs(3600)));
        assert_eq!(Entry { expires_at: now(), ..entry }.lives(), None);
    }
}
