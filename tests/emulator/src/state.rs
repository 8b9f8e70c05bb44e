//! All that one emulator remembers, behind one lock.

use std::collections::{HashMap, VecDeque};

use crate::accounts::Accounts;
use crate::clock::{Clock, HOUR, MINUTE, Millis};
use crate::control::without_port;
use crate::fault::Fault;
use crate::ledger::{Ledger, Request, Stored};
use crate::paging::PageTokens;
use crate::script::Scripts;
use crate::seed;
use crate::settings::Settings;
use crate::world::Organisation;

/// The state.
#[derive(Debug, Default)]
pub struct State {
    /// Switches.
    pub settings: Settings,
    /// Time.
    pub clock: Clock,
    /// When the emulator started.
    pub started: Millis,
    /// Address it listens on.
    address: Address,
    /// Organisations.
    pub organisations: Vec<Organisation>,
    /// Accounts server.
    pub accounts: Accounts,
    /// Ledger.
    pub ledger: Ledger,
    /// Fault scripts.
    pub scripts: Scripts,
    /// Page tokens given out.
    pub page_tokens: PageTokens,
    /// The access token last handed to the test itself.
    pub seeded_access: HashMap<usize, String>,
    /// Grows with each change that a listener may want to see.
    pub changes: u64,
    active: HashMap<usize, u32>,
    list_times: HashMap<u64, VecDeque<Millis>>,
    credits: HashMap<usize, Spent>,
    next_seq: u64,
    chaos: u64,
    /// How it was seeded.
    pub plan: SeedPlan,
}

/// Where the emulator listens.
#[derive(Debug, Clone, Default)]
pub struct Address {
    /// As an URL, e.g. `http://127.0.0.1:41234`.
    pub url: String,
    /// It listens on all addresses of the machine, so it doesn't know the one by which a client reaches it.
    pub any: bool,
}

/// Credits spent within the last 24 hours.
#[derive(Debug, Default)]
struct Spent {
    calls: VecDeque<(Millis, u64)>,
    total: u64,
}

impl Spent {
    fn forget(&mut self, now: Millis) {
        while let Some((_, count)) = self.calls.front().filter(|(at, _)| at + 24 * HOUR <= now) {
            self.total -= count;
            self.calls.pop_front();
        }
    }

    /// Calls of one second share an entry, so that a long run stays small.
    fn add(&mut self, now: Millis) {
        self.total += 1;
        match self.calls.back_mut() {
            Some((at, count)) if now < *at + 1000 => *count += 1,
            _ => self.calls.push_back((now, 1)),
        }
    }
}

/// How a state is seeded.
#[derive(Debug, Clone, Default)]
pub struct SeedPlan {
    /// With records.
    pub records: bool,
    /// Name of the data centre.
    pub data_centre: String,
    /// The setting of that name.
    pub public_name: Option<String>,
}

impl State {
    /// A fresh state.
    pub fn new(address: Address, plan: &SeedPlan) -> State {
        let clock = Clock::default();
        let settings = Settings { public_name: plan.public_name.clone(), ..Settings::default() };
        let mut state = State { started: clock.now(), address, settings, ..State::default() };
        seed::fill(&mut state, plan);
        state
    }

    /// Back to the seeded state. Numbers of requests go on, and calls under way stay counted.
    pub fn reset(&mut self) {
        let mut fresh = State::new(self.address.clone(), &self.plan);
        fresh.next_seq = self.next_seq;
        fresh.changes = self.changes + 1;
        fresh.active = std::mem::take(&mut self.active);
        *self = fresh;
    }

    /// The URL under which it is reached: by its public name if it has one; where it listens on all addresses, by the name that the request
    /// of `host` was sent to; else by the address it listens on.
    pub fn url(&self, host: Option<&str>) -> String {
        let (scheme, own) = self.address.url.split_once("://").unwrap_or(("http", ""));
        let port = own.rsplit(':').next().unwrap_or_default();
        match (&self.settings.public_name, host) {
            (Some(name), _) if without_port(name) != name => format!("{scheme}://{name}"),
            (Some(name), _) => format!("{scheme}://{name}:{port}"),
            (None, Some(host)) if self.address.any => format!("{scheme}://{host}"),
            _ => self.address.url.clone(),
        }
    }

    /// Name of the data centre.
    pub fn data_centre(&self) -> &str {
        &self.plan.data_centre
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Opens the ledger entry of a request.
    pub fn begin(&mut self, mut entry: Request) -> u64 {
        self.next_seq += 1;
        self.changes += 1;
        entry.changed = self.changes;
        entry.seq = self.next_seq;
        entry.at_ms = self.now().saturating_sub(self.started);
        self.ledger.requests.push(entry);
        self.next_seq
    }

    /// What `Date` says now.
    pub fn date(&self) -> Millis {
        self.now().saturating_add_signed(self.settings.date_ahead_ms)
    }

    /// Changes the ledger entry of a request, unless the ledger was cleared meanwhile.
    pub fn entry(&mut self, seq: u64, change: impl FnOnce(&mut Request)) {
        if let Ok(at) = self.ledger.requests.binary_search_by_key(&seq, |r| r.seq) {
            self.changes += 1;
            let entry = &mut self.ledger.requests[at];
            entry.changed = self.changes;
            change(entry);
        }
    }

    /// A fault of the seeded chaos, or none.
    pub fn chaos_fault(&mut self) -> Fault {
        if self.settings.chaos_per_mille == 0 || self.random() % 1000 >= u64::from(self.settings.chaos_per_mille) {
            return Fault::none();
        }
        let bytes = self.random() % 4096;
        match self.random() % 9 {
            0 => Fault::status(503),
            1 => Fault::status(429),
            2 => Fault::status_after_store(502),
            3 => Fault::reset_before_store_after(bytes),
            4 => Fault::reset_after_store(),
            5 => Fault::reset_in_reply(bytes),
            6 => Fault::truncate(1 + bytes),
            7 => Fault::html(502),
            _ => Fault::delay(bytes % 200),
        }
    }

    /// A step of xorshift64*, so that chaos can be repeated from its seed.
    fn random(&mut self) -> u64 {
        if self.chaos == 0 {
            self.chaos = self.settings.chaos_seed.max(1);
        }
        self.chaos ^= self.chaos >> 12;
        self.chaos ^= self.chaos << 25;
        self.chaos ^= self.chaos >> 27;
        self.chaos.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Counts a call as active, if the organisation may have one more.
    pub fn enter(&mut self, organisation: usize) -> bool {
        let active = self.active.entry(organisation).or_default();
        *active += 1;
        *active <= self.settings.concurrency
    }

    /// How long this call takes, in milliseconds.
    pub fn service(&mut self) -> Millis {
        let (usual, slow) = (self.settings.service_ms, u64::from(self.settings.slow_per_mille));
        if slow > 0 && self.random() % 1000 < slow { 10 * usual } else { usual }
    }

    /// Ends an active call.
    pub fn leave(&mut self, organisation: usize) {
        if let Some(active) = self.active.get_mut(&organisation) {
            *active = active.saturating_sub(1);
        }
    }

    /// Counts a list of a record; false when its minute is full.
    pub fn may_list(&mut self, record: u64) -> bool {
        let (now, most) = (self.now(), self.settings.lists_per_minute);
        if most == 0 {
            return true;
        }
        let times = self.list_times.entry(record).or_default();
        times.retain(|t| t + MINUTE > now);
        let free = times.len() < most;
        if free {
            times.push_back(now);
        }
        free
    }

    /// Spends one credit; says how many remain, or none when there was none left.
    pub fn spend_credit(&mut self, organisation: usize) -> Option<u64> {
        let (now, budget) = (self.now(), self.settings.credits);
        let spent = self.credits.entry(organisation).or_default();
        spent.forget(now);
        if spent.total >= budget {
            return None;
        }
        spent.add(now);
        Some(budget - spent.total)
    }

    /// Writes into the ledger what was stored.
    pub fn note_stored(&mut self, stored: Stored) {
        self.changes += 1;
        self.ledger.stored.push(stored);
    }
}
