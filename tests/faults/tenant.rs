//! Tenants: clients of organisations that do everything with their records, and know what has to be there.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use zcrm::attachment::{self, ListArgs, Uploaded};
use zcrm::{Call, Client, Error, File, Outcome, Record, Result, Seekable, Sink, Source, Status, photo};
use zcrm_emulator::{PNG, StoredAttachment};

use crate::operation;
use crate::quick::{client, sha256};
use crate::random::Random;
use crate::support::bytes;
use crate::support::canary::Canary;
use crate::weather::{Mix, Region};

/// What a tenant can do, and how often it does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    UploadMemory,
    UploadFile,
    UploadReader,
    Link,
    List,
    DownloadMemory,
    DownloadFile,
    Delete,
    PhotoUpload,
    PhotoDownload,
    PhotoDelete,
}

use Act::*;

const ACTS: &[(Act, u64)] = &[
    (UploadMemory, 15),
    (UploadFile, 10),
    (UploadReader, 5),
    (Link, 10),
    (List, 15),
    (DownloadMemory, 10),
    (DownloadFile, 5),
    (Delete, 12),
    (PhotoUpload, 7),
    (PhotoDownload, 7),
    (PhotoDelete, 4),
];

impl Act {
    pub fn draw(mix: Mix, random: &mut Random) -> Act {
        let mut at = random.below(ACTS.iter().map(|(_, share)| share).sum());
        let hit = |(_, share): &&(Act, u64)| {
            let hit = at < *share;
            at = at.saturating_sub(*share);
            hit
        };
        if mix == Mix::Uploads { UploadMemory } else { ACTS.iter().find(hit).unwrap().0 }
    }

    /// It stores an attachment.
    pub fn uploads(self) -> bool {
        matches!(self, UploadMemory | UploadFile | UploadReader | Link)
    }
}

/// An organisation's client with its records.
pub struct Tenant<'r> {
    pub region: &'r Region,
    pub organisation: usize,
    pub canary: Canary,
    pub folders: Vec<Folder>,
    client: Client,
    dir: PathBuf,
}

/// A record, and what its tenant knows of it.
pub struct Folder {
    pub record: Record,
    kept: Mutex<Vec<Kept>>,
    /// What its photo may be. Held during a call: two that change it at once would leave nothing to know.
    photo: Mutex<Vec<Option<usize>>>,
}

/// An upload that succeeded.
#[derive(Clone)]
struct Kept {
    call: usize,
    id: String,
    is_file: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    /// A deletion is under way, or its outcome isn't known.
    Going,
    Gone,
}

/// How a call ended.
pub struct Ended {
    pub error: Option<Error>,
    pub uploaded: Option<Uploaded>,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

impl Ended {
    fn of(error: Option<Error>) -> Ended {
        Ended { error, uploaded: None, wrong: None }
    }
}

impl<'r> Tenant<'r> {
    pub fn new(region: &'r Region, organisation: usize, folders: usize, settings: &[(&str, &str)], dir: PathBuf) -> Tenant<'r> {
        let canary = Canary::default();
        let client = client(&canary, &region.emulator, organisation, settings);
        let folder = |_| Folder {
            record: Record::new("Contacts", region.emulator.add_record_of(organisation, "Contacts")),
            kept: Mutex::default(),
            photo: Mutex::new(vec![None]),
        };
        let folders = (0..folders).map(folder).collect();
        Tenant { region, organisation, canary, folders, client, dir }
    }

    /// Makes call `i`: on a record, perhaps with one of the things that are known to be there.
    pub fn act(&self, act: Act, folder: &Folder, i: usize, random: &mut Random) -> Ended {
        let record = &folder.record;
        match act {
            UploadMemory | UploadFile | UploadReader | Link => self.upload(act, folder, i),
            List => self.list(folder),
            DownloadMemory | DownloadFile => match folder.pick(random, true) {
                Some(kept) => self.download(act, folder, &kept, i),
                None => self.list(folder),
            },
            Delete => match folder.pick(random, false) {
                Some(kept) => self.delete(folder, &kept),
                None => self.list(folder),
            },
            PhotoUpload => {
                let mut photo = lock(&folder.photo);
                let picture = picture(i);
                let error = self.ended(photo::upload(&self.client, record, File::memory("p.png", &picture), Call::default())).err();
                settle_photo(&mut photo, error.as_ref(), Some(i));
                Ended::of(error)
            }
            PhotoDelete => {
                let mut photo = lock(&folder.photo);
                let error = self.ended(photo::delete(&self.client, record, Call::default())).err();
                settle_photo(&mut photo, error.as_ref(), None);
                Ended::of(error)
            }
            PhotoDownload => self.photo(folder),
        }
    }

    fn upload(&self, act: Act, folder: &Folder, i: usize) -> Ended {
        let (content, name, path) = (content(i), name(i), self.dir.join(format!("up-{i}")));
        let mut reader = Seekable(std::io::Cursor::new(&content));
        let source: Source<'_> = match act {
            UploadFile => {
                std::fs::write(&path, &content).unwrap();
                File::open(&path).unwrap().named(name).into()
            }
            UploadReader => File::reader(name, &mut reader, Some(content.len() as u64)).into(),
            Link => Source::link(link(i), name),
            _ => File::memory(name, &content).into(),
        };
        let outcome = self.ended(attachment::upload(&self.client, &folder.record, source, Call::default()));
        let _ = std::fs::remove_file(path); // only UploadFile leaves one
        match outcome {
            Ok(uploaded) => {
                lock(&folder.kept).push(Kept { call: i, id: uploaded.id.clone(), is_file: act != Link, state: State::There });
                Ended { uploaded: Some(uploaded), ..Ended::of(None) }
            }
            Err(error) => Ended::of(Some(error)),
        }
    }

    /// All that was there all the time is listed, and nothing that was gone before.
    fn list(&self, folder: &Folder) -> Ended {
        let before = lock(&folder.kept).clone();
        match self.ended(attachment::list(&self.client, &folder.record, &ListArgs::default(), Call::default())) {
            Ok(page) => {
                let listed = |id: &str| page.attachments.iter().any(|entry| entry.id == id);
                let missing = before.iter().find(|k| folder.is_there(k) && !listed(&k.id)).map(|k| format!("I2: {} isn't listed", k.id));
                let ghost = before.iter().find(|k| k.state == State::Gone && listed(&k.id)).map(|k| format!("I2: {} is deleted and listed", k.id));
                Ended { wrong: missing.or(ghost), ..Ended::of(None) }
            }
            Err(error) => Ended::of(Some(error)),
        }
    }

    fn download(&self, act: Act, folder: &Folder, kept: &Kept, i: usize) -> Ended {
        let path = self.dir.join(format!("down-{i}"));
        let sink = if act == DownloadFile { Sink::file(path.clone(), false) } else { Sink::memory() };
        let wanted = content(kept.call);
        let call = Call { expected_bytes: Some(wanted.len() as u64), ..Call::default() };
        let outcome = self.ended(attachment::download(&self.client, &folder.record, &kept.id, sink, call));
        let written = std::fs::read(&path).ok();
        let _ = std::fs::remove_file(&path); // only a success leaves one
        let wrong = match &outcome {
            Ok(got) if got.data.as_ref().or(written.as_ref()) != Some(&wanted) => Some(format!("I2: {} has other bytes", kept.id)),
            Err(error) if error.status() == Status::NotFound && folder.is_there(kept) => Some(format!("I2: {} isn't found", kept.id)),
            Err(_) if written.is_some() => Some(format!("I4: {} failed and left a file", kept.id)),
            _ => None,
        };
        Ended { wrong, ..Ended::of(outcome.err()) }
    }

    fn delete(&self, folder: &Folder, kept: &Kept) -> Ended {
        let error = self.ended(attachment::delete(&self.client, &folder.record, &[&kept.id], Call::default())).err();
        let wrong = error.as_ref().filter(|e| e.status() == Status::NotFound).map(|_| format!("I2: {} isn't there to be deleted", kept.id));
        let state = match &error {
            None => State::Gone,
            Some(error) if operation::is_definite(error) => State::There,
            Some(_) => State::Going,
        };
        lock(&folder.kept).iter_mut().filter(|k| k.id == kept.id).for_each(|k| k.state = state);
        Ended { wrong, ..Ended::of(error) }
    }

    fn photo(&self, folder: &Folder) -> Ended {
        let mut photo = lock(&folder.photo);
        let whole = <[_]>::iter(&photo).flatten().next().map(|i| sha256(&picture(*i)));
        // With one possible photo its hash is known, so that a falsified byte is seen.
        let expected_sha256 = whole.filter(|_| photo.len() == 1);
        let outcome = self.ended(photo::download(&self.client, &folder.record, Sink::memory(), Call { expected_sha256, ..Call::default() }));
        let is = match &outcome {
            Ok(got) => got.data.clone(),
            Err(error) if error.status() == Status::NotFound => None,
            Err(_) => return Ended::of(outcome.err()),
        };
        let falsified = expected_sha256.is_none() && is.is_some();
        let found = photo.iter().copied().find(|may| may.map(picture) == is);
        match found {
            Some(found) => {
                *photo = vec![found];
                Ended::of(None)
            }
            None if falsified => Ended::of(None),
            None => Ended { wrong: Some(format!("I2: the photo is none of {:?}", *photo)), ..Ended::of(None) },
        }
    }

    /// Keeps what the library said of the call.
    fn ended<T: Serialize + std::fmt::Debug>(&self, outcome: Result<Outcome<T>>) -> Result<T> {
        match outcome {
            Ok(outcome) => {
                self.canary.hear(&format!("{outcome:?}"));
                Ok(outcome.result)
            }
            Err(error) => {
                self.canary.hear(&format!("{error} {error:?} {}", error.to_json()));
                Err(error)
            }
        }
    }
}

impl Folder {
    /// One that is there.
    fn pick(&self, random: &mut Random, file: bool) -> Option<Kept> {
        let mut kept = lock(&self.kept);
        let mut there: Vec<_> = kept.iter_mut().filter(|k| k.state == State::There && (k.is_file || !file)).collect();
        let at = random.below(there.len().max(1) as u64) as usize;
        let picked = there.get_mut(at)?;
        if !file {
            picked.state = State::Going; // by the caller
        }
        Some(picked.clone())
    }

    fn is_there(&self, kept: &Kept) -> bool {
        lock(&self.kept).iter().any(|k| k.id == kept.id && k.state == State::There && kept.state == State::There)
    }

    /// Whether an upload has to be there still: `None` = nobody knows.
    pub fn must_be_there(&self, call: usize) -> Option<bool> {
        let state = lock(&self.kept).iter().find(|k| k.call == call).map(|k| k.state);
        state.filter(|state| *state != State::Going).map(|state| state == State::There)
    }

    /// Whether the photo is one that it may be.
    pub fn photo_is(&self, stored: Option<&[u8]>) -> bool {
        lock(&self.photo).iter().any(|may| may.map(picture).as_deref() == stored)
    }
}

/// After a call that made the photo `new`, or may have.
fn settle_photo(photo: &mut Vec<Option<usize>>, error: Option<&Error>, new: Option<usize>) {
    match error {
        None => *photo = vec![new],
        Some(error) if operation::is_definite(error) => {}
        Some(_) => photo.push(new),
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Different bytes for each call; some in a body of several packets.
fn content(i: usize) -> Vec<u8> {
    let length = if i % 40 == 7 { 100_000 } else { 900 + i % 200 };
    [bytes(length), i.to_le_bytes().to_vec()].concat()
}

/// Names come again, so that it isn't the name that tells two files of one record apart.
fn name(i: usize) -> String {
    format!("{}.bin", i % 500)
}

fn link(i: usize) -> String {
    format!("https://example.com/{i}")
}

fn picture(i: usize) -> Vec<u8> {
    [PNG, &i.to_le_bytes()].concat()
}

/// The call that sent what is stored, if it is whole.
pub fn sender(stored: &StoredAttachment) -> Option<usize> {
    match &stored.link_url {
        Some(url) => url.rsplit('/').next()?.parse().ok().filter(|i| link(*i) == *url),
        None => {
            let i = usize::from_le_bytes(stored.bytes.last_chunk().copied()?);
            (content(i) == stored.bytes).then_some(i)
        }
    }
}
