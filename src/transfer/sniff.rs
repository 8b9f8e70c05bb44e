//! What the first bytes of a reply say against its being the file that was asked for.

use std::borrow::Cow;

/// Bytes that are looked at: enough for a declaration, a comment and the first element of a page.
pub(crate) const FIRST: usize = 1024;

/// Whether these are the first bytes of a page of HTML, or of JSON: what proxies, login pages and APIs answer in place of a file.
pub(crate) fn begins_as_an_answer(first: &[u8]) -> bool {
    let text = [b"\xef\xbb\xbf".as_slice(), b"\xff\xfe", b"\xfe\xff"].iter().find_map(|mark| first.strip_prefix(*mark)).unwrap_or(first);
    // Templates leave blank lines before their page.
    let is_blank = first.len() >= FIRST && text.iter().all(u8::is_ascii_whitespace);
    let text = ascii_of_utf16(text);
    is_blank || is_html(&text) || is_json(text.trim_ascii_start())
}

/// UTF-16 as the ASCII in it; other text as it is.
fn ascii_of_utf16(text: &[u8]) -> Cow<'_, [u8]> {
    let is_wide = matches!(text, [0, a, 0, b, ..] | [a, 0, b, 0, ..] if *a != 0 && *b != 0);
    if is_wide { text.iter().copied().filter(|b| *b != 0).collect() } else { text.into() }
}

/// Whether it begins with an element of HTML, behind declarations and comments. More of them than <https://mimesniff.spec.whatwg.org/> knows: a bare
/// page of an error begins with any.
fn is_html(text: &[u8]) -> bool {
    const TAGS: &[&str] = &[
        "html",
        "head",
        "body",
        "title",
        "meta",
        "link",
        "base",
        "style",
        "script",
        "noscript",
        "template",
        "iframe",
        "frameset",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "div",
        "main",
        "nav",
        "header",
        "footer",
        "section",
        "article",
        "aside",
        "p",
        "pre",
        "center",
        "blockquote",
        "ul",
        "ol",
        "dl",
        "li",
        "table",
        "form",
        "input",
        "button",
        "label",
        "fieldset",
        "img",
        "hr",
        "br",
        "a",
        "b",
        "i",
        "u",
        "em",
        "strong",
        "small",
        "big",
        "tt",
        "code",
        "font",
        "span",
        "marquee",
    ];
    let mut rest = text.trim_ascii_start();
    let tags = if rest.starts_with(b"<?xml") { &TAGS[..1] } else { TAGS }; // any of the others may be the root of a document in XML
    while let Some((begin, end)) = [("<?xml", "?>"), ("<!--", "-->")].into_iter().find(|(begin, _)| rest.starts_with(begin.as_bytes())) {
        let Some(at) = rest.windows(end.len()).position(|w| w == end.as_bytes()) else { return begin == "<!--" };
        rest = rest[at + end.len()..].trim_ascii_start();
    }
    let Some(rest) = rest.strip_prefix(b"<") else { return false };
    if let Some(doctype) = strip_word(rest, "!doctype") {
        return strip_word(doctype.trim_ascii_start(), "html").is_some();
    }
    tags.iter().any(|tag| strip_word(rest, tag).is_some())
}

/// What stands behind a word, in whichever letters it is written.
fn strip_word<'t>(text: &'t [u8], word: &str) -> Option<&'t [u8]> {
    let (begin, behind) = text.split_at_checked(word.len())?;
    let ends = behind.first().is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
    (begin.eq_ignore_ascii_case(word.as_bytes()) && ends).then_some(behind)
}

/// An object or an array, also behind what keeps browsers from running it. (RTF begins with a brace and some settings files with a bracket, but not
/// so.)
fn is_json(text: &[u8]) -> bool {
    const GUARDS: [&[u8]; 4] = [b")]}'", b"for(;;);", b"for (;;);", b"while(1);"];
    let behind_guard = GUARDS.iter().find_map(|guard| text.strip_prefix(*guard));
    let text = behind_guard.map_or(text, |rest| rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start());
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
            b"<!-- one --><!-- two -->\n<!-- three --> <html>",
            b"<?xml version=\"1.0\"?><?xml-stylesheet href=\"a\"?><html>",
            b"<!doctype\r\n  HTML public>",
            b"<h2>503</h2>",
            b"<pre>Cannot GET /</pre>",
            b"<hr>",
            &[b' '; FIRST],
            b"\xfe\xff\0<\0h\0t\0m\0l\0>",
            b")]}',\n{\"a\":1}",
            b"for(;;);{\"error\":1}",
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
            b"<?xml version=\"1.0\"?><table>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\">",
            b"<address>",
            b"<!DOCTYPE svg PUBLIC>",
            b"<plist>",
            b"\0\0\0\0<html>",
            b"  \n",
            &[0; FIRST],
            b"<",
            b"{",
            b"",
        ] {
            assert!(!begins_as_an_answer(file), "{}", String::from_utf8_lossy(file));
        }
    }
}
