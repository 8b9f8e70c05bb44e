//! What ends one call from outside: its token, from any thread, and its time.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Cancels the calls it was given to, from any thread, once and for all. Clones are the same token.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(watch::Sender::new(false))
    }
}

impl Cancel {
    /// A token that has not been fired.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Ends every call that holds this token, now and in the future.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was fired.
    pub fn is_fired(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the token is fired.
    async fn fired(&self) {
        // An error would mean that every sender is gone; `self` is one.
        let _ = self.0.subscribe().wait_for(|fired| *fired).await;
    }
}

/// The bounds of one call, which runs from when they are made.
pub(crate) struct Limits {
    cancel: Option<Cancel>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

/// How a call was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Cancelled,
    /// After this time.
    OutOfTime(Duration),
}

impl Limits {
    pub(crate) fn new(cancel: Option<Cancel>, timeout: Option<Duration>) -> Limits {
        Limits { cancel, timeout, deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)) }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_fired)
    }

    /// Whether there is a bound on its time.
    pub(crate) fn is_bounded(&self) -> bool {
        self.deadline.is_some()
    }

    /// Returns once the call is to end. Needs an event loop, for the time.
    pub(crate) async fn ended(&self) -> Ended {
        tokio::select! {
            biased;
            () = self.fired() => Ended::Cancelled,
            ended = self.out_of_time() => ended,
        }
    }

    async fn fired(&self) {
        match &self.cancel {
            Some(cancel) => cancel.fired().await,
            None => std::future::pending().await,
        }
    }

    async fn out_of_time(&self) -> Ended {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
        self.late()
    }

    fn late(&self) -> Ended {
        Ended::OutOfTime(self.timeout.unwrap_or_default())
    }

    /// Puts the calling thread to sleep until `woken` is ready (`true`) or `until` has come, or the call is to end. Takes no event loop, and so
    /// no descriptor.
    pub(crate) fn park(&self, woken: impl Future<Output = ()>, until: Option<Instant>) -> Result<bool, Ended> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let (mut fired, mut woken) = (pin!(self.fired()), pin!(woken));
        loop {
            if fired.as_mut().poll(&mut context).is_ready() {
                return Err(Ended::Cancelled);
            }
            if let Poll::Ready(()) = woken.as_mut().poll(&mut context) {
                return Ok(true);
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Err(self.late());
            }
            if until.is_some_and(|until| until <= now) {
                return Ok(false);
            }
            match self.deadline.into_iter().chain(until).min() {
                Some(next) => thread::park_timeout(next - now),
                None => thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
