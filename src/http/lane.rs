//! Lanes: what one call in flight needs, a runtime and a connection, kept for the next call.
//!
//! The caller's own thread drives its lane, so no thread is hidden, callbacks run where the caller is, and a cancel is a `select!`.
//! One lane for each concurrent call measured better than one shared runtime, a runtime thread or a multi-thread runtime.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use rustls::pki_types::CertificateDer;
use tokio::runtime::{Builder, EnterGuard, Runtime};

use super::lookup::Lookup;
use super::tls;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::organisation::Place;
use crate::process::PerProcess;

/// An idle lane older than this is dropped: nobody polls it, and servers close idle connections after about as long.
const IDLE: Duration = Duration::from_secs(30);

/// Idle lanes of all organisations together; the oldest one of another organisation goes when there are more.
const MOST_IDLE: usize = 64;

/// Probes on a connection that waits for a reply, so that a router in between doesn't forget it: many do after a minute.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The idle lanes of this process, in the order of their last use. They are in one place so that any call clears away the old ones of every client.
static IDLE_LANES: PerProcess<Mutex<Vec<Lane>>> = PerProcess::new();

/// Make event loops. tokio reads the environment where a builder is made, and not where a runtime is built: so they are made with the first
/// client, and a forked child goes on with its parent's. Of the two, the second is for a child whose parent was just using the first.
static RUNTIMES: PerProcess<Vec<Arc<Mutex<Builder>>>> = PerProcess::new();

fn idle_lanes() -> MutexGuard<'static, Vec<Lane>> {
    IDLE_LANES.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtimes() -> &'static Mutex<Builder> {
    &RUNTIMES.get(|parents| {
        let free: Vec<_> = parents.into_iter().flatten().filter(|builder| builder.try_lock().is_ok()).cloned().collect();
        if free.is_empty() { vec![builder(), builder()] } else { free }
    })[0]
}

fn builder() -> Arc<Mutex<Builder>> {
    let mut builder = Builder::new_current_thread();
    // A connection that is flooded keeps a cancel waiting for so many of its turns, of at most 128 reads each. With 1 in place of 2, every
    // turn would cost a system call more.
    builder.enable_all().event_interval(2);
    Arc::new(Mutex::new(builder))
}

pub(crate) struct Lane {
    runtime: Option<Runtime>,
    pub(super) http: reqwest::Client,
    client: u64,
    /// Whether it has certificates to check others by.
    pub(super) secure: bool,
    organisation: usize,
    /// The thread that used it last.
    thread: ThreadId,
    /// How long its connection may be idle: less than `IDLE` where the server says so.
    keep: Cell<Duration>,
    /// Requests that were answered on it.
    served: Cell<u32>,
    expires: Instant,
}

impl Lane {
    /// What is dropped while the value lives may still hand something to the event loop, such as a connection that nobody needs.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.as_ref().expect("present until dropped").enter()
    }

    /// Runs `work` on the calling thread.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("present until dropped").block_on(work)
    }

    /// The server closes the connection after this time without a request.
    pub(super) fn keep_at_most(&self, time: Duration) {
        self.keep.set(time.min(IDLE));
    }

    /// Counts a reply.
    pub(super) fn has_served(&self) -> u32 {
        self.served.set(self.served.get().saturating_add(1));
        self.served.get()
    }

    /// Whether its connection isn't to be used again.
    pub(super) fn is_used_up(&self) -> bool {
        self.keep.get().is_zero()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // a plain drop would wait for what a cancelled call has left behind
        }
    }
}

/// The lanes of one client.
///
/// A thread gets the lane back that it used last, if that is idle: its memory is in that thread's cache and allocator arena. Otherwise the lane
/// that was used last by anybody, whose connection is the most likely to be alive.
pub(crate) struct Lanes {
    client: u64,
    ca: Vec<CertificateDer<'static>>,
    tls: PerProcess<OnceCell<rustls::ClientConfig>>,
    secure: AtomicBool,
}

impl Lanes {
    /// `secure`: whether any host is reached by https, so that certificates are needed. A `ca_file` that can't be used shows here.
    pub(crate) fn new(config: &Config, secure: bool) -> Result<Lanes> {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        runtimes(); // which reads the environment, and no call may
        let ca = config.ca_file.as_deref().map(tls::certificates).transpose()?.unwrap_or_default();
        if secure && !config.os_roots && ca.is_empty() {
            let message = "setting os_roots is off and ca_file isn't set, so that no server's certificate would be trusted: set either";
            return Err(Error::new(Status::Config, "no_roots", message).with(|d| d.field = Some("os_roots")));
        }
        Ok(Lanes { client: CLIENTS.fetch_add(1, Ordering::Relaxed), ca, tls: PerProcess::new(), secure: secure.into() })
    }

    /// From now on certificates are needed: a redirect leads to https.
    pub(crate) fn become_secure(&self) {
        self.secure.store(true, Ordering::Relaxed);
    }

    /// An idle lane, or a new one; always a new one if `fresh`, when idle connections are not trusted.
    ///
    /// An organisation's connections are no more than its places: where a new lane is made, others of the organisation that are idle go.
    pub(super) fn take(&self, config: &Config, place: &Place<'_>, fresh: bool) -> Result<Lane> {
        let (now, thread, organisation) = (Instant::now(), thread::current().id(), place.organisation());
        let mut idle = idle_lanes();
        let mut gone: Vec<Lane> = Vec::new();
        if idle.iter().any(|lane| lane.expires <= now) {
            gone.extend(idle.extract_if(.., |lane| lane.expires <= now));
        }
        let mine = |lane: &Lane| lane.client == self.client;
        let at = idle.iter().rposition(|lane| mine(lane) && lane.thread == thread).or_else(|| idle.iter().rposition(mine));
        let lane = at.filter(|_| !fresh).map(|at| idle.remove(at));
        if lane.is_none() {
            let of_organisation = idle.iter().filter(|lane| lane.organisation == organisation).count();
            let over = of_organisation.saturating_sub(place.spare);
            gone.extend(idle.extract_if(.., |lane| lane.organisation == organisation).take(over));
        }
        drop(idle);
        drop(gone); // closes connections: not under the lock
        lane.map_or_else(|| self.new_lane(config, organisation), Ok)
    }

    /// Keeps a lane whose connection is in order, unless there are more calls than places.
    pub(super) fn give_back(&self, mut lane: Lane, place: &Place<'_>) {
        if place.may_be_one_too_many() || lane.is_used_up() {
            return;
        }
        lane.thread = thread::current().id();
        let mut idle = idle_lanes();
        lane.expires = Instant::now() + lane.keep.get();
        let one_too_many = if idle.len() < MOST_IDLE { None } else { idle.iter().position(|other| other.organisation != lane.organisation) };
        let dropped = one_too_many.map(|at| idle.remove(at));
        idle.push(lane);
        drop(idle);
        drop(dropped);
    }

    fn new_lane(&self, config: &Config, organisation: usize) -> Result<Lane> {
        let secure = self.secure.load(Ordering::Relaxed);
        let http = self.http(config, secure)?;
        let runtime = runtimes().lock().unwrap_or_else(PoisonError::into_inner).build();
        let runtime = runtime.map_err(|e| Error::io("runtime", "no event loop can be made", &e).with(|d| d.retryable = true))?;
        let (thread, keep, served) = (thread::current().id(), Cell::new(IDLE), Cell::default());
        Ok(Lane { runtime: Some(runtime), http, client: self.client, secure, organisation, thread, keep, served, expires: Instant::now() })
    }

    /// A client on the TLS configuration that all lanes share: loading the roots for each lane would cost 1.7 times the CPU at 32 threads.
    fn http(&self, config: &Config, secure: bool) -> Result<reqwest::Client> {
        let checking = || self.tls.get(|_| OnceCell::new()).get_or_try_init(|| tls::client_config(config, &self.ca)).cloned();
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(if secure { checking()? } else { tls::no_roots() })
            .http1_only()
            .redirect(reqwest::redirect::Policy::none()) // a redirect could carry the token to another host
            .retry(reqwest::retry::never().max_retries_per_request(0)) // what may be sent twice is decided in `retry`; with 0 no copy is kept for it
            .referer(false)
            .dns_resolver(Lookup)
            .user_agent(&config.user_agent)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1) // a lane has one call at a time
            .http1_allow_spaces_after_header_name_in_responses(true) // of some intermediaries; browsers take it
            .tcp_nodelay(true) // head and body leave in one write: nothing is gained by waiting for more
            .tcp_keepalive(KEEPALIVE);
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(config.stall_timeout); // unacknowledged bytes are silence too, and nothing ends it sooner
        let builder = match config.proxy.clone() {
            None => builder.no_proxy(), // reqwest would read the environment
            Some(proxies) => builder.proxy(reqwest::Proxy::custom(move |url| proxies.of(url).cloned())),
        };
        builder.build().map_err(|_| Error::new(Status::Network, "http_client", "no HTTP client can be made"))
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let mine: Vec<Lane> = idle_lanes().extract_if(.., |lane| lane.client == self.client).collect();
        drop(mine); // closes connections: not under the lock
    }
}
