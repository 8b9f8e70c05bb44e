//! Reading `multipart/form-data` bodies, strictly.

use memchr::memmem;

use crate::ledger::{self, lossless};
use crate::world::sha256;

/// A part: where its content lies in the body, and its headers.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// `name` of its Content-Disposition.
    pub name: String,
    /// `filename` between its quotes, as sent.
    pub filename: Option<Vec<u8>>,
    /// The value of `filename*`, as sent.
    pub filename_star: Option<Vec<u8>>,
    /// Header lines.
    pub headers: Vec<String>,
    /// Content: start and end in the body.
    pub range: (usize, usize),
    /// SHA-256 of the content.
    pub sha256: String,
}

impl Part {
    /// The content.
    pub fn content<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[self.range.0..self.range.1]
    }

    /// The part as the ledger shows it.
    pub fn entry(&self) -> ledger::Part {
        ledger::Part {
            name: self.name.clone(),
            filename: self.filename.as_deref().map(lossless),
            headers: self.headers.clone(),
            size: (self.range.1 - self.range.0) as u64,
            sha256: self.sha256.clone(),
        }
    }
}

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(parameters.as_bytes(), "boundary")?;
    String::from_utf8(value).ok().filter(|b| !b.is_empty() && b.len() <= 70)
}

/// Splits a body into its parts; the error says what is wrong.
pub fn parse(body: &[u8], boundary: &str) -> Result<Vec<Part>, String> {
    let opening = format!("--{boundary}");
    let delimiter = format!("\r\n--{boundary}");
    // A preamble is allowed by RFC 2046, though nobody sends one.
    let mut at = match body.starts_with(opening.as_bytes()) {
        true => opening.len(),
        false => memmem::find(body, delimiter.as_bytes()).ok_or("no boundary")? + delimiter.len(),
    };
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if !rest.starts_with(b"\r\n") {
            return Err("a boundary is not followed by a line end".into());
        }
        let head = at + 2;
        let end = memmem::find(&body[head..], b"\r\n\r\n").ok_or("a part's headers do not end")?;
        let start = head + end + 4;
        let size = finder.find(&body[start..]).ok_or("the closing boundary is missing")?;
        let mut part = part(&body[head..head + end])?;
        part.range = (start, start + size);
        part.sha256 = sha256(&body[start..start + size]);
        parts.push(part);
        at = start + size + delimiter.len();
    }
}

fn part(head: &[u8]) -> Result<Part, String> {
    let mut part = Part::default();
    let mut named = false;
    for line in head.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        part.headers.push(lossless(line));
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err("a part's header has no colon".into());
        };
        if !line[..colon].eq_ignore_ascii_case(b"content-disposition") {
            continue;
        }
        let value = &line[colon + 1..];
        if !value.trim_ascii_start().to_ascii_lowercase().starts_with(b"form-data") {
            return Err("a part's disposition is not form-data".into());
        }
        named = true;
        part.name = lossless(&parameter(value, "name").ok_or("a part has no name")?);
        part.filename = parameter(value, "filename");
        part.filename_star = parameter(value, "filename*");
    }
    if named { Ok(part) } else { Err("a part has no Content-Disposition".into()) }
}

/// The value of a header parameter as sent: between the quotes with backslashes kept, or the bare token.
fn parameter(value: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = value;
    loop {
        let (piece, after) = next_piece(rest);
        let equals = memchr::memchr(b'=', piece);
        if let Some(equals) = equals.filter(|e| piece[..*e].trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())) {
            let raw = piece[equals + 1..].trim_ascii();
            let quoted = raw.strip_prefix(b"\"").and_then(|r| r.strip_suffix(b"\""));
            return Some(quoted.unwrap_or(raw).to_vec());
        }
        rest = after?;
    }
}

/// Splits at the next semicolon outside of quotes.
fn next_piece(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return (&value[..at], Some(&value[at + 1..])),
            _ => {}
        }
    }
    (value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_or_an_escaped_quote_in_a_name_does_not_end_it() {
        let value = br#" form-data; name="file"; filename="a;\"b.txt""#;
        assert_eq!(parameter(value, "filename").unwrap(), br#"a;\"b.txt"#);
        assert_eq!(parameter(value, "name").unwrap(), b"file");
    }

    #[test]
    fn content_that_looks_like_a_boundary_start_stays_content() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\na\r\n--Y\r\n--X--\r\n";
        let parts = parse(body, "X").unwrap();
        assert_eq!(parts[0].content(body), b"a\r\n--Y");
        assert!(parse(&body[..body.len() - 8], "X").is_err());
    }
}
