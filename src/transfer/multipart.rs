//! `multipart/form-data` as RFC 7578 and browsers write it.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::header::HeaderValue;

use crate::error::{Error, Result, Status};

/// The bytes before and after the file, and the boundary that both use.
pub(crate) struct Framing {
    boundary: String,
    head: Vec<u8>,
    holds_file: bool,
}

impl Framing {
    /// A boundary of 128 random bits: nobody can guess it, and no file holds it. More would cost: each letter is looked at again and again.
    pub(crate) fn new() -> Result<Framing> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| Error::new(Status::Io, "random", format!("the system gives no random bytes: {e}")))?;
        let boundary = ["zcrm-", &super::hex(&random)].concat(); // concat: a third of what format! takes, and this is in every small call
        Ok(Framing { boundary, head: Vec::new(), holds_file: false })
    }

    /// A text field before the file.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        let part = ["--", &self.boundary, "\r\nContent-Disposition: form-data; name=\"", name, "\"\r\n\r\n", value, "\r\n"].concat();
        self.head.extend_from_slice(part.as_bytes());
    }

    /// The file part, last. Its name goes as raw UTF-8: RFC 7578 forbids `filename*`, and servers that see one lose the file.
    pub(crate) fn file(&mut self, file_name: &str, content_type: &str) -> Result<()> {
        let (name, kind) = (quoted(file_name)?, checked_type(content_type)?);
        let disposition = "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
        let part = ["--", &self.boundary, disposition, &name, "\"\r\nContent-Type: ", kind, "\r\n\r\n"].concat().into_bytes();
        if self.head.is_empty() {
            self.head = part
        } else {
            self.head.extend_from_slice(&part)
        }
        self.holds_file = true;
        Ok(())
    }

    /// What comes before the file, and what behind it.
    pub(super) fn around(self) -> (Vec<u8>, Vec<u8>) {
        let line_end = if self.holds_file { "\r\n" } else { "" };
        (self.head, [line_end, "--", &self.boundary, "--\r\n"].concat().into_bytes())
    }

    /// The `Content-Type` header.
    pub(crate) fn content_type(&self) -> HeaderValue {
        let text = ["multipart/form-data; boundary=", &self.boundary].concat();
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("a hexadecimal boundary")
    }
}

/// The three characters that would end the quoted name or the line, as browsers write them. Other control characters are refused.
fn quoted(file_name: &str) -> Result<Cow<'_, str>> {
    if file_name.is_empty() {
        return Err(Error::argument("name", "an uploaded file needs a name").with(|d| d.reason = "file_name"));
    }
    if file_name.bytes().all(|b| b != b'"' && (0x20..0x7f).contains(&b)) {
        return Ok(Cow::Borrowed(file_name)); // as nearly all are
    }
    let mut out = String::with_capacity(file_name.len());
    for c in file_name.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c if c.is_control() => {
                let message = format!("the file name holds the control character U+{:04X}", u32::from(c));
                return Err(Error::argument("name", message).with(|d| d.reason = "file_name"));
            }
            c => out.push(c),
        }
    }
    Ok(Cow::Owned(out))
}

fn checked_type(content_type: &str) -> Result<&str> {
    if content_type.is_empty() {
        return Ok("application/octet-stream");
    }
    let printable = content_type.bytes().all(|b| (0x20..0x7f).contains(&b));
    let (kind, rest) = content_type.split_once('/').unwrap_or_default();
    if printable && !kind.is_empty() && !rest.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b)) {
        return Ok(content_type);
    }
    let shown = crate::error::one_line(content_type);
    Err(Error::argument("content_type", format!("{shown:?} is not a MIME type such as application/pdf")).with(|d| d.reason = "content_type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_is_what_browsers_send() {
        let mut framing = Framing::new().unwrap();
        framing.field("title", "a & b");
        framing.file("Grüße \"1\".pdf", "application/pdf").unwrap();
        let b = &framing.boundary;
        let expected = format!(
            "--{b}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\na & b\r\n--{b}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"Grüße %221%22.pdf\"\r\nContent-Type: application/pdf\r\n\r\n"
        );
        let end = format!("\r\n--{b}--\r\n");
        let (head, tail) = framing.around();
        assert_eq!((String::from_utf8(head).unwrap(), String::from_utf8(tail).unwrap()), (expected, end));
    }

    #[test]
    fn no_name_and_no_type_can_add_a_header() {
        assert_eq!(quoted("a\r\nX: y").unwrap(), "a%0D%0AX: y");
        assert_eq!(quoted("a\0b").unwrap_err().reason(), "file_name");
        assert_eq!(quoted("").unwrap_err().reason(), "file_name");
        for bad in ["text/plain\r\nX: y", "pdf", "/", "a b/c", "text/plä"] {
            assert_eq!(checked_type(bad).unwrap_err().reason(), "content_type", "{bad}");
        }
    }

    #[test]
    fn two_boundaries_differ_and_have_128_bits() {
        let (a, b) = (Framing::new().unwrap().boundary, Framing::new().unwrap().boundary);
        assert_ne!(a, b);
        assert_eq!(a.len(), "zcrm-".len() + 32);
    }
}
