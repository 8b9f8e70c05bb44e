//! Where a reply ends, and whether every reader of its head would agree.

use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};

use crate::error::{Error, Result, Status, one_line};
use crate::text;

/// Refuses a head by which two readers could find two ends, one of which may be that of a cut body: RFC 9112, 6.3. The HTTP library follows the
/// chunks if a length is given as well, and reads to the end of the connection if it doesn't know the coding.
pub(crate) fn check(headers: &HeaderMap) -> Result<()> {
    let mut codings = elements(headers, TRANSFER_ENCODING);
    let doubt = match (codings.next(), codings.next()) {
        (None, _) => return Ok(()),
        (Some(_), _) if headers.contains_key(CONTENT_LENGTH) => "it has a Content-Length and a Transfer-Encoding".to_owned(),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => return Ok(()),
        _ => {
            let all: Vec<String> = elements(headers, TRANSFER_ENCODING).collect();
            format!("its Transfer-Encoding is {:?}, where only chunked can be asked for", one_line(&all.join(", ")))
        }
    };
    Err(Error::new(Status::Protocol, "framing", format!("where the reply ends isn't clear, so nothing of it is taken: {doubt}")))
}

/// A coding of the body, where it isn't the bytes themselves: nobody asked for one.
pub(super) fn coding(headers: &HeaderMap) -> Option<String> {
    elements(headers, CONTENT_ENCODING).find(|coding| !coding.eq_ignore_ascii_case("identity"))
}

/// How long the server keeps a connection, if it says so: `Keep-Alive: timeout=5, max=100`. The `timeout` is in seconds without a request; `max` is
/// of requests, to some servers all of the connection's and to others those to come.
pub(super) fn kept(headers: &HeaderMap, what: &str) -> Option<u32> {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let parts = elements(headers, KEEP_ALIVE).flat_map(|e| e.split(';').map(str::to_owned).collect::<Vec<_>>());
    let number = |part: String| {
        let (name, number) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case(what).then(|| number.trim_matches([' ', '\t', '"']).parse().ok())?
    };
    parts.filter_map(number).min()
}

/// The elements of a list, which may stand in several headers.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    if !headers.contains_key(&name) {
        return Vec::new().into_iter(); // as in nearly every reply, and this is asked of each three times
    }
    let values = headers.get_all(name).into_iter().map(|value| text::lossy(value.as_bytes()));
    let all: Vec<String> =
        values.flat_map(|value| value.split(',').map(|e| e.trim().to_owned()).filter(|e| !e.is_empty()).collect::<Vec<_>>()).collect();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn one_end_is_clear_and_two_are_not() {
        for clear in [&[][..], &[("content-length", "5")], &[("transfer-encoding", "Chunked")]] {
            assert!(check(&head(clear)).is_ok(), "{clear:?}");
        }
        for doubtful in [
            &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked, chunked")],
            &[("transfer-encoding", "identity"), ("content-length", "5")],
            &[("transfer-encoding", "xchunked")],
        ] {
            assert_eq!(check(&head(doubtful)).unwrap_err().reason(), "framing", "{doubtful:?}");
        }
    }

    #[test]
    fn how_long_a_connection_is_kept_is_read_however_it_is_written() {
        for (value, seconds) in [
            ("timeout=5, max=100", Some(5)),
            ("max=100,Timeout = 5", Some(5)),
            ("max=100; TIMEOUT=\"5\"", Some(5)),
            ("timeout=9, timeout=5", Some(5)),
            ("timeout=soon", None),
            ("timeout", None),
            ("", None),
        ] {
            assert_eq!(kept(&head(&[("keep-alive", value)]), "timeout"), seconds, "{value}");
        }
        let both = head(&[("keep-alive", "max=100"), ("keep-alive", "timeout=5")]);
        assert_eq!((kept(&both, "timeout"), kept(&both, "max")), (Some(5), Some(100)));
        assert_eq!(kept(&head(&[]), "timeout"), None);
    }

    #[test]
    fn a_coding_is_found_in_whichever_header_it_stands() {
        for plain in [&[][..], &[("content-encoding", "identity")], &[("content-encoding", "")]] {
            assert_eq!(coding(&head(plain)), None, "{plain:?}");
        }
        for (coded, name) in
            [(&[("content-encoding", "identity"), ("content-encoding", "gzip")][..], "gzip"), (&[("content-encoding", "identity, br")], "br")]
        {
            assert_eq!(coding(&head(coded)).as_deref(), Some(name), "{coded:?}");
        }
    }
}
