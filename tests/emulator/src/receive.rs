//! Reading a request, with what a fault makes of that.

use std::sync::Arc;

use crate::canned::Canned;
use crate::exchange::{Exchange, Next, note_fault};
use crate::fault::{Fault, StallAt};
use crate::ledger;
use crate::reply::Reply;
use crate::request::{Head, Request};
use crate::script::Seen;
use crate::settings::{ChunkedRequest, TooLarge};
use crate::wire::{BodyEnd, Sink};
use crate::{crm, name};

impl Exchange<'_> {
    /// Reads the body; the error is what becomes of the connection when there is nothing to process.
    pub fn receive(&mut self, head: Head) -> Result<Request, Next> {
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
    pub fn look_again(&mut self, request: &Request) -> Result<(), Next> {
        if self.settled || self.fault != Fault::none() {
            return Ok(());
        }
        let head = &request.head;
        let operation = crm::operation(&head.method, &head.path);
        let fields = if operation == "token" { request.all_parameters() } else { Vec::new() };
        let field = |names: &[&str]| fields.iter().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.as_str());
        let mut state = self.shared.state();
        let file = request.good_parts().iter().find(|p| p.filename.is_some());
        let file_name = file.and_then(|p| name::sent(&state.settings, p).ok());
        let of_client = field(&["client_id"]).and_then(|id| state.accounts.client(id)).map(|c| c.organisation);
        let seen = Seen {
            operation,
            organisation: crm::organisation_of(&state, head).or(of_client).map(|o| o + 1),
            file_name: file_name.as_deref(),
            ..Seen::of_head(head)
        };
        let seen = Seen { token: seen.token.or(field(&["refresh_token", "code"])), ..seen };
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

    fn note_receipt(&mut self, sink: &Sink, complete: bool) {
        let sha256 = sink.sha256();
        self.shared.state().entry(self.seq, |e| {
            e.body_bytes = sink.received;
            e.body_sha256 = sha256;
            e.body_complete = complete;
        });
    }

    /// Writes into the ledger what the body holds.
    pub fn note_body(&self, request: &Request) {
        let parts = request.good_parts().iter().map(|p| p.entry()).collect();
        let token = request.head.path == "/oauth/v2/token";
        let grant = token.then(|| request.all_parameters().into_iter().find(|(n, _)| n == "grant_type"));
        let mut state = self.shared.state();
        let client = token.then(|| request.all_parameters().into_iter().find(|(n, _)| n == "client_id")).flatten();
        let of_client = client.and_then(|(_, id)| state.accounts.client(&id).map(|c| c.organisation + 1));
        state.entry(self.seq, |e| {
            e.parts = parts;
            e.grant_type = grant.flatten().map(|(_, value)| value);
            e.organisation = e.organisation.or(of_client);
        });
    }
}
