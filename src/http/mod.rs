//! The transport over reqwest: lanes, one exchange, what a failure means, when to retry, what may have taken effect although nobody says so.

mod body;
mod codes;
pub(crate) mod doubt;
mod exchange;
mod failure;
pub(crate) mod framing;
mod lane;
mod lookup;
mod meter;
pub(crate) mod reply;
pub(crate) mod retry;
mod secrets;
mod tls;
pub(crate) mod value;

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::cancel::{Ended, Limits};
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::organisation::{Barred, Gate, Place};
pub(crate) use exchange::{Request, Response};
use lane::Lane;
pub(crate) use lane::Lanes;
pub(crate) use meter::Meter;
pub(crate) use secrets::{Secrets, scrub};

/// One call on its way: its place in the organisation and its lane. It has both or, while it rests, neither.
pub(crate) struct Session<'c> {
    pub(crate) config: &'c Config,
    pub(crate) meter: &'c Meter,
    pub(crate) gate: &'c Gate,
    limits: &'c Limits,
    place: RefCell<Option<Place<'c>>>,
    lane: RefCell<Option<Lane>>,
    /// When a rest that the work has asked for is over.
    rest: Cell<Option<Instant>>,
}

/// Runs one call's work on the calling thread, until it is done, cancelled or out of time.
pub(crate) fn run<T>(
    lanes: &Lanes,
    gate: &Gate,
    config: &Config,
    limits: &Limits,
    meter: &Meter,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
) -> Result<T> {
    let session = Session { config, meter, gate, limits, place: RefCell::default(), lane: RefCell::default(), rest: Cell::new(None) };
    let mut done = None;
    let ended = {
        let work = pin!(Some(async { done = Some(work(&session).await) }));
        let mut unfinished = Unfinished { work, lane: &session.lane };
        let work: Pin<&mut dyn Future<Output = ()>> = unfinished.work.as_mut().as_pin_mut().expect("it has not begun");
        session.drive(lanes, work)
    };
    ended.and_then(|()| done.expect("the work has ended")).map_err(|error| with_counts(error, meter))
}

/// The work of a call. What a cancel or a panic leaves unfinished is dropped on its lane.
struct Unfinished<'l, 'w, F> {
    work: Pin<&'w mut Option<F>>,
    lane: &'l RefCell<Option<Lane>>,
}

impl<F> Drop for Unfinished<'_, '_, F> {
    fn drop(&mut self) {
        let lane = self.lane.take();
        let _inside = lane.as_ref().map(Lane::enter);
        self.work.set(None);
    }
}

impl Session<'_> {
    /// Not generic: the event loop and what ends a call from outside are compiled once, and not for each operation.
    fn drive(&self, lanes: &Lanes, mut work: Pin<&mut dyn Future<Output = ()>>) -> Result<()> {
        if tokio::runtime::Handle::try_current().is_ok() {
            let message = "called from inside a callback of another call, or from an async runtime; use another thread";
            return Err(Error::new(Status::State, "reentrant", message));
        }
        if self.limits.is_cancelled() {
            return Err(Error::cancelled());
        }
        loop {
            self.begin(lanes)?;
            match self.work(work.as_mut()) {
                Some(Ok(())) => {
                    self.end(lanes);
                    return Ok(());
                }
                Some(Err(ended)) => return Err(self.ended(ended)),
                None => {
                    let lost = self.end(lanes);
                    let (began, until) = (Instant::now(), self.rest.take());
                    let rested = self.limits.park(std::future::pending(), until);
                    self.meter.add_wait(began.elapsed());
                    rested.map_err(|ended| self.ended(ended))?;
                    self.meter.broken.set(lost);
                }
            }
        }
    }

    /// Waits for a place, and takes a lane.
    fn begin(&self, lanes: &Lanes) -> Result<()> {
        let began = Instant::now();
        let (place, waited) = self.gate.enter(self.config.max_in_flight, self.config.retry_max_wait, self.limits).map_err(|barred| {
            self.meter.add_wait(began.elapsed());
            match barred {
                Barred::Ended(ended) => self.ended(ended),
                Barred::Refused(error) => error,
            }
        })?;
        if !waited.is_zero() {
            self.meter.add_wait(waited);
            self.meter.wait_reason.set(Some("in_flight"));
        }
        let lane = lanes.take(self.config, &place, self.meter.broken.take())?;
        self.lane.replace(Some(lane));
        self.place.replace(Some(place));
        Ok(())
    }

    /// Gives lane and place back, the lane first, so that whoever gets the place finds it. Says whether the lane was broken.
    fn end(&self, lanes: &Lanes) -> bool {
        let (place, lane) = (self.place.take(), self.lane.take());
        let broken = self.meter.broken.take();
        if let (Some(place), Some(lane), false) = (&place, lane, broken) {
            lanes.give_back(lane, place);
        }
        broken
    }

    /// Does what can be done: all of it, or up to the next rest (`None`).
    fn work(&self, mut work: Pin<&mut dyn Future<Output = ()>>) -> Option<std::result::Result<(), Ended>> {
        let (place, lane) = (self.place.borrow(), self.lane.borrow());
        let (place, lane) = (place.as_ref().expect("it was taken"), lane.as_ref().expect("it was taken"));
        let _here = place.here();
        let mut step = |context: &mut Context<'_>| {
            let state = work.as_mut().poll(context);
            place.take_back();
            state
        };
        lane.block_on(async {
            tokio::select! {
                biased;
                ended = self.limits.ended() => Some(Err(ended)),
                done = std::future::poll_fn(|context| match step(context) {
                    Poll::Ready(()) => Poll::Ready(Some(Ok(()))),
                    Poll::Pending if self.rest.get().is_some() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }) => done,
            }
        })
    }

    /// Rests for a time, without place and lane: what waits holds no connection and keeps nobody else out. The outcome names the reason.
    ///
    /// Nothing that belongs to the lane may be held meanwhile: no reply, and no time of its event loop.
    pub(crate) async fn rest(&self, reason: &'static str, time: Duration) {
        self.meter.wait_reason.set(Some(reason));
        self.rest_for(time).await;
    }

    async fn rest_for(&self, time: Duration) {
        self.rest.set(Some(Instant::now() + time));
        let mut rested = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut rested, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Sends the next request over a new connection.
    pub(crate) async fn reconnect(&self) {
        self.meter.broken.set(true);
        self.rest_for(Duration::ZERO).await;
    }

    /// Whether the caller has cancelled the call.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.limits.is_cancelled()
    }

    /// Whether the call ends by itself at some time.
    pub(crate) fn is_bounded(&self) -> bool {
        self.limits.is_bounded()
    }

    fn ended(&self, ended: Ended) -> Error {
        match ended {
            Ended::Cancelled => Error::cancelled(),
            Ended::OutOfTime(bound) => out_of_time(bound),
        }
    }
}

/// The reason of a call that took longer than its bound.
const CALL_TIMEOUT: &str = "call_timeout";

/// The error with what the call has done.
fn with_counts(error: Error, meter: &Meter) -> Error {
    let late = error.reason() == CALL_TIMEOUT;
    meter.doubt.worded(error, late).with(|d| {
        d.attempts = meter.attempts.get();
        d.waited_ms = meter.waited.get().as_millis() as u64;
    })
}

fn out_of_time(bound: Duration) -> Error {
    let ms = bound.as_millis();
    Error::new(Status::Timeout, CALL_TIMEOUT, format!("the call took longer than its {ms} ms"))
}
