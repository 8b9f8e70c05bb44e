//! `Content-Disposition` by its grammar (RFC 6266), as leniently as browsers read it.

use percent_encoding::percent_decode_str;

use super::name::safe_name;

/// What a `Content-Disposition` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Disposition {
    /// `attachment`, `inline` or another word, in lower case; empty = none.
    pub(crate) kind: String,
    /// The file's name, fit to be one on any system; empty = none.
    pub(crate) file_name: String,
    /// Whether the name stands in `filename*`, as Zoho writes those of files and never those of its own answers.
    pub(crate) extended: bool,
}

impl Disposition {
    /// Zoho writes `attachment;filename*=UTF-8''NAME` with some characters percent-encoded and others raw, so decoding is lenient.
    pub(crate) fn parse(header: &[u8]) -> Disposition {
        // Header bytes are UTF-8 if they can be, else Latin-1.
        let text = std::str::from_utf8(header).map_or_else(|_| latin1(header), str::to_owned);
        let mut rest = text.as_str();
        let (mut kind, mut plain, mut extended) = (String::new(), None, None);
        let mut first = true;
        while let Some(part) = next_part(&mut rest) {
            match part {
                (word, None) if first => kind = word.to_ascii_lowercase(),
                (name, Some(value)) if name.eq_ignore_ascii_case("filename") => plain = plain.or(Some(value)),
                (name, Some(value)) if name.eq_ignore_ascii_case("filename*") => extended = extended.or(Some(value)),
                _ => {}
            }
            first = false;
        }
        let plain = plain.filter(|name| !name.is_empty());
        let extended = extended.and_then(|value| decoded(&value, plain.is_none())).filter(|name| !name.is_empty());
        let is_extended = extended.is_some();
        Disposition { kind, file_name: safe_name(&extended.or(plain).unwrap_or_default()).into_owned(), extended: is_extended }
    }
}

/// The next word or parameter, and what follows the semicolon behind it.
fn next_part<'t>(rest: &mut &'t str) -> Option<(&'t str, Option<String>)> {
    *rest = rest.trim_start_matches([' ', '\t', ';']);
    if rest.is_empty() {
        return None;
    }
    let end = rest.find(['=', ';']).unwrap_or(rest.len());
    let (name, behind) = (rest[..end].trim(), &rest[end..]);
    let Some(value) = behind.strip_prefix('=') else {
        *rest = behind;
        return Some((name, None));
    };
    let value = value.trim_start();
    let (value, behind) = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted),
        None => {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim_end().to_owned(), &value[end..])
        }
    };
    *rest = behind.find(';').map_or("", |at| &behind[at..]);
    Some((name, Some(value)))
}

/// A quoted string without its escapes, and what stands behind its closing quotation mark.
fn unquoted(quoted: &str) -> (String, &str) {
    let (mut out, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &quoted[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    (out, "")
}

/// The name in a `filename*`: charset, language and percent-encoded text, with `'` between them (RFC 8187). Text that its charset doesn't
/// allow, or of a charset that nobody need know, is given as far as it can be read, when nothing else is there (`lossy`).
fn decoded(value: &str, lossy: bool) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, text) = match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => ("", value),
    };
    let bytes = percent_decode_str(text);
    if ["iso-8859-1", "latin1", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name)) {
        return Some(bytes.map(char::from).collect());
    }
    let is_utf8 = charset.is_empty() || charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8");
    match bytes.clone().decode_utf8() {
        Ok(name) if is_utf8 => Some(name.into_owned()),
        _ => lossy.then(|| bytes.decode_utf8_lossy().into_owned()),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_zoho_and_browsers_write_them() {
        for (header, name) in [
            ("attachment;filename*=UTF-8''image %282%29.png", "image (2).png"),
            ("attachment; filename*=utf-8'de'Gr%C3%BC%C3%9Fe%20%27x%27.pdf", "Grüße 'x'.pdf"),
            ("attachment; filename*=ISO-8859-1''Erkl%E4rung.txt", "Erklärung.txt"),
            ("attachment;filename*=UTF-8''it's 50%.txt", "it's 50%.txt"),
            ("attachment;filename*=UTF-8''a+b=c.txt", "a+b=c.txt"),
            ("attachment; filename*=\"UTF-8''a%20b.pdf\"", "a b.pdf"),
            ("attachment; filename=\"a \\\"b\\\";c.txt\"", "a _b_;c.txt"),
            ("attachment; filename=plain.txt; size=3", "plain.txt"),
            ("attachment; filename=two words.txt;", "two words.txt"),
            ("attachment; filename=\"never closed.txt", "never closed.txt"),
            ("attachment; filename=\"old.txt\"; filename*=UTF-8''new.txt", "new.txt"),
            ("attachment; filename*=UTF-8''; filename=\"there.txt\"", "there.txt"),
            ("attachment; filename*=UTF-8''%FF%FE.bin; filename=good.bin", "good.bin"),
            ("attachment; filename*=KOI8-R''%C1.bin; filename=good.bin", "good.bin"),
            ("attachment; filename*=utf-16''x.bin", "x.bin"),
            ("attachment; filename*=UTF-8''%FF%FE.bin", "\u{fffd}\u{fffd}.bin"),
            ("attachment; FILENAME = \"x.txt\"", "x.txt"),
            ("attachment; filename=first.txt; filename=second.txt", "first.txt"),
            ("filename=no-kind.txt", "no-kind.txt"),
            ("attachment", ""),
            (";;= ;", ""),
            ("", ""),
        ] {
            assert_eq!(Disposition::parse(header.as_bytes()).file_name, name, "{header}");
        }
        assert_eq!(Disposition::parse(b"attachment; filename=\"Gr\xfc\xdfe.txt\"").file_name, "Grüße.txt");
    }

    #[test]
    fn what_stands_inside_another_parameter_is_no_name() {
        for header in [
            r#"attachment; title="a; filename=evil.txt"; filename="good.txt""#,
            r#"attachment; title="\"; filename=evil.txt"; filename="good.txt""#,
            r#"attachment; x-filename="evil.txt"; filename="good.txt""#,
            r#"attachment; name="filename*=UTF-8''evil.txt"; filename="good.txt""#,
            r#"attachment; title="a"filename="evil.txt"; filename="good.txt""#,
        ] {
            assert_eq!(Disposition::parse(header.as_bytes()).file_name, "good.txt", "{header}");
        }
    }

    #[test]
    fn the_kind_is_the_first_word() {
        for (header, kind) in [("Attachment; filename=a", "attachment"), ("INLINE", "inline"), ("filename=attachment; attachment", ""), ("", "")] {
            assert_eq!(Disposition::parse(header.as_bytes()).kind, kind, "{header}");
        }
        assert!(Disposition::parse(b"attachment;filename*=UTF-8''response.json").extended);
        assert!(!Disposition::parse(b"attachment; filename=response.json").extended);
    }
}
