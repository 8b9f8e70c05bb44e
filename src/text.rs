//! Text that others wrote.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizer;

use crate::error::Result;
use crate::fallible;

const MARK: &[u8] = "\u{feff}".as_bytes();

/// How long the byte order mark at the beginning of a text is, 0 without one: the editors and shells of one system write it.
pub(crate) fn mark_length(text: impl AsRef<[u8]>) -> usize {
    if text.as_ref().starts_with(MARK) { MARK.len() } else { 0 }
}

/// Bytes as text, with U+FFFD for what is no UTF-8. Nearly all text is, and a look at all of it at once takes a tenth of `from_utf8_lossy` alone.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A name with its accents joined to their letters: the form in which names are compared.
pub(crate) fn joined(name: &str) -> Cow<'_, str> {
    if name.is_ascii() { Cow::Borrowed(name) } else { ComposingNormalizer::new_nfc().normalize(name) }
}

/// How many bytes come before a quote, a backslash or a control character: eight at a time, as serde_json has it.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        let is = |byte: u8| {
            let differs = eight ^ (ONES * u64::from(byte));
            differs.wrapping_sub(ONES) & !differs
        };
        let controls = eight.wrapping_sub(ONES * 0x20) & !eight;
        let found = (is(b'"') | is(b'\\') | controls) & (ONES << 7);
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    bytes.len() - rest.len() + rest.iter().take_while(|b| !matches!(b, b'"' | b'\\' | ..0x20)).count()
}

/// Many texts in one piece of memory, each with a NUL behind it, as C wants them.
#[derive(Debug, Clone)]
pub(crate) struct Arena {
    all: String,
    holds_nul: bool,
}

/// Where a text is in its arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Arena {
    pub(crate) const EMPTY: Arena = Arena { all: String::new(), holds_nul: false };

    /// Adds a text of a JSON document. One that is borrowed from it holds no NUL, which JSON has only as an escape.
    #[expect(clippy::ptr_arg, reason = "only a text that was copied can hold a NUL")]
    pub(crate) fn push(&mut self, text: &Cow<'_, str>) -> Result<Span> {
        self.holds_nul |= matches!(text, Cow::Owned(text) if text.contains('\0'));
        let (start, end) = (self.all.len(), self.all.len() + text.len());
        if end >= self.all.capacity().min(u32::MAX as usize) {
            self.reserve(text.len() + 1)?;
        }
        self.all.push_str(text);
        self.all.push('\0');
        Ok(Span { start: start as u32, end: end as u32 })
    }

    /// Bytes of all texts.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds all texts of another, and says by how much their spans move.
    pub(crate) fn append(&mut self, other: &Arena) -> Result<u32> {
        self.reserve(other.all.len())?;
        let by = self.all.len() as u32;
        self.all.push_str(&other.all);
        self.holds_nul |= other.holds_nul;
        Ok(by)
    }

    /// Room for so many further bytes, in an arena whose spans reach all of it.
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        let fits = u32::try_from(self.all.len() + bytes).is_ok() && self.all.try_reserve(bytes).is_ok();
        if fits { Ok(()) } else { Err(fallible::out_of_memory(self.all.len() + bytes)) }
    }

    pub(crate) fn get(&self, span: Span) -> &str {
        &self.all[span.start as usize..span.end as usize]
    }

    /// A text with the NUL behind it; `None` where texts hold a NUL themselves.
    pub(crate) fn get_with_nul(&self, span: Span) -> Option<&[u8]> {
        (!self.holds_nul).then(|| &self.all.as_bytes()[span.start as usize..=span.end as usize])
    }
}

impl Span {
    /// The span in an arena that the first one was appended to.
    pub(crate) fn moved(self, by: u32) -> Span {
        Span { start: self.start + by, end: self.end + by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_an_arena_stay_what_they_are_when_it_is_appended_to_another() {
        let (mut first, mut second) = (Arena::EMPTY, Arena::EMPTY);
        let a = first.push(&"a".into()).unwrap();
        let empty = second.push(&"".into()).unwrap();
        let u = second.push(&"ü".into()).unwrap();
        let by = first.append(&second).unwrap();
        let all = [a, empty.moved(by), u.moved(by)];
        assert_eq!(all.map(|span| first.get(span)), ["a", "", "ü"]);
        assert_eq!(all.map(|span| first.get_with_nul(span).unwrap()), ["a\0", "\0", "ü\0"].map(str::as_bytes));
    }

    #[test]
    fn a_nul_inside_of_a_text_is_known() {
        let (mut first, mut second) = (Arena::EMPTY, Arena::EMPTY);
        let nul = second.push(&Cow::Owned("a\0b".to_owned())).unwrap();
        assert_eq!((second.get(nul), second.get_with_nul(nul)), ("a\0b", None));
        let by = first.append(&second).unwrap();
        assert_eq!(first.get_with_nul(nul.moved(by)), None);
    }

    #[test]
    fn bytes_that_are_no_text_become_signs() {
        for (bytes, text) in [(b"a".as_slice(), "a"), (b"\xffa\xc3", "\u{fffd}a\u{fffd}"), ("ü".as_bytes(), "ü")] {
            assert_eq!(lossy(bytes), text);
        }
    }

    #[test]
    fn a_mark_is_known_at_the_beginning_only() {
        for (text, length) in [("\u{feff}{}", 3), ("\u{feff}\u{feff}", 3), ("{}\u{feff}", 0), ("", 0)] {
            assert_eq!(mark_length(text), length, "{text:?}");
        }
    }
}
