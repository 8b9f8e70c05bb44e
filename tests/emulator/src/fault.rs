//! Faults: the ways in which the emulator can be told to misbehave for one request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canned::Canned;
use crate::edit;

/// Where a stall happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StallAt {
    /// While the request body is read.
    Request,
    /// After the request was processed, before the first byte of the reply.
    #[default]
    BeforeReply,
    /// Within the reply.
    Reply,
}

/// Which part of a reply is sent slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowPart {
    /// All of it.
    #[default]
    Whole,
    /// Status line and headers.
    Head,
    /// The body.
    Body,
}

/// What comes without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endless {
    /// `100 Continue`, before the reply.
    Continue,
    /// Header lines of the reply.
    Head,
    /// Its body, in chunks.
    Body,
    /// Trailers behind a chunked body.
    Trailers,
}

/// What the table says of a kind: its fields, and the operations that it is for (none named: any).
#[derive(Serialize)]
pub struct Row {
    kind: &'static str,
    fields: &'static [&'static str],
    #[serde(rename = "operations", skip_serializing_if = "<[_]>::is_empty")]
    only: &'static [&'static str],
}

/// The whole table.
pub fn kinds() -> &'static [Row] {
    ROWS
}

/// The type of a constructor's argument: that of the field, or the one behind `as`.
macro_rules! argument {
    ($field:ty) => {
        $field
    };
    ($field:ty, $argument:ty) => {
        $argument
    };
}

/// One row a fault: the name of its constructor, its variant, the fields it needs, those that it can do without, and the operations that
/// it is for. The constructor takes the needed fields; `kind` in JSON is its name.
macro_rules! faults {
    (
        canned { $($(#[$cdoc:meta])* $cname:ident: $cvariant:ident;)* }
        $($(#[$doc:meta])* $name:ident: $variant:ident
            { $($(#[$nattr:meta])* $need:ident: $nty:ty $(as $aty:ty)?),* }
            $(or { $($(#[$oattr:meta])* $opt:ident: $oty:ty),* })?
            $(for [$($only:literal),*])?;)*
    ) => {
        /// One way to misbehave. In JSON, `kind` names it: `{"kind":"truncate","bytes":10}`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the fields stand in the table; a field that says more has a comment there")]
        pub enum Fault {
            $($(#[$cdoc])* $cvariant(Canned),)*
            $($(#[$doc])* $variant { $($(#[$nattr])* $need: $nty,)* $($($(#[$oattr])* #[serde(default)] $opt: $oty,)*)? },)*
        }

        impl Fault {
            $($(#[$doc])* pub fn $name($($need: argument!($nty $(, $aty)?)),*) -> Fault {
                Fault::$variant { $($need: $need.into(),)* $($($opt: <$oty>::default(),)*)? }
            })*

            /// The word that names it in JSON.
            pub fn kind(&self) -> &'static str {
                match self { $(Fault::$cvariant(_) => stringify!($cname),)* $(Fault::$variant { .. } => stringify!($name),)* }
            }
        }

        const ROWS: &[Row] = &[
            $(Row { kind: stringify!($cname), fields: Canned::FIELDS, only: &[] },)*
            $(Row { kind: stringify!($name), fields: &[$(stringify!($need),)* $($(stringify!($opt),)*)?], only: &[$($($only),*)?] },)*
        ];
    };
}

faults! {
    canned {
        /// Read the request, then answer this in place of processing it, or after it with [`Fault::after_store`].
        status: Status;
        /// Answer before the body has been read.
        status_early: StatusEarly;
    }
    /// Behave normally.
    none: None {};
    /// TCP reset after `after_bytes` body bytes (all of them when absent), before anything is processed.
    reset_before_store: ResetBeforeStore {} or { after_bytes: Option<u64> };
    /// Process and store, then TCP reset before any byte of the reply.
    reset_after_store: ResetAfterStore {};
    /// TCP reset after so many bytes of the reply (counted from the status line).
    reset_in_reply: ResetInReply { #[serde(default)] after_bytes: u64 };
    /// Close in order without a byte of a reply; with `after_store`, process it first.
    hang_up: HangUp {} or { after_store: bool };
    /// Answer at once, a reset or an error status, and process the request only `ms` later, as a queue behind a balancer does.
    deferred: Deferred { ms: u64 } or { status: Option<u16> };
    /// Stop moving, for `ms` or until the client goes; `after_bytes` of the request body or of the reply.
    stall: Stall { #[serde(default)] at: StallAt } or { after_bytes: u64, ms: Option<u64> };
    /// Cut the reply body short by so many bytes though Content-Length says more, then close.
    truncate: Truncate { bytes: u64 };
    /// Send so many bytes more than Content-Length says, then close.
    overlong: Overlong { bytes: u64 };
    /// Wait, then process and answer, whether or not the client still waits.
    delay: Delay { ms: u64 };
    /// Answer bytes that are not HTTP.
    garbage: Garbage {};
    /// Answer a proxy's HTML page.
    html: Html { status: u16 };
    /// Redirect.
    redirect: Redirect { status: u16, location: String as &str };
    /// Normal reply without Content-Length, ended by closing.
    no_length: NoLength {};
    /// Normal reply, chunked.
    chunked: Chunked {};
    /// Normal keep-alive reply, then the connection is closed without notice.
    close_idle: CloseIdle {};
    /// Normal reply of the right length with the middle byte of its body flipped.
    corrupt: Corrupt {};
    /// Normal reply in a body of no bytes.
    empty: Empty {};
    /// What this upload stores appears in lists only later (downloads and deletes know it at once); `lost`: the reply is lost too.
    hide_attachment: HideAttachment { ms: u64 } or { lost: bool } for ["attachment.upload"];
    /// What this upload stores gets another name, as if the server had changed it; `lost`: the reply is lost too.
    rename: Rename { name: String as &str } or { lost: bool } for ["attachment.upload"];
    /// Send the reply slowly: `bytes` every `ms`.
    slow: Slow { bytes: u64, ms: u64 } or { part: SlowPart };
    /// Send this every `ms`, for ever or so many `times`, and the normal reply around it.
    endless: Endless { what: Endless, ms: u64 } or { times: Option<u64> };
    /// Normal reply with other values in its JSON: JSON pointers (RFC 6901) to values. In a pointer `*` is every row of a list, and `-` at
    /// its end one more row. `without` are pointers to keys that are left out.
    edit: Edit { #[serde(default)] set: BTreeMap<String, Value> } or { without: Vec<String> };
    /// Normal reply with `from` replaced by `to` wherever it stands in the body. For what JSON values can't say: half of a surrogate pair.
    replace: Replace { from: String as &str, to: String as &str };
    /// Normal reply with another head: its status, its headers `without` some, and `lines` as they are. Where a line has Content-Length or
    /// Transfer-Encoding, no other framing is written.
    head: Head {} or { status: Option<u16>, without: Vec<String>, lines: Vec<String>, close: bool };
    /// An error of this status whose `details` are so many objects deep.
    deep: Deep { status: u16, depth: u64 };
    /// A page of made-up rows: so many (`rows`; as many as asked for when absent), and there is always one more page. With `same_token`
    /// the token leads back to this page.
    endless_pages: EndlessPages {} or { rows: Option<u64>, same_token: bool } for ["attachment.list", "record.list"];
}

impl Fault {
    /// Answer a status with CRM's usual JSON error for it; nothing is processed.
    pub fn status(status: u16) -> Fault {
        Fault::Status(Canned { status, ..Canned::default() })
    }

    /// Answer these bytes with a status; add headers with [`Fault::with_header`].
    pub fn body(status: u16, bytes: &[u8]) -> Fault {
        Fault::Status(Canned::of_bytes(status, bytes))
    }

    /// Process and store the request, then answer an error status.
    pub fn status_after_store(status: u16) -> Fault {
        Fault::status(status).after_store()
    }

    /// Answer a status after so many body bytes, then go on reading.
    pub fn status_early(status: u16, after_bytes: u64) -> Fault {
        Fault::StatusEarly(Canned { status, after_bytes, ..Canned::default() })
    }

    /// Answer a status after so many body bytes, then close at once.
    pub fn status_early_close(status: u16, after_bytes: u64) -> Fault {
        Fault::StatusEarly(Canned { status, after_bytes, close: true, ..Canned::default() })
    }

    /// Reset after so many bytes of the request body.
    pub fn reset_before_store_after(after_bytes: u64) -> Fault {
        Fault::ResetBeforeStore { after_bytes: Some(after_bytes) }
    }

    /// Stall until the client goes, after so many bytes.
    pub fn stall_after(at: StallAt, after_bytes: u64) -> Fault {
        Fault::Stall { at, after_bytes, ms: None }
    }

    /// Stall for a time at a place, after so many bytes.
    pub fn stall_for(at: StallAt, after_bytes: u64, ms: u64) -> Fault {
        Fault::Stall { at, after_bytes, ms: Some(ms) }
    }

    /// Normal reply with another value at a JSON pointer. [`Fault::and_set`] sets one more.
    pub fn set(pointer: &str, value: Value) -> Fault {
        Fault::edit(BTreeMap::new()).and_set(pointer, value)
    }
}

impl Fault {
    /// The same, and the reply is lost (kinds `hide_attachment` and `rename`; others are left as they are).
    pub fn and_lost(mut self) -> Fault {
        if let Fault::HideAttachment { lost, .. } | Fault::Rename { lost, .. } = &mut self {
            *lost = true;
        }
        self
    }

    /// The same with one more value (kind `edit`).
    pub fn and_set(mut self, pointer: &str, value: Value) -> Fault {
        if let Fault::Edit { set, .. } = &mut self {
            set.insert(pointer.to_owned(), value);
        }
        self
    }

    /// The same without a key (kind `edit`), or without a header of this name (kind `head`).
    pub fn without(mut self, what: &str) -> Fault {
        if let Fault::Edit { without, .. } | Fault::Head { without, .. } = &mut self {
            without.push(what.to_owned());
        }
        self
    }

    /// The same after processing the request (kinds `status` and `hang_up`).
    pub fn after_store(mut self) -> Fault {
        if let Fault::HangUp { after_store } = &mut self {
            *after_store = true;
        }
        self.canned(|c| c.after_store = true)
    }

    /// The same, and the connection is closed behind it (kinds `status`, `status_early` and `head`).
    pub fn closing(mut self) -> Fault {
        if let Fault::Head { close, .. } = &mut self {
            *close = true;
        }
        self.canned(|c| c.close = true)
    }

    /// The same with a header (kinds `status` and `status_early`; others are left as they are).
    pub fn with_header(self, name: &str, value: &str) -> Fault {
        self.canned(|c| drop(c.headers.insert(name.to_owned(), value.to_owned())))
    }

    /// The same with a line of the head as it is (kinds `head`, `status` and `status_early`).
    pub fn with_line(mut self, line: &str) -> Fault {
        if let Fault::Head { lines, .. } = &mut self {
            lines.push(line.to_owned());
        }
        self.canned(|c| c.lines.push(line.to_owned()))
    }

    /// The same with an error code and message.
    pub fn with_code(self, code: &str, message: &str) -> Fault {
        self.canned(|c| {
            c.code = Some(code.to_owned());
            c.message = Some(message.to_owned());
        })
    }

    /// The same with a body and its content type in place of the JSON error.
    pub fn with_body(self, content_type: &str, body: &str) -> Fault {
        self.canned(|c| {
            c.body = Some(body.to_owned());
            c.body_base64 = None;
            c.content_type = Some(content_type.to_owned());
        })
    }

    /// The same with `Retry-After` as a date: so many seconds after the reply's own `Date`.
    pub fn with_retry_date(self, seconds: i64) -> Fault {
        self.canned(|c| c.retry_after_date_s = Some(seconds))
    }

    fn canned(mut self, change: impl FnOnce(&mut Canned)) -> Fault {
        if let Fault::Status(c) | Fault::StatusEarly(c) = &mut self {
            change(c);
        }
        self
    }

    /// Whether the request is processed and its reply lost.
    pub fn loses_reply(&self) -> bool {
        matches!(self, Fault::ResetAfterStore {} | Fault::HideAttachment { lost: true, .. } | Fault::Rename { lost: true, .. })
    }

    /// The words for all kinds.
    pub fn kinds() -> impl Iterator<Item = &'static str> + Clone {
        ROWS.iter().map(|r| r.kind)
    }

    /// Reads a fault; the error names what is wrong with it, and what was probably meant.
    pub fn read(json: &Value) -> Result<Fault, String> {
        let object = json.as_object().ok_or("a fault is a JSON object with a `kind`")?;
        let kind = object.get("kind").and_then(Value::as_str).ok_or("a fault has a `kind`")?;
        // The older name of `status`.
        let known = if kind == "body" { "status" } else { kind };
        let row = row(known).ok_or_else(|| unknown("kind", kind, Fault::kinds()))?;
        if let Some(field) = object.keys().find(|k| *k != "kind" && !row.fields.contains(&k.as_str())) {
            return Err(unknown(&format!("field of {kind}"), field, row.fields.iter().copied()));
        }
        let mut renamed = json.clone();
        renamed["kind"] = Value::from(known);
        let fault: Fault = serde_json::from_value(renamed).map_err(|e| format!("{kind}: {e}"))?;
        Ok(fault)
    }

    /// Whether the emulator can do this for an operation.
    pub fn check(&self, operation: &str) -> Result<(), String> {
        let only = row(self.kind()).map_or(&[] as &[&str], |r| r.only);
        if !only.is_empty() && !only.contains(&operation) {
            return Err(format!("a fault of kind {} is for {} only, not for {operation}", self.kind(), only.join(", ")));
        }
        match self {
            Fault::Status(canned) | Fault::StatusEarly(canned) => canned.check()?,
            Fault::Html { status } | Fault::Redirect { status, .. } | Fault::Deep { status, .. } => check_status(*status)?,
            Fault::Head { status: Some(status), .. } | Fault::Deferred { status: Some(status), .. } => check_status(*status)?,
            Fault::Edit { set, without } => set.keys().chain(without).try_for_each(|p| edit::check(p))?,
            _ => {}
        }
        let bounded = |n: u64, most: u64| if n > most { Err(format!("{}: {n} is over {most}", self.kind())) } else { Ok(()) };
        match self {
            Fault::Deep { depth, .. } => bounded(*depth, MOST_DEEP),
            Fault::EndlessPages { rows: Some(rows), .. } => bounded(*rows, MOST_ROWS),
            _ => Ok(()),
        }
    }
}

impl Default for Fault {
    fn default() -> Fault {
        Fault::none()
    }
}

/// Most levels of made-up details and rows of a made-up page: they are held in memory.
const MOST_DEEP: u64 = 1_000_000;
const MOST_ROWS: u64 = 10_000;

fn row(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|r| r.kind == kind)
}

/// A status that HTTP has.
pub fn check_status(status: u16) -> Result<(), String> {
    if (100..=599).contains(&status) { Ok(()) } else { Err(format!("status: {status} is none of HTTP; 100 to 599 are")) }
}

/// The refusal of a word that isn't among those known.
pub fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = known.clone().collect();
    let nearest = known.max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)));
    format!("there is no {what} {word:?}; perhaps {} is meant. There are {}", nearest.unwrap_or("none"), all.join(", "))
}
