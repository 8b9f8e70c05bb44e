//! The emulator as a library: what tests written in Rust hold in their hands.

use std::io::{self, Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::control;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::script::{Requests, Script};
use crate::seed::Credentials;
use crate::server::{self, Shared};
use crate::settings::{Settings, check_public_name};
use crate::state::{Address, SeedPlan, State};
use crate::tls::{self, Certificate};
use crate::world::RecordState;

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port; 0 for any free one.
    pub port: u16,
    /// Serve HTTPS with a certificate made at the start.
    pub tls: bool,
    /// Fill in records. Organisations, clients and tokens are always there.
    pub seed: bool,
    /// Address to listen on.
    pub host: IpAddr,
    /// Name of the data centre: the seeded tokens of two names differ, so that one refuses the other's.
    pub data_centre: String,
    /// Which certificate to show.
    pub certificate: Certificate,
    /// The name by which others reach it, `host` or `host:port`: that of its container, say.
    pub public_name: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            tls: false,
            seed: true,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            data_centre: "us".to_owned(),
            certificate: Certificate::Good,
            public_name: None,
        }
    }
}

/// An attachment as stored.
#[derive(Debug, Clone, Serialize)]
pub struct StoredAttachment {
    /// Id.
    pub id: String,
    /// File name or link title.
    pub name: String,
    /// The URL of a link.
    pub link_url: Option<String>,
    /// The bytes; empty for links and when bodies are not kept.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes; of the URL for a link.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// When it was made, as lists show it.
    pub created: String,
}

/// A running emulator. Dropping it ends it and every connection.
pub struct Emulator {
    shared: Arc<Shared>,
    url: String,
    ca_pem: Option<String>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts one.
    pub fn start(options: Options) -> io::Result<Emulator> {
        if let Some(name) = &options.public_name {
            check_public_name(name).map_err(|e| Error::new(ErrorKind::InvalidInput, format!("the public name {e}")))?;
        }
        let wanted = SocketAddr::new(options.host, options.port);
        let listener = TcpListener::bind(wanted).map_err(|e| Error::new(e.kind(), format!("{wanted}: {e}")))?;
        let mut address = listener.local_addr()?;
        let any = address.ip().is_unspecified();
        if any {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let tls = options.tls.then(|| tls::make(options.certificate, options.public_name.as_deref())).transpose()?;
        let scheme = if options.tls { "https" } else { "http" };
        let plan = SeedPlan { records: options.seed, data_centre: options.data_centre, public_name: options.public_name };
        let (config, ca_pem) = tls.map(|t| (t.config, t.ca_pem)).unzip();
        let state = State::new(Address { url: format!("{scheme}://{address}"), any }, &plan);
        let url = state.url(None);
        let shared = Arc::new(Shared::new(state, config));
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("emulator".into());
        let accepting = Some(thread.spawn(move || server::accept(&own, &listener))?);
        Ok(Emulator { shared, url, ca_pem, address, accepting })
    }

    /// Where it listens, for both accounts (`/oauth/…`) and API (`/crm/…`), e.g. `http://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on; [`Emulator::url`] has the public name instead, where one is set.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority to trust, as PEM, under TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Changes settings.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    /// Puts faults at the end of a queue: of an operation, or of [`Requests`] that are bound more closely. Each request takes one; the most
    /// closely bound queue comes first, and that of `*` last.
    ///
    /// # Panics
    /// If there is no such operation, or a fault isn't for it: a test with a typo mustn't pass.
    pub fn script(&self, requests: impl Into<Requests>, faults: impl IntoIterator<Item = Fault>) {
        self.add(requests.into(), faults.into_iter().collect(), false);
    }

    /// The same for every request from now on.
    ///
    /// # Panics
    /// As [`Emulator::script`] does.
    pub fn always(&self, requests: impl Into<Requests>, fault: Fault) {
        self.add(requests.into(), vec![fault], true);
    }

    fn add(&self, requests: Requests, faults: Vec<Fault>, always: bool) {
        let script = Script::new(requests, faults, always).unwrap_or_else(|e| panic!("{e}"));
        let mut state = self.shared.state();
        state.changes += 1;
        state.scripts.add(script);
    }

    /// Empties all queues of faults.
    pub fn clear_script(&self) {
        self.shared.state().scripts.clear();
    }

    /// How many faults still wait for an operation, whatever else they are bound to.
    pub fn faults_left(&self, operation: &str) -> usize {
        self.shared.state().scripts.left(operation)
    }

    /// A snapshot of the ledger.
    pub fn ledger(&self) -> Ledger {
        self.shared.state().ledger.clone()
    }

    /// What of it is of one organisation, counted from 1.
    pub fn ledger_of(&self, organisation: usize) -> Ledger {
        self.shared.state().ledger.of(organisation)
    }

    /// Forgets the ledger.
    pub fn clear_ledger(&self) {
        self.shared.state().ledger = Ledger::default();
    }

    /// A valid access token of organisation 1 with all scopes; no token call is made or counted for it.
    pub fn access_token(&self) -> String {
        self.access_token_of(1)
    }

    /// The same of an organisation, counted from 1.
    pub fn access_token_of(&self, organisation: usize) -> String {
        self.shared.state().current_access(organisation - 1)
    }

    /// An access token of organisation 1 with the given scopes, comma-separated.
    pub fn access_token_with_scope(&self, scope: &str) -> String {
        self.shared.state().scoped_access(0, scope)
    }

    /// What a client of organisation 1 needs to get tokens.
    pub fn credentials(&self) -> Credentials {
        self.credentials_of(1)
    }

    /// The same of an organisation: 1, 2, or 3 for the sandbox of the first.
    pub fn credentials_of(&self, organisation: usize) -> Credentials {
        self.shared.state().credentials(organisation - 1)
    }

    /// Ends all access tokens: their next use answers 401 `INVALID_TOKEN`.
    pub fn expire_tokens(&self) {
        self.shared.state().accounts.expire_all();
    }

    /// A fresh one-time grant code of the self client of organisation 1.
    pub fn grant_code(&self) -> String {
        self.shared.state().self_client_code(0)
    }

    /// Moves the emulator's clock forward.
    ///
    /// # Panics
    /// If it would be over a hundred years ahead.
    pub fn advance(&self, by: Duration) {
        self.shared.state().clock.advance(by.as_millis() as u64).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Back to the seeded state, settings and ledger included.
    pub fn reset(&self) {
        self.shared.state().reset();
    }

    /// The world as JSON: organisations, credentials, records, attachments.
    pub fn world(&self) -> Value {
        control::world(&mut self.shared.state())
    }

    /// The first record of a module in organisation 1.
    ///
    /// # Panics
    /// If there is none.
    pub fn record(&self, module: &str) -> String {
        self.record_of(1, module)
    }

    /// The first record of a module in an organisation, counted from 1.
    ///
    /// # Panics
    /// If there is none.
    pub fn record_of(&self, organisation: usize, module: &str) -> String {
        let state = self.shared.state();
        let first = state.organisations[organisation - 1].records_of(module).next();
        first.unwrap_or_else(|| panic!("organisation {organisation} has no record in {module}")).id.to_string()
    }

    /// The first record of organisation 1 in a state.
    ///
    /// # Panics
    /// If there is none.
    pub fn record_in_state(&self, wanted: RecordState) -> String {
        let state = self.shared.state();
        let first = &state.organisations[0];
        let found = first.order.iter().find(|id| first.records[id].state == wanted);
        found.unwrap_or_else(|| panic!("no record is {wanted:?}")).to_string()
    }

    /// Makes an organisation with credentials, ids and credits of its own, and says its number.
    pub fn add_organisation(&self, name: &str) -> usize {
        self.shared.state().add_organisation(name) + 1
    }

    /// Makes a record in organisation 1; an unknown module becomes a custom one.
    pub fn add_record(&self, module: &str) -> String {
        self.add_record_of(1, module)
    }

    /// The same in an organisation, counted from 1.
    pub fn add_record_of(&self, organisation: usize, module: &str) -> String {
        self.shared.state().add_record(organisation - 1, module, None, RecordState::Normal)
    }

    /// Changes the state of a record of organisation 1.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn set_record_state(&self, module: &str, record_id: &str, to: RecordState) {
        let mut state = self.shared.state();
        let record = state.organisations[0].record_mut(module, record_id);
        record.unwrap_or_else(|| panic!("no record {module} {record_id}")).state = to;
    }

    /// Deletes a record of organisation 1 with all it has.
    pub fn delete_record(&self, module: &str, record_id: &str) {
        self.shared.state().delete_record(0, module, record_id);
    }

    /// Attaches a file directly, past the API.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn attach(&self, module: &str, record_id: &str, name: &str, bytes: &[u8]) -> String {
        self.shared.state().attach(0, module, record_id, name, bytes).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Attaches a link directly.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn attach_link(&self, module: &str, record_id: &str, title: &str, url: &str) -> String {
        self.shared.state().attach_link(0, module, record_id, title, url).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Sets a photo directly.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn set_photo(&self, module: &str, record_id: &str, bytes: &[u8]) {
        self.shared.state().set_photo(0, module, record_id, bytes).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The attachments of a record of organisation 1, oldest first; none if there is no such record.
    pub fn attachments(&self, module: &str, record_id: &str) -> Vec<StoredAttachment> {
        self.attachments_of(1, module, record_id)
    }

    /// The same of an organisation, counted from 1.
    pub fn attachments_of(&self, organisation: usize, module: &str, record_id: &str) -> Vec<StoredAttachment> {
        self.shared.state().attachments(organisation - 1, module, record_id)
    }

    /// The photo of a record of organisation 1.
    pub fn photo(&self, module: &str, record_id: &str) -> Option<Vec<u8>> {
        self.photo_of(1, module, record_id)
    }

    /// The same of an organisation, counted from 1.
    pub fn photo_of(&self, organisation: usize, module: &str, record_id: &str) -> Option<Vec<u8>> {
        let state = self.shared.state();
        let photo = state.organisations[organisation - 1].record(module, record_id)?.photo.as_ref()?;
        photo.content.as_ref().map(|c| c.bytes().to_vec())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; where that fails, the listener is gone already.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
        self.shared.close_all();
    }
}
