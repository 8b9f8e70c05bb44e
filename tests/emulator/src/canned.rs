//! Replies written down in a fault.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::{Millis, http_date};
use crate::fault::check_status;
use crate::reply::{Reply, error_object};

/// Declares the struct, and the list of its fields for messages.
macro_rules! canned {
    ($($(#[$attr:meta])* $name:ident: $kind:ty,)*) => {
        /// A reply written down in a fault.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Canned { $($(#[$attr])* pub $name: $kind,)* }

        impl Canned {
            /// The names of the fields.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($name)),*];
        }
    };
}

canned! {
    /// HTTP status.
    status: u16,
    /// `code` of the JSON error; a usual one of the status when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// `message` of the JSON error.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Body to send in place of a JSON error.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The same for bytes that are not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Content-Type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Further headers, each in place of one of its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// Further lines of the head as they are, behind the headers. Where one has Content-Length or Transfer-Encoding, no other framing is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<String>,
    /// `Retry-After` as a date: so many seconds after the reply's own `Date`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_date_s: Option<i64>,
    /// Process and store the request first, then answer this all the same.
    after_store: bool,
    /// `status_early` only: body bytes to read before answering.
    after_bytes: u64,
    /// Close at once after answering.
    close: bool,
}

impl Default for Canned {
    fn default() -> Canned {
        Canned {
            status: 200,
            code: None,
            message: None,
            body: None,
            body_base64: None,
            content_type: None,
            headers: BTreeMap::new(),
            lines: Vec::new(),
            retry_after_date_s: None,
            after_store: false,
            after_bytes: 0,
            close: false,
        }
    }
}

impl Canned {
    /// Bytes with a status.
    pub fn of_bytes(status: u16, bytes: &[u8]) -> Canned {
        Canned { status, body_base64: Some(STANDARD.encode(bytes)), ..Canned::default() }
    }

    /// Whether it can be sent as HTTP.
    pub fn check(&self) -> Result<(), String> {
        check_status(self.status)?;
        if let Some(text) = &self.body_base64 {
            STANDARD.decode(text).map_err(|e| format!("body_base64: {e}"))?;
        }
        Ok(())
    }

    /// The reply this stands for; `date` is what its `Date` will say.
    pub fn reply(&self, date: Millis) -> Reply {
        let mut reply = match self.bytes() {
            Some(bytes) => Reply { status: self.status, body: bytes.into(), code: self.code.clone(), ..Reply::default() },
            None => self.error(),
        };
        let kind = self.content_type.as_ref().map(|kind| ("Content-Type", kind));
        for (name, value) in kind.into_iter().chain(self.headers.iter().map(|(n, v)| (n.as_str(), v))) {
            reply.remove(name);
            reply = reply.header(name, value.as_str());
        }
        if let Some(seconds) = self.retry_after_date_s {
            reply = reply.header("Retry-After", http_date(date.saturating_add_signed(seconds.saturating_mul(1000))));
        }
        reply.lines = self.lines.clone();
        reply
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.body_base64, &self.body) {
            // Checked when the fault was taken.
            (Some(text), _) => Some(STANDARD.decode(text).unwrap_or_default()),
            (None, body) => body.as_ref().map(|b| b.clone().into_bytes()),
        }
    }

    fn error(&self) -> Reply {
        let (code, message) = usual_error(self.status);
        let code = self.code.as_deref().unwrap_or(code);
        let message = self.message.as_deref().unwrap_or(message);
        Reply::json(self.status, &error_object(code, message, serde_json::json!({})))
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
