//! The gate of an organisation: calls in flight, credits, and how much may be tried again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;

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

/// The gate of one organisation.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    room: Notify,
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place among at most `most` calls, and says how long it waited. An error while the organisation has no credits.
    pub(crate) async fn enter(&self, most: u32) -> Result<(Place<'_>, Duration)> {
        if let Some(place) = self.try_enter(most)? {
            return Ok((place, Duration::ZERO));
        }
        let began = Instant::now();
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable(); // before the look, so that no place given back in between is missed
            if let Some(place) = self.try_enter(most)? {
                self.room.notify_one(); // there may be room for another one, since the bound has grown
                return Ok((place, began.elapsed()));
            }
            room.await;
        }
    }

    fn try_enter(&self, most: u32) -> Result<Option<Place<'_>>> {
        let mut state = self.state();
        if let Some(until) = state.closed_until.filter(|until| *until > Instant::now()) {
            return Err(out_of_credits(until - Instant::now()));
        }
        let most = f64::from(most).min(state.bearable);
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
        if may {
            state.trust -= 1.0;
        }
        may
    }

    /// Learns from an answer: the credits that it says are left, and whether Zoho bears more or fewer calls at once.
    /// Below `reserve` credits the gate is closed.
    pub(crate) fn answered(&self, status: StatusCode, credits: Option<u64>, reserve: u64) -> Result<()> {
        let mut state = self.state();
        state.credits = credits.or(state.credits);
        if status != StatusCode::TOO_MANY_REQUESTS {
            if !status.is_server_error() {
                state.succeeded();
            }
            // The answer counts; it is the next call that finds the gate closed.
            if credits.is_some_and(|left| left < reserve) {
                state.close();
            }
            return Ok(());
        }
        if credits == Some(0) {
            return Err(out_of_credits(state.close()));
        }
        state.cut();
        Ok(())
    }
}

impl Default for State {
    fn default() -> State {
        State { in_flight: 0, bearable: f64::MAX, cut_at: None, trust: TRUST, closed_until: None, closed_for: CLOSED, credits: None }
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

/// The credits that a reply says are left.
pub(crate) fn credits_left(headers: &HeaderMap) -> Option<u64> {
    headers.get(CREDITS)?.to_str().ok()?.trim().parse().ok()
}

fn out_of_credits(wait: Duration) -> Error {
    let message = "the organisation's API credits are used up, or down to credits_reserve; they come back over 24 hours: go on later";
    Error::new(Status::RateLimited, "credits_exhausted", message).with(|d| d.retry_after_ms = wait.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_outage_retries_stay_under_a_fifth_of_the_load() {
        let gate = Gate::default();
        let retries = (0..1000).filter(|_| {
            gate.call_begins();
            gate.may_retry()
        });
        assert!(retries.count() <= 200);
    }

    #[test]
    fn refusals_halve_what_is_borne_once_a_burst_and_successes_raise_it_slowly() {
        let mut state = State { in_flight: 8, ..State::default() };
        state.cut();
        state.cut();
        assert_eq!(state.bearable, 4.0);
        (0..20).for_each(|_| state.succeeded());
        assert!((5.0..6.0).contains(&state.bearable), "{}", state.bearable);
    }
}
