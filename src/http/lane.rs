//! Lanes: what one call in flight needs, a runtime and a connection, kept for the next call.
//!
//! The caller's own thread drives its lane, so no thread is hidden, callbacks run where the caller is, and a cancel is a `select!`.
//! One lane for each concurrent call measured better than one shared runtime, a runtime thread or a multi-thread runtime.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, EnterGuard, Runtime};

use super::tls;
use crate::config::Config;
use crate::error::{Error, Result, Status};

/// An idle lane older than this is dropped: nobody polls it, and servers close idle connections after about as long.
const IDLE: Duration = Duration::from_secs(30);

/// Probes on a connection where a reply is waited for, so that a router between doesn't forget it: many do after a minute.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(crate) struct Lane {
    runtime: Option<Runtime>,
    pub(super) http: reqwest::Client,
    idle_since: Instant,
    /// The thread that used it last.
    thread: ThreadId,
}

impl Lane {
    fn new(http: reqwest::Client) -> Result<Lane> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::io("runtime", "no event loop can be made", &e).with(|d| d.retryable = true))?;
        Ok(Lane { runtime: Some(runtime), http, idle_since: Instant::now(), thread: thread::current().id() })
    }

    /// What is dropped while the value lives may still hand something to the event loop: a connection that nobody wants any more, say.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.as_ref().expect("present until dropped").enter()
    }

    /// Runs `work` on the calling thread.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("present until dropped").block_on(work)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A plain drop would wait for a name look-up that is still under way, and a cancelled call must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The idle lanes of one client, in the order of their last use.
///
/// A thread gets the lane back that it used last, if that is idle: its memory is in that thread's cache and allocator arena. Otherwise the lane
/// that was used last by anybody, whose connection is the most likely to be alive.
pub(crate) struct Lanes {
    idle: Mutex<Vec<Lane>>,
    tls: OnceCell<rustls::ClientConfig>,
    secure: bool,
    process: u32,
}

impl Lanes {
    /// `secure`: whether any host is reached by https, so that certificates are needed.
    pub(crate) fn new(secure: bool) -> Lanes {
        Lanes { idle: Mutex::default(), tls: OnceCell::new(), secure, process: std::process::id() }
    }

    /// An idle lane, or a new one.
    pub(super) fn take(&self, config: &Config) -> Result<Lane> {
        if self.process != std::process::id() {
            // After a fork the child shares the parent's sockets and event queues: neither may touch them. The child makes its own lanes, one a call.
            return Lane::new(self.http(config)?);
        }
        let (now, thread) = (Instant::now(), thread::current().id());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = idle.partition_point(|lane| now.duration_since(lane.idle_since) >= IDLE);
        let stale: Vec<Lane> = idle.drain(..stale).collect();
        let at = idle.iter().rposition(|lane| lane.thread == thread).or(idle.len().checked_sub(1));
        let lane = at.map(|at| idle.remove(at));
        drop(idle);
        drop(stale); // closes connections: not under the lock
        lane.map_or_else(|| Lane::new(self.http(config)?), Ok)
    }

    /// Keeps a lane whose connection is in order.
    pub(super) fn give_back(&self, mut lane: Lane) {
        if self.process == std::process::id() {
            lane.thread = thread::current().id();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            lane.idle_since = Instant::now(); // under the lock, so that the order is that of the times
            idle.push(lane);
        }
    }

    /// A client on the TLS configuration that all lanes share: loading the roots for each lane would cost 1.7 times the CPU at 32 threads.
    fn http(&self, config: &Config) -> Result<reqwest::Client> {
        let tls = self.tls.get_or_try_init(|| if self.secure { tls::client_config(config) } else { Ok(tls::no_roots()) })?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none()) // a redirect could carry the token to another host
            .retry(reqwest::retry::never()) // what may be sent twice is decided in `retry`
            .referer(false)
            .user_agent(&config.user_agent)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1) // a lane has one call at a time
            .tcp_nodelay(true) // head and body leave in one write: nothing is gained by waiting for more
            .tcp_keepalive(KEEPALIVE);
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(config.stall_timeout); // unacknowledged bytes are silence too, and nothing ends it sooner
        let builder = match config.proxy.as_ref().map(|p| p.expose()) {
            None => builder.no_proxy(), // reqwest would read the environment
            Some("env") => builder,
            Some(url) => builder.proxy(proxy(url)?),
        };
        builder.build().map_err(|e| Error::new(Status::Network, "http_client", format!("no HTTP client can be made: {}", e.without_url())))
    }
}

fn proxy(url: &str) -> Result<reqwest::Proxy> {
    // The text of the URL, and so of the error about it, may hold a password.
    reqwest::Proxy::all(url).map_err(|_| {
        Error::new(Status::Config, "proxy", "proxy: not a URL of the form http://user:password@host:port").with(|d| d.field = Some("proxy"))
    })
}
