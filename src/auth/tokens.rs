//! The access token of a client: one refresh per expiry, whatever the number of threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::hosts::Hosts;
use super::oauth::{Grant, Issued, SHARE, THROTTLED, sendable};
use super::store::{self, Document, Entry, FileStore};
use crate::caller;
use crate::config::{Config, LogLevel, Secret, TokenFn, TokenStore};
use crate::error::{Error, Result, Sent, Status};
use crate::http::{Secrets, Session};
use crate::process::PerProcess;

/// Zoho blocks the eleventh token request in ten minutes; other processes may share the refresh token.
const MOST_IN_WINDOW: usize = 8;

/// An access token and where to use it.
pub(crate) struct Access {
    /// The `Authorization` header.
    pub(crate) header: HeaderValue,
    /// The API host: a URL without a path. Each call's begins with it, and to take it apart anew costs as much as the rest of a head.
    pub(crate) api: Url,
    /// The `Host` header, which would be made anew for each call.
    pub(crate) host: HeaderValue,
    /// The token, as a reply may repeat it.
    pub(crate) secrets: Arc<Secrets>,
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
    first: Option<Held>,
    shared: PerProcess<Shared>,
}

/// What the threads of one process share. A forked child begins with its parent's token, unless that was just being changed.
struct Shared {
    /// Read by each call, without waiting for one that asks for a token: with the lock below in its place, one call in three of 32 threads was
    /// put to sleep in its event loop and woken through it. Written under that lock, but for `refused`.
    held: RwLock<Option<Held>>,
    state: Mutex<State>,
    /// Attempts to get a token; those who waited while one failed share its failure.
    tries: AtomicU64,
}

#[derive(Default, Clone)]
struct State {
    failed: Option<(u64, Error)>,
    asked_at: VecDeque<Instant>,
    /// Those that the store couldn't take.
    unwritten: Vec<Instant>,
    throttled_until: Option<Instant>,
}

#[derive(Clone)]
struct Held {
    token: Secret,
    access: Arc<Access>,
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
        let file = || config.token_file.as_ref().map(|path| Arc::new(FileStore::new(path)) as Arc<dyn TokenStore>);
        let store = config.token_store.clone().or_else(file);
        let first = config.access_token.as_ref().map(|token| Held::new(token, &hosts.api, Duration::from_secs(3600))).transpose()?;
        Ok(Tokens { origin, store, first, shared: PerProcess::new() })
    }

    fn shared(&self) -> &Shared {
        self.shared.get(|parent| match parent {
            None => Shared { held: RwLock::new(self.first.clone()), state: Mutex::default(), tries: AtomicU64::new(0) },
            Some(parent) => parent.inherited(),
        })
    }

    /// Whether the accounts host is ever asked.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.origin, Origin::Oauth(_))
    }

    /// A token that is good as far as is known; asks for one when there is none. The lock makes it one request for all who wait. The host's
    /// callback is asked outside of it, by as many threads as there are calls: it may wait for one of them.
    pub(crate) async fn get(&self, session: &Session<'_>, hosts: &Hosts) -> Result<Arc<Access>> {
        if let Origin::Host(ask) = &self.origin {
            return self.ask_host(ask.as_ref(), hosts);
        }
        let shared = self.shared();
        let before = shared.tries.load(Ordering::Acquire);
        if let Some(access) = self.good(shared) {
            return Ok(access);
        }
        let mut state = shared.state.lock().await;
        if let Some(access) = self.good(shared) {
            return Ok(access);
        }
        if let Some((at, error)) = &state.failed
            && *at > before
        {
            return Err(error.clone());
        }
        let outcome = self.renew(&mut state, session, hosts).await;
        let tries = shared.tries.fetch_add(1, Ordering::AcqRel) + 1;
        outcome.inspect_err(|error| {
            // If this call failed because it was cancelled, that doesn't concern those who waited: one of them asks.
            if !session.is_cancelled() {
                state.failed = Some((tries, error.clone()));
            }
        })
    }

    /// Zoho refused this token (401). `false` when there is no way to another one.
    pub(crate) fn refuse(&self, access: &Access) -> bool {
        if let Some(held) = self.held().as_mut().filter(|held| held.access.header == access.header) {
            held.refused = true;
        }
        !matches!(self.origin, Origin::Fixed)
    }

    /// The token in use; it is what a reply could repeat.
    pub(crate) fn in_use(&self) -> Option<Secret> {
        self.shared().read().as_ref().map(|held| held.token.clone())
    }

    fn held(&self) -> RwLockWriteGuard<'_, Option<Held>> {
        self.shared().held.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn good(&self, shared: &Shared) -> Option<Arc<Access>> {
        shared.read().as_ref().filter(|held| held.is_good(&self.origin)).map(|held| held.access.clone())
    }

    fn hold(&self, token: &Secret, api: &str, lives: Duration) -> Result<Arc<Access>> {
        let held = Held::new(token, api, lives)?;
        Ok(self.held().insert(held).access.clone())
    }

    fn ask_host(&self, ask: &TokenFn, hosts: &Hosts) -> Result<Arc<Access>> {
        let refused = self.shared().read().as_ref().is_some_and(|held| held.refused);
        let unusable = |what| Error::new(Status::Callback, "token_callback", format!("the token callback succeeded, but gave {what}"));
        let token = caller::runs(|| ask(refused)).map_err(|status| match status {
            0 => unusable("more than its buffer holds, or what isn't UTF-8"),
            status => Error::callback("token_callback", "token", status),
        })?;
        if token.expose().is_empty() {
            return Err(unusable("an empty token"));
        }
        self.hold(&token, &hosts.api, Duration::ZERO)
    }

    /// A token from the store, if it can be sent, to a host that it may go to, has life left and isn't the one that was just refused.
    fn adopt(&self, session: &Session<'_>, entry: &Entry, hosts: &Hosts) -> Result<Option<Arc<Access>>> {
        let Some(lives) = entry.lives() else { return Ok(None) };
        let usable = hosts.follow(entry.api_domain.as_deref()).and_then(|api| Held::new(&entry.access_token, &api, lives));
        let mut new = match usable {
            Ok(new) => new,
            Err(error) => {
                session.config.log(LogLevel::Warn, || format!("the token store's token can't be used, and is asked for again: {}", error.reason()));
                return Ok(None);
            }
        };
        let mut held = self.held();
        let refused = held.as_ref().is_some_and(|held| held.refused && held.access.header == new.access.header);
        new.refused = refused || new.good_until <= Instant::now();
        let held = held.insert(new);
        Ok((!held.refused).then(|| held.access.clone()))
    }

    async fn renew(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts) -> Result<Arc<Access>> {
        match &self.origin {
            Origin::Fixed => {
                Err(Error::new(Status::Auth, "token_refused", "Zoho refused the access token, and there are no credentials for another one"))
            }
            Origin::Host(ask) => self.ask_host(ask.as_ref(), hosts),
            Origin::Oauth(grant) => match &self.store {
                Some(store) => self.share(state, session, hosts, grant, store.as_ref()).await,
                None => {
                    let granted = self.ask(state, session, hosts, grant).await?;
                    self.hold(&granted.access_token, &granted.api(hosts)?, granted.lives)
                }
            },
        }
    }

    /// The token that another process has put into the store, or one of our own, which is put there. One process asks at a time.
    async fn share(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts, grant: &Grant, store: &dyn TokenStore) -> Result<Arc<Access>> {
        let key = grant.store_key(hosts);
        if let Some(access) = self.adopt(session, &Document::read(store)?.entry(&key), hosts)? {
            return Ok(access);
        }
        let _locked = unless_unwritable(session, store::lock(store, session.config.token_timeout).await)?;
        let document = Document::read(store)?;
        let mut entry = document.entry(&key);
        if let Some(access) = self.adopt(session, &entry, hosts)? {
            return Ok(access);
        }
        state.remember_requests(&entry.asked_at);
        let last = state.asked_at.back().copied();
        let asked = self.ask(state, session, hosts, grant).await;
        entry.asked_at = state.requests();
        let asked = asked.and_then(|granted| Ok((granted.api(hosts)?, granted)));
        if let Ok((_, granted)) = &asked {
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
        let (api, granted) = asked?;
        self.hold(&granted.access_token, &api, granted.lives)
    }

    async fn ask(&self, state: &mut State, session: &Session<'_>, hosts: &Hosts, grant: &Grant) -> Result<Issued> {
        state.allow_request()?;
        session.config.log(LogLevel::Debug, || format!("asking {} for an access token", hosts.accounts));
        grant.exchange(session, hosts).await.inspect_err(|error| {
            if session.meter.doubt.sent() == Sent::No {
                state.asked_at.pop_back(); // what never left, Zoho can't count
            }
            state.note_throttle(error);
        })
    }
}

/// When the disk is full, the other processes don't get the token, but this one goes on.
fn unless_unwritable<T>(session: &Session<'_>, outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(error) if error.status() == Status::Io => {
            session.config.log(LogLevel::Warn, || format!("the access token is not shared with other processes: {error}"));
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Option<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a child takes over. It waits for no lock, since the thread that holds one may not exist in the child.
    fn inherited(&self) -> Shared {
        let held = self.held.try_read().ok().and_then(|held| held.clone());
        let state = self.state.try_lock().map(|state| state.clone()).unwrap_or_default();
        Shared { held: RwLock::new(held), state: Mutex::new(state), tries: AtomicU64::new(0) }
    }
}

impl Held {
    fn new(token: &Secret, api: &str, lives: Duration) -> Result<Held> {
        let header = sendable(token)?;
        let api = Url::parse(api).map_err(|e| Error::new(Status::Config, "api_domain", format!("{api} is not a URL: {e}")))?;
        let host = HeaderValue::from_str(&host_of(&api)).map_err(|e| Error::new(Status::Config, "api_domain", format!("{api} has no host: {e}")))?;
        // Early by a tenth, at most a minute: a long upload starts with a token that has some life left.
        let good_until = Instant::now() + lives - (lives / 10).min(Duration::from_secs(60));
        let access = Access { header, api, host, secrets: Arc::new(Secrets::of([token.expose()])) };
        Ok(Held { token: token.clone(), access: Arc::new(access), good_until, refused: false })
    }

    fn is_good(&self, origin: &Origin) -> bool {
        match origin {
            // The host knows best how long its token lives: it is asked for each call and may answer from its own cache.
            Origin::Host(_) => false,
            // Only Zoho knows whether it has expired.
            Origin::Fixed => !self.refused,
            Origin::Oauth(_) => !self.refused && Instant::now() < self.good_until,
        }
    }
}

/// Host and port as the header has them: without the port that is the scheme's own.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl State {
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
            let message = format!("no token request for {} s: Zoho allows ten in ten minutes and then refuses them all; {SHARE}", wait.as_secs());
            return Err(Error::new(Status::RateLimited, "token_throttled", message).with_wait(wait));
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
