//! What the first bytes of a reply say against its being the file that was asked for.

/// Bytes that are looked at: enough for a declaration, a comment and the first element of a page.
pub(crate) const FIRST: usize = 1024;

/// Whether these are the first bytes of a page of HTML, or of JSON: what proxies, login pages and APIs answer in place of a file.
pub(crate) fn begins_as_an_answer(first: &[u8]) -> bool {
    // UTF-16 is read as the ASCII in it.
    let ascii: Vec<u8> = first.iter().copied().filter(|b| *b != 0).collect();
    let text = [b"\xef\xbb\xbf".as_slice(), b"\xff\xfe", b"\xfe\xff"].iter().find_map(|mark| ascii.strip_prefix(*mark)).unwrap_or(&ascii);
    is_html(text) || is_json(text.trim_ascii_start())
}

/// By the elements that a page can begin with, behind an XML declaration and comments: <https://mimesniff.spec.whatwg.org/>.
fn is_html(text: &[u8]) -> bool {
    const TAGS: &[&str] = &[
        "!doctype html",
        "html",
        "head",
        "script",
        "iframe",
        "h1",
        "div",
        "font",
        "table",
        "a",
        "style",
        "title",
        "b",
        "body",
        "br",
        "p",
        "meta",
        "link",
        "center",
        "form",
        "main",
        "span",
    ];
    let mut rest = text.trim_ascii_start();
    for (begin, end) in [("<?xml", "?>"), ("<!--", "-->"), ("<!--", "-->")] {
        if rest.starts_with(begin.as_bytes()) {
            let Some(at) = rest.windows(end.len()).position(|w| w == end.as_bytes()) else { return begin == "<!--" };
            rest = rest[at + end.len()..].trim_ascii_start();
        }
    }
    let Some(rest) = rest.strip_prefix(b"<") else { return false };
    TAGS.iter().any(|tag| {
        let (name, behind) = rest.split_at(tag.len().min(rest.len()));
        name.eq_ignore_ascii_case(tag.as_bytes()) && behind.first().is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
    })
}

/// An object or an array. (RTF begins with a brace and some settings files with a bracket, but not so.)
fn is_json(text: &[u8]) -> bool {
    let (Some(open), inner) = (text.first(), text.get(1..).unwrap_or_default().trim_ascii_start()) else { return false };
    match open {
        b'{' => matches!(inner.first(), Some(b'"' | b'}')),
        b'[' => {
            let word = [b"true".as_slice(), b"false", b"null"].iter().any(|word| inner.starts_with(word));
            word || matches!(inner.first(), Some(b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_json_are_known_by_how_they_begin() {
        for page in [
            b"<!DOCTYPE html><html>".as_slice(),
            b"\r\n <HTML lang=en>",
            b"\xef\xbb\xbf<html>",
            b"<?xml version=\"1.0\"?>\n<!-- login -->\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">",
            b"<!-- never closed",
            b"<script>location='/login'</script>",
            b"\xff\xfe<\0h\0t\0m\0l\0>\0",
            b"{\"code\":\"INVALID_TOKEN\"}",
            b" {\n \"error\"",
            b"{}",
            b"[{\"a\":1}]",
            b"[]",
        ] {
            assert!(begins_as_an_answer(page), "{}", String::from_utf8_lossy(page));
        }
    }

    #[test]
    fn files_are_not_taken_for_pages() {
        for file in [
            b"%PDF-1.7".as_slice(),
            b"\x89PNG\r\n\x1a\n",
            b"PK\x03\x04",
            b"{\\rtf1\\ansi",
            b"[settings]\r\nname=1",
            b"<?xml version=\"1.0\"?><Invoice>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\">",
            b"<address>",
            b"<",
            b"{",
            b"",
        ] {
            assert!(!begins_as_an_answer(file), "{}", String::from_utf8_lossy(file));
        }
    }
}
