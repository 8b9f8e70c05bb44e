//! The operations of the matrix: what each does, and how one sees that the invariants hold after it.

use serde::Serialize;
use zcrm::attachment::{self, Downloaded, ListArgs, Uploaded};
use zcrm::{Call, Cancel, Error, File, IfExists, Outcome, Result, Sink, Source, Status, Streamed, Written, photo};
use zcrm_emulator::PNG;

use crate::quick::sha256;
use crate::support::{World, bytes};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    UploadSmall,
    UploadFile,
    UploadReader,
    UploadStrict,
    Link,
    /// The upload's reply is lost, and the fault hits the looks for it.
    Settling,
    /// What is there already is looked for first, and the fault hits that.
    CheckFirst,
    ListOnePage,
    ListThreePages,
    DownloadFile,
    DownloadMemory,
    DownloadWriter,
    PhotoUpload,
    PhotoDownload,
    PhotoDelete,
    DeleteOne,
    DeleteSeveral,
    TokenRequest,
}

use Operation::*;

pub const ALL: &[Operation] = &[
    UploadSmall,
    UploadFile,
    UploadReader,
    UploadStrict,
    Link,
    Settling,
    CheckFirst,
    ListOnePage,
    ListThreePages,
    DownloadFile,
    DownloadMemory,
    DownloadWriter,
    PhotoUpload,
    PhotoDownload,
    PhotoDelete,
    DeleteOne,
    DeleteSeveral,
    TokenRequest,
];

const OLD: &[u8] = b"what was there before";
const URL: &str = "https://example.com/a?b=c";
const ENTRIES: usize = 401;

/// What the record holds before the call, and what the call is about.
pub struct Before {
    ids: Vec<String>,
    content: Vec<u8>,
    photo: Vec<u8>,
}

/// How a call ended, as far as the invariants look at it.
pub struct After {
    pub error: Option<Error>,
    uploaded: Option<Uploaded>,
    listed: Option<Vec<String>>,
    received: Option<Vec<u8>>,
}

impl Operation {
    /// A second sending may make a second copy.
    pub fn makes_copies(self) -> bool {
        matches!(self, UploadSmall | UploadFile | UploadReader | UploadStrict | Link)
    }

    /// The fault hits a list that an upload needs.
    pub fn settles(self) -> bool {
        matches!(self, Settling)
    }

    pub fn stores(self) -> bool {
        self.makes_copies() || matches!(self, PhotoUpload | PhotoDelete | DeleteOne | DeleteSeveral)
    }

    pub fn lists(self) -> bool {
        matches!(self, ListOnePage | ListThreePages | Settling | CheckFirst)
    }

    pub fn is_download(self) -> bool {
        matches!(self, DownloadFile | DownloadMemory | DownloadWriter | PhotoDownload)
    }

    /// Whose queue the fault is put into.
    pub fn queue(self) -> &'static str {
        match self {
            UploadSmall | UploadFile | UploadReader | UploadStrict | Link => "attachment.upload",
            Settling | CheckFirst | ListOnePage | ListThreePages => "attachment.list",
            DownloadFile | DownloadMemory | DownloadWriter => "attachment.download",
            PhotoUpload => "photo.upload",
            PhotoDownload => "photo.download",
            PhotoDelete => "photo.delete",
            DeleteOne | DeleteSeveral => "attachment.delete",
            TokenRequest => "token",
        }
    }

    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        if self == UploadStrict { &[("settle", "strict")] } else { &[] }
    }

    /// I7: API requests that may be made when so many faults have fired.
    pub fn budget(self, fired: usize) -> usize {
        let (without_fault, for_each) = match self {
            // A look costs a list and at most one download, three looks, one more for a twin, and the sending itself.
            UploadSmall | UploadFile | UploadReader | UploadStrict | Link => (2, 9),
            Settling => (4, 9),
            CheckFirst => (3, 9),
            ListThreePages => (3, 1),
            DeleteSeveral => (4, 1),
            _ => (1, 1),
        };
        without_fault + for_each * fired
    }

    /// Brings the record into the state that the call finds.
    pub fn prepare(self, w: &World) -> Before {
        let attach = |name: &str, bytes: &[u8]| w.emulator.attach("Contacts", &w.contact.id, name, bytes);
        let photo = [PNG, b"old"].concat();
        let content = bytes(if self == UploadSmall { 2_000 } else { 300_000 });
        let ids = match self {
            ListOnePage | TokenRequest => (0..5).map(|i| attach(&format!("{i}.bin"), b"x")).collect(),
            ListThreePages => (0..ENTRIES).map(|i| attach(&format!("{i}.bin"), b"x")).collect(),
            DownloadFile | DownloadMemory | DownloadWriter | DeleteOne => vec![attach("a.bin", &content)],
            DeleteSeveral => (0..3).map(|i| attach(&format!("{i}.bin"), b"x")).collect(),
            // The same name and size with other bytes: never taken for what was sent.
            _ => vec![attach("a.bin", &vec![7; content.len()])],
        };
        if matches!(self, PhotoUpload | PhotoDownload | PhotoDelete) {
            w.emulator.set_photo("Contacts", &w.contact.id, &photo);
        }
        if self == DownloadFile {
            std::fs::write(w.path("target.bin"), OLD).unwrap();
        }
        if self == UploadFile {
            std::fs::write(w.path("a.bin"), &content).unwrap();
        }
        if self == Settling {
            w.emulator.script("attachment.upload", [zcrm_emulator::Fault::reset_after_store()]);
        }
        Before { ids, content, photo }
    }

    /// Runs the operation; `cancel` ends it.
    pub fn perform(self, w: &World, before: &Before, cancel: &Cancel) -> After {
        let ids: Vec<&str> = before.ids.iter().map(String::as_str).collect();
        let content = before.content.as_slice();
        let cancel = || Some(cancel.clone());
        match self {
            UploadSmall | UploadStrict | Settling => upload(w, File::memory("a.bin", content), Call { cancel: cancel(), ..Call::default() }),
            UploadFile => upload(w, File::open(w.path("a.bin")).unwrap(), Call { cancel: cancel(), ..Call::default() }),
            UploadReader => {
                let mut reader = Streamed(content);
                upload(w, File::reader("a.bin", &mut reader, Some(content.len() as u64)), Call { cancel: cancel(), ..Call::default() })
            }
            CheckFirst => {
                let call = Call { cancel: cancel(), if_exists: IfExists::SkipSameBytes, ..Call::default() };
                upload(w, File::memory("a.bin", content), call)
            }
            Link => upload(w, Source::link(URL, "a title"), Call { cancel: cancel(), ..Call::default() }),
            ListOnePage | ListThreePages | TokenRequest => {
                let call = Call { cancel: cancel(), ..Call::default() };
                let page = ended(w, attachment::list(&w.client, &w.contact, &ListArgs::default(), call));
                let listed = |page: attachment::Page| page.attachments.into_iter().map(|a| a.id).collect();
                let (error, page) = split(page);
                After { listed: page.map(listed), ..After::of(error) }
            }
            DownloadFile => {
                let sink = Sink::file(w.path("target.bin"), true);
                let call = expecting(content, cancel());
                let (error, _) = split(ended(w, attachment::download(&w.client, &w.contact, ids[0], sink, call)));
                After { received: Some(std::fs::read(w.path("target.bin")).unwrap()), ..After::of(error) }
            }
            DownloadMemory => received(w, attachment::download(&w.client, &w.contact, ids[0], Sink::memory(), expecting(content, cancel()))),
            DownloadWriter => {
                let mut out = Written(Vec::new());
                let call = expecting(content, cancel());
                let (error, _) = split(ended(w, attachment::download(&w.client, &w.contact, ids[0], Sink::writer(&mut out), call)));
                After { received: Some(out.0), ..After::of(error) }
            }
            PhotoUpload => {
                let call = Call { cancel: cancel(), ..Call::default() };
                After::of(split(ended(w, photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), call))).0)
            }
            PhotoDownload => received(w, photo::download(&w.client, &w.contact, Sink::memory(), expecting(&before.photo, cancel()))),
            PhotoDelete => After::of(split(ended(w, photo::delete(&w.client, &w.contact, Call { cancel: cancel(), ..Call::default() }))).0),
            DeleteOne | DeleteSeveral => {
                let call = Call { cancel: cancel(), ..Call::default() };
                After::of(split(ended(w, attachment::delete(&w.client, &w.contact, &ids, call))).0)
            }
        }
    }

    /// I1 to I4. `lie`: the server said something false that nobody can see through.
    pub fn violations(self, w: &World, before: &Before, after: &After, lie: bool) -> Vec<String> {
        let mut found = match self {
            _ if self.makes_copies() || matches!(self, Settling | CheckFirst) => self.copies(w, before, after, lie),
            DownloadFile | DownloadMemory | DownloadWriter | PhotoDownload => self.received(before, after),
            PhotoUpload | PhotoDelete => self.photo(w, before, after, lie),
            DeleteOne | DeleteSeveral => deletions(w, before, after, lie),
            _ => listing(before, after, lie),
        };
        let left: Vec<_> = w.files().into_iter().filter(|name| !matches!(name.as_str(), "a.bin" | "target.bin")).collect();
        if !left.is_empty() {
            found.push(format!("I4: files were left behind: {left:?}"));
        }
        found
    }

    fn copies(self, w: &World, before: &Before, after: &After, lie: bool) -> Vec<String> {
        let mut found = Vec::new();
        let all = w.emulator.attachments("Contacts", &w.contact.id);
        let new: Vec<_> = all.iter().filter(|a| !before.ids.contains(&a.id)).collect();
        if new.iter().any(|a| if self == Link { a.link_url.as_deref() != Some(URL) } else { a.bytes != before.content }) {
            found.push("I2: what is stored isn't what was sent".to_owned());
        }
        match (&after.uploaded, &after.error) {
            (Some(uploaded), _) => {
                let named = |id: &String| *id == uploaded.id || uploaded.twins.contains(id);
                if !new.iter().any(|a| a.id == uploaded.id) && !lie {
                    found.push(format!("I2: success with id {}, which isn't stored", uploaded.id));
                }
                if !new.iter().all(|a| named(&a.id)) {
                    found.push(format!("I1: {} copies, and the result doesn't name them", new.len()));
                }
            }
            (_, Some(error)) if error.status() == Status::OutcomeUnknown => {
                let all_named = new.iter().all(|a| error.detail().candidates.contains(&a.id));
                found.extend((new.len() > 1 && !all_named).then(|| format!("I1: {} copies, and the candidates don't name them", new.len())));
            }
            // The caller is told that it may be stored.
            (_, Some(error)) if error.detail().outcome_open => {}
            (_, Some(error)) if !new.is_empty() && !lie => found.push(format!("I3: failure {}, and {} stored", error.reason(), new.len())),
            _ => {}
        }
        found
    }

    fn received(self, before: &Before, after: &After) -> Vec<String> {
        let whole = if self == PhotoDownload { &before.photo } else { &before.content };
        let problem = match (&after.error, after.received.as_deref()) {
            (None, got) if got != Some(whole.as_slice()) => "I2: success with other bytes than are stored",
            (Some(_), Some(got)) if self == DownloadFile && got != OLD => "I4: the file that was there is gone, though the download failed",
            _ => return Vec::new(),
        };
        vec![problem.to_owned()]
    }

    fn photo(self, w: &World, before: &Before, after: &After, lie: bool) -> Vec<String> {
        let now = w.emulator.photo("Contacts", &w.contact.id);
        let wanted = (self == PhotoUpload).then(|| PNG.to_vec());
        let problem = match &after.error {
            _ if lie => return Vec::new(),
            None if now != wanted => "I2: success, and the photo isn't so",
            Some(error) if is_definite(error) && now.as_ref() != Some(&before.photo) => "I3: a refusal, and the photo has changed",
            Some(_) if now != wanted && now.as_ref() != Some(&before.photo) => "I2: neither the old photo nor the new one",
            _ => return Vec::new(),
        };
        vec![problem.to_owned()]
    }
}

impl After {
    fn of(error: Option<Error>) -> After {
        After { error, uploaded: None, listed: None, received: None }
    }
}

fn expecting<'a>(content: &[u8], cancel: Option<Cancel>) -> Call<'a> {
    Call { cancel, expected_sha256: Some(sha256(content)), expected_bytes: Some(content.len() as u64), ..Call::default() }
}

/// Keeps what the library said of the call.
fn ended<T: Serialize + std::fmt::Debug>(w: &World, outcome: Result<Outcome<T>>) -> Result<T> {
    match outcome {
        Ok(outcome) => {
            w.canary.hear(&serde_json::to_string(&outcome).expect("an outcome is JSON"));
            w.canary.hear(&format!("{outcome:?}"));
            Ok(outcome.result)
        }
        Err(error) => {
            w.canary.hear(&format!("{error} {error:?} {:?} {}", error.detail(), error.to_json()));
            Err(error)
        }
    }
}

fn split<T>(result: Result<T>) -> (Option<Error>, Option<T>) {
    match result {
        Ok(value) => (None, Some(value)),
        Err(error) => (Some(error), None),
    }
}

fn upload<'a>(w: &World, source: impl Into<Source<'a>>, call: Call<'a>) -> After {
    let (error, uploaded) = split(ended(w, attachment::upload(&w.client, &w.contact, source, call)));
    After { uploaded, ..After::of(error) }
}

fn received(w: &World, outcome: Result<Outcome<Downloaded>>) -> After {
    let (error, downloaded) = split(ended(w, outcome));
    After { received: downloaded.and_then(|d| d.data), ..After::of(error) }
}

fn listing(before: &Before, after: &After, lie: bool) -> Vec<String> {
    let mut listed = after.listed.clone().unwrap_or_default();
    let mut stored = before.ids.clone();
    listed.sort();
    stored.sort();
    let wrong = after.error.is_none() && listed != stored && !lie;
    if wrong { vec![format!("I2: {} entries are listed of {}", listed.len(), stored.len())] } else { Vec::new() }
}

fn deletions(w: &World, before: &Before, after: &After, lie: bool) -> Vec<String> {
    let left = w.emulator.attachments("Contacts", &w.contact.id).len();
    let problem = match &after.error {
        _ if lie => return Vec::new(),
        None if left > 0 => "I2: success, and not all is deleted",
        Some(error) if is_definite(error) && before.ids.len() == 1 && left == 0 => "I3: a refusal, and it is deleted",
        _ => return Vec::new(),
    };
    vec![problem.to_owned()]
}

/// Whether the failure says that nothing has happened.
pub fn is_definite(error: &Error) -> bool {
    !error.detail().outcome_open
        && !matches!(
            error.status(),
            Status::Network | Status::Timeout | Status::Server | Status::Protocol | Status::TooLarge | Status::OutcomeUnknown | Status::Cancelled
        )
}
