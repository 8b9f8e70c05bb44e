//! The access token of a client: one refresh per expiry, whatever the number of threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::hosts::Hosts;
use super::oauth::{Grant, Granted, THROTTLED};
use super::store::{self, Document, Entry, FileStore};
use crate::config::{Config, LogLevel, Secret, TokenFn, TokenStore};
use crate::error::{Error, Result, Sent, Status};
use crate::http::{Secrets, Session};

/// Zoho blocks the eleventh token request in ten minutes; other processes may share the refresh token.
const MOST_IN_WINDOW: usize = 8;

/// An access token and where to use it.
#[derive(Clone)]
pub(crate) struct Access {
    /// The `Authorization` header.
    pub(crate) header: HeaderValue,
    /// The API host.
    pub(crate) api: String,
    /// The token, as a reply may repeat it.
    pub(crate) secrets: Arc<Secrets>,
    serial: u64,
}

/// Where the tokens of a client come from.
enum Origin {
    /// One token, for as long as Zoho takes it.
    Fixed,
    /// The host's callback.
    Host(Arc<TokenFn>),
    /// Zoho's token endpoint.
    Oauth(Grant),
}

pub(crate) struct Tokens {
    origin: Origin,
    store: Option<Arc<dyn TokenStore>>,
    state: Mutex<State>,
    /// Attempts to get a token; those who waited while one failed share its failure.
    tries: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    serial: u64,
    failed: Option<(u64, Error)>,
    asked_at: VecDeque<Instant>,
    /// Those that the store couldn't take.
    unwritten: Vec<Instant>,
    throttled_until: Option<Instant>,
}

struct Held {
    access: Access,
    good_until: Instant,
    refused: bool,
}

impl Tokens {
    pub(crate) fn of(config: &Config, hosts: &Hosts) -> Result<Tokens> {
        let grant = Grant::of(config)?;
        let origin = match (&config.token_fn, grant) {
            (Some(_), Some(_)) => {
                return Err(Error::new(Status::Config, "credentials", "a token callback and OAuth credentials are both set; use one"));
            }
            (Some(f), None) => Origin::Host(f.clone()),
            (None, Some(grant)) => Origin::Oauth(grant),
            (None, None) if config.access_token.is_some() => Origin::Fixed,
            (None, None) => {
                let message = "no credentials: set access_token, a token callback, or client_id, client_secret and refresh_token";
                return Err(Error::new(Status::Config, "credentials", message));
            }
        };
        let mut state = State::default();
        if let Some(token) = &config.access_token {
            state.hold(token, hosts.api.clone(), Duration::from_secs(3600))?;
        }
        let file = || config.token_file.as_ref().map(|path| Arc::new(FileStore::new(path)) as Arc<dyn TokenStore>);
        Ok(Tokens { origin, store: config.token_store.clone().or_else(file), state: Mutex::new(state), tries: AtomicU64::new(0) })
    }

    /// Whether the accounts host is ever asked.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.origin, Origin::Oauth(_))
    }

    /// A token that is good as far as is known; asks for one when there is none. The lock makes it one request for all who wait.
    pub(crate) async fn get(&self, session: &Session<'_>, hosts: &Hosts) -> Result<Access> {
        let before = self.tries.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(held) = state.held.as_ref().filter(|held| held.is_good(&self.origin)) {
            return Ok(held.access.clone());
        }
        if let Some((at, error)) = &state.failed
            && *at > before
        {
            return Err(error.clone());
        }
        let outcome = self.renew(&mut state, session, hosts).await;
        let tries = self.tries.fetch_add(1, Ordering::AcqRel) + 1;
        outcome.inspect_err(|error| state.failed = Some((tries, error.clone())))
    }

    /// Zoho refused this token (401). `false` when there is no way to another one.
    pub(crate) async fn refuse(&self, access: &Access) -> bool {
        let mut state = self.state.lock().await;
        if let Some(held) = state.held.as_mut().filter(|held| held.access.serial == access.serial) {
            held.refused = true;
        }
        !matches!(self.origin, Origin::Fixed)
    }

    async fn renew(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts) -> Result<Access> {
        match &self.origin {
            Origin::Fixed => {
                Err(Error::new(Status::Auth, "token_refused", "Zoho refused the access token, and there are no credentials for another one"))
            }
            Origin::Host(ask) => {
                let refused = state.held.as_ref().is_some_and(|held| held.refused);
                let token = ask(refused).map_err(|status| Error::callback("token_callback", "token", status))?;
                state.hold(&token, hosts.api.clone(), Duration::ZERO)
            }
            Origin::Oauth(grant) => match &self.store {
                Some(store) => self.share(state, session, hosts, grant, store.as_ref()).await,
                None => {
                    let granted = self.ask(state, session, hosts, grant).await?;
                    state.hold(&granted.access_token, hosts.follow(granted.api_domain.as_deref())?, granted.lives)
                }
            },
        }
    }

    /// The token that another process has put into the store, or one of our own, which is put there. One process asks at a time.
    async fn share(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts, grant: &Grant, store: &dyn TokenStore) -> Result<Access> {
        let key = grant.store_key(hosts);
        if let Some(access) = state.adopt(&Document::read(store)?.entry(&key), hosts)? {
            return Ok(access);
        }
        let _locked = unless_unwritable(session, store::lock(store, session.config.token_timeout).await)?;
        let document = Document::read(store)?;
        let mut entry = document.entry(&key);
        if let Some(access) = state.adopt(&entry, hosts)? {
            return Ok(access);
        }
        state.remember_requests(&entry.asked_at);
        let last = state.asked_at.back().copied();
        let asked = self.ask(state, session, hosts, grant).await;
        entry.asked_at = state.requests();
        if let Ok(granted) = &asked {
            entry.expires_at = store::now() + granted.lives.as_secs();
            entry.access_token = granted.access_token.clone();
            entry.api_domain = granted.api_domain.clone();
        }
        match unless_unwritable(session, document.write(store, &key, entry))? {
            Some(()) => state.unwritten.clear(),
            None => {
                let new = state.asked_at.back().copied().filter(|at| Some(*at) != last); // none, if the request never left
                state.unwritten.retain(|at| at.elapsed() < THROTTLED);
                state.unwritten.extend(new);
            }
        }
        let granted = asked?;
        state.hold(&granted.access_token, hosts.follow(granted.api_domain.as_deref())?, granted.lives)
    }

    async fn ask(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts, grant: &Grant) -> Result<Granted> {
        state.allow_request()?;
        session.config.log(LogLevel::Debug, || format!("asking {} for an access token", hosts.accounts));
        grant.exchange(session, hosts).await.inspect_err(|error| {
            if session.meter.sent.get() == Sent::No {
                state.asked_at.pop_back(); // what never left, Zoho can't count
            }
            state.note_throttle(error);
        })
    }
}

/// A full disk keeps the token from the other processes, and nothing from this one: it goes on without what couldn't be written.
fn unless_unwritable<T>(session: &Session<'_>, outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(error) if error.status() == Status::Io => {
            session.config.log(LogLevel::Warn, || format!("the access token is not shared with other processes: {error}"));
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

impl Held {
    fn is_good(&self, origin: &Origin) -> bool {
        match origin {
            // The host knows best how long its token lives: it is asked for each call and may answer from its own cache.
            Origin::Host(_) => false,
            // Whether it has expired is Zoho's to say.
            Origin::Fixed => !self.refused,
            Origin::Oauth(_) => !self.refused && Instant::now() < self.good_until,
        }
    }
}

impl State {
    fn hold(&mut self, token: &Secret, api: String, lives: Duration) -> Result<Access> {
        let text = Zeroizing::new(format!("Zoho-oauthtoken {}", token.expose()));
        let header = HeaderValue::from_str(&text);
        let mut header = header.map_err(|_| Error::new(Status::Auth, "token_malformed", "the access token holds characters that a header can't"))?;
        header.set_sensitive(true);
        self.serial += 1;
        let access = Access { header, api, secrets: Arc::new(Secrets::of([token.expose()])), serial: self.serial };
        // Early by a tenth, at most a minute: a long upload starts with a token that has some life left.
        let good_until = Instant::now() + lives - (lives / 10).min(Duration::from_secs(60));
        self.held = Some(Held { access: access.clone(), good_until, refused: false });
        Ok(access)
    }

    /// A token from the store, if it has life left and isn't the one that was just refused.
    fn adopt(&mut self, entry: &Entry, hosts: &Hosts) -> Result<Option<Access>> {
        let Some(lives) = entry.lives() else { return Ok(None) };
        let refused = self.held.as_ref().filter(|held| held.refused).map(|held| held.access.header.clone());
        let access = self.hold(&entry.access_token, hosts.follow(entry.api_domain.as_deref())?, lives)?;
        let good = self.held.as_mut().filter(|held| Some(&held.access.header) != refused.as_ref() && Instant::now() < held.good_until);
        if good.is_some() {
            return Ok(Some(access));
        }
        self.held.iter_mut().for_each(|held| held.refused = true);
        Ok(None)
    }

    /// Requests of other processes count too: Zoho counts them all.
    fn remember_requests(&mut self, asked_at: &[u64]) {
        let (now, now_s) = (Instant::now(), store::now());
        let stored = asked_at.iter().filter_map(|at| now.checked_sub(Duration::from_secs(now_s.saturating_sub(*at))));
        let mut all: Vec<Instant> = stored.chain(self.unwritten.iter().copied()).filter(|at| now.duration_since(*at) < THROTTLED).collect();
        all.sort();
        self.asked_at = all.into();
    }

    fn requests(&self) -> Vec<u64> {
        self.asked_at.iter().map(|at| store::now().saturating_sub(at.elapsed().as_secs())).collect()
    }

    /// Refuses to ask when Zoho would block for it.
    fn allow_request(&mut self) -> Result<()> {
        let now = Instant::now();
        while self.asked_at.front().is_some_and(|at| now.duration_since(*at) >= THROTTLED) {
            self.asked_at.pop_front();
        }
        let window_opens = self.asked_at.front().filter(|_| self.asked_at.len() >= MOST_IN_WINDOW).map(|first| *first + THROTTLED);
        if let Some(until) = self.throttled_until.max(window_opens).filter(|until| *until > now) {
            let wait = until - now;
            let message = format!("no token request for {} s: Zoho allows ten in ten minutes and then refuses them all", wait.as_secs());
            return Err(Error::new(Status::RateLimited, "token_throttled", message).with(|d| d.retry_after_ms = wait.as_millis() as i64));
        }
        self.asked_at.push_back(now);
        Ok(())
    }

    fn note_throttle(&mut self, error: &Error) {
        if error.reason() == "token_throttled" {
            self.throttled_until = Some(Instant::now() + THROTTLED);
        }
    }
}
