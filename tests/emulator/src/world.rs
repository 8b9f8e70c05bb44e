//! The organisations, their users, records, attachments and photos.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::reply::Blob;
use crate::version;

/// Lower-case hexadecimal of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The part of a data centre an organisation lives in; tokens are bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// The normal one.
    Production,
    /// Reached under a host name that begins with `sandbox.`
    Sandbox,
    /// Reached under a host name that begins with `developer.`
    Developer,
}

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// Id.
    pub id: String,
    /// Full name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// What is particular about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    /// Nothing.
    #[default]
    Normal,
    /// Locked: its photo cannot be touched.
    Locked,
    /// Waits for approval.
    NotApproved,
    /// Waits for review.
    NotReviewed,
    /// The user has no privilege on it.
    Restricted,
}

/// An attachment: a file or a link.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Id.
    pub id: u64,
    /// File name or link title.
    pub name: String,
    /// The URL of a link.
    pub link: Option<String>,
    /// The bytes; absent for links and when bodies are not kept.
    pub content: Option<Blob>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes; of the URL for a link.
    pub sha256: String,
    /// When it was made.
    pub created: Millis,
    /// From when lists show it.
    pub visible: Millis,
    /// Index of the user who made it.
    pub user: usize,
    /// Id in the file store.
    pub file_id: Option<String>,
}

impl Attachment {
    /// A file that the store doesn't know of.
    pub fn file(id: u64, name: &str, file: NewFile, now: Millis) -> Attachment {
        let NewFile { content, size, sha256 } = file;
        Attachment { id, name: name.to_owned(), link: None, content, size, sha256, created: now, visible: now, user: 0, file_id: None }
    }
}

/// A record's photo.
#[derive(Debug, Clone)]
pub struct Photo {
    /// File name as uploaded.
    pub name: String,
    /// Content-Type by format.
    pub kind: &'static str,
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// The bytes; absent when bodies are not kept.
    pub content: Option<Blob>,
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Id.
    pub id: u64,
    /// Module API name.
    pub module: String,
    /// Its name, or a note's title.
    pub name: String,
    /// What is particular about it.
    pub state: RecordState,
    /// Attachments, oldest first (ids grow).
    pub attachments: Vec<Attachment>,
    /// When the attachments changed last.
    pub attachments_changed: Millis,
    /// Photo.
    pub photo: Option<Photo>,
    /// For a note: the record it belongs to.
    pub parent: Option<u64>,
    /// When it was made.
    pub created: Millis,
}

impl Record {
    /// An attachment by id.
    pub fn attachment(&self, id: u64) -> Option<&Attachment> {
        let at = self.attachments.binary_search_by_key(&id, |a| a.id).ok()?;
        Some(&self.attachments[at])
    }

    /// Takes an attachment out.
    pub fn remove(&mut self, id: u64, now: Millis) -> Option<Attachment> {
        let at = self.attachments.binary_search_by_key(&id, |a| a.id).ok()?;
        self.attachments_changed = now;
        Some(self.attachments.remove(at))
    }
}

/// A file in the file store (`/files`).
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Name.
    pub name: String,
    /// Bytes; absent when bodies are not kept.
    pub content: Option<Blob>,
}

/// An organisation.
#[derive(Debug, Clone)]
pub struct Organisation {
    /// Name.
    pub name: String,
    /// Its id, used in `soid` as `ZohoCRM.{zsoid}`.
    pub zsoid: String,
    /// Where it lives.
    pub environment: Environment,
    /// Its time zone.
    pub offset_minutes: i32,
    /// Users; the first one acts.
    pub users: Vec<User>,
    /// Records by id.
    pub records: HashMap<u64, Record>,
    /// Record ids in the order of their making.
    pub order: Vec<u64>,
    /// The file store.
    pub files: HashMap<String, StoredFile>,
    /// Custom modules.
    pub custom_modules: Vec<String>,
    /// Bytes stored.
    pub used: u64,
    next_id: u64,
}

impl Organisation {
    /// An empty organisation whose ids begin with `prefix`.
    pub fn new(name: &str, zsoid: &str, prefix: u64, offset_minutes: i32) -> Organisation {
        Organisation {
            name: name.to_owned(),
            zsoid: zsoid.to_owned(),
            environment: Environment::Production,
            offset_minutes,
            users: Vec::new(),
            records: HashMap::new(),
            order: Vec::new(),
            files: HashMap::new(),
            custom_modules: Vec::new(),
            used: 0,
            next_id: prefix * 1_000_000_000_000 + 1_234_001,
        }
    }

    /// The next id; ids only grow.
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Makes a record.
    pub fn add_record(&mut self, module: &str, name: &str, now: Millis) -> u64 {
        if version::module_named(module).is_none() && !self.custom_modules.iter().any(|m| m == module) {
            self.custom_modules.push(module.to_owned());
        }
        let id = self.new_id();
        let record = Record {
            id,
            module: module.to_owned(),
            name: name.to_owned(),
            state: RecordState::Normal,
            attachments: Vec::new(),
            attachments_changed: now,
            photo: None,
            parent: None,
            created: now,
        };
        self.records.insert(id, record);
        self.order.push(id);
        id
    }

    /// A record of a module, by the id as a client writes it.
    pub fn record(&self, module: &str, id: &str) -> Option<&Record> {
        self.records.get(&id.parse().ok()?).filter(|r| r.module == module)
    }

    /// The same, to change it.
    pub fn record_mut(&mut self, module: &str, id: &str) -> Option<&mut Record> {
        self.records.get_mut(&id.parse().ok()?).filter(|r| r.module == module)
    }

    /// Records of a module in order.
    pub fn records_of<'a>(&'a self, module: &'a str) -> impl DoubleEndedIterator<Item = &'a Record> {
        self.order.iter().filter_map(|id| self.records.get(id)).filter(move |r| r.module == module)
    }

    /// Attaches a file to a record that exists.
    pub fn attach_file(&mut self, record: u64, name: &str, file: NewFile, now: Millis) -> u64 {
        let id = self.new_id();
        let file_id = sha256(format!("{}/{id}", self.zsoid).as_bytes());
        let stored = StoredFile { name: name.to_owned(), content: file.content.clone() };
        self.files.insert(file_id.clone(), stored);
        self.used += file.size;
        self.push(record, now, Attachment { file_id: Some(file_id), ..Attachment::file(id, name, file, now) });
        id
    }

    /// Attaches a link to a record that exists.
    pub fn attach_link(&mut self, record: u64, title: &str, url: &str, now: Millis) -> u64 {
        let id = self.new_id();
        let link = Attachment::file(id, title, NewFile { content: None, size: 0, sha256: sha256(url.as_bytes()) }, now);
        self.push(record, now, Attachment { link: Some(url.to_owned()), ..link });
        id
    }

    fn push(&mut self, record: u64, now: Millis, attachment: Attachment) {
        if let Some(record) = self.records.get_mut(&record) {
            record.attachments_changed = now;
            record.attachments.push(attachment);
        }
    }

    /// Deletes an attachment together with its stored file.
    pub fn detach(&mut self, record: u64, attachment: u64, now: Millis) -> bool {
        let Some(gone) = self.records.get_mut(&record).and_then(|r| r.remove(attachment, now)) else {
            return false;
        };
        if let Some(file) = &gone.file_id {
            self.files.remove(file);
        }
        self.used = self.used.saturating_sub(gone.size);
        true
    }
}

/// Bytes about to be stored.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// The bytes; absent when bodies are not kept.
    pub content: Option<Blob>,
    /// Their number.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
}

impl NewFile {
    /// From bytes at hand.
    pub fn new(bytes: &[u8]) -> NewFile {
        NewFile { content: Some(bytes.to_vec().into()), size: bytes.len() as u64, sha256: sha256(bytes) }
    }
}
