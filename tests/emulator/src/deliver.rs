//! Writing a reply, with what a fault makes of it.

use std::io;

use crate::exchange::{Exchange, Next};
use crate::fault::{Fault, StallAt};
use crate::reply::{Framing, Reply};
use crate::request::Head;
use crate::wire::encode;

impl Exchange<'_> {
    /// Writes the reply, or what the fault makes of it.
    pub fn deliver(&mut self, head: &Head, mut reply: Reply) -> Next {
        let reset = reply.reset || self.fault.loses_reply();
        let silent = reset || matches!(self.fault, Fault::ResetInReply { after_bytes: 0 });
        let told = if silent { Reply { status: 0, code: None, ..reply.clone() } } else { reply.clone() };
        self.note_reply(&told);
        if reset {
            return Next::Reset;
        }
        if let Fault::Stall { at: StallAt::BeforeReply, ms, .. } = self.fault
            && !self.stall(ms, true)
        {
            return Next::Close;
        }
        if self.fault == Fault::Garbage {
            let _ = self.wire.send(b"\x00\x17\xfe\xffThis is not HTTP\r\n\x01\x02\x03");
            return Next::Close;
        }
        // The call is over for the concurrency count before a client can know its end.
        if reply.body.bytes().len() < 65_536 {
            self.active.end();
        }
        self.disfigure(&mut reply);
        let no_body = head.method == "HEAD" || matches!(reply.status, 204 | 304);
        let keep = head.keeps_alive() && (reply.framing != Framing::Close || no_body);
        let start = encode(&reply, keep, no_body);
        let chunked;
        let body = match (no_body, reply.framing) {
            (true, _) => &[],
            (false, Framing::Chunked) => {
                chunked = chunks(reply.body.bytes());
                chunked.as_slice()
            }
            (false, _) => reply.body.bytes(),
        };
        self.write(&start, body, keep).unwrap_or(Next::Close)
    }

    fn disfigure(&self, reply: &mut Reply) {
        match self.fault {
            Fault::NoLength => reply.framing = Framing::Close,
            Fault::Chunked => reply.framing = Framing::Chunked,
            Fault::Corrupt => {
                let mut bytes = reply.body.bytes().to_vec();
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 0x20;
                }
                reply.body = bytes.into();
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
                self.wire.send(&vec![b'x'; bytes as usize])?;
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
            Fault::Slow { bytes, ms } => {
                for from in (0..whole).step_by(bytes.max(1) as usize) {
                    self.send_range(start, body, from, whole.min(from + bytes.max(1) as usize))?;
                    self.sleep(ms);
                }
                Ok(after(keep))
            }
            _ => {
                self.send_range(start, body, 0, whole)?;
                Ok(if self.fault == Fault::CloseIdle { Next::Close } else { after(keep) })
            }
        }
    }

    /// Sends bytes `from..to` of head and body taken together.
    fn send_range(&mut self, start: &[u8], body: &[u8], from: usize, to: usize) -> io::Result<()> {
        let edge = start.len();
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
