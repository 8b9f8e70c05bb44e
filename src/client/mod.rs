//! A client: a configured connection to one CRM organisation, shared by any number of threads.

mod request;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use once_cell::sync::OnceCell;

use crate::auth::{FileStore, Hosts, Tokens};
use crate::call::{Call, Outcome};
use crate::cancel::Limits;
use crate::config::{ApiVersion, Config, LogLevel, Secret};
use crate::error::{Error, Result};
use crate::http::{self, Lanes, Meter, Session};
use crate::organisation::{Claims, Membership};
use crate::record::Subject;
use crate::transfer::sha256;
pub(crate) use request::Ask;

/// A configured connection to one CRM organisation. Clones are the same client; share it between threads.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: Config,
    hosts: Hosts,
    tokens: Tokens,
    lanes: Lanes,
    membership: Membership,
    own_user: OnceCell<String>,
}

impl Client {
    /// Checks the settings as a whole, with the files and folders that they name. Connects to nothing: the first call does.
    pub fn new(mut config: Config) -> Result<Client> {
        // A path or a host of a setting may hold what is the secret of another one.
        let (hosts, tokens, lanes) = Client::parts(&config).map_err(|error| http::scrub(error, config.secrets()))?;
        config.spool_dir.get_or_insert_with(std::env::temp_dir); // which reads the environment, and no call may
        let key = organisation_key(&config, &hosts);
        let places = config.token_file.as_deref().map(|file| places_beside(file, &key));
        let membership = Membership::of(key, places);
        Ok(Client(Arc::new(Inner { config, hosts, tokens, lanes, membership, own_user: OnceCell::new() })))
    }

    fn parts(config: &Config) -> Result<(Hosts, Tokens, Lanes)> {
        config.check_folders()?;
        config.token_file.as_ref().map_or(Ok(()), |file| FileStore::new(file).check())?;
        let hosts = Hosts::of(config)?;
        let tokens = Tokens::of(config, &hosts)?;
        let lanes = Lanes::new(config, hosts.secure(tokens.asks()))?;
        Ok((hosts, tokens, lanes))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn api_version(&self) -> &'static ApiVersion {
        self.0.config.api_version
    }

    /// What this organisation's uploads in this process own.
    pub(crate) fn claims(&self) -> &Claims {
        &self.0.membership.organisation().claims
    }

    /// The id of the user whose token this is, once an upload's reply has named it.
    pub(crate) fn own_user(&self) -> Option<&str> {
        self.0.own_user.get().map(String::as_str)
    }

    pub(crate) fn learn_own_user(&self, id: String) {
        let _ = self.0.own_user.set(id); // it never changes
    }

    /// Runs one operation on the calling thread and says what it took.
    pub(crate) fn run<'a, T>(
        &self,
        operation: &'static str,
        about: impl Into<Subject<'a>>,
        limits: Limits,
        trace_id: Option<&str>,
        work: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<Outcome<T>> {
        #[cfg(feature = "panic-probe")]
        assert!(!self.config().panic_probe, "panic probe");
        let meter = Meter::default();
        let began = Instant::now();
        let gate = &self.0.membership.organisation().gate;
        let about = about.into();
        let outcome =
            http::run(&self.0.lanes, gate, self.config(), &limits, &meter, work).map_err(|error| about.named_in(self.without_secrets(error, &meter)));
        self.log_call(operation, trace_id, began, &meter, outcome.as_ref().err());
        Ok(meter.outcome(operation, outcome?))
    }

    /// The error without any secret of the settings, and without the call's tokens and the one in use, which a callback or a reply may have given.
    fn without_secrets(&self, error: Error, meter: &Meter) -> Error {
        let (in_use, tried) = (self.0.tokens.in_use(), meter.tokens.borrow());
        let tokens = in_use.as_ref().map(Secret::expose).into_iter().chain(tried.iter().flat_map(|token| token.texts()));
        http::scrub(error, self.config().secrets().chain(tokens))
    }

    /// What ends this call from outside.
    pub(crate) fn limits(&self, call: &Call<'_>) -> Limits {
        Limits::new(call.cancel.clone(), call.timeout.or(self.config().call_timeout))
    }

    fn log_call(&self, operation: &str, trace_id: Option<&str>, began: Instant, meter: &Meter, error: Option<&Error>) {
        let level = if error.is_some() { LogLevel::Error } else { LogLevel::Info };
        self.config().log(level, || {
            let trace = trace_id.map(|id| format!(" trace={}", crate::error::one_line(id))).unwrap_or_default();
            let end = error.map_or_else(|| "ok".to_owned(), |e| format!("{} {}: {e}", e.status().name(), e.reason()));
            let (ms, attempts) = (began.elapsed().as_millis(), meter.attempts.get());
            format!("{operation}{trace} {ms} ms, {attempts} attempts: {end}")
        });
    }
}

/// Which clients share an organisation's limits: those with the same label, which the host is trusted with; or else those with the same
/// hosts and OAuth client (and `soid`); or else those with the same token or callback.
fn organisation_key(config: &Config, hosts: &Hosts) -> String {
    if let Some(label) = &config.organisation {
        return format!("label {label}");
    }
    let Hosts { api, accounts, .. } = hosts;
    if config.client_id.is_some() {
        return format!("oauth {api} {accounts} {:?} {:?}", config.client_id, config.soid);
    }
    match (&config.access_token, &config.token_fn) {
        // A hash, so that no secret is kept in a table that outlives its client.
        (Some(token), _) => format!("token {accounts} {}", sha256(token.expose().as_bytes())),
        // Another callback may well be another organisation's.
        (None, token_fn) => format!("callback {accounts} {:?}", token_fn.as_ref().map(Arc::as_ptr)),
    }
}

/// The file through which processes share an organisation's places. A token file may hold the tokens of several organisations.
fn places_beside(token_file: &Path, organisation: &str) -> PathBuf {
    let mut name = token_file.as_os_str().to_owned();
    name.push(format!(".{}.places", &sha256(organisation.as_bytes())[..12]));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(settings: &[(&str, &str)]) -> String {
        let mut config = Config::new();
        settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        organisation_key(&config, &Hosts::of(&config).unwrap())
    }

    #[test]
    fn hosts_and_client_say_which_clients_share_an_organisation() {
        let ours = [("client_id", "1000.A"), ("client_secret", "s"), ("soid", "ZohoCRM.1")];
        let with = |more: &[(&'static str, &'static str)]| key(&[ours.as_slice(), more].concat());
        assert_eq!(with(&[]), with(&[("client_secret", "another")]));
        for other in [
            ("client_id", "1000.B"),
            ("soid", "ZohoCRM.2"),
            ("data_center", "eu"),
            ("environment", "sandbox"),
            ("api_domain", "https://evil.example"),
            ("accounts_url", "https://evil.example"),
            ("organisation", "ZohoCRM.1"),
        ] {
            assert_ne!(with(&[]), with(&[other]), "{other:?}");
        }
        assert_eq!(with(&[("organisation", "a")]), key(&[("organisation", "a"), ("access_token", "b")]));
        let bare = |token| key(&[("access_token", token), ("soid", "ZohoCRM.1")]);
        assert_ne!(bare("a"), bare("b"), "whoever has a token of their own can name any soid");
    }
}
