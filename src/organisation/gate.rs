//! The gate of an organisation: calls in flight, credits, and how much may be tried again.

use std::cell::Cell;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;

use crate::caller::{Here, Whereabouts};
use crate::cancel::{Ended, Limits};
use crate::error::{Error, Status};

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
/// A call that has been in its caller's own code for this long lends its place to one that waits. Otherwise an upload whose reader waits for a
/// download would keep the place that the download waits for.
const MOMENT: Duration = Duration::from_millis(100);

/// The gate of one organisation.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    room: Notify,
}

struct State {
    /// Calls with a place, but for those that have lent it.
    in_flight: u32,
    places: Vec<Seen>,
    /// Whether one of those who wait looks for a place that can be borrowed. One is enough, and the others sleep.
    watched: bool,
    /// Calls that Zoho seems to bear at once: halved by a 429, and slowly grown again.
    bearable: f64,
    cut_at: Option<Instant>,
    trust: f64,
    paused_until: Option<Instant>,
    closed_until: Option<Instant>,
    closed_for: Duration,
    credits: Option<u64>,
}

/// A place among the calls in flight; given back when dropped.
pub(crate) struct Place<'g> {
    gate: &'g Gate,
    call: Arc<Whereabouts>,
    /// Further calls that could have had a place when this one got its own.
    pub(crate) spare: usize,
    borrowed: Cell<bool>,
}

/// A call with a place, as it was when somebody looked.
struct Seen {
    call: Arc<Whereabouts>,
    outside: u64,
    since: Option<Instant>,
}

/// Why there is no place.
pub(crate) enum Barred {
    Ended(Ended),
    Refused(Error),
}

enum Look<'g> {
    Room(Place<'g>),
    Full,
    Paused(Instant),
}

/// Whoever has it looks for places to borrow, until it is dropped.
struct Watch<'g>(&'g Gate);

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits on the calling thread for a place among at most `most` calls, and says how long it waited. Refused while the organisation has no
    /// credits, or when a pause that Zoho asked for goes on for longer than `longest`.
    pub(crate) fn enter(&self, most: u32, longest: Duration, limits: &Limits) -> Result<(Place<'_>, Duration), Barred> {
        if let Look::Room(place) = self.look(most, longest, false)? {
            return Ok((place, Duration::ZERO));
        }
        let (began, mut watch) = (Instant::now(), None);
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable(); // before the look, so that no place given back in between is missed
            let look = self.look(most, longest, watch.is_some());
            if !matches!(look, Ok(Look::Full | Look::Paused(_))) {
                self.room.notify_one(); // there may be room for another one too, as the bound has grown; or it has to hear of the refusal too
            }
            let until = match look? {
                Look::Room(place) => return Ok((place, began.elapsed())),
                Look::Paused(until) => Some(until),
                Look::Full if watch.is_some() => Some(Instant::now() + MOMENT),
                Look::Full => {
                    watch = self.watch();
                    if watch.is_some() {
                        continue;
                    }
                    None
                }
            };
            limits.park(room, until).map_err(Barred::Ended)?;
        }
    }

    fn look(&self, most: u32, longest: Duration, borrow: bool) -> Result<Look<'_>, Barred> {
        let (mut state, now) = (self.state(), Instant::now());
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Err(Barred::Refused(out_of_credits(until - now)));
        }
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return if until - now > longest { Err(Barred::Refused(paused(until - now))) } else { Ok(Look::Paused(until)) };
        }
        let most = f64::from(most).min(state.bearable).max(1.0) as u32;
        if state.in_flight >= most && !(borrow && state.borrow(now)) {
            return Ok(Look::Full);
        }
        state.in_flight += 1;
        let call = Arc::<Whereabouts>::default();
        state.places.push(Seen { call: call.clone(), outside: 0, since: None });
        let spare = most.saturating_sub(state.in_flight) as usize;
        Ok(Look::Room(Place { gate: self, call, spare, borrowed: Cell::new(false) }))
    }

    fn watch(&self) -> Option<Watch<'_>> {
        let watched = std::mem::replace(&mut self.state().watched, true);
        if watched { None } else { Some(Watch(self)) }
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

    /// Learns from an answer: the credits that it says are left, and whether Zoho bears more or fewer calls at once. A refusal's `pause` holds for
    /// all of the organisation. Below `reserve` credits the gate is closed.
    pub(crate) fn answered(&self, status: StatusCode, credits: Option<u64>, reserve: u64, pause: Option<Duration>) -> Result<(), Error> {
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
        // A server that says years must not close the organisation until this process ends: after an hour one call knocks again.
        state.paused_until = state.paused_until.max(pause.map(|pause| Instant::now() + pause.min(CLOSED_LONGEST)));
        Ok(())
    }
}

impl From<Error> for Barred {
    fn from(error: Error) -> Barred {
        Barred::Refused(error)
    }
}

impl Default for State {
    fn default() -> State {
        State {
            in_flight: 0,
            places: Vec::new(),
            watched: false,
            bearable: f64::MAX,
            cut_at: None,
            trust: TRUST,
            paused_until: None,
            closed_until: None,
            closed_for: CLOSED,
            credits: None,
        }
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

    /// Takes the place of a call that has been in its caller's code for a moment, if there is one.
    fn borrow(&mut self, now: Instant) -> bool {
        for seen in &mut self.places {
            let Some(outside) = seen.call.outside() else { continue };
            if seen.outside != outside {
                (seen.outside, seen.since) = (outside, Some(now));
            }
            let long = seen.since.is_some_and(|since| now.duration_since(since) >= MOMENT);
            if long && seen.call.lend(outside) {
                self.in_flight -= 1;
                return true;
            }
        }
        false
    }
}

impl Place<'_> {
    /// Says that the current thread makes the call.
    pub(crate) fn here(&self) -> Here {
        self.call.here()
    }

    /// The call goes on after its caller's own code. Where its place is lent it does so over the bound: its request is under way, and waiting
    /// would let the server give it up.
    pub(crate) fn take_back(&self) {
        if self.call.take_back() {
            self.gate.state().in_flight += 1;
            self.borrowed.set(true);
        }
    }

    /// Whether another call has had the place meanwhile, so that there may be more calls than places.
    pub(crate) fn was_lent(&self) -> bool {
        self.borrowed.get()
    }

    /// The same for all places of one organisation.
    pub(crate) fn organisation(&self) -> usize {
        std::ptr::from_ref(self.gate).addr()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.take_back();
        let mut state = self.gate.state();
        state.in_flight -= 1;
        state.places.retain(|seen| !Arc::ptr_eq(&seen.call, &self.call));
        drop(state);
        self.gate.room.notify_one();
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.state().watched = false;
        self.0.room.notify_one(); // somebody else looks from now on
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

fn paused(wait: Duration) -> Error {
    let message = format!("Zoho has refused a call of this organisation and asked for a pause, which goes on for {} s: go on later", wait.as_secs());
    Error::new(Status::RateLimited, "rate_limited", message).with(|d| d.retry_after_ms = wait.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller;

    fn enter(gate: &Gate, most: u32, timeout: Duration) -> Result<Place<'_>, Ended> {
        match gate.enter(most, Duration::from_secs(60), &Limits::new(None, Some(timeout))) {
            Ok((place, _)) => Ok(place),
            Err(Barred::Ended(ended)) => Err(ended),
            Err(Barred::Refused(error)) => panic!("{error}"),
        }
    }

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_place_is_lent_while_its_call_is_in_its_callers_code_and_no_longer() {
        let gate = Gate::default();
        let first = enter(&gate, 1, SHORT).unwrap();
        assert_eq!(enter(&gate, 1, SHORT).err(), Some(Ended::OutOfTime(SHORT)), "a call that works keeps its place");
        let here = first.here();
        caller::runs(|| {
            let second = enter(&gate, 1, LONG).unwrap();
            assert!(enter(&gate, 1, SHORT).is_err(), "it is lent to one");
            drop(second);
            drop(enter(&gate, 1, LONG).unwrap());
        });
        drop(here);
        first.take_back();
        assert!(first.was_lent());
        assert!(enter(&gate, 1, SHORT).is_err(), "back from its caller's code, it has its place again");
        drop(first);
        drop(enter(&gate, 1, SHORT).unwrap());
    }

    #[test]
    fn short_callbacks_lend_nothing() {
        let gate = Gate::default();
        let place = enter(&gate, 1, SHORT).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| enter(&gate, 1, SHORT).is_err());
            let _here = place.here();
            while !waits.is_finished() {
                caller::runs(|| ());
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(waits.join().unwrap());
        });
        place.take_back();
        assert!(!place.was_lent());
    }

    #[test]
    fn who_waits_for_a_place_is_refused_too_when_the_credits_are_used_up() {
        let (gate, long) = (Gate::default(), Duration::from_secs(60));
        let place = enter(&gate, 1, SHORT).unwrap();
        std::thread::scope(|scope| {
            let waits = || matches!(gate.enter(1, long, &Limits::new(None, Some(long))), Err(Barred::Refused(_)));
            let waiting: Vec<_> = (0..6).map(|_| scope.spawn(waits)).collect();
            std::thread::sleep(SHORT);
            assert!(gate.answered(StatusCode::TOO_MANY_REQUESTS, Some(0), 0, None).is_err());
            drop(place);
            assert!(waiting.into_iter().all(|waits| waits.join().unwrap()));
        });
    }

    #[test]
    fn a_pause_of_years_ends_within_the_hour() {
        let gate = Gate::default();
        gate.answered(StatusCode::TOO_MANY_REQUESTS, None, 0, Some(Duration::from_secs(u64::MAX))).unwrap();
        assert!(gate.state().paused_until.unwrap() <= Instant::now() + CLOSED_LONGEST);
    }

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
