//! What an upload looks for on its record: one comparison for a lost reply, for `if_exists` and for a call made again.
//!
//! A server may store another name than was sent: without `"` (which goes out as `%22`) or blanks at its ends, with other signs or words in place
//! of some (`&quot;`), with accents joined to their letters or left out, with letters spelled out, without a path before it, with a number behind it,
//! or cut at a limit. Which of these Zoho does is UNCONFIRMED. So a changed name is a reason to compare the bytes, and never enough to take one file
//! for another.

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizer;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::list::Attachment;
use crate::text::joined;

/// No server is known to cut names to fewer characters than this.
const SHORTEST_CUT: usize = 50;

/// A file by name and size, or a link by its URL.
pub(super) struct Sought<'a> {
    pub(super) name: &'a str,
    /// `None` = not counted yet.
    pub(super) bytes: Option<u64>,
    pub(super) link_url: Option<&'a str>,
}

/// How likely an entry of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// The link, or a file of this name and size.
    Same,
    /// A file whose name a server may have made of this one, or whose name or size the list doesn't say: only its bytes can tell.
    Perhaps,
    /// Another name.
    Other,
}

impl Sought<'_> {
    /// `None` when it can't be it: a link in place of a file, another URL, another size.
    pub(super) fn likeness(&self, entry: &Attachment) -> Option<Likeness> {
        match (self.link_url, entry.bytes) {
            (Some(url), _) => same_url(url, &entry.link_url).then_some(Likeness::Same),
            (None, _) if entry.is_link => None,
            (None, Some(bytes)) if self.bytes.is_some_and(|mine| mine != bytes) => None,
            (None, bytes) if self.has_name(entry) => Some(if bytes == self.bytes { Likeness::Same } else { Likeness::Perhaps }),
            _ if entry.file_name.is_empty() || may_become(self.name, &entry.file_name) => Some(Likeness::Perhaps),
            _ => Some(Likeness::Other),
        }
    }

    /// Whether it is stored under its own name. The normal form of accents makes no difference.
    pub(super) fn has_name(&self, entry: &Attachment) -> bool {
        self.link_url.is_some() || joined(&entry.file_name) == joined(self.name)
    }
}

/// Whether a server may take two names for one, whatever it does to their signs.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    one == other || without_marks(one) == without_marks(other)
}

/// `https://example.com` and `https://EXAMPLE.com/` are one URL.
fn same_url(sent: &str, stored: &str) -> bool {
    sent == stored || parsed(sent).is_some_and(|sent| parsed(stored) == Some(sent))
}

/// A link, to be looked at and compared. A letter beyond ASCII in its host is replaced by its number: the URL library takes such hosts only with
/// tables that would be a twentieth of the whole library, and nothing is ever asked of a link's host.
pub(super) fn parsed(link: &str) -> Option<Url> {
    let begins = link.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = link.split_at(begins);
    let (host, path) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let number = |c: char| if c.is_ascii() { c.to_string() } else { format!("u{:x}", u32::from(c)) };
    Url::parse(&[scheme, &host.chars().map(number).collect::<String>(), path].concat()).ok()
}

/// Whether a server may have made `stored` of the name that was sent.
fn may_become(sent: &str, stored: &str) -> bool {
    let behind_path = sent.rsplit(['/', '\\']).next().unwrap_or(sent);
    let stored_as: Vec<_> = without_number(stored).map(Cow::Owned).chain([Cow::Borrowed(stored)]).collect();
    let is_read_as = |read: &fn(&str) -> String, sent: &str| {
        let whole = read(sent);
        stored_as.iter().any(|stored| whole == read(stored) || is_cut_of(&whole, stored, *read))
    };
    keeps_letters(sent, stored) && READINGS.iter().any(|read| is_read_as(read, sent) || is_read_as(read, behind_path))
}

/// Before its extension or at its end.
fn is_cut_of(whole: &str, stored: &str, read: fn(&str) -> String) -> bool {
    let (stem, extension) = stored.rsplit_once('.').unwrap_or((stored, ""));
    let is_cut = whole.starts_with(&read(stored)) || (whole.starts_with(&read(stem)) && whole.ends_with(&read(extension)));
    is_cut && stored.len() >= SHORTEST_CUT
}

/// Ways to read a name by its ASCII letters and digits, which nobody replaces.
const READINGS: [fn(&str) -> String; 5] = [without_signs, without_marks, without_entities, in_plain_letters, spelled_out];

/// Signs, and letters beyond ASCII, may have become others, or nothing.
fn without_signs(name: &str) -> String {
    ascii(&joined(&decoded(name)))
}

/// Letters have lost their accents.
fn without_marks(name: &str) -> String {
    ascii(&DecomposingNormalizer::new_nfd().normalize(&decoded(name)))
}

/// Signs have become `&amp;` or `&#38;`.
fn without_entities(name: &str) -> String {
    let (mut out, mut rest) = (String::new(), name);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let word = rest.trim_start_matches('#').trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        rest = word.strip_prefix(';').unwrap_or(rest);
    }
    out.push_str(rest);
    without_signs(&out)
}

fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// Letters have lost their accents, and those that have none have become others: `Grüße` is `Grusse`.
fn in_plain_letters(name: &str) -> String {
    let plain = |c| match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        _ => "",
    };
    ascii(&with_letters(&DecomposingNormalizer::new_nfd().normalize(&decoded(name)), plain))
}

/// Letters have become two: `Grüße` is `Gruesse`.
fn spelled_out(name: &str) -> String {
    let two = |c| match c {
        'ä' | 'æ' => "ae",
        'ö' | 'ø' | 'œ' => "oe",
        'ü' => "ue",
        'å' => "aa",
        'ß' => "ss",
        _ => "",
    };
    ascii(&with_letters(&joined(&decoded(name)), two))
}

/// A name with the letters that others have become; those without any stay.
fn with_letters(name: &str, other: fn(char) -> &'static str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match other(c) {
            "" => out.push(c),
            letters => out.push_str(letters),
        }
    }
    out
}

/// A name without each number that may tell it from one that was there: `a (1).txt`, `a_1.tar.gz`, `a[1]`.
fn without_number(name: &str) -> impl Iterator<Item = String> {
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    ends.filter_map(|end| {
        let (stem, rest) = name.split_at(end);
        let numbered = stem.strip_suffix([')', ']']).unwrap_or(stem);
        let begin = numbered.trim_end_matches(|c: char| c.is_ascii_digit());
        let stem = begin.strip_suffix(['(', '[', '_', '-', ' ']).filter(|_| begin.len() < numbered.len())?;
        Some(format!("{stem}{rest}"))
    })
}

/// Whether each letter beyond Latin is one of the name that was sent. Latin ones may come of a wrong character set.
fn keeps_letters(sent: &str, stored: &str) -> bool {
    let plain = |name| DecomposingNormalizer::new_nfd().normalize(&decoded(name)).to_lowercase().replace('ς', "σ");
    let sent = plain(sent);
    plain(stored).chars().all(|c| c < BEYOND_LATIN || !c.is_alphabetic() || sent.contains(c))
}

const BEYOND_LATIN: char = '\u{250}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_may_make_of_a_name_is_known() {
        let long = format!("{}.pdf", "a name of some length ".repeat(12));
        let cut = |chars| long.chars().take(chars).collect::<String>();
        for (sent, stored) in [
            ("offer \"final\".txt", "offer %22final%22.txt"),
            ("offer \"final\".txt", "offer 'final'.txt"),
            ("offer \"final\".txt", "offer final.txt"),
            ("report .txt ", "report .txt"),
            (" a  b.txt", "a b.txt"),
            ("a<b>.txt", "a_b_.txt"),
            ("a:b?.txt", "a-b.txt"),
            ("Re\u{301}sume\u{301}.pdf", "R\u{e9}sum\u{e9}.pdf"),
            ("Gr\u{fc}\u{df}e.txt", "Gr??e.txt"),
            ("Gr\u{fc}\u{df}e.txt", "Gr%C3%BC%C3%9Fe.txt"),
            ("a\u{1f600}.txt", "a\u{fffd}.txt"),
            ("100% a.txt", "100%25 a.txt"),
            ("R&D \"1\".txt", "R&amp;D &quot;1&quot;.txt"),
            ("it's <b>.txt", "it&#39;s &lt;b&gt;.txt"),
            ("Gr\u{fc}\u{df}e.txt", "Gr&uuml;&#223;e.txt"),
            ("R\u{e9}sum\u{e9}.pdf", "Resume.pdf"),
            ("Gr\u{fc}\u{df}e.txt", "Gr\u{c3}\u{bc}\u{c3}\u{178}e.txt"),
            ("\u{5951}\u{7d04}.pdf", "??.pdf"),
            ("C:\\Users\\x\\Report.pdf", "Report.pdf"),
            ("a/b.txt", "b.txt"),
            ("a.txt", "a (1).txt"),
            ("a", "a(12)"),
            ("a.tar.gz", "a (1).tar.gz"),
            ("a.txt", "a_1.txt"),
            ("a b.txt", "a-b-2.txt"),
            ("a.txt", "a[1].txt"),
            ("Gr\u{fc}\u{df}e.txt", "Gruesse.txt"),
            ("STRASSE \u{df}.pdf", "strasse SS.pdf"),
            ("\u{141}\u{f3}d\u{17a}.pdf", "Lodz.pdf"),
            ("B\u{f8}rge \u{c6}.txt", "Borge AE.txt"),
            ("\u{39b}\u{38c}\u{393}\u{39f}\u{3a3}.pdf", "\u{3bb}\u{3cc}\u{3b3}\u{3bf}\u{3c2}.pdf"),
            (&long, &cut(100)),
            (&long, &cut(250)),
            (&long, &format!("{}.pdf", cut(96))),
            (&long, &format!("{} (1).pdf", cut(92))),
        ] {
            assert!(may_become(sent, stored), "{sent:?} {stored:?}");
        }
    }

    #[test]
    fn another_name_is_another_file() {
        for (sent, stored) in [
            ("a.txt", "b.txt"),
            ("report.pdf", "rep"),
            ("a1.txt", "a.txt"),
            ("a.txt", "a.txt.pdf"),
            ("a", "quite another name"),
            ("\u{5951}\u{7d04}.pdf", "\u{898b}\u{7a4d}.pdf"),
            ("\u{430}.pdf", "\u{431}.pdf"),
            ("a.txt", "a (b).txt"),
            ("b/a.txt", "b.txt"),
        ] {
            assert!(!may_become(sent, stored), "{sent:?} {stored:?}");
        }
        let (long, other) = ("x".repeat(120), format!("{}y", "x".repeat(60)));
        assert!(!may_become(&long, &other));
    }

    #[test]
    fn an_entry_is_known_by_size_and_name_and_a_link_by_its_url() {
        let entry = |name: &str, bytes| Attachment { file_name: name.into(), bytes, ..Attachment::default() };
        let file = Sought { name: "a\"b\".txt", bytes: Some(3), link_url: None };
        assert_eq!(file.likeness(&entry("a\"b\".txt", Some(3))), Some(Likeness::Same));
        assert_eq!(file.likeness(&entry("a%22b%22.txt", Some(3))), Some(Likeness::Perhaps));
        assert_eq!(file.likeness(&entry("a\"b\".txt", None)), Some(Likeness::Perhaps));
        assert_eq!(file.likeness(&entry("", Some(3))), Some(Likeness::Perhaps));
        assert_eq!(file.likeness(&entry("c.txt", Some(3))), Some(Likeness::Other));
        assert_eq!(file.likeness(&entry("a\"b\".txt", Some(4))), None);
        let link = |url: &str| Attachment { link_url: url.into(), is_link: true, ..Attachment::default() };
        assert_eq!(file.likeness(&link("https://a.example/")), None);
        let sought = Sought { name: "t", bytes: None, link_url: Some("https://a.example") };
        assert_eq!(sought.likeness(&link("https://A.example/")), Some(Likeness::Same));
        assert_eq!(sought.likeness(&link("https://a.example/b")), None);
        let sought = Sought { link_url: Some("https://m\u{fc}ller.example/\u{e4}"), ..sought };
        assert_eq!(sought.likeness(&link("HTTPS://m\u{fc}ller.EXAMPLE:443/%C3%A4")), Some(Likeness::Same));
        assert_eq!(sought.likeness(&link("https://m\u{f6}ller.example/\u{e4}")), None);
    }
}
