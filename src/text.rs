//! Text that others wrote.

const MARK: &[u8] = "\u{feff}".as_bytes();

/// How long the byte order mark at the beginning of a text is, 0 without one: the editors and shells of one system write it.
pub(crate) fn mark_length(text: impl AsRef<[u8]>) -> usize {
    if text.as_ref().starts_with(MARK) { MARK.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_at_the_beginning_only() {
        for (text, length) in [("\u{feff}{}", 3), ("\u{feff}\u{feff}", 3), ("{}\u{feff}", 0), ("", 0)] {
            assert_eq!(mark_length(text), length, "{text:?}");
        }
    }
}
