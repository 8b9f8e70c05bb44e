//! The gate of an organisation: calls in flight, credits, and how much may be tried again.

use std::path::Path;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::sync::Notify;

use super::place::{Holders, MOMENT, Place};
use super::shared::{self, Locked, Outside, Shared, Table};
use super::trust::Trust;
use super::window::{Flight, Window};
use crate::cancel::{Ended, Limits};
use crate::config::InFlight;
use crate::error::{Error, Status};

/// Zoho's only documented rate header: it appears once half of the day's credits are used.
/// <https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>
const CREDITS: HeaderName = HeaderName::from_static("x-api-credits-remaining");
/// How long no call is made after Zoho said that the credits are used up; doubled each time, up to an hour.
const CLOSED: Duration = Duration::from_secs(60);
const CLOSED_LONGEST: Duration = Duration::from_secs(3600);

/// The gate of one organisation.
pub(crate) struct Gate {
    state: Mutex<State>,
    room: Notify,
    opened: Instant,
    /// Where it is set, the window is that of several processes.
    shared: OnceCell<Shared>,
}

struct State {
    holders: Holders,
    /// The calls of all processes that are in their callers' code.
    outside: Outside,
    window: Window,
    /// Whether one of those who wait looks for a place that can be borrowed. One is enough, and the others sleep.
    watched: bool,
    /// The byte by which other processes see that this one waits.
    waits: Option<u32>,
    trust: Trust,
    closed_until: Option<Instant>,
    closed_for: Duration,
    /// Those that the last answer said are left. There are never more calls in flight.
    credits: Option<u64>,
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

/// Whoever has it looks for places to borrow, and for those of other processes, until it is dropped.
struct Watch<'g> {
    gate: &'g Gate,
    _waits: Option<Locked>,
}

/// What the gate learns from an answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// API credits that it says are left.
    pub(crate) credits: Option<u64>,
    /// The pause that it asks for.
    pub(crate) pause: Option<Duration>,
}

impl Answer {
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, pause: Option<Duration>) -> Answer {
        let credits = || headers.get(CREDITS)?.to_str().ok()?.trim().parse().ok();
        Answer { status, credits: credits(), pause }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The window's clock.
    fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The same, where the time of this process has just been looked at.
    fn at(&self, now: Instant) -> Duration {
        if self.shared.get().is_some() { shared::now() } else { now - self.opened }
    }

    /// The processes that name the same file share the window.
    pub(super) fn share(&self, file: &Path) {
        self.shared.get_or_init(|| Shared(file.to_owned()));
    }

    fn table(&self, window: &mut Window) -> Option<Table> {
        self.shared.get()?.lock(window)
    }

    pub(super) fn holders(&self, change: impl FnOnce(&mut Holders)) {
        change(&mut self.state().holders);
    }

    pub(super) fn place_is_free(&self) {
        self.room.notify_one();
    }

    /// Waits on the calling thread for a place among the calls that `bound` allows, and says how long it waited. Refused while the organisation has
    /// no credits, or when a pause that Zoho asked for goes on for longer than `longest`.
    pub(crate) fn enter(&self, bound: InFlight, longest: Duration, limits: &Limits) -> Result<(Place<'_>, Duration), Barred> {
        if let Look::Room(place) = self.look(bound, longest, false, false)? {
            return Ok((place, Duration::ZERO));
        }
        let (began, mut watch, mut beat, mut in_turn) = (Instant::now(), None, None, false);
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable(); // before the look, so that no place given back in between is missed
            let look = self.look(bound, longest, watch.is_some(), in_turn);
            if !matches!(look, Ok(Look::Full | Look::Paused(_))) {
                self.room.notify_one(); // there may be room for another one too, as the window has grown; or it has to hear of the refusal too
            }
            let until = match look? {
                Look::Room(place) => return Ok((place, began.elapsed())),
                Look::Paused(until) => Some(until),
                Look::Full if watch.is_some() => Some(*beat.get_or_insert_with(|| Instant::now() + self.beat())),
                Look::Full => {
                    watch = self.watch();
                    if watch.is_some() {
                        continue;
                    }
                    None
                }
            };
            in_turn = !limits.park(room, until).map_err(Barred::Ended)?;
            if in_turn {
                beat = None;
            }
        }
    }

    /// `in_turn`: it has waited for its time. Otherwise what is free is left to other processes that wait, as the same process would always be first.
    fn look(&self, bound: InFlight, longest: Duration, borrow: bool, in_turn: bool) -> Result<Look<'_>, Barred> {
        let (mut state, now) = (self.state(), Instant::now());
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Err(Barred::Refused(out_of_credits(until - now)));
        }
        let credits = state.credits.map_or(u32::MAX, |left| u32::try_from(left.max(1)).unwrap_or(u32::MAX));
        let waits = state.waits;
        let State { window, holders, outside, .. } = &mut *state;
        let (table, clock) = (self.table(window), self.at(now));
        let pause = window.paused_until().saturating_sub(clock);
        if !pause.is_zero() {
            return if pause > longest { Err(Barred::Refused(paused(pause))) } else { Ok(Look::Paused(now + pause)) };
        }
        let most = window.places(bound, clock).min(credits);
        let in_flight = table.as_ref().map_or(holders.in_flight, Table::in_flight);
        let full = in_flight >= most || !in_turn && table.as_ref().is_some_and(|table| table.others_wait(waits));
        let lender = table.as_ref().filter(|_| full && borrow).and_then(|table| table.borrow(outside, most, now));
        if !full || lender.is_some() {
            let seat = table.and_then(|table| table.take(window, lender));
            return Ok(Look::Room(holders.enter(self, most, seat)));
        }
        let shared = table.is_some();
        if let Some(table) = table {
            table.leave(window);
        }
        if borrow && holders.borrow(most, now, shared) { Ok(Look::Room(holders.enter(self, most, None))) } else { Ok(Look::Full) }
    }

    fn watch(&self) -> Option<Watch<'_>> {
        let mut state = self.state();
        if std::mem::replace(&mut state.watched, true) {
            return None;
        }
        let waits = self.shared.get().and_then(|shared| shared.wait(state.window.random()));
        state.waits = waits.as_ref().map(|waits| waits.byte);
        Some(Watch { gate: self, _waits: waits })
    }

    /// How long who watches waits between two looks.
    fn beat(&self) -> Duration {
        if self.shared.get().is_some() { self.state().window.beat() } else { MOMENT }
    }

    /// A call begins: it earns a little trust for retries.
    pub(crate) fn call_begins(&self) {
        self.state().trust.call_begins();
    }

    /// Whether one more retry is within the budget; if so, it is taken.
    pub(crate) fn may_retry(&self) -> bool {
        self.state().trust.take()
    }

    /// A request is sent now.
    pub(crate) fn sends(&self) -> Flight {
        let of_all = self.shared.get().and_then(Shared::in_flight);
        Flight { sent: self.now(), in_flight: of_all.unwrap_or_else(|| self.state().holders.in_flight).max(1) }
    }

    /// How long nobody of the organisation sends from now on.
    pub(crate) fn pause(&self) -> Duration {
        self.state().window.paused_until().saturating_sub(self.now())
    }

    /// Learns from the answer to a request of a client with the setting `bound`: the credits that are left, and whether Zoho bears more or fewer
    /// calls at once. A refusal's pause holds for all of the organisation. Below `reserve` credits the gate is closed.
    pub(crate) fn answered(&self, answer: &Answer, flight: Flight, bound: InFlight, reserve: u64) -> Result<(), Error> {
        let mut state = self.state();
        let table = self.table(&mut state.window);
        let learned = state.learn(answer, flight, table.as_ref(), bound, reserve, self.now());
        if let Some(table) = table {
            table.leave(&state.window);
        }
        learned
    }
}

impl From<Error> for Barred {
    fn from(error: Error) -> Barred {
        Barred::Refused(error)
    }
}

impl Default for Gate {
    fn default() -> Gate {
        let state = State {
            holders: Holders::default(),
            outside: Outside::default(),
            window: Window::new(getrandom::u64().unwrap_or_default()),
            watched: false,
            waits: None,
            trust: Trust::default(),
            closed_until: None,
            closed_for: CLOSED,
            credits: None,
        };
        Gate { state: Mutex::new(state), room: Notify::new(), opened: Instant::now(), shared: OnceCell::new() }
    }
}

impl State {
    fn learn(&mut self, answer: &Answer, flight: Flight, table: Option<&Table>, bound: InFlight, reserve: u64, now: Duration) -> Result<(), Error> {
        let Answer { status, credits, pause } = *answer;
        if status != StatusCode::TOO_MANY_REQUESTS {
            self.credits = credits;
            if !status.is_server_error() {
                self.trust.succeeded();
                self.closed_for = CLOSED;
                self.window.answered(flight, bound, now);
            }
            // The answer counts; it is the next call that finds the gate closed.
            if credits.is_some_and(|left| left < reserve) {
                self.close();
            }
            return Ok(());
        }
        if credits == Some(0) {
            return Err(out_of_credits(self.close()));
        }
        let in_flight = table.map_or(self.holders.in_flight, Table::in_flight);
        self.window.refused(flight, in_flight, now);
        if let Some(pause) = pause {
            // A server that says years must not close the organisation until this process ends: after an hour one call knocks again.
            self.window.pause_until(now + pause.min(CLOSED_LONGEST));
        }
        Ok(())
    }

    fn close(&mut self) -> Duration {
        let wait = self.closed_for;
        self.closed_until = Some(Instant::now() + wait);
        self.closed_for = (wait * 2).min(CLOSED_LONGEST);
        wait
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        (state.watched, state.waits) = (false, None);
        drop(state);
        self.gate.room.notify_one(); // somebody else looks from now on
    }
}

fn out_of_credits(wait: Duration) -> Error {
    let message = "the organisation's API credits are used up, or down to credits_reserve; they come back over 24 hours: go on later";
    Error::new(Status::RateLimited, "credits_exhausted", message).with_wait(wait)
}

fn paused(wait: Duration) -> Error {
    let message = format!("Zoho has refused a call of this organisation and asked for a pause, which goes on for {} s: go on later", wait.as_secs());
    Error::new(Status::RateLimited, "rate_limited", message).with_wait(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller;

    fn enter(gate: &Gate, most: u32, timeout: Duration) -> Result<Place<'_>, Ended> {
        match gate.enter(InFlight::Fixed(most), Duration::from_secs(60), &Limits::new(None, Some(timeout))) {
            Ok((place, _)) => Ok(place),
            Err(Barred::Ended(ended)) => Err(ended),
            Err(Barred::Refused(error)) => panic!("{error}"),
        }
    }

    /// A refusal for being one too many.
    fn answered(gate: &Gate, credits: Option<u64>, pause: Option<Duration>) -> Result<(), Error> {
        let answer = Answer { status: StatusCode::TOO_MANY_REQUESTS, credits, pause };
        gate.answered(&answer, gate.sends(), InFlight::Fixed(1), 0)
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
        assert!(first.may_be_one_too_many());
        assert!(enter(&gate, 1, SHORT).is_err(), "back from its caller's code, it has its place again");
        drop(first);
        drop(enter(&gate, 1, SHORT).unwrap());
    }

    #[test]
    fn a_place_is_lent_to_other_processes_too_and_once_in_all() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [Gate::default(), Gate::default()]; // which know nothing of each other but what the file says
        [&one, &other].into_iter().for_each(|gate| gate.share(&dir.path().join("places")));
        let first = enter(&one, 1, SHORT).unwrap();
        let here = first.here();
        for _ in 0..2 {
            assert!(enter(&other, 1, SHORT).is_err(), "a call that works keeps its place");
            caller::runs(|| {
                for (borrows, waits) in [(&other, &one), (&one, &other), (&one, &one)] {
                    let second = enter(borrows, 1, LONG).unwrap();
                    assert!(enter(waits, 1, SHORT).is_err(), "it is lent to one");
                    assert!(second.may_be_one_too_many());
                }
            });
        }
        drop(here);
        assert!(!first.may_be_one_too_many(), "who borrows drops its connection");
        drop(first);
        drop(enter(&other, 1, SHORT).unwrap());
    }

    /// How many places are lent until then, when no call comes back from its caller's code and further ones always wait.
    fn lent(gate: &Gate, began: Instant, mut now: Duration, until: Duration) -> usize {
        let place = gate.state().holders.enter(gate, 1, None);
        let _here = place.here();
        caller::runs(|| {
            while !gate.state().holders.borrow(1, began + now, false) {
                now += MOMENT;
                if now > until {
                    return 0;
                }
            }
            1 + lent(gate, began, now, until)
        })
    }

    #[test]
    fn calls_that_never_come_back_let_in_others_ever_more_slowly_but_without_an_end() {
        let within = |seconds| lent(&Gate::default(), Instant::now(), Duration::ZERO, Duration::from_secs(seconds));
        let [at_first, minute, hour] = [2, 60, 3600].map(within);
        assert!(at_first >= 16, "a pipe needs one place, and eight need eight: {at_first}");
        assert!(minute < 160 && hour < 340, "{minute}, {hour}");
        assert!(minute >= 64 && hour > minute + 64, "who waits gets in at last: {minute}, {hour}");
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
        assert!(!place.may_be_one_too_many());
    }

    #[test]
    fn who_waits_for_a_place_is_refused_too_when_the_credits_are_used_up() {
        let (gate, long) = (Gate::default(), Duration::from_secs(60));
        let place = enter(&gate, 1, SHORT).unwrap();
        std::thread::scope(|scope| {
            let waits = || matches!(gate.enter(InFlight::Fixed(1), long, &Limits::new(None, Some(long))), Err(Barred::Refused(_)));
            let waiting: Vec<_> = (0..6).map(|_| scope.spawn(waits)).collect();
            std::thread::sleep(SHORT);
            assert!(answered(&gate, Some(0), None).is_err());
            drop(place);
            assert!(waiting.into_iter().all(|waits| waits.join().unwrap()));
        });
    }

    #[test]
    fn a_pause_of_years_ends_within_the_hour() {
        let gate = Gate::default();
        answered(&gate, None, Some(Duration::from_secs(u64::MAX))).unwrap();
        assert!(gate.pause() <= CLOSED_LONGEST);
    }
}
