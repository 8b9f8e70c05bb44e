//! What an upload looks for on its record: one comparison for a lost reply, for `if_exists` and for a call made again.
//!
//! A server may store another name than was sent: without `"` (which goes out as `%22`) or blanks at its ends, with other signs in place of
//! some, with accents joined to their letters, or cut at a limit. Which of these Zoho does is UNCONFIRMED. So a changed name is a reason to
//! compare the bytes, and never enough to take one file for another.

use icu_normalizer::ComposingNormalizer;
use percent_encoding::percent_decode_str;

use super::list::Attachment;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The link, or a file of this name and size.
    Same,
    /// A file whose name a server may have made of this one, or whose size the list doesn't say: only its bytes can tell.
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
            _ => Some(if may_become(self.name, &entry.file_name) { Likeness::Perhaps } else { Likeness::Other }),
        }
    }

    /// Whether it is stored under its own name. The normal form of accents makes no difference.
    pub(super) fn has_name(&self, entry: &Attachment) -> bool {
        let nfc = ComposingNormalizer::new_nfc();
        self.link_url.is_some() || nfc.normalize(&entry.file_name) == nfc.normalize(self.name)
    }
}

/// `https://example.com` and `https://EXAMPLE.com/` are one URL.
fn same_url(sent: &str, stored: &str) -> bool {
    let parsed = |url| reqwest::Url::parse(url).ok();
    sent == stored || parsed(sent).is_some_and(|sent| parsed(stored) == Some(sent))
}

/// Whether a server may have made `stored` of the name that was sent: their ASCII letters and digits, which nobody replaces, are the same, or
/// those of a name that is cut, before its extension or at its end.
fn may_become(sent: &str, stored: &str) -> bool {
    let whole = bare(sent);
    if whole == bare(stored) {
        return true;
    }
    let (stem, extension) = stored.rsplit_once('.').unwrap_or((stored, ""));
    let is_cut = whole.starts_with(&bare(stored)) || (whole.starts_with(&bare(stem)) && whole.ends_with(&bare(extension)));
    is_cut && stored.len() >= SHORTEST_CUT
}

fn bare(name: &str) -> String {
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    let joined = ComposingNormalizer::new_nfc().normalize(&decoded).into_owned();
    joined.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

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
            (&long, &cut(100)),
            (&long, &cut(250)),
            (&long, &format!("{}.pdf", cut(96))),
        ] {
            assert!(may_become(sent, stored), "{sent:?} {stored:?}");
        }
    }

    #[test]
    fn another_name_is_another_file() {
        for (sent, stored) in [("a.txt", "b.txt"), ("report.pdf", "rep"), ("a1.txt", "a.txt"), ("a.txt", "a.txt.pdf"), ("a", "quite another name")] {
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
        assert_eq!(file.likeness(&entry("c.txt", Some(3))), Some(Likeness::Other));
        assert_eq!(file.likeness(&entry("a\"b\".txt", Some(4))), None);
        let link = |url: &str| Attachment { link_url: url.into(), is_link: true, ..Attachment::default() };
        assert_eq!(file.likeness(&link("https://a.example/")), None);
        let sought = Sought { name: "t", bytes: None, link_url: Some("https://a.example") };
        assert_eq!(sought.likeness(&link("https://A.example/")), Some(Likeness::Same));
        assert_eq!(sought.likeness(&link("https://a.example/b")), None);
    }
}
