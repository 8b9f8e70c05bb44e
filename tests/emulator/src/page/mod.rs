//! The page at `/`: what the emulator holds, what reaches it, and faults that are armed by a click.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::exchange::Next;
use crate::reply::{Framing, Reply};
use crate::server::Shared;
use crate::state::State;
use crate::wire::{Wire, encode};

/// How often a listener looks for news.
const PACE: Duration = Duration::from_millis(100);
/// How often it hears that the emulator is there.
const PULSE: Duration = Duration::from_secs(15);
/// Requests that a listener is told at its start, and looks through later.
const REQUESTS: usize = 500;

/// Nothing from elsewhere, no script within the page, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub fn html() -> Reply {
    file("text/html;charset=UTF-8", include_str!("page.html")).header("Content-Security-Policy", POLICY)
}

/// Its script.
pub fn script() -> Reply {
    file("text/javascript;charset=UTF-8", include_str!("page.js"))
}

/// Its style.
pub fn style() -> Reply {
    file("text/css;charset=UTF-8", include_str!("page.css"))
}

fn file(kind: &str, text: &str) -> Reply {
    let reply = Reply::bytes(200, kind, text.as_bytes().to_vec());
    reply.header("X-Content-Type-Options", "nosniff").header("Cache-Control", "no-cache").header("Referrer-Policy", "no-referrer")
}

/// Tells a listener what happens, as server-sent events, until it goes: `request` with a line of the ledger as it begins and changes, and
/// `changed` when anything else may have.
pub fn tell(shared: &Arc<Shared>, wire: &mut Wire) -> Next {
    let mut reply =
        Reply::bytes(200, "text/event-stream", Vec::new()).header("Cache-Control", "no-store").header("X-Content-Type-Options", "nosniff");
    reply.framing = Framing::Close;
    let mut told = 0;
    let mut pulse = Instant::now();
    let mut sent = wire.send(&encode(&reply, false, false));
    while sent.is_ok() && !shared.stopping() {
        let text = news(&shared.state(), &mut told);
        if !text.is_empty() || pulse.elapsed() > PULSE {
            pulse = Instant::now();
            sent = wire.send(if text.is_empty() { b":\n\n" } else { text.as_bytes() });
        }
        if wire.is_gone(PACE, true) {
            break;
        }
    }
    Next::Close
}

fn news(state: &State, told: &mut u64) -> String {
    if state.changes == *told {
        return String::new();
    }
    let requests = &state.ledger.requests;
    let recent = requests[requests.len().saturating_sub(REQUESTS)..].iter().filter(|r| r.changed > *told);
    let mut text: String = recent.map(|r| format!("event: request\ndata: {}\n\n", json!(r))).collect();
    let first = requests.first().map(|r| r.seq);
    text.push_str(&format!("event: changed\ndata: {}\n\n", json!({"first": first})));
    *told = state.changes;
    text
}
