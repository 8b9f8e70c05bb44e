//! What the emulator answers, before it is written to the wire.

use std::sync::Arc;

use serde_json::{Value, json};

/// Bytes shared without copying: an uploaded file is a window of the request body it came in.
#[derive(Debug, Clone, Default)]
pub struct Blob {
    data: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Blob {
    /// A window `start..end` of shared bytes.
    pub fn window(data: Arc<Vec<u8>>, start: usize, end: usize) -> Blob {
        Blob { data, start, end }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        let end = bytes.len();
        Blob::window(Arc::new(bytes), 0, end)
    }
}

/// How the length of a reply body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `Content-Length`.
    #[default]
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Neither: the end of the connection ends the body.
    Close,
}

/// A reply.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields in order; values may be any bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Lines of the head that are written as they are, behind the headers.
    pub lines: Vec<String>,
    /// Body.
    pub body: Blob,
    /// How the length is told.
    pub framing: Framing,
    /// The `code` of the JSON answer, for the ledger.
    pub code: Option<String>,
    /// Id of what the request stored, for the ledger.
    pub stored: Option<String>,
    /// Answer by cutting the connection instead.
    pub reset: bool,
    /// Answer by telling what happens from now on.
    pub follow: bool,
}

/// A handler's outcome; both sides are replies, `?` leaves early with a refusal.
pub type Answer = Result<Reply, Box<Reply>>;

impl Reply {
    /// A reply without a body.
    pub fn empty(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// A reply with bytes of a content type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Blob>) -> Reply {
        Reply { status, body: body.into(), ..Reply::default() }.header("Content-Type", content_type)
    }

    /// A JSON answer of CRM. The Content-Disposition and the line feed are real; the former traps clients that take it for a file.
    pub fn json(status: u16, value: &Value) -> Reply {
        let mut reply = Reply::plain_json(status, value).header("Content-Disposition", "attachment; filename=response.json");
        reply.body = [reply.body.bytes(), b"\n"].concat().into();
        reply
    }

    /// A JSON answer of the accounts server, and of the control paths.
    pub fn plain_json(status: u16, value: &Value) -> Reply {
        let mut reply = Reply::bytes(status, "application/json;charset=UTF-8", Vec::new());
        reply.set_json(value);
        reply
    }

    /// Makes this JSON the body; a line feed at its end stays.
    pub fn set_json(&mut self, value: &Value) {
        let code = value.get("code").or_else(|| value["data"][0].get("code"));
        self.code = code.or_else(|| value.get("error")).and_then(Value::as_str).map(str::to_owned);
        let mut text = halves(value.to_string());
        if self.body.bytes().ends_with(b"\n") {
            text.push('\n');
        }
        self.body = text.into_bytes().into();
    }

    /// Takes the headers of a name out.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Whether the head names this, as a header or in a line of its own.
    pub fn names(&self, name: &str) -> bool {
        let of_line = |l: &String| l.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name));
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) || self.lines.iter().any(of_line)
    }

    /// Whether the head tells the framing of its own accord, as a fault may.
    pub fn frames_itself(&self) -> bool {
        self.names("Content-Length") || self.names("Transfer-Encoding")
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same, noting what was stored.
    pub fn storing(mut self, id: &str) -> Reply {
        self.stored = Some(id.to_owned());
        self
    }

    /// An HTML page, as a proxy or front server in between would answer.
    pub fn html(status: u16) -> Reply {
        let page = format!("<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{status}</h1><p>{}</p></body></html>", reason(status));
        Reply::bytes(status, "text/html;charset=UTF-8", page.into_bytes())
    }
}

/// Where halves of surrogate pairs stand in the emulator's own texts, which can't hold them: in the last plane for private use.
pub const HALF: u32 = 0x10_0000;

/// The half of a surrogate pair that a character stands for.
pub fn half(c: char) -> Option<u32> {
    u32::from(c).checked_sub(HALF).filter(|unit| (0xd800..0xe000).contains(unit))
}

/// Writes halves of surrogate pairs as JSON does.
fn halves(json: String) -> String {
    if !json.contains(|c| half(c).is_some()) {
        return json;
    }
    json.chars().map(|c| half(c).map_or_else(|| c.to_string(), |unit| format!("\\u{unit:04x}"))).collect()
}

/// A success object: `{"code":"SUCCESS",…}`.
pub fn success(message: &str, details: Value) -> Value {
    json!({"code": "SUCCESS", "details": details, "message": message, "status": "success"})
}

/// An error object.
pub fn error_object(code: &str, message: &str, details: Value) -> Value {
    json!({"code": code, "details": details, "message": message, "status": "error"})
}

/// A refusal with a bare error object.
pub fn refuse(status: u16, code: &str, message: &str, details: Value) -> Box<Reply> {
    Box::new(Reply::json(status, &error_object(code, message, details)))
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
