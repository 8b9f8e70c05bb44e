//! Weather: a server that loses, resets, refuses and disfigures at random; every fault is drawn from a seed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use zcrm_emulator::{Emulator, Fault, Options, StallAt};

use crate::random::Random;

/// What is done in a round of chaos, and what it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// One client uploads, through 5 % lost replies, 2 % resets and 1 % of 5xx.
    Uploads,
    /// Clients of two organisations in each of two regions do everything, through that and whatever else there is.
    All,
}

/// The queues that a call may take faults from.
const QUEUES: &[&str] =
    &["attachment.upload", "attachment.list", "attachment.download", "attachment.delete", "photo.upload", "photo.download", "photo.delete"];
/// So many faults wait in each queue at least: more than all threads can take during one call of each.
const AHEAD: usize = 100;

/// An emulator with its weather.
pub struct Region {
    pub emulator: Emulator,
    mix: Mix,
    /// A host that no client was given.
    foreign: String,
    drawn: Mutex<BTreeMap<&'static str, Drawn>>,
}

/// What was put into a queue.
struct Drawn {
    random: Random,
    is_fault: Vec<bool>,
}

impl Region {
    pub fn new(name: &str, mix: Mix, foreign: &str, seed: u64) -> Region {
        let emulator = Emulator::start(Options { seed: false, data_centre: name.to_owned(), ..Options::default() }).expect("an emulator starts");
        let queue = |(n, queue): (usize, &&'static str)| (*queue, Drawn { random: Random::new(seed + n as u64 * 1000), is_fault: Vec::new() });
        let drawn = Mutex::new(QUEUES.iter().enumerate().map(queue).collect());
        if mix == Mix::All {
            emulator.script("token", [Fault::none(), Fault::status(503), Fault::none(), Fault::reset_after_store()]);
        }
        Region { emulator, mix, foreign: foreign.to_owned(), drawn }
    }

    /// Fills the queues up.
    pub fn provide(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, drawn) in drawn.iter_mut().filter(|(queue, _)| self.emulator.faults_left(queue) < AHEAD) {
            let faults: Vec<_> = (0..AHEAD).map(|_| self.fault(queue, &mut drawn.random)).collect();
            drawn.is_fault.extend(faults.iter().map(|fault| *fault != Fault::none()));
            self.emulator.script(queue, faults);
        }
    }

    /// I8: faults that were taken from the queues; each must be in the ledger.
    pub fn taken(&self) -> usize {
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |queue, drawn: &Drawn| {
            let gone = drawn.is_fault.len() - self.emulator.faults_left(queue);
            drawn.is_fault[..gone].iter().filter(|is_fault| **is_fault).count()
        };
        drawn.iter().map(|(queue, drawn)| taken(queue, drawn)).sum()
    }

    fn fault(&self, queue: &str, random: &mut Random) -> Fault {
        match random.below(100) {
            0..=4 => Fault::reset_after_store(),
            5..=6 => Fault::reset_before_store_after(random.below(1500)),
            7 => match random.below(3) {
                0 => Fault::status(503),
                1 => Fault::status(500),
                _ => Fault::status_after_store(502),
            },
            8..=10 if self.mix == Mix::All => self.further(queue, random),
            11 if self.mix == Mix::All => self.particular(queue, random),
            _ => Fault::none(),
        }
    }

    /// What any operation must bear.
    fn further(&self, queue: &str, random: &mut Random) -> Fault {
        match random.below(14) {
            0 => Fault::status(429),
            1 => Fault::status(429).with_header("Retry-After", "0"),
            2 => Fault::delay(random.below(30)),
            3 => Fault::stall_for(StallAt::Reply, random.below(200), 40),
            4 => Fault::stall_for(StallAt::BeforeReply, 0, 40),
            5 => Fault::slow(64, 1),
            6 => Fault::reset_in_reply(random.below(300)),
            7 => Fault::html(502),
            8 => Fault::garbage(),
            9 => Fault::no_length(),
            10 => Fault::chunked(),
            11 => Fault::close_idle(),
            12 => Fault::overlong(1 + random.below(100)),
            // A deletion that is repeated is told "there is no such attachment"; of that, cut off as well, nobody could make sense.
            _ if queue == "attachment.delete" => Fault::none(),
            _ => Fault::truncate(1 + random.below(300)),
        }
    }

    /// What makes sense for one operation. The lists and downloads that tell what became of an upload are not refused or falsified:
    /// then nobody can know.
    fn particular(&self, queue: &str, random: &mut Random) -> Fault {
        match (queue, random.below(3)) {
            ("attachment.list" | "attachment.download", _) => Fault::none(),
            ("attachment.upload", 0) => Fault::hide_attachment(30 + random.below(100)).and_lost(),
            ("attachment.upload", 1) => Fault::rename("a quite different name.bin").and_lost(),
            ("photo.download", 0 | 1) => Fault::corrupt(),
            (_, 2) => Fault::redirect(307, &self.foreign),
            _ => Fault::status(403),
        }
    }
}

/// Whether a repetition would be no use.
pub fn refuses(fault: &Fault) -> bool {
    matches!(fault, Fault::Redirect { .. } | Fault::Corrupt {}) || *fault == Fault::status(403)
}
