//! The faults of the matrix: what the server or the network does, and what may come of it.

use zcrm_emulator::{Fault, StallAt};

use crate::operation::Operation;

/// What has to come of a call that meets the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It succeeds.
    Success,
    /// It fails.
    Failure,
    /// Either: the invariants decide.
    Either,
}

/// One fault, once or several times.
pub struct Cause {
    pub name: String,
    pub script: Vec<Fault>,
    pub expect: Expect,
    /// The client has to give up waiting: short bounds are set for it.
    pub stalls: bool,
    /// The reply says something false in a valid form: nobody can know.
    pub lie: bool,
    /// How many of the script must fire; further ones may.
    pub fires: usize,
}

/// Where foreign redirects lead: a name that the client was not given.
pub struct Hosts<'a> {
    pub own: &'a str,
    pub foreign: &'a str,
}

const JSON: &str = "application/json;charset=UTF-8";

/// Every fault that makes sense for the operation.
pub fn causes(operation: Operation, hosts: &Hosts<'_>) -> Vec<Cause> {
    let mut list = List { operation, causes: Vec::new() };
    refusals(&mut list);
    failures(&mut list);
    lost(&mut list);
    slow(&mut list);
    disfigured(&mut list);
    foreign(&mut list);
    redirects(&mut list, hosts);
    match operation {
        Operation::TokenRequest => token_errors(&mut list),
        _ => token_refusals(&mut list),
    }
    list.causes
}

struct List {
    operation: Operation,
    causes: Vec<Cause>,
}

impl List {
    fn add(&mut self, name: impl Into<String>, script: Vec<Fault>, expect: Expect) -> &mut Cause {
        let fires = script.len();
        self.causes.push(Cause { name: name.into(), script, expect, stalls: false, lie: false, fires });
        self.causes.last_mut().unwrap()
    }

    /// A fault that a repetition heals: once and twice the call succeeds, and when it stays the call fails.
    fn heals(&mut self, name: &str, fault: Fault) {
        let (first, stays) = match self.operation {
            // Its bytes are gone, or with the caller already.
            Operation::UploadReader | Operation::DownloadWriter => (Expect::Either, Expect::Either),
            // A repetition is told "there is no such attachment", which an earlier attempt has seen to.
            Operation::DeleteOne if matches!(fault, Fault::Truncate { .. }) => (Expect::Success, Expect::Either),
            // What was lost may be found.
            o if o.makes_copies() || o.settles() => (Expect::Success, Expect::Either),
            _ => (Expect::Success, Expect::Failure),
        };
        self.add(name, vec![fault.clone()], first);
        self.add(format!("{name}, twice"), vec![fault.clone(); 2], first).fires = 1;
        self.add(format!("{name}, always"), vec![fault; 40], stays).fires = 1;
    }

    fn refuses(&mut self, name: impl Into<String>, fault: Fault) -> &mut Cause {
        let expect = if self.operation.settles() { Expect::Either } else { Expect::Failure };
        self.add(name, vec![fault], expect)
    }

    fn passes(&mut self, name: &str, fault: Fault) {
        self.add(name, vec![fault], Expect::Success);
    }

    fn open(&mut self, name: impl Into<String>, fault: Fault) -> &mut Cause {
        self.add(name, vec![fault], Expect::Either)
    }
}

fn refusals(list: &mut List) {
    for status in [400, 403, 404, 405, 413, 415] {
        if list.operation == Operation::DeleteSeveral && status == 404 {
            // One request for several is unknown there: they are deleted one by one.
            list.passes(&format!("status {status}"), Fault::status(status));
        } else {
            list.refuses(format!("status {status}"), Fault::status(status));
        }
    }
    for status in [400, 403, 413] {
        list.open(format!("status {status} before the body"), Fault::status_early(status, 0));
        list.open(format!("status {status} within the body, then closed"), Fault::status_early_close(status, 1000));
    }
    list.open("status 503 before the body, then closed", Fault::status_early_close(503, 0));
}

fn failures(list: &mut List) {
    for status in [500, 502, 503, 504] {
        list.heals(&format!("status {status}"), Fault::status(status));
    }
    if list.operation.stores() {
        for status in [500, 502, 503, 504] {
            list.open(format!("status {status} after storing"), Fault::status_after_store(status));
        }
    }
    list.heals("status 429", Fault::status(429));
    list.causes.last_mut().unwrap().expect = Expect::Either; // that there are too many calls is waited out, and 40 times end
    for value in ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "abc", "-5", ""] {
        let expect = if list.operation == Operation::UploadReader { Expect::Either } else { Expect::Success };
        list.add(format!("status 429, Retry-After {value:?}"), vec![Fault::status(429).with_header("Retry-After", value)], expect);
    }
    for value in ["1000000000", "Wed, 21 Oct 2099 07:28:00 GMT"] {
        list.refuses(format!("status 429, Retry-After {value:?}"), Fault::status(429).with_header("Retry-After", value));
    }
    list.heals("status 503, Retry-After \"0\"", Fault::status(503).with_header("Retry-After", "0"));
}

fn lost(list: &mut List) {
    list.heals("reset before storing", Fault::reset_before_store());
    for (percent, after) in [(0, 0), (1, 3_000), (50, 150_000), (99, 297_000)] {
        list.heals(&format!("reset after {percent} % of the body"), Fault::reset_before_store_after(after));
    }
    list.heals("reset after storing", Fault::reset_after_store());
    for after in [1, 17, 200] {
        list.heals(&format!("reset after byte {after} of the reply"), Fault::reset_in_reply(after));
    }
    if list.operation.makes_copies() && list.operation != Operation::Link {
        list.open("stored, lost, listed later", Fault::hide_attachment(30).and_lost());
        list.open("stored, listed later", Fault::hide_attachment(30));
        list.open("stored under another name, lost", Fault::rename("a quite different name.bin").and_lost());
        list.open("stored under another name", Fault::rename("a quite different name.bin"));
    }
}

fn slow(list: &mut List) {
    list.passes("delayed", Fault::delay(40));
    list.passes("slow reply", Fault::slow(4096, 2));
    let stalls = [
        ("stall before the reply", Fault::stall(StallAt::BeforeReply)),
        ("stall at byte 0 of the request", Fault::stall_after(StallAt::Request, 0)),
        ("stall in the middle of the request", Fault::stall_after(StallAt::Request, 150_000)),
        ("stall at byte 0 of the reply", Fault::stall_after(StallAt::Reply, 0)),
        ("stall in the head of the reply", Fault::stall_after(StallAt::Reply, 30)),
        ("stall at the end of the reply", Fault::stall_after(StallAt::Reply, 230)),
    ];
    for (name, fault) in stalls {
        list.open(name, fault).stalls = true;
    }
    list.passes("a short stall before the reply", Fault::stall_for(StallAt::BeforeReply, 0, 60));
    list.passes("a short stall in the reply", Fault::stall_for(StallAt::Reply, 40, 60));
}

fn disfigured(list: &mut List) {
    list.heals("truncated by one byte", Fault::truncate(1));
    list.heals("truncated to nothing", Fault::truncate(1 << 30));
    list.passes("one byte too many", Fault::overlong(1));
    list.passes("5000 bytes too many", Fault::overlong(5000));
    list.heals("bytes that are not HTTP", Fault::garbage());
    list.passes("without a length", Fault::no_length());
    list.passes("chunked", Fault::chunked());
    list.passes("closed after the reply", Fault::close_idle());
    list.open("one bit flipped", Fault::corrupt()).lie = !list.operation.is_download();
}

fn foreign(list: &mut List) {
    list.heals("a proxy's page, 502", Fault::html(502));
    for status in [200, 403, 407] {
        list.open(format!("a proxy's page, {status}"), Fault::html(status));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut bodies = vec![
        ("nothing", ""),
        ("null", "null"),
        ("an empty array", "[]"),
        ("a number", "17"),
        ("a byte order mark", "\u{feff}{\"data\":[{\"code\":\"SUCCESS\",\"details\":{\"id\":\"1\"}}]}"),
        ("depth 100000", &deep),
        ("a lone surrogate", r#"{"data":[{"id":"1","File_Name":"\ud800","code":"\ud800"}]}"#),
        ("NaN", r#"{"data":NaN}"#),
        ("cut off", r#"{"data":[{"code":"SUC"#),
        ("a key twice", r#"{"data":[{"code":"SUCCESS","code":"SUCCESS"}],"data":[]}"#),
        ("two objects", r#"{"data":[{"code":"SUCCESS","details":{"id":"1"}},{"code":"SUCCESS","details":{"id":"2"}}]}"#),
        ("status error", r#"{"data":[{"code":"INVALID_DATA","details":{},"message":"","status":"error"}]}"#),
        ("a foreign word", r#"{"data":[{"code":"SOMETHING_NEW","details":{},"message":"","status":"error"}]}"#),
        ("data that is no array", r#"{"data":{"code":"SUCCESS"}}"#),
        ("a fraction for an id", r#"{"data":[{"id":1.5,"code":"SUCCESS","details":{"id":1.5}}]}"#),
    ];
    let success =
        |details: &str, status: &str| format!(r#"{{"data":[{{"code":"SUCCESS","details":{details},"message":null,"status":"{status}"}}]}}"#);
    let (no_id, another, fails) = (success("{}", "success"), success(r#"{"id":"77"}"#, "success"), success(r#"{"id":"77"}"#, "error"));
    let (empty, fraction) = (success(r#"{"id":""}"#, "success"), success(r#"{"id":7.0}"#, "success"));
    bodies.extend([("success and an empty id", empty.as_str()), ("success and a fraction for an id", &fraction), ("success that failed", &fails)]);
    bodies.extend([("success without an id", no_id.as_str()), ("success of another id", &another)]);
    for (name, body) in bodies {
        // Of a photo the word of success is all that there is, and of an upload its id.
        let lie = match list.operation {
            Operation::PhotoUpload | Operation::PhotoDelete => body.contains(r#""status":"success""#),
            _ if list.operation.lists() => name == "a lone surrogate", // which is a list of one entry
            _ => list.operation.makes_copies() && body == another,
        };
        list.open(format!("200 with {name}"), Fault::body(200, b"").with_body(JSON, body)).lie = lie;
    }
    for (status, kind, body) in [
        (408, "text/plain", ""),
        (200, "text/html", "<html>done</html>"),
        (403, "text/html", "<html>blocked</html>"),
        (404, "text/html", "<html>where?</html>"),
        (404, JSON, r#"{"code":5,"message":"Not Found","details":[]}"#),
        (429, JSON, r#"{"code":8,"message":"slow down","details":[]}"#),
        (201, JSON, "{}"),
    ] {
        let answer = Fault::body(status, b"").with_body(kind, body);
        if list.operation.stores() {
            list.open(format!("{status} {kind} {body:?} after storing"), answer.clone().after_store());
        }
        list.open(format!("{status} {kind} {body:?}"), answer);
    }
    list.open("200 with invalid UTF-8", Fault::body(200, b"{\"data\":[{\"id\":\"\xff\xfe\"}]}"));
    list.open("207 with a mixed answer", Fault::body(207, br#"{"data":[{"code":"INVALID_DATA","details":{},"status":"error"},{"id":7}]}"#));
    if !list.operation.lists() {
        list.open("204", Fault::body(204, b""));
    }
}

fn redirects(list: &mut List, hosts: &Hosts<'_>) {
    for status in [301, 302, 303, 307, 308] {
        let (name, fault) = (format!("{status} to a foreign host"), Fault::redirect(status, hosts.foreign));
        // What a foreign answer leaves open is looked for, or done again.
        if list.operation.stores() {
            list.open(name, fault)
        } else {
            list.refuses(name, fault)
        };
    }
    for (name, to) in [("a file", "file:///etc/passwd"), ("itself", hosts.own), ("nowhere", "")] {
        list.open(format!("307 to {name}"), Fault::redirect(307, to));
    }
}

/// 401 in its meanings: the token is renewed once, or not at all.
fn token_refusals(list: &mut List) {
    let once = if list.operation == Operation::UploadReader { Expect::Either } else { Expect::Success };
    list.add("401", vec![Fault::status(401)], once);
    list.add("401 AUTHENTICATION_FAILURE", vec![Fault::status(401).with_code("AUTHENTICATION_FAILURE", "Authentication failed")], once);
    list.refuses("401 OAUTH_SCOPE_MISMATCH", Fault::status(401).with_code("OAUTH_SCOPE_MISMATCH", "invalid oauth scope"));
    let always = if list.operation.settles() { Expect::Either } else { Expect::Failure };
    list.add("401, always", vec![Fault::status(401); 40], always).fires = 1;
}

fn token_errors(list: &mut List) {
    for error in ["invalid_client", "invalid_code", "invalid_client_secret", "access_denied", "Access Denied"] {
        let body = format!(r#"{{"error":"{error}"}}"#);
        list.refuses(format!("200 {error}"), Fault::body(200, b"").with_body(JSON, &body));
    }
    for (name, body) in [
        ("an empty token", r#"{"access_token":"","expires_in":3600}"#),
        ("a token with a line break", "{\"access_token\":\"1000.a\\r\\nX: y\",\"expires_in\":3600}"),
    ] {
        list.refuses(format!("200 with {name}"), Fault::body(200, b"").with_body(JSON, body));
    }
}
