//! The ledger: everything that reached the emulator, everything it stored, issued and broke.

use serde::Serialize;

use crate::fault::Fault;

/// A snapshot of all that happened since the start or the last clearing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ledger {
    /// Requests in the order in which their heads arrived.
    pub requests: Vec<Request>,
    /// Everything ever stored, even if deleted since.
    pub stored: Vec<Stored>,
    /// Access tokens issued.
    pub tokens_issued: Vec<TokenIssued>,
    /// Faults that fired.
    pub faults_fired: Vec<FaultFired>,
}

impl Ledger {
    /// What is of one organisation, counted from 1.
    pub fn of(&self, organisation: usize) -> Ledger {
        let requests: Vec<Request> = self.requests.iter().filter(|r| r.organisation == Some(organisation)).cloned().collect();
        let of_request = |seq: u64| requests.binary_search_by_key(&seq, |r| r.seq).is_ok();
        Ledger {
            stored: self.stored.iter().filter(|s| s.organisation == organisation).cloned().collect(),
            tokens_issued: self.tokens_issued.iter().filter(|t| t.organisation == organisation).cloned().collect(),
            faults_fired: self.faults_fired.iter().filter(|f| of_request(f.seq)).cloned().collect(),
            requests,
        }
    }
}

/// One request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Request {
    /// Its number; grows by one, also over a clearing.
    pub seq: u64,
    /// The state's count of changes when it changed last.
    #[serde(skip)]
    pub changed: u64,
    /// The connection it came on.
    pub connection: u64,
    /// When, in milliseconds since the emulator started.
    pub at_ms: u64,
    /// Operation, e.g. `attachment.upload`.
    pub operation: String,
    /// HTTP method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query as sent, without the question mark.
    pub query: String,
    /// `1.0` or `1.1`.
    pub http_version: String,
    /// Headers in order. The value of Authorization is replaced by its scheme and a hash prefix.
    pub headers: Vec<(String, String)>,
    /// Organisation of its valid access token, or of the client that asks for one, counted from 1.
    pub organisation: Option<usize>,
    /// The access token was valid.
    pub authorization_ok: bool,
    /// First 12 characters of the access token.
    pub token: Option<String>,
    /// `grant_type` of a token request.
    pub grant_type: Option<String>,
    /// Body bytes received.
    pub body_bytes: u64,
    /// SHA-256 of the body received.
    pub body_sha256: String,
    /// The whole body arrived.
    pub body_complete: bool,
    /// Parts of a multipart body.
    pub parts: Vec<Part>,
    /// Status answered; 0 when nothing was.
    pub status: u16,
    /// `code` answered.
    pub code: Option<String>,
    /// The fault that fired.
    pub fault: Option<Fault>,
    /// What the request stored.
    pub stored_id: Option<String>,
}

/// One part of a multipart body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `name`, with bytes that are not UTF-8 written `\xNN`.
    pub name: String,
    /// `filename` between its quotes as sent, written the same way.
    pub filename: Option<String>,
    /// The header lines as sent.
    pub headers: Vec<String>,
    /// Bytes of content.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: String,
}

/// Something stored.
#[derive(Debug, Clone, Serialize)]
pub struct Stored {
    /// Organisation, counted from 1.
    pub organisation: usize,
    /// `attachment`, `link`, `photo` or `file`.
    pub kind: &'static str,
    /// Its id; of a photo, that of its record.
    pub id: String,
    /// Module of the record; empty for `file`.
    pub module: String,
    /// Record; empty for `file`.
    pub record: String,
    /// File name or link title.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes; of the URL for a link.
    pub sha256: String,
    /// The request that stored it; 0 for a direct call.
    pub seq: u64,
}

/// An access token issued.
#[derive(Debug, Clone, Serialize)]
pub struct TokenIssued {
    /// The request that asked for it.
    pub seq: u64,
    /// When, in milliseconds since the emulator started.
    pub at_ms: u64,
    /// Grant type.
    pub grant: String,
    /// Client.
    pub client_id: String,
    /// Organisation, counted from 1.
    pub organisation: usize,
    /// First 12 characters.
    pub token: String,
}

/// A fault that fired.
#[derive(Debug, Clone, Serialize)]
pub struct FaultFired {
    /// The request it hit.
    pub seq: u64,
    /// Operation of that request.
    pub operation: String,
    /// The fault.
    pub fault: Fault,
}

/// Writes bytes as text without loss: UTF-8 stays, other bytes become `\xNN`.
pub fn lossless(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}
