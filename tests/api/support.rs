//! What the tests share: an emulator and a client that talks to it.

#[path = "../support/canary.rs"]
pub mod canary;

use zcrm::attachment::{self, Uploaded};
use zcrm::{Call, Client, Config, Error, Outcome, Record, Result, Source};
use zcrm_emulator::{Emulator, Options, Request};

/// An emulator of one's own and a client with a token for it.
pub struct World {
    pub emulator: Emulator,
    pub client: Client,
    pub contact: Record,
}

/// A client with quick retries, so that no test waits long.
pub fn world() -> World {
    world_with(&[])
}

/// The same with further settings.
pub fn world_with(settings: &[(&str, &str)]) -> World {
    let emulator = Emulator::start(Options::default()).expect("an emulator starts");
    let mut all = vec![("retry_base_ms", "10")];
    all.extend_from_slice(settings);
    let client = client(&emulator, &all);
    let contact = Record::new("Contacts", emulator.add_record("Contacts"));
    World { emulator, client, contact }
}

/// A client for an emulator, with its access token unless the settings bring other credentials.
pub fn client(emulator: &Emulator, settings: &[(&str, &str)]) -> Client {
    Client::new(config(emulator, settings)).expect("the settings fit together")
}

pub fn config(emulator: &Emulator, settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("accounts_url", emulator.url()).unwrap();
    config.set("api_domain", emulator.url()).unwrap();
    if !settings.iter().any(|(key, _)| matches!(*key, "refresh_token" | "soid" | "access_token")) {
        canary::set(&mut config, "access_token", &emulator.access_token());
    }
    for (key, value) in settings {
        canary::set(&mut config, key, value);
    }
    canary::listen(&mut config);
    config
}

/// The settings of the emulator's refresh token.
pub fn refreshing(emulator: &Emulator) -> Vec<(&'static str, String)> {
    let c = emulator.credentials();
    vec![("client_id", c.client_id), ("client_secret", c.client_secret), ("refresh_token", c.refresh_token), ("retry_base_ms", "10".to_owned())]
}

pub fn refreshing_client(emulator: &Emulator) -> Client {
    let settings = refreshing(emulator);
    client(emulator, &settings.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>())
}

impl World {
    pub fn upload(&self, name: &str, bytes: &[u8]) -> Result<Outcome<Uploaded>> {
        attachment::upload(&self.client, &self.contact, Source::memory(name, bytes), Call::default())
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
}

/// Status and reason, for short assertions; no secret is in the error.
pub fn why<T>(result: Result<T>) -> (zcrm::Status, &'static str) {
    let error: Error = result.err().expect("this call has to fail");
    canary::check(&error.to_json());
    (error.status(), error.reason())
}

/// Bytes that are all different in their first kilobytes, so that a shifted or repeated piece shows.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// A PNG header that says it has this size; enough for whoever reads only the header.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0"].concat()
}

#[test]
fn a_secret_that_is_shown_is_found() {
    let found = |text: &str| std::panic::catch_unwind(|| canary::check(text)).is_err();
    canary::set(&mut Config::new(), "client_secret", "a-secret-of-this-test");
    assert!(found("client_secret=a-secret-of-this-test;") && found("Zoho-oauthtoken 1000.0123456789abcdef0123456789abcdef.x"));
    assert!(!found("the client id is 1000.ABCDEF, and 1000.12 are not enough"));
}
