//! The window: how many calls at once an organisation bears, found from its answers alone.
//!
//! It doubles until the first refusal. Each refusal says that one call was too many: as many stay as weren't refused. After a hold it grows again, by
//! one, by two, by four, by eight, as long as nothing is refused. A refusal while no more calls are in flight than were borne before says that
//! somebody else has come: the window is cut, and stays modest for a time. As requests overtake each other, a step of growth may cost a call its place
//! that was sent before it: so what is in flight when the refusal is known counts, too, and not only what was when the call was sent.
//!
//! Now and then a part of the window rests, so that who comes late finds a place: a process that takes each place again at once would never see a
//! refusal, and the newcomer nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::InFlight;

const START: u32 = 4;
/// Steps of growth, after the first refusal.
const GROW_EVERY: Duration = Duration::from_millis(500);
const LARGEST_STEP: u32 = 8;
/// No growth for so long after a refused step of growth, and after a refusal that came of others or ended the doubling, which may leave too little.
const HOLD: Duration = Duration::from_millis(4500);
const SHORT_HOLD: Duration = Duration::from_millis(1500);
/// What stays after a refusal of what was borne before, and for how long others are reckoned with.
const CUT: f64 = 0.85;
const AMONG_OTHERS: Duration = Duration::from_secs(20);
/// A part of the window rests about so often, for two typical calls.
const REST_EVERY: Duration = Duration::from_millis(2500);
const REST_PART: f64 = 0.25;
const REST_LONGEST: Duration = Duration::from_secs(1);
/// Nobody sends for so long after a refusal that wasn't one of growth; doubled with each further one in turn.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// No time that a window knows lies farther ahead than the longest pause, and no call takes longer; no count is larger.
const LATEST: Duration = Duration::from_secs(2 * 3600);
const LARGEST: u32 = 10_000;

/// Times are those of one clock that goes forward, from whatever beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    size: u32,
    /// Nothing was refused yet.
    doubling: bool,
    step: u32,
    grow_at: Duration,
    /// The most calls at once that were answered since the last refusal.
    borne: u32,
    refused_at: Duration,
    /// Refusals in turn: those of one flight count once.
    refusals: u32,
    others_until: Duration,
    paused_until: Duration,
    /// How long a call takes.
    typical: Duration,
    rest_at: Duration,
    rest_until: Duration,
    resting: u32,
    #[serde(skip)]
    random: u64,
}

/// One request on its way: when it was sent, and how many calls were in flight then, with its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(super) sent: Duration,
    pub(super) in_flight: u32,
}

impl Window {
    /// `seed`: so that processes which began together don't go on together.
    pub(super) fn new(seed: u64) -> Window {
        Window {
            size: START,
            doubling: true,
            step: 1,
            grow_at: Duration::ZERO,
            borne: 0,
            refused_at: Duration::ZERO,
            refusals: 0,
            others_until: Duration::ZERO,
            paused_until: Duration::ZERO,
            typical: Duration::from_millis(200),
            rest_at: Duration::ZERO,
            rest_until: Duration::ZERO,
            resting: 0,
            random: seed | 1,
        }
    }

    /// Goes on with what another process knows, as of `now`. What can't be is forgotten: it came from something else than this library.
    pub(super) fn learn(&mut self, known: Window, now: Duration) {
        match known.is_possible(now) {
            true => *self = Window { random: self.random, ..known },
            false => self.forget(),
        }
    }

    fn is_possible(&self, now: Duration) -> bool {
        let times = [self.grow_at, self.refused_at, self.others_until, self.paused_until, self.rest_at, self.rest_until];
        let counts = [self.size, self.step, self.borne, self.resting, self.refusals];
        let latest = now.saturating_add(LATEST);
        times.iter().all(|time| *time <= latest) && self.typical <= LATEST && counts.iter().all(|n| *n <= LARGEST) && self.size > 0
    }

    pub(super) fn forget(&mut self) {
        *self = Window::new(self.random);
    }

    /// Who waits while processes wait, too, that tell nobody when they have a place to give, looks again after this time.
    pub(super) fn beat(&mut self) -> Duration {
        let typical = self.typical.clamp(Duration::from_millis(40), Duration::from_secs(1));
        (typical / 20).mul_f64(0.5 + self.fraction())
    }

    /// Until when nobody sends.
    pub(super) fn paused_until(&self) -> Duration {
        self.paused_until
    }

    /// Nobody sends before then.
    pub(super) fn pause_until(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// How many calls there may be now for a client with this setting. A fixed number holds until something is refused, and doesn't rest.
    pub(super) fn places(&mut self, bound: InFlight, now: Duration) -> u32 {
        match bound {
            InFlight::Fixed(number) if self.doubling => number,
            InFlight::Fixed(number) => number.min(self.size),
            InFlight::Auto(most) => most.min(self.size.saturating_sub(self.resting(now))),
        }
    }

    fn resting(&mut self, now: Duration) -> u32 {
        if self.rest_at.is_zero() {
            self.rest_at = now + self.about(REST_EVERY);
        }
        if now >= self.rest_at {
            let part = match self.size {
                1 | 2 => {
                    if self.doubling {
                        0.0
                    } else {
                        0.5
                    }
                }
                size => f64::from(size) * REST_PART,
            };
            self.resting = (part + self.fraction()) as u32; // the fraction of a place as a chance of one
            self.rest_until = now + (2 * self.typical).min(REST_LONGEST);
            self.rest_at = now + self.about(REST_EVERY);
        }
        if now < self.rest_until { self.resting } else { 0 }
    }

    /// A request was answered, and not for being one too many.
    pub(super) fn answered(&mut self, flight: Flight, bound: InFlight, now: Duration) {
        self.typical = (9 * self.typical + now.saturating_sub(flight.sent)) / 10;
        if flight.sent >= self.refused_at {
            self.refusals = 0;
            self.borne = self.borne.max(flight.in_flight.min(self.size)); // above it, some of those were refused
        }
        if self.doubling {
            self.size = self.size.max((2 * flight.in_flight).min(bound.most()));
        } else if flight.in_flight >= self.size && now >= self.grow_at && now >= self.rest_until {
            self.size = self.size.max((self.size + self.step).min(bound.most()));
            self.step = (2 * self.step).min(LARGEST_STEP);
            self.grow_at = now + self.about(GROW_EVERY);
        }
    }

    /// A request was refused, as there are too many. `in_flight` calls are now, with it.
    pub(super) fn refused(&mut self, flight: Flight, in_flight: u32, now: Duration) {
        // One that was sent before the last refusal was known tells of the same flight.
        let first_of_flight = flight.sent >= self.refused_at;
        let beside = flight.in_flight.max(in_flight);
        if first_of_flight && beside <= self.borne && self.size > 2 {
            self.others_until = now + AMONG_OTHERS;
        }
        let among_others = now < self.others_until;
        let held = beside.saturating_sub(1).max(1);
        let stays = match first_of_flight {
            true if among_others && held > 2 => (f64::from(held) * CUT).round() as u32,
            true => held,
            false if among_others => held,
            // What is refused may count at the server until it is answered: so that is no word on what was borne before.
            false => self.size.saturating_sub(1).max(self.borne).max(1),
        };
        let doubled = self.doubling;
        self.size = if doubled { stays } else { self.size.min(stays) };
        (self.doubling, self.step) = (false, 1);
        if !first_of_flight {
            return;
        }
        self.borne = self.borne.min(held);
        let hold = match self.size {
            1 => GROW_EVERY,
            _ if among_others || doubled => SHORT_HOLD,
            _ => HOLD,
        };
        (self.refused_at, self.grow_at) = (now, now + self.about(hold));
        self.refusals += 1;
        if self.refusals > 1 || among_others || self.size == 1 {
            let pause = (PAUSE * (1 << (self.refusals - 1).min(4))).min(PAUSE_LONGEST);
            let pause = pause.mul_f64(0.5 + self.fraction());
            self.pause_until(now + pause);
        }
    }

    pub(super) fn random(&mut self) -> u32 {
        (self.fraction() * f64::from(u32::MAX)) as u32
    }

    /// A time near this one.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(0.75 + 0.5 * self.fraction())
    }

    /// At random, from 0 to 1: xorshift64*.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: InFlight = InFlight::Auto(25);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(ms: u64, in_flight: u32) -> Flight {
        Flight { sent: at(ms), in_flight }
    }

    /// It has found five, and nothing was refused for some seconds.
    fn of_five() -> Window {
        let mut window = Window { doubling: false, size: 5, refused_at: at(1), ..Window::new(1) };
        window.answered(sent(2, 5), BOUND, at(3));
        Window { size: 6, ..window }
    }

    #[test]
    fn as_many_stay_as_were_not_refused_in_whatever_order_they_came() {
        for order in [[6, 7, 8], [8, 7, 6], [8, 8, 8], [1, 2, 8]] {
            let mut window = Window::new(1);
            window.answered(sent(0, 4), BOUND, at(200));
            order.into_iter().zip([8, 7, 6]).for_each(|(at_sending, now)| window.refused(sent(200, at_sending), now, at(201)));
            assert_eq!((window.size, window.others_until), (5, Duration::ZERO), "{order:?}");
        }
    }

    #[test]
    fn a_step_of_growth_that_costs_an_older_call_its_place_says_nothing_of_others() {
        for at_sending in [4, 5, 6] {
            let mut window = of_five();
            window.refused(sent(5000, at_sending), 6, at(5001));
            assert_eq!((window.size, window.others_until, window.paused_until), (5, Duration::ZERO, Duration::ZERO), "{at_sending}");
        }
        let mut window = of_five();
        window.refused(sent(5000, 5), 5, at(5001));
        assert!(window.size < 5 && window.others_until > at(5001), "five were borne before, and there are no more");
    }

    #[test]
    fn no_more_were_borne_than_are_left_after_the_refusals() {
        let mut window = of_five();
        window.refused(sent(5000, 6), 6, at(5001));
        window.answered(sent(5002, 6), BOUND, at(5200)); // counted with a refused one that still had its place
        window.refused(sent(9000, 6), 6, at(9001));
        assert_eq!((window.size, window.others_until), (5, Duration::ZERO));
    }

    #[test]
    fn what_no_window_says_is_not_learned() {
        let now = Duration::from_secs(1_800_000_000);
        let new = Window::new(1);
        let wrong = [
            Window { size: 0, ..new.clone() },
            Window { size: u32::MAX, ..new.clone() },
            Window { step: u32::MAX, ..new.clone() },
            Window { typical: Duration::MAX, ..new.clone() },
            Window { paused_until: Duration::MAX, ..new.clone() },
            Window { others_until: now * 2, ..new.clone() },
        ];
        for known in wrong {
            let mut window = Window { size: 9, ..new.clone() };
            window.learn(known.clone(), now);
            assert_eq!((window.size, window.paused_until, window.typical), (START, Duration::ZERO, new.typical), "{known:?}");
        }
        let mut window = new.clone();
        window.learn(Window { size: 9, paused_until: now + Duration::from_secs(3600), ..new }, now);
        assert_eq!(window.size, 9);
    }
}
