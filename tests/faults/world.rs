//! What the fault tests share: an emulator, a client whose every word is kept, and what must never be in those words.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use zcrm::config::LogLevel;
use zcrm::{Client, Config, Record};
use zcrm_emulator::{Emulator, Options};

/// An emulator of one's own, a client with a refresh token for it, and a directory.
pub struct World {
    pub emulator: Emulator,
    pub client: Client,
    pub contact: Record,
    pub dir: tempfile::TempDir,
    said: Said,
}

/// What the library has said: its log lines, and the results and errors that it gave.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<String>>);

/// Quick retries and looks, so that no case waits long; patient with a busy machine where nothing stalls.
const QUICK: &[(&str, &str)] = &[("retry_base_ms", "5"), ("settle_waits_ms", "20,60"), ("stall_timeout_ms", "20000")];

impl World {
    pub fn new(settings: &[(&str, &str)]) -> World {
        World::of(emulator(), settings)
    }

    /// The same with an emulator that is there already.
    pub fn of(emulator: Emulator, settings: &[(&str, &str)]) -> World {
        let contact = Record::new("Contacts", emulator.add_record("Contacts"));
        let said = Said::default();
        let client = client(&emulator, 1, settings, &said);
        World { emulator, client, contact, dir: tempfile::tempdir().expect("a directory"), said }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Keeps what the library said, to be searched for secrets.
    pub fn said(&self, text: &str) {
        self.said.add(text);
    }

    /// I5: the secrets that the library has said.
    pub fn secrets_said(&self) -> Vec<String> {
        self.said.secrets(&secrets(&self.emulator))
    }

    /// How often an operation was asked of the emulator.
    pub fn requests(&self, operation: &str) -> usize {
        self.emulator.ledger().requests.iter().filter(|r| r.operation == operation).count()
    }

    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("the directory is there");
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Said {
    pub fn add(&self, text: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(text);
        said.push('\n');
    }

    /// The secrets among these that were said.
    pub fn secrets(&self, all: &[String]) -> Vec<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|secret| said.contains(secret.as_str())).cloned().collect()
    }
}

/// A client of an organisation, counted from 1, that is quick and whose every word is kept.
pub fn client(emulator: &Emulator, organisation: usize, settings: &[(&str, &str)], said: &Said) -> Client {
    let mut config = refreshing(emulator, organisation);
    QUICK.iter().chain(settings).for_each(|(key, value)| config.set(key, value).unwrap());
    let lines = said.clone();
    config.set_log_fn(LogLevel::Trace, move |_, line| lines.add(line));
    Client::new(config).expect("the settings fit together")
}

/// An emulator without records.
pub fn emulator() -> Emulator {
    Emulator::start(Options { seed: false, ..Options::default() }).expect("an emulator starts")
}

/// The settings of an organisation's refresh token.
fn refreshing(emulator: &Emulator, organisation: usize) -> Config {
    let c = emulator.credentials_of(organisation);
    let mut config = Config::new();
    let settings = [
        ("accounts_url", emulator.url()),
        ("api_domain", emulator.url()),
        ("client_id", &c.client_id),
        ("client_secret", &c.client_secret),
        ("refresh_token", &c.refresh_token),
    ];
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

/// What must be in no log line, error or result. Of an access token its beginning is enough.
pub fn secrets(emulator: &Emulator) -> Vec<String> {
    let credentials = [1, 2].map(|organisation| emulator.credentials_of(organisation));
    let issued = emulator.ledger().tokens_issued.into_iter().map(|t| t.token);
    credentials.into_iter().flat_map(|c| [c.client_secret, c.refresh_token]).chain(issued).collect()
}

/// Bytes that are all different in their first kilobytes, so that a shifted or repeated piece shows.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}
