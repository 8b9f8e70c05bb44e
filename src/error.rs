//! What can go wrong, and everything that is known about it.

#[cfg(feature = "capi")]
use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $c_name:literal;)+) => {
        /// The class of a failure: what a caller would act on. The numbers are those of the C ABI and are only ever added to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Status { $($(#[doc = $doc])+ $name = $number,)+ }

        impl Status {
            /// Every status, in the order of its number.
            pub const ALL: &'static [Status] = &[$(Status::$name,)+];

            /// The name of the C constant, for example `ZCRM_E_NOT_FOUND`.
            pub fn name(self) -> &'static str {
                match self { $(Status::$name => $c_name,)+ }
            }

            /// The name with a NUL behind it.
            #[cfg(feature = "capi")]
            pub(crate) fn name_with_nul(self) -> &'static CStr {
                match self { $(Status::$name => const { with_nul(concat!($c_name, "\0")) },)+ }
            }

            /// What it means, in the words of its documentation.
            pub fn help(self) -> &'static str {
                match self { $(Status::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

#[cfg(feature = "capi")]
const fn with_nul(text: &str) -> &CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("one NUL, at its end"),
    }
}

statuses! {
    /// A parameter is missing, malformed or contradicts another one. Nothing was sent.
    Argument = 1, "ZCRM_E_ARGUMENT";
    /// The handle can't be used at this moment: it was used from inside a callback, or a panic has poisoned it.
    State = 2, "ZCRM_E_STATE";
    /// A setting is unknown, malformed or missing.
    Config = 3, "ZCRM_E_CONFIG";
    /// A struct is newer than this library, or an API version lacks what was asked for.
    Version = 4, "ZCRM_E_VERSION";
    /// There is no such attachment, or the record has no photo.
    NotFound = 5, "ZCRM_E_NOT_FOUND";
    /// Zoho refused the token, or there is no way to get one.
    Auth = 6, "ZCRM_E_AUTH";
    /// The user may not do this.
    Forbidden = 7, "ZCRM_E_FORBIDDEN";
    /// Too many calls: credits, concurrency or token requests.
    RateLimited = 8, "ZCRM_E_RATE_LIMITED";
    /// Zoho said no, for a reason that has no status of its own: read the API code and the details.
    Rejected = 9, "ZCRM_E_REJECTED";
    /// The file, the photo's pixels or a reply are over a limit.
    TooLarge = 10, "ZCRM_E_TOO_LARGE";
    /// The server failed (5xx).
    Server = 11, "ZCRM_E_SERVER";
    /// The connection could not be made, or broke.
    Network = 12, "ZCRM_E_NETWORK";
    /// The server's certificate or the TLS handshake was refused.
    Tls = 13, "ZCRM_E_TLS";
    /// A time limit was reached: for connecting, for silence, for a token or for the whole call.
    Timeout = 14, "ZCRM_E_TIMEOUT";
    /// The caller cancelled the call. What it asked for may be done all the same: zcrm_error_outcome_open() says so.
    Cancelled = 15, "ZCRM_E_CANCELLED";
    /// A callback of the caller failed.
    Callback = 16, "ZCRM_E_CALLBACK";
    /// A local file could not be read or written.
    Io = 17, "ZCRM_E_IO";
    /// The reply isn't what the API is documented to send.
    Protocol = 18, "ZCRM_E_PROTOCOL";
    /// The API, or this version of it, doesn't offer this.
    Unsupported = 19, "ZCRM_E_UNSUPPORTED";
    /// There was not enough memory for the bytes of a file, a reply, a list or a step. With more, the same call works. (Stable Rust can't
    /// report it for small blocks, steps of a batch, and what the parsers, HTTP and TLS copy: without memory for those the process ends.)
    Memory = 20, "ZCRM_E_MEMORY";
    /// The library has a bug. Don't use this client again.
    Panic = 21, "ZCRM_E_PANIC";
    /// A request was sent and its reply lost: what it asked for may be done, or not.
    OutcomeUnknown = 22, "ZCRM_E_OUTCOME_UNKNOWN";
    /// The same URL is already attached to this record.
    DuplicateLink = 23, "ZCRM_E_DUPLICATE_LINK";
    /// The attachment is a link: it has a URL, not bytes.
    IsLink = 24, "ZCRM_E_IS_LINK";
    /// The module doesn't exist, or doesn't offer this operation.
    InvalidModule = 25, "ZCRM_E_INVALID_MODULE";
    /// The record doesn't exist, or isn't visible to this user.
    InvalidRecord = 26, "ZCRM_E_INVALID_RECORD";
    /// The record is locked.
    RecordLocked = 27, "ZCRM_E_RECORD_LOCKED";
    /// The record waits for an approval or a review.
    NotApproved = 28, "ZCRM_E_NOT_APPROVED";
    /// This type of file is not taken here.
    FileType = 29, "ZCRM_E_FILE_TYPE";
    /// The organisation's storage is full.
    StorageFull = 30, "ZCRM_E_STORAGE_FULL";
    /// Zoho found a virus in the file.
    Virus = 31, "ZCRM_E_VIRUS";
    /// The token lacks an OAuth scope.
    Scope = 32, "ZCRM_E_SCOPE";
    /// The link is not one that can be attached.
    InvalidLink = 33, "ZCRM_E_INVALID_LINK";
    /// The page or page token is refused, or paging runs in a circle.
    Page = 34, "ZCRM_E_PAGE";
    /// The source's bytes were used up by an attempt and can't be read again.
    SourceConsumed = 35, "ZCRM_E_SOURCE_CONSUMED";
    /// The source has more or fewer bytes than it said.
    SourceChanged = 36, "ZCRM_E_SOURCE_CHANGED";
    /// The bytes aren't those that the caller expected.
    Checksum = 37, "ZCRM_E_CHECKSUM";
}

impl Status {
    /// Whether a failure of this class may pass by itself. [`Detail::retryable`] says it of the one failure, and knows better.
    pub fn is_retryable(self) -> bool {
        matches!(self, Status::Network | Status::Timeout | Status::Server | Status::RateLimited)
    }
}

/// How much of a request had left when it failed. Decides whether it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sent {
    /// Not one byte: it may be sent again freely.
    #[default]
    No,
    /// Some bytes, perhaps.
    Partly,
    /// The whole request.
    Fully,
    /// The whole request, and a reply came.
    Answered,
}

/// One failure, with all that is known of it. Never holds a token, a secret or a body of a file.
#[derive(Clone)]
pub struct Error(Box<Detail>);

/// The fields of an [`Error`]; serialises to the document that `zcrm_error_json` returns.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Detail {
    /// Class of the failure.
    #[serde(serialize_with = "status_number")]
    #[cfg_attr(test, schemars(with = "i32"))]
    pub status: Status,
    /// The C constant's name of `status`.
    pub name: &'static str,
    /// A stable word for the exact reason, for example `photo_pixels` or `record_invalid`.
    pub reason: &'static str,
    /// One line for a person: what, where, and the way out.
    pub message: String,
    /// The parameter or setting that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// HTTP status of the reply; 0 = no reply.
    pub http_status: u16,
    /// Zoho's `code`, as one line; empty = none.
    pub api_code: String,
    /// Zoho's `message`, as one line; empty = none.
    pub api_message: String,
    /// Zoho's `details`, as one line. A step's input that is refused: `{"json_path":…}`. A step that attached none of its links: what became
    /// of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Value>"))]
    pub details: Option<Box<RawValue>>,
    /// Whether the same call may succeed later without a change by the caller.
    pub retryable: bool,
    /// What the server asked to wait, or what this library advises, in milliseconds; -1 = nothing is known.
    pub retry_after_ms: i64,
    /// Whether the call may have taken effect although it failed, since no word of Zoho says that it didn't. Also after a cancelled or timed-out
    /// upload: look at the record before you repeat it.
    pub outcome_open: bool,
    /// Ids of attachments that a lost upload may have become, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// How much of the request had left.
    pub request_sent: Sent,
    /// HTTP requests made for this call, token requests excluded.
    pub attempts: u32,
    /// Milliseconds spent waiting.
    pub waited_ms: u64,
    /// What the caller's callback returned; 0 = none did.
    pub callback_status: i32,
    /// `errno` of a local failure; 0 = none.
    pub os_error: i32,
}

fn status_number<S: serde::Serializer>(status: &Status, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.serialize_i32(*status as i32)
}

impl Error {
    /// A failure of this class, for this reason, with a line for a person.
    pub fn new(status: Status, reason: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Detail {
            status,
            name: status.name(),
            reason,
            message: one_line(&message.into()),
            field: None,
            http_status: 0,
            api_code: String::new(),
            api_message: String::new(),
            details: None,
            outcome_open: false,
            candidates: Vec::new(),
            retryable: status.is_retryable(),
            retry_after_ms: -1,
            request_sent: Sent::No,
            attempts: 0,
            waited_ms: 0,
            callback_status: 0,
            os_error: 0,
        }))
    }

    /// A parameter is wrong: names it.
    pub fn argument(field: &'static str, message: impl fmt::Display) -> Error {
        Error::new(Status::Argument, "argument", format!("{field}: {message}")).with(|d| d.field = Some(field))
    }

    /// The caller doesn't want the call any more.
    pub(crate) fn cancelled() -> Error {
        Error::new(Status::Cancelled, "cancelled", "the caller cancelled the call")
    }

    /// A local file failed: names what was done and the path.
    pub fn io(reason: &'static str, what: impl fmt::Display, cause: &std::io::Error) -> Error {
        let message = format!("{what}: {}", systems_words(&cause.to_string()));
        Error::new(Status::Io, reason, message).with(|d| d.os_error = cause.raw_os_error().unwrap_or(0))
    }

    /// A callback of the caller failed: keeps what it returned.
    pub fn callback(reason: &'static str, which: &str, returned: i32) -> Error {
        Error::new(Status::Callback, reason, format!("the {which} callback returned {returned}")).with(|d| d.callback_status = returned)
    }

    /// The same error with some fields set.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut Detail)) -> Error {
        set(&mut self.0);
        self.tidy();
        self
    }

    /// Not generic, and not copied to wherever an error is made, which was a hundred times in the library.
    #[cold]
    #[inline(never)]
    fn tidy(&mut self) {
        let detail = &mut *self.0;
        detail.name = detail.status.name();
        for text in [&mut detail.message, &mut detail.api_code, &mut detail.api_message] {
            if text.chars().any(breaks_a_line) {
                *text = in_one_line(text);
            }
        }
        // JSON between whose values lines end is the same without them; a journal, and hosts, keep one document a line.
        if let Some(details) = detail.details.as_ref().map(|details| details.get()).filter(|details| details.chars().any(breaks_a_line)) {
            detail.details = RawValue::from_string(in_one_line(details)).ok();
        }
    }

    /// The same error with what the server asked to wait, or what is advised, if anything is.
    #[must_use]
    pub(crate) fn with_wait(mut self, wait: impl Into<Option<Duration>>) -> Error {
        if let Some(wait) = wait.into() {
            self.0.retry_after_ms = wait.as_millis().try_into().unwrap_or(i64::MAX);
        }
        self
    }

    /// Every field.
    pub fn detail(&self) -> &Detail {
        &self.0
    }

    /// Class of the failure.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The stable word for the exact reason.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// Time that the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        u64::try_from(self.0.retry_after_ms).ok().map(Duration::from_millis)
    }

    /// All fields as one JSON document.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.0).expect("an error holds only what JSON can say")
    }
}

/// `a, b or c`, of what there is to choose from.
pub(crate) fn either(words: impl Iterator<Item = impl Into<String>>) -> String {
    let mut words: Vec<String> = words.map(Into::into).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

/// What the system says of a failure, without the number that Rust writes behind it. `text` may end with it.
pub fn systems_words(text: &str) -> &str {
    text.split(" (os error").next().unwrap_or_default()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.0.name, self.0.reason, self.0.message)
    }
}

impl std::error::Error for Error {}

/// At most 512 characters of foreign text, in one line: fit for a message.
pub fn one_line(text: &str) -> String {
    const MAX: usize = 512;
    let mut line: String = text.chars().take(MAX).map(|c| if breaks_a_line(c) { ' ' } else { c }).collect();
    if text.chars().nth(MAX).is_some() {
        line.push('…');
    }
    line
}

/// The whole text in one line: fit for a log.
pub(crate) fn in_one_line(text: &str) -> String {
    text.chars().map(|c| if breaks_a_line(c) { ' ' } else { c }).collect()
}

/// Control characters, the two line ends that are none of them, and the marks that turn the direction of what follows: with one of
/// these a text can look like several lines, or like another one.
fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_one_another_so_that_none_is_used_twice() {
        for (i, status) in Status::ALL.iter().enumerate() {
            assert_eq!(*status as usize, i + 1, "{}", status.name());
        }
    }

    #[test]
    fn foreign_text_becomes_one_short_line() {
        assert_eq!(one_line("a\u{2028}b\u{202e}c\u{1b}[2J"), "a b c [2J");
        let line = one_line(&format!("a\r\nb\0{}", "x".repeat(600)));
        assert!(line.starts_with("a  b x"));
        assert_eq!(line.chars().count(), 513);
    }

    #[test]
    fn no_field_of_an_error_can_forge_a_line_or_turn_it_round() {
        for evil in ['\n', '\r', '\u{1b}', '\u{85}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{200f}'] {
            let error = Error::new(Status::Rejected, "x", "").with(|d| {
                (d.message, d.api_code, d.api_message) = (format!("a{evil}b"), format!("c{evil}[info] d"), format!("e{evil}f"));
            });
            let detail = error.detail();
            assert_eq!([&detail.message, &detail.api_code, &detail.api_message], ["a b", "c [info] d", "e f"], "{evil:?}");
        }
    }

    #[test]
    fn details_that_have_several_lines_are_the_same_in_one() {
        for (details, line) in
            [("{\n  \"a\": [1,\r\n\t2]\n}", "{   \"a\": [1,   2] }"), ("{\"a\":\"b\u{2028}c\u{202e}d\\n\"}", "{\"a\":\"b c d\\n\"}")]
        {
            let error = Error::new(Status::Rejected, "x", "").with(|d| d.details = RawValue::from_string(details.to_owned()).ok());
            assert_eq!(error.detail().details.as_ref().unwrap().get(), line);
            assert!(!error.to_json().chars().any(breaks_a_line));
        }
    }
}
