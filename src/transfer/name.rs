//! File names that a server gives, made safe.

use std::borrow::Cow;

/// A name is cut to this many bytes: the longest that common file systems take.
const MAX_BYTES: usize = 255;

/// One path component that no system takes for a directory, a device, an option or a hidden file. Empty stays empty, and a name of
/// which nothing is left is `_`.
pub(crate) fn safe_name(name: &str) -> Cow<'_, str> {
    if is_plain(name) { Cow::Borrowed(name) } else { Cow::Owned(made_safe(name)) }
}

/// Whether a name is safe at a glance, as most are.
fn is_plain(name: &str) -> bool {
    let harmless = |b: u8| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'-' | b'_' | b'.' | b'(' | b')' | b',' | b'+' | b'&');
    let is_at_rest = !name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']);
    is_at_rest && name.len() <= MAX_BYTES && name.bytes().all(harmless) && !is_device(name)
}

fn made_safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last.chars().map(|c| if forbidden(c) { '_' } else { c }).collect();
    // Cut first: cutting may leave a dot, a blank or a device at the end.
    let safe = cut(safe.trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']));
    let safe = safe.trim_end_matches(['.', ' ']);
    if safe.is_empty() && !name.is_empty() {
        return "_".to_owned();
    }
    if is_device(safe) { cut(&format!("_{safe}")).trim_end_matches(['.', ' ']).to_owned() } else { safe.to_owned() }
}

fn forbidden(c: char) -> bool {
    let bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidi || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Names that Windows takes for devices, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    if stem.len() > "CONOUT$".len() {
        return false;
    }
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |prefix: &str| {
        let number = stem.split_at_checked(prefix.len()).filter(|(begin, _)| begin.eq_ignore_ascii_case(prefix)).map(|(_, number)| number);
        number.is_some_and(|n| matches!(n, "¹" | "²" | "³") || n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].into_iter().any(is) || numbered("COM") || numbered("LPT")
}

/// Why Windows makes no file of this name, or one of another name; `None` where it does.
pub(super) fn refused_by_windows(name: &str) -> Option<&'static str> {
    let special = |c: char| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*');
    if name.ends_with(['.', ' ']) {
        Some("Windows leaves a dot or a blank out at the end of a name")
    } else if is_device(name) {
        Some("Windows takes this name for a device")
    } else {
        name.contains(special).then_some("Windows allows no control character in a name, and none of < > : \" | ? *")
    }
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
    fn what_windows_takes_for_something_else_is_told_and_no_safe_name_is() {
        for bad in ["CON", "nul.txt", "Com1.log", "aux .pdf", "a.", "a ", "a.txt:stream", "a?", "a\nb"] {
            assert!(refused_by_windows(bad).is_some(), "{bad:?}");
            assert_eq!(refused_by_windows(&safe_name(bad)), None, "{bad:?}");
        }
        for good in ["a", ".zcrm", "a.b c", "console.txt", "Überblick.pdf"] {
            assert_eq!(refused_by_windows(good), None, "{good:?}");
        }
    }

    #[test]
    fn no_name_leaves_its_directory_or_pretends_to_be_another_thing() {
        for (bad, good) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\windows\\x.dll", "x.dll"),
            ("..", "_"),
            ("/", "_"),
            ("", ""),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("COM1.log", "_COM1.log"),
            ("lpt².txt", "_lpt².txt"),
            ("conin$", "_conin$"),
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
        let long = format!("{}.pdf", "ü".repeat(300));
        let long = safe_name(&long);
        assert!(long.len() <= 255 && long.ends_with("ü.pdf"));
    }

    #[test]
    fn a_name_that_is_safe_at_a_glance_is_left_as_it_is() {
        let signs = ["", "a", "Z9", ".", "-", " ", "_", "(1)", "+&,", "con", "LPT1", "nul", "com", "7", "/", "\\", "ü", "\n", "?", "$"];
        let two = || signs.iter().flat_map(|a| signs.iter().map(move |b| format!("{a}{b}")));
        let three = two().flat_map(|ab| signs.iter().map(move |c| format!("{ab}{c}")));
        for name in three.chain([250, 255, 256].map(|long| "a".repeat(long))) {
            assert_eq!(safe_name(&name), made_safe(&name), "{name:?}");
        }
        assert!(is_plain("Quarterly report (2), v1.1_a.pdf") && is_plain("console.txt"));
    }
}
