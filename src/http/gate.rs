//! What all clients of one organisation in this process share: calls in flight, credits, and how much may be tried again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;

use super::exchange::Session;
use super::uploads::Uploads;
use crate::error::{Error, Result, Status};

/// Zoho's only documented rate header: it appears once half of the day's credits are used.
/// <https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>
const CREDITS: &str = "x-api-credits-remaining";
/// Retries that may be made on trust. Each success gives one back, each call a tenth: in an outage retries stay under a fifth of the load.
const TRUST: f64 = 20.0;
const TRUST_PER_CALL: f64 = 0.1;
/// How long no call is made after Zoho said that the credits are used up; doubled each time, up to an hour.
const CLOSED: Duration = Duration::from_secs(60);
const CLOSED_LONGEST: Duration = Duration::from_secs(3600);
/// Refusals of one burst count once.
const BURST: Duration = Duration::from_millis(500);

/// The gates of this process, by organisation.
static GATES: Lazy<Mutex<BTreeMap<String, Weak<Gate>>>> = Lazy::new(Mutex::default);

/// The gate of one organisation.
pub(crate) struct Gate {
    state: Mutex<State>,
    room: Notify,
    /// Uploads under way, and what they have become.
    pub(crate) uploads: Uploads,
}

struct State {
    in_flight: u32,
    /// Calls that Zoho seems to bear at once: halved by a 429, and slowly grown again.
    bearable: f64,
    cut_at: Option<Instant>,
    trust: f64,
    closed_until: Option<Instant>,
    closed_for: Duration,
    credits: Option<u64>,
}

/// A place among the calls in flight; given back when dropped.
pub(crate) struct Place<'g>(&'g Gate);

impl Gate {
    /// The gate that every client of this organisation shares.
    pub(crate) fn of(organisation: &str) -> Arc<Gate> {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(organisation).and_then(Weak::upgrade) {
            return gate;
        }
        let state = State { in_flight: 0, bearable: f64::MAX, cut_at: None, trust: TRUST, closed_until: None, closed_for: CLOSED, credits: None };
        let gate = Arc::new(Gate { state: Mutex::new(state), room: Notify::new(), uploads: Uploads::default() });
        gates.insert(organisation.to_owned(), Arc::downgrade(&gate));
        gate
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place among at most `max_in_flight` calls. An error while the organisation has no credits.
    pub(crate) async fn enter(&self, session: &Session<'_>) -> Result<Place<'_>> {
        if let Some(place) = self.try_enter(session)? {
            return Ok(place);
        }
        let began = Instant::now();
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable(); // before the look, so that no place given back in between is missed
            if let Some(place) = self.try_enter(session)? {
                session.meter.waited_for("in_flight", began.elapsed());
                self.room.notify_one(); // there may be room for another one, since the bound has grown
                return Ok(place);
            }
            room.await;
        }
    }

    fn try_enter(&self, session: &Session<'_>) -> Result<Option<Place<'_>>> {
        let mut state = self.state();
        if let Some(until) = state.closed_until.filter(|until| *until > Instant::now()) {
            return Err(exhausted(until - Instant::now()));
        }
        let most = f64::from(session.config.max_in_flight).min(state.bearable);
        if f64::from(state.in_flight) >= most.max(1.0).floor() {
            return Ok(None);
        }
        state.in_flight += 1;
        Ok(Some(Place(self)))
    }

    /// A call begins: it earns a little trust for retries.
    pub(crate) fn call_begins(&self) {
        let mut state = self.state();
        state.trust = (state.trust + TRUST_PER_CALL).min(TRUST);
    }

    /// Whether one more retry is within the budget; if so, it is taken.
    pub(crate) fn may_retry(&self) -> bool {
        let mut state = self.state();
        let may = state.trust >= 1.0;
        state.trust -= f64::from(u8::from(may));
        may
    }

    /// Learns from an answer: its credits header, and whether Zoho bears more or fewer calls at once.
    pub(crate) fn answered(&self, session: &Session<'_>, status: StatusCode, headers: &HeaderMap) -> Result<()> {
        let credits = headers.get(CREDITS).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        session.meter.credits.set(credits.or(session.meter.credits.get()));
        let mut state = self.state();
        state.credits = credits.or(state.credits);
        if status != StatusCode::TOO_MANY_REQUESTS {
            if !status.is_server_error() {
                state.succeeded();
            }
            // The answer counts; it is the next call that finds the gate closed.
            if credits.is_some_and(|left| left < session.config.credits_reserve) {
                state.close();
            }
            return Ok(());
        }
        if credits == Some(0) {
            return Err(exhausted(state.close()));
        }
        state.cut();
        Ok(())
    }
}

impl Drop for Gate {
    /// The last client of the organisation is gone.
    fn drop(&mut self) {
        GATES.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, gate| gate.strong_count() > 0);
    }
}

impl State {
    fn succeeded(&mut self) {
        self.trust = (self.trust + 1.0).min(TRUST);
        self.closed_for = CLOSED;
        if self.bearable < f64::from(u32::MAX) {
            self.bearable += 0.25 / self.bearable;
        }
    }

    /// Half of what is in flight now is bearable, at least one.
    fn cut(&mut self) {
        let now = Instant::now();
        if self.cut_at.is_none_or(|at| now.duration_since(at) >= BURST) {
            self.bearable = (self.bearable.min(f64::from(self.in_flight)) / 2.0).max(1.0);
            self.cut_at = Some(now);
        }
    }

    fn close(&mut self) -> Duration {
        let wait = self.closed_for;
        self.closed_until = Some(Instant::now() + wait);
        self.closed_for = (wait * 2).min(CLOSED_LONGEST);
        wait
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.room.notify_one();
    }
}

fn exhausted(wait: Duration) -> Error {
    let message = "the organisation's API credits are used up, or down to credits_reserve; they come back over 24 hours: go on later";
    Error::new(Status::RateLimited, "credits_exhausted", message).with(|d| d.retry_after_ms = wait.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_organisation_share_a_gate_and_others_do_not() {
        let (a, b, c) = (Gate::of("gate-test-1"), Gate::of("gate-test-1"), Gate::of("gate-test-2"));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
    }

    #[test]
    fn in_an_outage_retries_stay_under_a_fifth_of_the_load() {
        let gate = Gate::of("gate-test-outage");
        let retries = (0..1000).filter(|_| {
            gate.call_begins();
            gate.may_retry()
        });
        assert!(retries.count() <= 200);
    }

    #[test]
    fn refusals_halve_what_is_borne_once_a_burst_and_successes_raise_it_slowly() {
        let mut state = State { in_flight: 8, bearable: f64::MAX, cut_at: None, trust: TRUST, closed_until: None, closed_for: CLOSED, credits: None };
        state.cut();
        state.cut();
        assert_eq!(state.bearable, 4.0);
        (0..20).for_each(|_| state.succeeded());
        assert!((5.0..6.0).contains(&state.bearable), "{}", state.bearable);
    }
}
