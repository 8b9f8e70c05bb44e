//! Writing a reply, with what a fault makes of it.

use std::io;

use crate::edit;
use crate::exchange::{Exchange, Next};
use crate::fault::{Endless, Fault, SlowPart, StallAt};
use crate::reply::{Blob, Framing, Reply};
use crate::request::Head;
use crate::wire::encode;

impl Exchange<'_> {
    /// Writes the reply, or what the fault makes of it.
    pub fn deliver(&mut self, head: &Head, mut reply: Reply) -> Next {
        self.finish_head(&mut reply);
        self.disfigure(&mut reply);
        let reset = reply.reset || self.fault.loses_reply();
        let silent = reset || matches!(self.fault, Fault::ResetInReply { after_bytes: 0 } | Fault::HangUp { .. });
        let told = if silent { Reply { status: 0, code: None, ..reply.clone() } } else { reply.clone() };
        self.note_reply(&told);
        if reset {
            return Next::Reset;
        }
        if matches!(self.fault, Fault::HangUp { .. }) {
            return Next::Cut;
        }
        if let Fault::Stall { at: StallAt::BeforeReply, ms, .. } = self.fault
            && !self.stall(ms, true)
        {
            return Next::Close;
        }
        if self.fault == Fault::garbage() {
            let _ = self.wire.send(b"\x00\x17\xfe\xffThis is not HTTP\r\n\x01\x02\x03");
            return Next::Close;
        }
        // The call is over for the concurrency count before a client can know its end.
        if reply.body.bytes().len() < 65_536 {
            self.active.end();
        }
        let no_body = head.method == "HEAD" || matches!(reply.status, 204 | 304);
        let keep = self.keeps_alive(head) && (reply.framing != Framing::Close || no_body);
        let start = encode(&reply, keep, no_body);
        let chunked;
        let body = match (no_body, reply.framing) {
            (true, _) => &[],
            (false, framing) if framing == Framing::Chunked || codes_chunks(&reply) => {
                chunked = chunks(reply.body.bytes());
                chunked.as_slice()
            }
            (false, _) => reply.body.bytes(),
        };
        self.write(&start, body, keep).unwrap_or(Next::Close)
    }

    fn disfigure(&self, reply: &mut Reply) {
        match &self.fault {
            Fault::NoLength {} => reply.framing = Framing::Close,
            Fault::Chunked {} | Fault::Endless { what: Endless::Body | Endless::Trailers, .. } => reply.framing = Framing::Chunked,
            Fault::Empty {} => reply.body = Blob::default(),
            Fault::Corrupt {} => {
                let mut bytes = reply.body.bytes().to_vec();
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 0x20;
                }
                reply.body = bytes.into();
            }
            Fault::Edit { set, without } => edit::edit(reply, |json| {
                set.iter().try_for_each(|(pointer, value)| edit::set(json, pointer, value))?;
                without.iter().try_for_each(|pointer| edit::remove(json, pointer))
            }),
            Fault::Replace { from, to } => edit::replace(reply, from, to),
            Fault::Head { status, without, lines, .. } => {
                reply.status = status.unwrap_or(reply.status);
                without.iter().for_each(|name| reply.remove(name));
                reply.lines.extend_from_slice(lines);
            }
            _ => {}
        }
    }

    fn write(&mut self, start: &[u8], body: &[u8], keep: bool) -> io::Result<Next> {
        let whole = start.len() + body.len();
        match self.fault {
            Fault::Truncate { bytes } => {
                let cut = body.len().saturating_sub(bytes as usize);
                self.send_range(start, body, 0, start.len() + cut)?;
                Ok(Next::Cut)
            }
            Fault::Overlong { bytes } => {
                self.send_range(start, body, 0, whole)?;
                let piece = vec![b'x'; bytes.min(65_536) as usize];
                let mut left = bytes;
                while left > 0 && !self.stopping() {
                    let now = left.min(piece.len() as u64);
                    self.wire.send(&piece[..now as usize])?;
                    left -= now;
                }
                Ok(Next::Close)
            }
            Fault::ResetInReply { after_bytes } => {
                self.send_range(start, body, 0, whole.min(after_bytes as usize))?;
                // Let the bytes be read before the reset overtakes them.
                self.sleep(20);
                Ok(Next::Reset)
            }
            Fault::Stall { at: StallAt::Reply, after_bytes, ms } => {
                let first = whole.min(after_bytes as usize);
                self.send_range(start, body, 0, first)?;
                if !self.stall(ms, true) {
                    return Ok(Next::Close);
                }
                self.send_range(start, body, first, whole)?;
                Ok(after(keep))
            }
            Fault::Slow { bytes, ms, part } => {
                let slow = match part {
                    SlowPart::Whole => 0..whole,
                    SlowPart::Head => 0..start.len(),
                    SlowPart::Body => start.len()..whole,
                };
                self.send_range(start, body, 0, slow.start)?;
                let step = bytes.max(1) as usize;
                for from in slow.clone().step_by(step) {
                    self.send_range(start, body, from, slow.end.min(from.saturating_add(step)))?;
                    self.sleep(ms);
                }
                self.send_range(start, body, slow.end, whole)?;
                Ok(after(keep))
            }
            Fault::Endless { what, ms, times } => {
                let (at, unit): (usize, &[u8]) = match what {
                    Endless::Continue => (0, b"HTTP/1.1 100 Continue\r\n\r\n"),
                    Endless::Head => (start.len() - 2, b"X-Endless: x\r\n"),
                    Endless::Body => (start.len(), b"1\r\nx\r\n"),
                    Endless::Trailers => (whole - 2, b"X-Endless: x\r\n"),
                };
                self.send_range(start, body, 0, at)?;
                let mut sent = 0;
                while times.is_none_or(|times| sent < times) && !self.stopping() {
                    self.wire.send(unit)?;
                    sent += 1;
                    self.sleep(ms);
                }
                self.send_range(start, body, at, whole)?;
                Ok(after(keep))
            }
            _ => {
                self.send_range(start, body, 0, whole)?;
                let close = match &self.fault {
                    Fault::CloseIdle {} | Fault::Head { close: true, .. } => true,
                    Fault::Status(canned) => canned.close,
                    _ => false,
                };
                Ok(after(keep && !close))
            }
        }
    }

    /// Sends bytes `from..to` of head and body taken together.
    fn send_range(&mut self, start: &[u8], body: &[u8], from: usize, to: usize) -> io::Result<()> {
        let edge = start.len();
        if from == to {
            return Ok(());
        }
        if from == 0 && to <= edge + 65_536 {
            // One write for a small reply, so that it leaves in one packet.
            let mut bytes = start[..to.min(edge)].to_vec();
            bytes.extend_from_slice(&body[..to.saturating_sub(edge)]);
            return self.wire.send(&bytes);
        }
        if from < edge {
            self.wire.send(&start[from..to.min(edge)])?;
        }
        if to > edge {
            self.wire.send(&body[from.saturating_sub(edge)..to - edge])?;
        }
        Ok(())
    }
}

/// A line of a fault says that the body is in chunks, so it is.
fn codes_chunks(reply: &Reply) -> bool {
    let chunked = |l: &String| {
        let line = l.to_ascii_lowercase();
        line.starts_with("transfer-encoding") && line.trim_end().ends_with("chunked")
    };
    reply.lines.iter().any(chunked)
}

fn after(keep: bool) -> Next {
    if keep { Next::Continue } else { Next::Close }
}

fn chunks(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 1000 + 64);
    for chunk in body.chunks(16_384) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
