//! The window against a simulated organisation: discrete events on a simulated clock, so that minutes take milliseconds and nothing depends on the
//! machine. A call takes 200 ms; a refused one counts for 2 ms. What is sent arrives after some time, so that requests and replies overtake each
//! other. Each figure is the worst of some seeds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::window::{Flight, Window};
use crate::config::InFlight;

const CALL: Duration = Duration::from_millis(200);
const REFUSAL: Duration = Duration::from_millis(2);
/// The longest way of most requests and replies, in µs. One in twenty may take five times as long.
const WAY: u64 = 1000;
/// Those who wait look up so often.
const LOOK: Duration = Duration::from_millis(20);
const SEEDS: u64 = 6;

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Event {
    Begin,
    Look,
    Arrival(Duration, u32),
    End(Duration, u32, bool),
    Answer(Duration, u32),
    Refusal(Duration, u32),
    Limit(u32),
}

struct Process {
    window: Window,
    begun: bool,
    left: u32,
    in_flight: u32,
    refused: u32,
    /// When its calls ended well.
    ends: Vec<Duration>,
}

struct Simulation {
    bound: InFlight,
    limit: u32,
    busy: u32,
    random: u64,
    bursty: bool,
    now: Duration,
    number: u64,
    events: BinaryHeap<Reverse<(Duration, u64, usize, Event)>>,
    processes: Vec<Process>,
}

impl Simulation {
    /// So many processes against an organisation that bears `limit` calls at once; each begins `apart` after the one before.
    fn new(seed: u64, limit: u32, processes: usize, apart: Duration) -> Simulation {
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let process = |i: usize| Process {
            window: Window::new(seed.rotate_left(7 * i as u32 + 1)),
            begun: false,
            left: u32::MAX,
            in_flight: 0,
            refused: 0,
            ends: Vec::new(),
        };
        let mut simulation = Simulation {
            bound: InFlight::Auto(25),
            limit,
            busy: 0,
            random: seed,
            bursty: false,
            now: Duration::ZERO,
            number: 0,
            events: BinaryHeap::new(),
            processes: (0..processes).map(process).collect(),
        };
        (0..processes).for_each(|i| simulation.at(apart * i as u32, i, Event::Begin));
        simulation
    }

    fn at(&mut self, time: Duration, process: usize, event: Event) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, process, event)));
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    /// One call in fifty takes ten times as long, where the server is bursty.
    fn service(&mut self) -> Duration {
        let percent = 95 + self.below(11) as u32;
        if self.bursty && self.below(50) == 0 { 10 * CALL } else { CALL * percent / 100 }
    }

    fn send(&mut self, i: usize) {
        loop {
            let (now, bound) = (self.now, self.bound);
            let process = &mut self.processes[i];
            let may = process.begun && process.left > 0 && process.window.paused_until() <= now;
            if !may || process.in_flight >= process.window.places(bound, now) {
                return;
            }
            (process.left, process.in_flight) = (process.left - 1, process.in_flight + 1);
            let in_flight = process.in_flight;
            let arrival = now + self.way();
            self.at(arrival, i, Event::Arrival(now, in_flight));
        }
    }

    fn way(&mut self) -> Duration {
        let longest = if self.below(20) == 0 { 5 * WAY } else { WAY };
        Duration::from_micros(self.below(longest))
    }

    fn arrives(&mut self, i: usize, sent: Duration, in_flight: u32) {
        self.busy += 1;
        let taken = self.busy <= self.limit;
        let end = self.now + if taken { self.service() } else { REFUSAL };
        self.at(end, i, Event::End(sent, in_flight, taken));
    }

    fn ends(&mut self, i: usize, sent: Duration, in_flight: u32, taken: bool) {
        self.busy -= 1;
        let told = self.now + self.way();
        self.at(told, i, if taken { Event::Answer(sent, in_flight) } else { Event::Refusal(sent, in_flight) });
    }

    fn run(mut self, until: Duration) -> Vec<Process> {
        while let Some(Reverse((time, _, i, event))) = self.events.pop().filter(|Reverse((time, ..))| *time <= until) {
            self.now = time;
            match event {
                Event::Arrival(sent, in_flight) => self.arrives(i, sent, in_flight),
                Event::End(sent, in_flight, taken) => self.ends(i, sent, in_flight, taken),
                _ => self.learns(i, event),
            }
        }
        self.processes
    }

    /// The process learns something, and goes on; the others in whatever order.
    fn learns(&mut self, i: usize, event: Event) {
        let (time, process) = (self.now, &mut self.processes[i]);
        match event {
            Event::Arrival(..) | Event::End(..) => unreachable!("that is the server's"),
            Event::Limit(limit) => self.limit = limit,
            Event::Begin => process.begun = true,
            Event::Look => {}
            Event::Answer(sent, in_flight) => {
                process.in_flight -= 1;
                process.ends.push(time);
                process.window.answered(Flight { sent, in_flight }, self.bound, time);
            }
            Event::Refusal(sent, in_flight) => {
                (process.left, process.in_flight, process.refused) = (process.left + 1, process.in_flight - 1, process.refused + 1);
                process.window.refused(Flight { sent, in_flight }, process.in_flight + 1, time);
            }
        }
        if matches!(event, Event::Begin | Event::Look) && (process.left > 0 || process.in_flight > 0) {
            self.at(time + LOOK, i, Event::Look);
        }
        self.send(i);
        let first = self.below(self.processes.len() as u64) as usize;
        (0..self.processes.len()).for_each(|n| self.send((first + n) % self.processes.len()));
    }
}

/// Calls at `limit` that would have ended in this time.
fn optimum(limit: u32, time: Duration) -> f64 {
    f64::from(limit) * time.as_secs_f64() / CALL.as_secs_f64()
}

fn ended(process: &Process, from: Duration, to: Duration) -> f64 {
    process.ends.iter().filter(|end| (from..to).contains(*end)).count() as f64
}

const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// The share of the optimum that 600 calls of one process reach, and the share of calls that were refused.
fn alone(limit: u32, make: impl Fn(u64) -> Simulation) -> (f64, f64) {
    let run = |seed| {
        let mut simulation = make(seed);
        simulation.processes[0].left = 600;
        let processes = simulation.run(seconds(600));
        assert_eq!(processes[0].ends.len(), 600);
        let took = *processes[0].ends.last().unwrap();
        (600.0 / optimum(limit, took), f64::from(processes[0].refused) / 600.0)
    };
    (0..SEEDS).map(run).fold((f64::MAX, 0.0), |worst, got| (worst.0.min(got.0), worst.1.max(got.1)))
}

/// The share of the optimum that all reach together, and the poorest's part of its share: half a minute after the last has begun, for a minute.
fn together(limit: u32, count: usize, apart: Duration) -> (f64, f64) {
    let from = apart * (count as u32 - 1) + seconds(30);
    let run = |seed| {
        let processes = Simulation::new(seed, limit, count, apart).run(from + seconds(60));
        let done: Vec<f64> = processes.iter().map(|process| ended(process, from, from + seconds(60))).collect();
        let all = optimum(limit, seconds(60));
        (done.iter().sum::<f64>() / all, done.iter().copied().fold(f64::MAX, f64::min) * count as f64 / all)
    };
    (0..SEEDS).map(run).fold((f64::MAX, f64::MAX), |worst, got| (worst.0.min(got.0), worst.1.min(got.1)))
}

#[test]
fn one_process_reaches_what_the_organisation_bears_and_is_rarely_refused() {
    for limit in [5, 10, 25] {
        let (use_, refused) = alone(limit, |seed| Simulation::new(seed, limit, 1, Duration::ZERO));
        assert!(use_ >= 0.85 && refused <= 0.03, "{limit}: {use_:.2} of the optimum, {refused:.3} refused");
    }
}

#[test]
fn a_bound_of_its_own_is_kept() {
    let mut simulation = Simulation::new(1, 25, 1, Duration::ZERO);
    simulation.bound = InFlight::Auto(7);
    let processes = simulation.run(seconds(60));
    let use_ = processes[0].ends.len() as f64 / optimum(7, seconds(60));
    assert!((0.85..=1.05).contains(&use_) && processes[0].refused == 0, "{use_:.2}");
}

#[test]
fn a_fixed_number_begins_with_all_of_it_and_comes_back_to_it() {
    let mut simulation = Simulation::new(1, 5, 1, Duration::ZERO);
    simulation.bound = InFlight::Fixed(10);
    simulation.at(seconds(20), 0, Event::Limit(25));
    let processes = simulation.run(seconds(40));
    assert!(processes[0].refused > 0);
    let at_last = ended(&processes[0], seconds(30), seconds(40)) / optimum(10, seconds(10));
    assert!(at_last > 0.95, "{at_last:.2}");
}

#[test]
fn several_processes_share_what_there_is_and_who_comes_late_gets_a_part() {
    for (limit, count, apart) in [(10, 2, 0), (10, 4, 0), (10, 2, 5), (10, 4, 5), (25, 3, 5)] {
        let (use_, poorest) = together(limit, count, seconds(apart));
        assert!(
            use_ >= 0.8 && poorest >= 0.5,
            "{count} on {limit}, {apart} s apart: {use_:.2} of the optimum, the poorest {poorest:.2} of its share"
        );
    }
}

#[test]
fn another_limit_is_found_within_ten_seconds() {
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(seed, 25, 1, Duration::ZERO);
        simulation.at(seconds(20), 0, Event::Limit(5));
        simulation.at(seconds(40), 0, Event::Limit(25));
        let processes = simulation.run(seconds(60));
        let lowered = ended(&processes[0], seconds(22), seconds(40)) / optimum(5, seconds(18));
        let raised = ended(&processes[0], seconds(50), seconds(60)) / optimum(25, seconds(10));
        assert!(lowered >= 0.75 && raised >= 0.85, "at 5 {lowered:.2}, ten seconds after it was raised {raised:.2}");
    }
}

#[test]
fn a_bursty_server_does_not_fool_it() {
    for limit in [5, 10, 25] {
        let bursty = |seed| Simulation { bursty: true, ..Simulation::new(seed, limit, 1, Duration::ZERO) };
        let (_, refused) = alone(limit, bursty);
        let busy = (0..SEEDS).map(|seed| bursty(seed).run(seconds(60))[0].ends.len() as f64 / optimum(limit, seconds(60)));
        let use_ = busy.fold(f64::MAX, f64::min) * 1.18; // what one call in fifty costs that takes ten times as long
        assert!(use_ >= 0.85 && refused <= 0.03, "{limit}: {use_:.2} of the optimum, {refused:.3} refused");
    }
}
