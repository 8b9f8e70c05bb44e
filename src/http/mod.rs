//! The transport over reqwest: lanes, one exchange, what a failure means, when to try again.

mod body;
mod exchange;
mod failure;
mod lane;
mod meter;
pub(crate) mod reply;
pub(crate) mod retry;
mod secrets;
mod tls;

use std::pin::Pin;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, Result, Sent, Status};
pub(crate) use exchange::{Request, Response, Session};
use lane::Lane;
pub(crate) use lane::Lanes;
pub(crate) use meter::Meter;
pub(crate) use secrets::Secrets;

/// What ends a call from outside.
pub(crate) struct Limits {
    pub(crate) cancel: Option<Cancel>,
    pub(crate) timeout: Option<Duration>,
}

/// Runs one call's work on a lane, on the calling thread, until it is done, cancelled or out of time.
pub(crate) fn run<T>(lanes: &Lanes, config: &Config, limits: Limits, meter: &Meter, work: impl AsyncFnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
    let lane = begin(lanes, config, &limits)?;
    let session = Session { config, meter, http: &lane.http, cancel: limits.cancel.as_ref() };
    let mut done = None;
    let ended = {
        let _inside = lane.enter(); // outlives the work, which a cancel leaves unfinished
        let work = std::pin::pin!(async { done = Some(work(&session).await) });
        drive(&lane, &limits, meter, work)
    };
    let outcome = ended.and_then(|()| done.expect("the work has ended"));
    if !meter.broken.get() {
        lanes.give_back(lane);
    }
    outcome.map_err(|error| measured(error, meter))
}

fn begin(lanes: &Lanes, config: &Config, limits: &Limits) -> Result<Lane> {
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(Error::new(
            Status::State,
            "reentrant",
            "called from inside a callback of another call, or from an async runtime; use another thread",
        ));
    }
    if limits.cancel.as_ref().is_some_and(Cancel::is_fired) {
        return Err(Error::cancelled());
    }
    lanes.take(config)
}

/// Not generic: the event loop and what ends a call from outside are compiled once, and not for each operation.
fn drive(lane: &Lane, limits: &Limits, meter: &Meter, work: Pin<&mut dyn Future<Output = ()>>) -> Result<()> {
    let ended = lane.block_on(async {
        tokio::select! {
            biased;
            () = fired(limits.cancel.as_ref()) => Err(Error::cancelled()),
            () = elapsed(limits.timeout) => Err(out_of_time(limits.timeout, meter)),
            () = work => Ok(()),
        }
    });
    ended.inspect_err(|_| meter.broken.set(true))
}

/// The error with what the call has done.
fn measured(error: Error, meter: &Meter) -> Error {
    error.with(|d| {
        d.attempts = meter.attempts.get();
        d.waited_ms = meter.waited.get().as_millis() as u64;
        // Of an upload the last sending counts, and not the looks for it that followed.
        d.request_sent = match d.request_sent {
            Sent::No if meter.unknown.get() && meter.lost.get() => Sent::Fully,
            Sent::No => meter.sent.get(),
            known => known,
        };
    })
}

fn out_of_time(bound: Option<Duration>, meter: &Meter) -> Error {
    let ms = bound.unwrap_or_default().as_millis();
    let error = Error::new(Status::Timeout, "call_timeout", format!("the call took longer than its {ms} ms"));
    if !meter.is_unknown() {
        return error;
    }
    error.with(|d| {
        d.status = Status::OutcomeUnknown;
        d.retryable = false;
        d.message += "; the upload was sent, and whether it is stored is not known: list the record's attachments to see";
    })
}

async fn fired(cancel: Option<&Cancel>) {
    match cancel {
        Some(cancel) => cancel.fired().await,
        None => std::future::pending().await,
    }
}

async fn elapsed(bound: Option<Duration>) {
    match bound {
        Some(bound) => tokio::time::sleep(bound).await,
        None => std::future::pending().await,
    }
}
