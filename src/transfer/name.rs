//! File names that a server gives, made safe.

use percent_encoding::percent_decode_str;

/// A name is cut to this many bytes: the longest that common file systems take.
const MAX_BYTES: usize = 255;

/// The name in a `Content-Disposition`, fit to be a file's name anywhere; empty when there is none.
/// Zoho writes `attachment;filename*=UTF-8''NAME` with some characters percent-encoded and others raw, so decoding is lenient.
pub(crate) fn from_disposition(header: &[u8]) -> String {
    // Header bytes are UTF-8 if they can be, else Latin-1.
    let text = std::str::from_utf8(header).map_or_else(|_| header.iter().map(|b| char::from(*b)).collect(), str::to_owned);
    let extended = parameter(&text, "filename*").map(|value| {
        let encoded = value.splitn(3, '\'').nth(2).unwrap_or(&value);
        percent_decode_str(encoded).decode_utf8_lossy().into_owned()
    });
    let plain = || parameter(&text, "filename");
    safe_name(&extended.filter(|name| !name.is_empty()).or_else(plain).unwrap_or_default())
}

/// The value of a parameter: quoted with backslash escapes, or up to the next semicolon.
fn parameter(text: &str, name: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let starts = lower.match_indices(name).map(|(at, _)| at);
    for at in starts {
        let begins = lower[..at].trim_end().ends_with(';') || at == 0;
        let Some(value) = text[at + name.len()..].trim_start().strip_prefix('=').filter(|_| begins) else { continue };
        let value = value.trim_start();
        return Some(match value.strip_prefix('"') {
            Some(rest) => unquoted(rest),
            None => value.split(';').next().unwrap_or_default().trim_end().to_owned(),
        });
    }
    None
}

fn unquoted(rest: &str) -> String {
    let (mut out, mut chars) = (String::new(), rest.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// One path component that no system takes for a directory, a device, an option or a hidden file. Empty stays empty.
pub(crate) fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last.chars().map(|c| if forbidden(c) { '_' } else { c }).collect();
    // Cut before the end is looked at: what is cut off may leave a dot, a blank or a device there.
    let safe = cut(safe.trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']));
    let safe = safe.trim_end_matches(['.', ' ']);
    if is_device(safe) { cut(&format!("_{safe}")).trim_end_matches(['.', ' ']).to_owned() } else { safe.to_owned() }
}

fn forbidden(c: char) -> bool {
    let bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidi || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Names that Windows takes for devices, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|n: &str| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// At most [`MAX_BYTES`], keeping a short extension.
fn cut(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map(|(_, e)| format!(".{e}")).filter(|e| e.len() <= 16).unwrap_or_default();
    let mut end = MAX_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_zoho_writes_them() {
        for (header, name) in [
            ("attachment;filename*=UTF-8''image %282%29.png", "image (2).png"),
            ("attachment; filename*=utf-8'de'Gr%C3%BC%C3%9Fe%20%27x%27.pdf", "Grüße 'x'.pdf"),
            ("attachment;filename*=UTF-8''it's 50%.txt", "it's 50%.txt"),
            ("attachment;filename*=UTF-8''a+b=c.txt", "a+b=c.txt"),
            ("attachment; filename=\"a \\\"b\\\";c.txt\"", "a _b_;c.txt"),
            ("attachment; filename=plain.txt; size=3", "plain.txt"),
            ("attachment; filename=\"old.txt\"; filename*=UTF-8''new.txt", "new.txt"),
            ("attachment; filename*=UTF-8''%FF%FE.bin", "\u{fffd}\u{fffd}.bin"),
            ("attachment; FILENAME = \"x.txt\"", "x.txt"),
            ("attachment", ""),
            ("", ""),
        ] {
            assert_eq!(from_disposition(header.as_bytes()), name, "{header}");
        }
        assert_eq!(from_disposition(b"attachment; filename=\"Gr\xfc\xdfe.txt\""), "Grüße.txt");
    }

    #[test]
    fn no_name_leaves_its_directory_or_pretends_to_be_another_thing() {
        for (bad, good) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\windows\\x.dll", "x.dll"),
            ("..", ""),
            ("/", ""),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("COM1.log", "_COM1.log"),
            ("a\u{202e}fdp.exe", "a_fdp.exe"),
            ("\u{61c}a", "_a"),
            ("a\0b\nc", "a_b_c"),
            ("trailing. ", "trailing"),
        ] {
            assert_eq!(safe_name(bad), good, "{bad:?}");
        }
        for (long, end) in [(format!("{}.{}", "a".repeat(254), "x".repeat(20)), "aa"), (format!("CON{}x.txt", " ".repeat(260)), ".txt")] {
            let safe = safe_name(&long);
            assert!(safe.len() <= 255 && safe.ends_with(end) && !is_device(&safe) && safe_name(&safe) == safe, "{safe:?}");
        }
        let long = safe_name(&format!("{}.pdf", "ü".repeat(300)));
        assert!(long.len() <= 255 && long.ends_with("ü.pdf"));
    }
}
