//! One request and its reply, with the fault that may come between.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canned::Canned;
use crate::clock::http_date;
use crate::fault::{Fault, StallAt};
use crate::ledger::{self, FaultFired};
use crate::reply::Reply;
use crate::request::{Head, Request};
use crate::script::Seen;
use crate::server::Shared;
use crate::settings::{ChunkedRequest, Connection, TooLarge};
use crate::state::State;
use crate::wire::{BodyEnd, Sink, Wire, encode};
use crate::world::sha256;
use crate::{control, crm, name, oauth, page};

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
    shared: &'a Arc<Shared>,
    /// The connection.
    pub wire: &'a mut Wire,
    seq: u64,
    /// The fault that fires.
    pub fault: Fault,
    /// A script has said which, be it none.
    settled: bool,
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
        return run_control(shared, wire, head);
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
    request.fault = exchange.fault.clone();
    let reply = exchange.reply(&request);
    exchange.deliver(&request.head, reply)
}

fn run_control(shared: &Arc<Shared>, wire: &mut Wire, head: Head) -> Next {
    let limit = {
        let state = shared.state();
        let limit = control::body_limit(&state, &head);
        let large = head.content_length().is_some_and(|length| length > limit);
        control::admit(&state, &head).and_then(|()| if large { Err(Box::new(control::too_large(limit))) } else { Ok(limit) })
    };
    let limit = match limit {
        Ok(limit) => limit,
        Err(refusal) => return send_control(wire, &refusal, false),
    };
    let mut sink = Sink::new(limit, head.content_length());
    if head.has_word("Expect", "100-continue") {
        let _ = wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    match wire.read_body(&head, &mut sink, Some(limit + 1)) {
        BodyEnd::Complete => {}
        BodyEnd::Stopped => return send_control(wire, &control::too_large(limit), false),
        BodyEnd::Gone | BodyEnd::Malformed => return Next::Close,
    }
    let request = Request { head, body: Arc::new(sink.kept), ..Request::default() };
    let reply = control::answer(&mut shared.state(), &request);
    if reply.follow {
        return page::tell(shared, wire);
    }
    send_control(wire, &reply, request.head.keeps_alive())
}

fn send_control(wire: &mut Wire, reply: &Reply, keep: bool) -> Next {
    let mut bytes = encode(reply, keep, false);
    bytes.extend_from_slice(reply.body.bytes());
    match wire.send(&bytes) {
        Ok(()) if keep => Next::Continue,
        _ => Next::Close,
    }
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
        authorization_ok: organisation.is_some(),
        token: head.authorization().map(|(_, token)| token.chars().take(12).collect()),
        ..ledger::Request::default()
    });
    let seen = Seen {
        operation,
        record: crm::route(&head.path).and_then(|(_, target)| target.record()),
        organisation: organisation.map(|o| o + 1),
        token: head.authorization().map(|(_, token)| token),
        file_name: None,
    };
    let scripted = state.scripts.take(&seen);
    let settled = scripted.is_some();
    let fault = scripted.unwrap_or_else(|| state.chaos_fault());
    note_fault(&mut state, seq, operation, &fault);
    let admitted = organisation.is_none_or(|o| state.enter(o));
    drop(state);
    Exchange { shared, wire, seq, fault, settled, admitted, active: Active { shared, organisation } }
}

fn note_fault(state: &mut State, seq: u64, operation: &str, fault: &Fault) {
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
    /// Reads the body; the error is what becomes of the connection when there is nothing to process.
    fn receive(&mut self, head: Head) -> Result<Request, Next> {
        let (limit, early) = self.body_rules(&head)?;
        let mut sink = Sink::new(limit, head.content_length());
        if let Some(canned) = early {
            return Err(self.answer_early(&head, &mut sink, &canned));
        }
        self.invite(&head);
        let stop = match self.fault {
            Fault::ResetBeforeStore { after_bytes } => after_bytes,
            Fault::Stall { at: StallAt::Request, after_bytes, .. } => Some(after_bytes),
            _ => None,
        };
        let mut end = self.wire.read_body(&head, &mut sink, stop);
        if let Fault::Stall { at: StallAt::Request, ms, .. } = self.fault {
            if !self.stall(ms, false) {
                self.note_receipt(&sink, false);
                return Err(Next::Close);
            }
            if end == BodyEnd::Stopped {
                end = self.wire.read_body(&head, &mut sink, None);
            }
        }
        self.note_receipt(&sink, end == BodyEnd::Complete);
        if matches!(self.fault, Fault::ResetBeforeStore { .. }) {
            return Err(Next::Reset);
        }
        match end {
            BodyEnd::Complete => {}
            BodyEnd::Malformed => return Err(self.refuse(Reply::html(400))),
            BodyEnd::Stopped | BodyEnd::Gone => return Err(Next::Close),
        }
        let oversize = sink.oversize;
        let body = Arc::new(sink.kept);
        Ok(Request { seq: self.seq, head, body, oversize, parts: None, fault: Fault::none() })
    }

    /// Looks for a fault that is bound to what only the body tells. The error is what becomes of the connection.
    fn look_again(&mut self, request: &Request) -> Result<(), Next> {
        if self.settled || self.fault != Fault::none() {
            return Ok(());
        }
        let head = &request.head;
        let operation = crm::operation(&head.method, &head.path);
        let fields = if operation == "token" { request.all_parameters() } else { Vec::new() };
        let field = |names: [&str; 2]| fields.iter().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.as_str());
        let mut state = self.shared.state();
        let file = request.good_parts().iter().find(|p| p.filename.is_some());
        let file_name = file.and_then(|p| name::sent(&state.settings, p).ok());
        let of_client = field(["client_id", "client_id"]).and_then(|id| state.accounts.client(id)).map(|c| c.organisation);
        let seen = Seen {
            operation,
            record: crm::route(&head.path).and_then(|(_, target)| target.record()),
            organisation: crm::organisation_of(&state, head).or(of_client).map(|o| o + 1),
            token: head.authorization().map(|(_, token)| token).or(field(["refresh_token", "code"])),
            file_name: file_name.as_deref(),
        };
        let Some(fault) = state.scripts.take(&seen) else { return Ok(()) };
        note_fault(&mut state, self.seq, operation, &fault);
        drop(state);
        self.fault = fault;
        match self.fault {
            Fault::ResetBeforeStore { .. } => Err(Next::Reset),
            Fault::Stall { at: StallAt::Request, ms, .. } => self.stall(ms, true).then_some(()).ok_or(Next::Close),
            _ => Ok(()),
        }
    }

    /// The body limit of a request, and an answer to give before its body.
    fn body_rules(&mut self, head: &Head) -> Result<(u64, Option<Canned>), Next> {
        let state = self.shared.state();
        let settings = &state.settings;
        let files = crm::operation(&head.method, &head.path) == "files.upload";
        // Ten files of the limit each, and their frames.
        let limit = if files { settings.zfs_file_limit * 10 + 65_536 } else { settings.body_limit };
        let refuse_chunks = head.is_chunked() && settings.chunked_request == ChunkedRequest::LengthRequired;
        let over = head.content_length().is_some_and(|l| l > limit);
        let mut early = match &self.fault {
            Fault::StatusEarly(canned) => Some(canned.clone()),
            _ => None,
        };
        if over && early.is_none() && settings.too_large == TooLarge::EarlyJson {
            let body = ledger::lossless(crm::too_large(&state).body.bytes());
            let kind = Some("application/json;charset=UTF-8".to_owned());
            let code = Some(settings.too_large_code.clone());
            early = Some(Canned { status: 413, body: Some(body), content_type: kind, code, ..Canned::default() });
        }
        drop(state);
        if refuse_chunks {
            return Err(self.refuse(Reply::html(411)));
        }
        Ok((limit, early))
    }

    /// `100 Continue`, if the client waits for it.
    fn invite(&mut self, head: &Head) {
        let has_body = head.is_chunked() || head.content_length().unwrap_or(0) > 0;
        if has_body && head.minor == 1 && head.has_word("Expect", "100-continue") {
            let _ = self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn answer_early(&mut self, head: &Head, sink: &mut Sink, canned: &Canned) -> Next {
        // A client that waits for an invitation gets the answer in its place, and its body never comes.
        let waits = canned.after_bytes == 0 && head.has_word("Expect", "100-continue");
        let mut end = BodyEnd::Stopped;
        if !waits {
            self.invite(head);
            end = self.wire.read_body(head, sink, Some(canned.after_bytes));
        }
        let reply = canned.reply(self.shared.state().date());
        self.note_receipt(sink, end == BodyEnd::Complete);
        self.note_reply(&reply);
        let keep = !canned.close && !waits && self.keeps_alive(head);
        if self.send_whole(&reply, keep).is_err() || canned.close || waits {
            return Next::Close;
        }
        if end == BodyEnd::Stopped {
            end = self.wire.read_body(head, sink, None);
            self.note_receipt(sink, end == BodyEnd::Complete);
        }
        if keep && end == BodyEnd::Complete { Next::Continue } else { Next::Close }
    }

    fn refuse(&mut self, reply: Reply) -> Next {
        self.note_reply(&reply);
        let _ = self.send_whole(&reply, false);
        Next::Close
    }

    fn send_whole(&mut self, reply: &Reply, keep_alive: bool) -> io::Result<()> {
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

    fn note_receipt(&mut self, sink: &Sink, complete: bool) {
        let sha256 = sink.sha256();
        self.shared.state().entry(self.seq, |e| {
            e.body_bytes = sink.received;
            e.body_sha256 = sha256;
            e.body_complete = complete;
        });
    }

    fn note_body(&self, request: &Request) {
        let parts = request.good_parts().iter().map(|p| p.entry()).collect();
        let token = request.head.path == "/oauth/v2/token";
        let grant = token.then(|| request.all_parameters().into_iter().find(|(n, _)| n == "grant_type"));
        self.shared.state().entry(self.seq, |e| {
            e.parts = parts;
            e.grant_type = grant.flatten().map(|(_, value)| value);
        });
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
            Fault::Garbage {} => Reply::default(),
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
