//! A place among the calls in flight, which may be lent while its call is in its caller's own code.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::shared::Seat;
use crate::caller::{Here, Whereabouts};

/// A call that has been in its caller's own code for this long lends its place to one that waits. Otherwise an upload whose reader waits for a
/// download would keep the place that the download waits for.
pub(super) const MOMENT: Duration = Duration::from_millis(100);

/// The same, where there are so many calls more than places already. Twice as long for each further 32: readers that never come back would otherwise
/// let in one call after another until the process has no descriptor left. As it has no end, a chain of calls that wait for each other gets on at last.
pub(super) fn moment(beyond: usize) -> Duration {
    MOMENT * (1 << (beyond / 32).min(16))
}

/// A place among the calls in flight; given back when dropped.
pub(crate) struct Place<'g> {
    gate: &'g Gate,
    call: Arc<Whereabouts>,
    /// Further calls that could have had a place when this one got its own.
    pub(crate) spare: usize,
    one_too_many: Cell<bool>,
    /// Where processes share the window.
    seat: Option<Arc<Seat>>,
}

/// A call with a place, as it was when somebody looked.
struct Seen {
    call: Arc<Whereabouts>,
    outside: u64,
    since: Option<Instant>,
}

/// The calls with a place.
#[derive(Default)]
pub(super) struct Holders {
    /// But for those that have lent it.
    pub(super) in_flight: u32,
    all: Vec<Seen>,
}

impl Holders {
    pub(super) fn enter<'g>(&mut self, gate: &'g Gate, most: u32, seat: Option<Seat>) -> Place<'g> {
        self.in_flight += 1;
        let one_too_many = Cell::new(seat.as_ref().is_some_and(Seat::is_borrowed));
        let seat = seat.map(Arc::new);
        let call = Arc::new(seat.as_ref().map_or_else(Whereabouts::default, |seat| {
            let seat = Arc::downgrade(seat); // the place alone says when it is given back
            Whereabouts::shown(move |word| seat.upgrade().iter().for_each(|seat| seat.show(word)))
        }));
        self.all.push(Seen { call: call.clone(), outside: 0, since: None });
        Place { gate, call, spare: most.saturating_sub(self.in_flight) as usize, one_too_many, seat }
    }

    /// Takes the place of a call that has been in its caller's code for a moment, if there is one. There are `most` places. `shared`: but for those that
    /// other processes see, which are borrowed through the file.
    pub(super) fn borrow(&mut self, most: u32, now: Instant, shared: bool) -> bool {
        let moment = moment(self.all.len().saturating_sub(most as usize));
        for seen in self.all.iter_mut().filter(|seen| !(shared && seen.call.is_shown())) {
            let Some(outside) = seen.call.outside() else { continue };
            if seen.outside != outside {
                (seen.outside, seen.since) = (outside, Some(now));
            }
            let long = seen.since.is_some_and(|since| now.duration_since(since) >= moment);
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
            self.gate.holders(|holders| holders.in_flight += 1);
            self.one_too_many.set(true);
        }
    }

    /// Whether it was lent meanwhile or is borrowed, so that there may be more calls than places.
    pub(crate) fn may_be_one_too_many(&self) -> bool {
        self.one_too_many.get()
    }

    /// The same for all places of one organisation.
    pub(crate) fn organisation(&self) -> usize {
        std::ptr::from_ref(self.gate).addr()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.take_back();
        self.gate.holders(|holders| {
            holders.in_flight -= 1;
            holders.all.retain(|seen| !Arc::ptr_eq(&seen.call, &self.call));
        });
        drop(self.seat.take());
        self.gate.place_is_free();
    }
}
