//! The control paths under `/_emulator/`: all that the library offers, for tests in other languages.

mod guard;
mod strict;
mod world;

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock;
use crate::exchange::Next;
use crate::fault::{self, unknown};
use crate::ledger::Ledger;
use crate::page;
use crate::reply::{Blob, Reply};
use crate::request::{Head, Request};
use crate::script::{OPERATIONS, Script};
use crate::server::Shared;
use crate::state::State;
use crate::wire::{BodyEnd, Sink, Wire, encode};

pub use guard::without_port;
pub use world::world;

/// A request that can't be answered.
struct Refusal {
    status: u16,
    text: String,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(text: T) -> Refusal {
        Refusal { status: 400, text: text.into() }
    }
}

type Outcome = Result<Reply, Refusal>;

/// A control request under way.
struct Control<'a> {
    state: &'a mut State,
    request: &'a Request,
    /// What stands in the path for the words in braces.
    names: Vec<&'a str>,
}

/// One thing that can be asked for.
struct Route {
    method: &'static str,
    path: &'static str,
    help: &'static str,
    answer: fn(&mut Control<'_>) -> Outcome,
}

macro_rules! routes {
    ($($method:literal $path:literal $help:literal $answer:expr;)*) => {
        &[$(Route { method: $method, path: $path, help: $help, answer: $answer }),*]
    };
}

const ROUTES: &[Route] = routes! {
    "GET" "" "what there is" index;
    "GET" "events" "server-sent events: `request` with each line of the ledger as it changes, `changed` when anything else may have"
        |_| Ok(Reply { follow: true, ..Reply::default() });
    "GET" "page.js" "the script of the page at /" |_| Ok(page::script());
    "GET" "page.css" "its style" |_| Ok(page::style());
    "GET" "health" "200 when it serves" |_| done();
    "GET" "ledger" "every request, part, stored hash, token and fault; ?organisation=n: its own" ledger;
    "DELETE" "ledger" "forget them" |c| { c.state.ledger = Ledger::default(); done() };
    "GET" "faults" "every script" |c| tell(json!(c.state.scripts));
    "POST" "faults" "add a script: {\"operation\":…,\"faults\":[{\"kind\":…}]}" add_faults;
    "DELETE" "faults" "forget all scripts" |c| { c.state.scripts.clear(); done() };
    "GET" "faults/kinds" "the kinds of faults with their fields, and the operations"
        |_| tell(json!({"kinds": fault::kinds(), "operations": OPERATIONS}));
    "GET" "settings" "every switch with its value" |c| tell(json!(c.state.settings));
    "PATCH" "settings" "change those named" |c| { let change: Value = c.body()?; c.state.settings.patch(&change)?; tell(json!(c.state.settings)) };
    "GET" "world" "organisations, credentials, records" |c| tell(world(c.state));
    "POST" "organisations" "a world of one's own: {\"name\":…,\"records\":[{\"module\":\"Contacts\",\"name\":…}]}" |c| world::add_organisation(c);
    "GET" "clock" "its time" read_clock;
    "POST" "clock/advance" "{\"ms\":600000}: no need to wait for windows to pass" advance;
    "POST" "tokens/expire" "end every access token; with {\"organisation\":n} its own" expire;
    "POST" "tokens/grant-code" "{\"organisation\":1}: a grant code" grant_code;
    "POST" "tokens/access" "{\"organisation\":1,\"scope\":…}: an access token, outside of all limits" access;
    "POST" "records" "{\"module\":\"Contacts\",\"state\":\"normal\"}: a record; ?organisation=n here and below" |c| world::add_record(c);
    "PATCH" "records/{module}/{id}" "{\"state\":…}: normal, locked, not_approved, not_reviewed, restricted" |c| world::set_state(c);
    "DELETE" "records/{module}/{id}" "delete it with all it has" |c| {
        let (organisation, (module, id)) = (c.organisation()?, c.record());
        tell(json!({"deleted": c.state.delete_record(organisation, module, id)}))
    };
    "GET" "records/{module}/{id}/attachments" "list them" |c| world::attachments(c);
    "POST" "records/{module}/{id}/attachments" "?name=…: attach the raw body" |c| world::attach(c);
    "GET" "records/{module}/{id}/attachments/{attachment}" "the raw bytes" |c| world::attachment(c);
    "POST" "records/{module}/{id}/links" "{\"url\":…,\"title\":…}: attach a link" |c| world::attach_link(c);
    "GET" "records/{module}/{id}/photo" "the raw bytes" |c| world::photo(c);
    "PUT" "records/{module}/{id}/photo" "set it to the raw body" set_photo;
    "POST" "records/{module}/{id}/photo" "the same" set_photo;
    "POST" "reset" "back to the seeded state, settings included" |c| { c.state.reset(); done() };
};

/// Serves a control request whose head has arrived.
pub fn serve(shared: &Arc<Shared>, wire: &mut Wire, head: Head) -> Next {
    let limit = {
        let state = shared.state();
        let limit = body_limit(&state, &head);
        let large = head.content_length().is_some_and(|length| length > limit);
        admit(&state, &head).and_then(|()| if large { Err(Box::new(too_large(limit))) } else { Ok(limit) })
    };
    let limit = match limit {
        Ok(limit) => limit,
        Err(refusal) => return send(wire, &refusal, false),
    };
    let mut sink = Sink::new(limit, head.content_length());
    if head.has_word("Expect", "100-continue") {
        let _ = wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    match wire.read_body(&head, &mut sink, Some(limit + 1)) {
        BodyEnd::Complete => {}
        BodyEnd::Stopped => return send(wire, &too_large(limit), false),
        BodyEnd::Gone | BodyEnd::Malformed => return Next::Close,
    }
    let request = Request { head, body: Arc::new(sink.kept), ..Request::default() };
    let reply = answer(&mut shared.state(), &request);
    if reply.follow {
        return page::tell(shared, wire);
    }
    send(wire, &reply, request.head.keeps_alive())
}

fn send(wire: &mut Wire, reply: &Reply, keep: bool) -> Next {
    let mut bytes = encode(reply, keep, false);
    bytes.extend_from_slice(reply.body.bytes());
    match wire.send(&bytes) {
        Ok(()) if keep => Next::Continue,
        _ => Next::Close,
    }
}

/// Whether a path is the emulator's own and not the API's: the page, or below `/_emulator/`.
pub fn is_own(path: &str) -> bool {
    path == "/" || path == "/_emulator" || path.starts_with("/_emulator/")
}

/// Fails for who may not use the control paths.
fn admit(state: &State, head: &Head) -> Result<(), Box<Reply>> {
    guard::check(head, state.settings.public_name.as_deref()).map_err(|text| Box::new(refusal(Refusal { status: 403, text })))
}

/// Most bytes of a control request's body: a file's where one is taken, else enough for any JSON.
fn body_limit(state: &State, head: &Head) -> u64 {
    let last = head.path.rsplit('/').next().unwrap_or_default();
    if matches!(last, "attachments" | "photo") { state.settings.body_limit } else { 16 * 1024 * 1024 }
}

/// The refusal of a body over that.
fn too_large(limit: u64) -> Reply {
    refusal(Refusal { status: 413, text: format!("the body is over {limit} bytes") })
}

/// Answers a control request.
fn answer(state: &mut State, request: &Request) -> Reply {
    let head = &request.head;
    if head.path == "/" && head.method == "GET" {
        return page::html();
    }
    let path = head.path.strip_prefix("/_emulator").unwrap_or_default().trim_start_matches('/');
    let found: Vec<(&Route, Vec<&str>)> = ROUTES.iter().filter_map(|r| Some((r, names(r.path, path)?))).collect();
    let Some((route, names)) = found.iter().find(|(r, _)| r.method == head.method) else {
        let methods: Vec<&str> = found.iter().map(|(r, _)| r.method).collect();
        return refusal(match methods.is_empty() {
            true => Refusal { status: 404, text: format!("there is no /_emulator/{path}; GET /_emulator/ lists what there is") },
            false => Refusal { status: 405, text: format!("/_emulator/{path} takes {}, not {}", methods.join(", "), head.method) },
        });
    };
    // `of` tells one photo from an older one to a browser.
    const PARAMETERS: [&str; 3] = ["organisation", "name", "of"];
    if let Some((name, _)) = head.query_pairs().into_iter().find(|(n, _)| !PARAMETERS.contains(&n.as_str())) {
        return refusal(unknown("parameter", &name, PARAMETERS.into_iter()).into());
    }
    if route.method != "GET" {
        state.changes += 1;
    }
    (route.answer)(&mut Control { state, request, names: names.clone() }).unwrap_or_else(refusal)
}

/// What stands in a path for the words in braces of a pattern, if it fits.
fn names<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (wanted, there): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let is_name = |word: &str| word.starts_with('{');
    let fits = wanted.len() == there.len() && wanted.iter().zip(&there).all(|(w, t)| if is_name(w) { !t.is_empty() } else { w == t });
    fits.then(|| wanted.iter().zip(there).filter(|(w, _)| is_name(w)).map(|(_, t)| t).collect())
}

fn tell(value: Value) -> Outcome {
    Ok(of_json(200, &value))
}

fn done() -> Outcome {
    tell(json!({}))
}

fn refusal(refusal: Refusal) -> Reply {
    of_json(refusal.status, &json!({"error": refusal.text}))
}

fn of_json(status: u16, value: &Value) -> Reply {
    Reply::plain_json(status, value).header("X-Content-Type-Options", "nosniff").header("Cache-Control", "no-store")
}

impl<'a> Control<'a> {
    /// The JSON object of the body; an empty body is an empty object. A key that `T` doesn't know is refused by name.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body: &[u8] = if self.request.body.is_empty() { b"{}" } else { &self.request.body };
        let strict::Strict(value) = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        if !value.is_object() {
            return Err("the body is a JSON object".into());
        }
        serde_json::from_value(value).map_err(|e| e.to_string().into())
    }

    /// The organisation that the query names, counted from 1 there and from 0 here.
    fn organisation(&self) -> Result<usize, Refusal> {
        let number = self.request.head.parameter("organisation").map_or(Ok(1), |n| n.parse()).map_err(|_| "organisation: is a number")?;
        self.numbered(number)
    }

    /// The index of an organisation that is counted from 1.
    fn numbered(&self, number: u64) -> Result<usize, Refusal> {
        let count = self.state.organisations.len();
        let inside = (1..=count as u64).contains(&number);
        if inside { Ok(number as usize - 1) } else { Err(format!("organisation: there is no {number}; there are 1 to {count}").into()) }
    }

    /// Module and id of a record's path.
    fn record(&self) -> (&'a str, &'a str) {
        (self.names[0], self.names[1])
    }
}

fn index(_: &mut Control<'_>) -> Outcome {
    let all: Vec<Value> = ROUTES.iter().map(|r| json!({"method": r.method, "path": format!("/_emulator/{}", r.path), "help": r.help})).collect();
    tell(json!({"paths": all}))
}

fn ledger(c: &mut Control<'_>) -> Outcome {
    match c.request.head.parameter("organisation") {
        None => tell(json!(c.state.ledger)),
        Some(_) => {
            let number = c.organisation()? + 1;
            tell(json!(c.state.ledger.of(number)))
        }
    }
}

fn add_faults(c: &mut Control<'_>) -> Outcome {
    let script = Script::read(&c.body::<Value>()?)?;
    if let Some(number) = script.organisation() {
        c.numbered(number as u64)?;
    }
    tell(json!({"queued": c.state.scripts.add(script)}))
}

fn read_clock(c: &mut Control<'_>) -> Outcome {
    let (now, date) = (c.state.now(), c.state.date());
    tell(json!({"now": clock::iso(now, 0), "ms": now, "ahead_ms": c.state.clock.ahead_ms(), "date": clock::http_date(date)}))
}

fn advance(c: &mut Control<'_>) -> Outcome {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct By {
        ms: u64,
    }
    let by: By = c.body()?;
    c.state.clock.advance(by.ms)?;
    read_clock(c)
}

/// Whose token is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    organisation: Option<u64>,
    scope: Option<String>,
}

fn expire(c: &mut Control<'_>) -> Outcome {
    match c.body::<Whose>()?.organisation {
        None => c.state.accounts.expire_all(),
        Some(number) => {
            let organisation = c.numbered(number)?;
            c.state.accounts.expire_of(organisation);
        }
    }
    done()
}

fn grant_code(c: &mut Control<'_>) -> Outcome {
    let organisation = c.numbered(c.body::<Whose>()?.organisation.unwrap_or(1))?;
    tell(json!({"code": c.state.self_client_code(organisation)}))
}

fn access(c: &mut Control<'_>) -> Outcome {
    let whose: Whose = c.body()?;
    let organisation = c.numbered(whose.organisation.unwrap_or(1))?;
    let token = match whose.scope {
        Some(scope) => c.state.scoped_access(organisation, &scope),
        None => c.state.current_access(organisation),
    };
    tell(json!({"access_token": token}))
}

fn set_photo(c: &mut Control<'_>) -> Outcome {
    let (organisation, (module, id)) = (c.organisation()?, c.record());
    c.state.set_photo(organisation, module, id, &c.request.body)?;
    done()
}

fn bytes(kind: &str, content: Option<&Blob>) -> Outcome {
    let reply = content.map(|content| Reply::bytes(200, kind, content.clone()).header("X-Content-Type-Options", "nosniff"));
    Ok(reply.unwrap_or_else(|| Reply::empty(404)))
}
