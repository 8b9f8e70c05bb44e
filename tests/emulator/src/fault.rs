//! Faults: the ways in which the emulator can be told to misbehave for one request.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::reply::{Reply, error_object};

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

/// A reply written down in a script.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canned {
    /// HTTP status; 0 stands for 200.
    pub status: u16,
    /// `code` of the JSON error; a usual one of the status when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `message` of the JSON error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Body to send in place of a JSON error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The same for bytes that are not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Content-Type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Further headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Process and store the request first, then answer this all the same.
    pub after_store: bool,
    /// `status_early` only: body bytes to read before answering.
    pub after_bytes: u64,
    /// `status_early` only: close at once after answering; else go on reading the body.
    pub close: bool,
}

/// One way to misbehave. In JSON, `kind` names the variant: `{"kind":"truncate","bytes":10}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Behave normally.
    None,
    /// Read the request, then answer this in place of processing it.
    Status(Canned),
    /// Answer before the body has been read.
    StatusEarly(Canned),
    /// TCP reset after `after_bytes` body bytes (all of them when absent), before anything is processed.
    ResetBeforeStore {
        /// Body bytes read before the reset.
        #[serde(default)]
        after_bytes: Option<u64>,
    },
    /// Process and store, then TCP reset before any byte of the reply.
    ResetAfterStore,
    /// TCP reset after so many bytes of the reply (counted from the status line).
    ResetInReply {
        /// Reply bytes sent before the reset.
        #[serde(default)]
        after_bytes: u64,
    },
    /// Stop moving.
    Stall {
        /// Where.
        #[serde(default)]
        at: StallAt,
        /// Bytes of the request body or of the reply before the stall.
        #[serde(default)]
        after_bytes: u64,
        /// For how long; for ever when absent (until the client goes or the emulator stops).
        #[serde(default)]
        ms: Option<u64>,
    },
    /// Cut the reply body short though Content-Length says more, then close.
    Truncate {
        /// Bytes that are missing at the end.
        bytes: u64,
    },
    /// Send so many bytes more than Content-Length says, then close.
    Overlong {
        /// Bytes too many.
        bytes: u64,
    },
    /// Wait, then process and answer, whether or not the client still waits.
    Delay {
        /// For how long.
        ms: u64,
    },
    /// Answer bytes that are not HTTP.
    Garbage,
    /// Answer a proxy's HTML page.
    Html {
        /// Its status.
        status: u16,
    },
    /// Answer these bytes.
    Body(Canned),
    /// Redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Normal reply without Content-Length, ended by closing.
    NoLength,
    /// Normal reply, chunked.
    Chunked,
    /// Normal keep-alive reply, then the connection is closed without notice.
    CloseIdle,
    /// Normal reply of the right length with the middle byte of its body flipped.
    Corrupt,
    /// What this upload stores appears in lists only later (downloads and deletes know it at once).
    HideAttachment {
        /// For how long it is hidden.
        ms: u64,
        /// Whether the reply is lost then: a reset before its first byte.
        #[serde(default)]
        lost: bool,
    },
    /// What this upload stores gets another name, as if the server had changed it.
    Rename {
        /// The name.
        name: String,
        /// Whether the reply is lost then: a reset before its first byte.
        #[serde(default)]
        lost: bool,
    },
    /// Send the reply slowly: `bytes` every `ms`.
    Slow {
        /// Bytes per step.
        bytes: u64,
        /// Pause between steps.
        ms: u64,
    },
}

impl Fault {
    /// Behave normally for this request.
    pub fn none() -> Fault {
        Fault::None
    }

    /// Answer a status with CRM's usual JSON error for it; nothing is processed.
    pub fn status(status: u16) -> Fault {
        Fault::Status(Canned { status, ..Canned::default() })
    }

    /// Process and store the request, then answer an error status.
    pub fn status_after_store(status: u16) -> Fault {
        Fault::Status(Canned { status, after_store: true, ..Canned::default() })
    }

    /// Answer a status after so many body bytes, then go on reading.
    pub fn status_early(status: u16, after_bytes: u64) -> Fault {
        Fault::StatusEarly(Canned { status, after_bytes, ..Canned::default() })
    }

    /// Answer a status after so many body bytes, then close at once.
    pub fn status_early_close(status: u16, after_bytes: u64) -> Fault {
        Fault::StatusEarly(Canned { status, after_bytes, close: true, ..Canned::default() })
    }

    /// Reset once the request was read, before it is processed.
    pub fn reset_before_store() -> Fault {
        Fault::ResetBeforeStore { after_bytes: None }
    }

    /// Reset after so many bytes of the request body.
    pub fn reset_before_store_after(after_bytes: u64) -> Fault {
        Fault::ResetBeforeStore { after_bytes: Some(after_bytes) }
    }

    /// Process and store, then reset before any byte of the reply.
    pub fn reset_after_store() -> Fault {
        Fault::ResetAfterStore
    }

    /// Reset within the reply.
    pub fn reset_in_reply(after_bytes: u64) -> Fault {
        Fault::ResetInReply { after_bytes }
    }

    /// Stall for ever at a place.
    pub fn stall(at: StallAt) -> Fault {
        Fault::Stall { at, after_bytes: 0, ms: None }
    }

    /// Stall for a time at a place, after so many bytes.
    pub fn stall_for(at: StallAt, after_bytes: u64, ms: u64) -> Fault {
        Fault::Stall { at, after_bytes, ms: Some(ms) }
    }

    /// Cut the reply body short by so many bytes.
    pub fn truncate(bytes: u64) -> Fault {
        Fault::Truncate { bytes }
    }

    /// Send so many bytes more than announced.
    pub fn overlong(bytes: u64) -> Fault {
        Fault::Overlong { bytes }
    }

    /// Wait before processing.
    pub fn delay(ms: u64) -> Fault {
        Fault::Delay { ms }
    }

    /// Answer bytes that are not HTTP.
    pub fn garbage() -> Fault {
        Fault::Garbage
    }

    /// Answer an HTML page.
    pub fn html(status: u16) -> Fault {
        Fault::Html { status }
    }

    /// Answer these bytes; add headers with [`Fault::with_header`].
    pub fn body(status: u16, bytes: &[u8]) -> Fault {
        let body_base64 = Some(base64::engine::general_purpose::STANDARD.encode(bytes));
        Fault::Body(Canned { status, body_base64, ..Canned::default() })
    }

    /// Redirect.
    pub fn redirect(status: u16, location: &str) -> Fault {
        Fault::Redirect { status, location: location.to_owned() }
    }

    /// Reply without a length.
    pub fn no_length() -> Fault {
        Fault::NoLength
    }

    /// Chunked reply.
    pub fn chunked() -> Fault {
        Fault::Chunked
    }

    /// Close the connection right after a keep-alive reply.
    pub fn close_idle() -> Fault {
        Fault::CloseIdle
    }

    /// Flip one byte of the reply body.
    pub fn corrupt() -> Fault {
        Fault::Corrupt
    }

    /// Hide what is stored from lists for a while.
    pub fn hide_attachment(ms: u64) -> Fault {
        Fault::HideAttachment { ms, lost: false }
    }

    /// Store under another name.
    pub fn rename(name: &str) -> Fault {
        Fault::Rename { name: name.to_owned(), lost: false }
    }

    /// Send the reply slowly.
    pub fn slow(bytes: u64, ms: u64) -> Fault {
        Fault::Slow { bytes, ms }
    }

    /// The same, and the reply is lost (kinds `hide_attachment` and `rename`; others are left as they are).
    pub fn and_lost(mut self) -> Fault {
        if let Fault::HideAttachment { lost, .. } | Fault::Rename { lost, .. } = &mut self {
            *lost = true;
        }
        self
    }

    /// Whether the request is processed and its reply lost.
    pub fn loses_reply(&self) -> bool {
        matches!(self, Fault::ResetAfterStore | Fault::HideAttachment { lost: true, .. } | Fault::Rename { lost: true, .. })
    }

    /// The same with a header (kinds `status`, `status_early` and `body`; others are left as they are).
    pub fn with_header(self, name: &str, value: &str) -> Fault {
        self.canned(|c| {
            c.headers.insert(name.to_owned(), value.to_owned());
        })
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
            c.content_type = Some(content_type.to_owned());
        })
    }

    fn canned(mut self, change: impl FnOnce(&mut Canned)) -> Fault {
        if let Fault::Status(c) | Fault::StatusEarly(c) | Fault::Body(c) = &mut self {
            change(c);
        }
        self
    }
}

impl Canned {
    /// The reply this stands for.
    pub fn reply(&self) -> Reply {
        let status = if self.status == 0 { 200 } else { self.status };
        let mut reply = match self.bytes() {
            Some(bytes) => Reply { status, body: bytes.into(), code: self.code.clone(), ..Reply::default() },
            None => self.error(status),
        };
        if let Some(kind) = &self.content_type {
            reply.headers.retain(|(name, _)| name != "Content-Type");
            reply = reply.header("Content-Type", kind.as_str());
        }
        for (name, value) in &self.headers {
            reply.headers.retain(|(old, _)| !old.eq_ignore_ascii_case(name));
            reply = reply.header(name, value.as_str());
        }
        reply
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let engine = base64::engine::general_purpose::STANDARD;
        match (&self.body_base64, &self.body) {
            (Some(text), _) => Some(engine.decode(text).unwrap_or_default()),
            (None, body) => body.as_ref().map(|b| b.clone().into_bytes()),
        }
    }

    fn error(&self, status: u16) -> Reply {
        let (code, message) = usual_error(status);
        let code = self.code.as_deref().unwrap_or(code);
        let message = self.message.as_deref().unwrap_or(message);
        Reply::json(status, &error_object(code, message, serde_json::json!({})))
    }
}

/// The code and message that CRM documents for a status.
fn usual_error(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("INVALID_TOKEN", "invalid oauth token"),
        403 => ("NO_PERMISSION", "permission denied"),
        404 => ("INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one"),
        413 | 415 => ("FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "Please check if the size of the file is in the correct range"),
        429 => ("TOO_MANY_REQUESTS", "Many requests fired in concurrent than the allowed limit."),
        400..=499 => ("INVALID_DATA", "invalid data"),
        502..=599 => ("SERVICE_UNAVAILABLE", "Service temporarily unavailable. Please try again later"),
        _ => ("INTERNAL_ERROR", "Internal Server Error"),
    }
}
