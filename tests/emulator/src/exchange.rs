//! One request and its reply, with the fault that may come between.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canned::Canned;
use crate::clock::http_date;
use crate::fault::Fault;
use crate::ledger::{self, FaultFired};
use crate::reply::Reply;
use crate::request::{Head, Request};
use crate::script::Seen;
use crate::server::Shared;
use crate::settings::Connection;
use crate::state::State;
use crate::wire::{Wire, encode};
use crate::world::sha256;
use crate::{control, crm, oauth};

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It serves another request.
    Continue,
    /// It is closed in order.
    Close,
    /// It is closed without TLS's good-bye.
    Cut,
    /// It is reset.
    Reset,
}

/// A request under way.
pub struct Exchange<'a> {
    /// What all connections share.
    pub shared: &'a Arc<Shared>,
    /// The connection.
    pub wire: &'a mut Wire,
    /// Its number in the ledger.
    pub seq: u64,
    /// The fault that fires.
    pub fault: Fault,
    /// A script has said which, be it none.
    pub settled: bool,
    admitted: bool,
    /// Its place among the active calls.
    pub active: Active<'a>,
}

/// An active call; its end is counted when this is dropped.
pub struct Active<'a> {
    shared: &'a Shared,
    organisation: Option<usize>,
}

impl Active<'_> {
    /// Ends it now.
    pub fn end(&mut self) {
        if let Some(organisation) = self.organisation.take() {
            self.shared.state().leave(organisation);
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves one request whose head has arrived.
pub fn run(shared: &Arc<Shared>, wire: &mut Wire, connection: u64, head: Head) -> Next {
    wire.bound_pauses(Some(Duration::from_millis(shared.state().settings.body_pause_ms.max(1))));
    if control::is_own(&head.path) {
        return control::serve(shared, wire, head);
    }
    let mut exchange = begin(shared, wire, connection, &head);
    let mut request = match exchange.receive(head) {
        Ok(request) => request,
        Err(next) => return next,
    };
    request.split();
    exchange.note_body(&request);
    if let Err(next) = exchange.look_again(&request) {
        return next;
    }
    if let Fault::Delay { ms } = exchange.fault {
        exchange.sleep(ms);
    }
    if exchange.admitted && exchange.active.organisation.is_some() {
        let time = shared.state().service();
        exchange.sleep(time);
    }
    request.fault = exchange.fault.clone();
    let reply = exchange.reply(&request);
    exchange.deliver(&request.head, reply)
}

/// Opens the ledger entry, takes the fault, counts the call as active.
fn begin<'a>(shared: &'a Arc<Shared>, wire: &'a mut Wire, connection: u64, head: &Head) -> Exchange<'a> {
    let mut state = shared.state();
    let operation = crm::operation(&head.method, &head.path);
    let organisation = crm::organisation_of(&state, head).filter(|_| head.path.starts_with("/crm/"));
    let seq = state.begin(ledger::Request {
        connection,
        operation: operation.to_owned(),
        method: head.method.clone(),
        path: head.path.clone(),
        query: head.query.clone(),
        http_version: format!("1.{}", head.minor),
        headers: head.headers.iter().map(|(n, v)| (n.clone(), shown(n, v))).collect(),
        organisation: organisation.map(|o| o + 1),
        authorization_ok: organisation.is_some(),
        token: head.authorization().map(|(_, token)| token.chars().take(12).collect()),
        ..ledger::Request::default()
    });
    let seen = Seen { operation, organisation: organisation.map(|o| o + 1), ..Seen::of_head(head) };
    let scripted = state.scripts.take(&seen);
    let settled = scripted.is_some();
    let fault = scripted.unwrap_or_else(|| state.chaos_fault());
    note_fault(&mut state, seq, operation, &fault);
    let admitted = organisation.is_none_or(|o| state.enter(o));
    drop(state);
    Exchange { shared, wire, seq, fault, settled, admitted, active: Active { shared, organisation } }
}

/// Writes into the ledger which fault fires.
pub fn note_fault(state: &mut State, seq: u64, operation: &str, fault: &Fault) {
    if *fault == Fault::none() {
        return;
    }
    state.ledger.faults_fired.push(FaultFired { seq, operation: operation.to_owned(), fault: fault.clone() });
    state.entry(seq, |e| e.fault = Some(fault.clone()));
}

/// A header value as the ledger shows it: no secret.
fn shown(name: &str, value: &[u8]) -> String {
    let text = ledger::lossless(value);
    if !name.eq_ignore_ascii_case("authorization") {
        return text;
    }
    let (scheme, secret) = text.split_once(' ').unwrap_or(("", &text));
    format!("{scheme} sha256:{}", &sha256(secret.as_bytes())[..16])
}

impl Exchange<'_> {
    /// Sends a reply as it is.
    pub fn send_whole(&mut self, reply: &Reply, keep_alive: bool) -> io::Result<()> {
        let mut reply = reply.clone();
        self.finish_head(&mut reply);
        let mut bytes = encode(&reply, keep_alive, false);
        bytes.extend_from_slice(reply.body.bytes());
        self.wire.send(&bytes)
    }

    /// Whether the connection serves another request.
    pub fn keeps_alive(&self, head: &Head) -> bool {
        head.keeps_alive() && self.shared.state().settings.connection == Connection::KeepAlive
    }

    /// Adds what every reply has.
    pub fn finish_head(&self, reply: &mut Reply) {
        let state = self.shared.state();
        if !reply.names("Date") {
            reply.headers.push(("Date".to_owned(), http_date(state.date()).into_bytes()));
        }
        if let Some(seconds) = state.settings.keep_alive_hint_s {
            reply.headers.push(("Keep-Alive".to_owned(), format!("timeout={seconds}").into_bytes()));
        }
    }

    /// Writes into the ledger what is answered.
    pub fn note_reply(&self, reply: &Reply) {
        self.shared.state().entry(self.seq, |e| {
            e.status = reply.status;
            e.code = reply.code.clone();
            e.stored_id = reply.stored.clone().or(e.stored_id.take());
        });
    }

    /// The reply: of the script, or of the API.
    fn reply(&mut self, request: &Request) -> Reply {
        let date = self.shared.state().date();
        match &self.fault {
            Fault::Status(canned) if canned.after_store => {
                let stored = process(self.shared, request, self.admitted).stored;
                Reply { stored, ..canned.reply(date) }
            }
            Fault::Status(canned) | Fault::StatusEarly(canned) => canned.reply(date),
            Fault::Html { status } => Reply::html(*status),
            Fault::Redirect { status, location } => Reply::empty(*status).header("Location", location.as_str()),
            Fault::Garbage {} | Fault::HangUp { after_store: false } => Reply::default(),
            Fault::Deep { status, depth } => deep(*status, *depth as usize),
            Fault::Deferred { ms, status } => {
                self.process_later(*ms, request.clone());
                status.map_or_else(|| Reply { reset: true, ..Reply::default() }, |status| Canned { status, ..Canned::default() }.reply(date))
            }
            _ => process(self.shared, request, self.admitted),
        }
    }

    fn process_later(&self, ms: u64, request: Request) {
        let (shared, admitted) = (self.shared.clone(), self.admitted);
        std::thread::spawn(move || {
            sleep(&shared, ms);
            if !shared.stopping() {
                let stored = process(&shared, &request, admitted).stored;
                shared.state().entry(request.seq, |e| e.stored_id = stored);
            }
        });
    }

    /// The emulator is ending.
    pub fn stopping(&self) -> bool {
        self.shared.stopping()
    }

    /// Waits without looking at the connection.
    pub fn sleep(&self, ms: u64) {
        sleep(self.shared, ms);
    }

    /// Waits; false when there is nobody left to go on for. `take`: the request is read, what else comes may be taken in.
    pub fn stall(&mut self, ms: Option<u64>, take: bool) -> bool {
        let end = ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let left = end.map_or(Duration::MAX, |e| e.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            if self.shared.stopping() || self.wire.is_gone(left.min(Duration::from_millis(20)), take) {
                return false;
            }
        }
    }
}

fn process(shared: &Shared, request: &Request, admitted: bool) -> Reply {
    let mut state = shared.state();
    match request.head.path.starts_with("/oauth/") {
        true => oauth::answer(&mut state, request),
        false => crm::answer(&mut state, request, admitted),
    }
}

fn sleep(shared: &Shared, ms: u64) {
    let end = Instant::now() + Duration::from_millis(ms);
    while !shared.stopping() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// An error whose `details` are nested. Written by hand: to build such a value and to write it recurses.
fn deep(status: u16, depth: usize) -> Reply {
    let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
    let body = format!("{{\"code\":\"INVALID_DATA\",\"details\":{open}{{}}{close},\"message\":\"invalid data\",\"status\":\"error\"}}");
    let mut reply = Reply::json(status, &serde_json::Value::Null);
    reply.body = body.into_bytes().into();
    reply
}
