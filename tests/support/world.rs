//! The world of a test: an emulator, a client that talks to it, a record, a directory that steps may name, and a canary for secrets.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod canary;

use std::path::PathBuf;

use zcrm::attachment::{self, Uploaded};
use zcrm::{Call, Client, Config, Error, File, Outcome, Record, Result, Status};
use zcrm_emulator::{Emulator, Options, Request};

use canary::Canary;

pub struct World {
    pub emulator: Emulator,
    pub client: Client,
    pub contact: Record,
    pub dir: tempfile::TempDir,
    pub canary: Canary,
}

/// A client with quick retries, so that no test waits long.
pub fn world() -> World {
    world_with(&[])
}

/// The same with further settings.
pub fn world_with(settings: &[(&str, &str)]) -> World {
    World::of(Emulator::start(Options::default()).expect("an emulator starts"), settings)
}

impl World {
    /// The same with an emulator that is there already.
    pub fn of(emulator: Emulator, settings: &[(&str, &str)]) -> World {
        let (dir, canary) = (tempfile::tempdir().expect("a directory"), Canary::default());
        let own = [("retry_base_ms", "10"), ("allow_paths", dir.path().to_str().expect("a path in UTF-8"))];
        let client = client_heard_by(&canary, &emulator, &[&own, settings].concat());
        let contact = Record::new("Contacts", emulator.add_record("Contacts"));
        World { emulator, client, contact, dir, canary }
    }

    pub fn upload(&self, name: &str, bytes: &[u8]) -> Result<Outcome<Uploaded>> {
        attachment::upload(&self.client, &self.contact, File::memory(name, bytes), Call::default())
    }

    /// The requests to the API, in order.
    pub fn requests(&self, operation: &str) -> Vec<Request> {
        self.emulator.ledger().requests.into_iter().filter(|r| r.operation == operation).collect()
    }

    /// Names and sizes of what is stored on the contact.
    pub fn stored(&self) -> Vec<(String, u64)> {
        self.emulator.attachments(&self.contact.module, &self.contact.id).into_iter().map(|a| (a.name, a.size)).collect()
    }

    /// An attachment of the contact, put there past the API.
    pub fn attach(&self, name: &str, bytes: &[u8]) -> String {
        self.emulator.attach(&self.contact.module, &self.contact.id, name, bytes)
    }

    /// A further contact: its id.
    pub fn record(&self) -> String {
        self.emulator.add_record("Contacts")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the directory, and its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The names in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("the directory is there");
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A client for an emulator, with its access token unless the settings bring other credentials.
pub fn client(emulator: &Emulator, settings: &[(&str, &str)]) -> Client {
    client_heard_by(&Canary::default(), emulator, settings)
}

pub fn client_heard_by(canary: &Canary, emulator: &Emulator, settings: &[(&str, &str)]) -> Client {
    Client::new(config_heard_by(canary, emulator, settings)).expect("the settings fit together")
}

pub fn config(emulator: &Emulator, settings: &[(&str, &str)]) -> Config {
    config_heard_by(&Canary::default(), emulator, settings)
}

fn config_heard_by(canary: &Canary, emulator: &Emulator, settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("accounts_url", emulator.url()).unwrap();
    config.set("api_domain", emulator.url()).unwrap();
    if !settings.iter().any(|(key, _)| matches!(*key, "refresh_token" | "soid" | "access_token")) {
        canary::set(&mut config, "access_token", &emulator.access_token());
    }
    for (key, value) in settings {
        canary::set(&mut config, key, value);
    }
    canary.listen(&mut config);
    config
}

/// The settings of the emulator's refresh token.
pub fn refreshing(emulator: &Emulator) -> Vec<(&'static str, String)> {
    refreshing_of(emulator, 1)
}

/// The same of an organisation, counted from 1.
pub fn refreshing_of(emulator: &Emulator, organisation: usize) -> Vec<(&'static str, String)> {
    let c = emulator.credentials_of(organisation);
    vec![("client_id", c.client_id), ("client_secret", c.client_secret), ("refresh_token", c.refresh_token), ("retry_base_ms", "10".to_owned())]
}

pub fn refreshing_client(emulator: &Emulator) -> Client {
    let settings = refreshing(emulator);
    client(emulator, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>())
}

/// Status and reason, for short assertions; no secret is in the error.
pub fn why<T>(result: Result<T>) -> (Status, &'static str) {
    let error: Error = result.err().expect("this call has to fail");
    canary::check(&error.to_json());
    (error.status(), error.reason())
}

/// Bytes that are all different in their first kilobytes, so that a shifted or repeated piece shows.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}
