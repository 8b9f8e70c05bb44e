//! One request and its reply, with the fault that may come between.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::{Canned, Fault, StallAt};
use crate::ledger::{self, FaultFired};
use crate::reply::Reply;
use crate::request::{Head, Request};
use crate::server::Shared;
use crate::settings::{ChunkedRequest, TooLarge};
use crate::wire::{BodyEnd, Sink, Wire, encode};
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
    shared: &'a Arc<Shared>,
    /// The connection.
    pub wire: &'a mut Wire,
    seq: u64,
    /// The fault that fires.
    pub fault: Fault,
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
    if head.path.starts_with("/_emulator/") {
        return run_control(shared, wire, head);
    }
    let mut exchange = begin(shared, wire, connection, &head);
    let mut request = match exchange.receive(head) {
        Ok(request) => request,
        Err(next) => return next,
    };
    if let Fault::Delay { ms } = exchange.fault {
        exchange.sleep(ms);
    }
    request.split();
    exchange.note_body(&request);
    let reply = exchange.reply(&request);
    exchange.deliver(&request.head, reply)
}

fn run_control(shared: &Arc<Shared>, wire: &mut Wire, head: Head) -> Next {
    let mut sink = Sink::new(u64::MAX, head.content_length());
    if head.has_word("Expect", "100-continue") {
        let _ = wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    if wire.read_body(&head, &mut sink, None) != BodyEnd::Complete {
        return Next::Close;
    }
    let request = Request { head, body: Arc::new(sink.kept), ..Request::default() };
    let reply = control::answer(&mut shared.state(), &request);
    let keep = request.head.keeps_alive();
    let mut bytes = encode(&reply, keep, false);
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
    let fault = state.next_fault(operation);
    let fired = (fault != Fault::None).then(|| fault.clone());
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
        fault: fired.clone(),
        ..ledger::Request::default()
    });
    if let Some(fault) = fired {
        state.ledger.faults_fired.push(FaultFired { seq, operation: operation.to_owned(), fault });
    }
    let admitted = organisation.is_none_or(|o| state.enter(o));
    drop(state);
    Exchange { shared, wire, seq, fault, admitted, active: Active { shared, organisation } }
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
        let (rename, hide_ms) = match &self.fault {
            Fault::Rename { name, .. } => (Some(name.clone()), 0),
            Fault::HideAttachment { ms, .. } => (None, *ms),
            _ => (None, 0),
        };
        Ok(Request { seq: self.seq, head, body, oversize, parts: None, rename, hide_ms })
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
        let reply = canned.reply();
        self.note_receipt(sink, end == BodyEnd::Complete);
        self.note_reply(&reply);
        let keep = !canned.close && !waits && head.keeps_alive();
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
        let mut bytes = encode(reply, keep_alive, false);
        bytes.extend_from_slice(reply.body.bytes());
        self.wire.send(&bytes)
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
        match &self.fault {
            Fault::Status(canned) if canned.after_store => {
                let canned = canned.clone();
                let stored = self.process(request).stored;
                Reply { stored, ..canned.reply() }
            }
            Fault::Status(canned) | Fault::Body(canned) => canned.reply(),
            Fault::Html { status } => Reply::html(*status),
            Fault::Redirect { status, location } => Reply::empty(*status).header("Location", location.as_str()),
            Fault::Garbage => Reply::default(),
            _ => self.process(request),
        }
    }

    fn process(&self, request: &Request) -> Reply {
        let mut state = self.shared.state();
        match request.head.path.starts_with("/oauth/") {
            true => oauth::answer(&mut state, request),
            false => crm::answer(&mut state, request, self.admitted),
        }
    }

    /// Waits without looking at the connection.
    pub fn sleep(&self, ms: u64) {
        let end = Instant::now() + Duration::from_millis(ms);
        while !self.shared.stopping() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
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
