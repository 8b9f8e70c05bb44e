//! What a request carries and no error, log line or result may repeat, though the reply does.

use memchr::memmem;
use reqwest::header::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

/// A shorter text is none of Zoho's secrets, and blanking it would hit ordinary words.
const SHORTEST: usize = 8;

/// The secrets of one request, as a reply may repeat them.
#[derive(Default)]
pub(crate) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Each is looked for as it is and as a form has it.
    pub(crate) fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Secrets {
        let mut all = Secrets::default();
        for text in texts.into_iter().filter(|text| text.len() >= SHORTEST) {
            let in_form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let differs = in_form != text;
            all.0.push(Zeroizing::new(text.to_owned()));
            all.0.extend(differs.then(|| Zeroizing::new(in_form)));
        }
        all
    }

    /// Puts stars in the place of each. The length stays, so that JSON does.
    pub(super) fn blank(&self, text: &mut [u8]) {
        for secret in &self.0 {
            let mut from = 0;
            while let Some(at) = memmem::find(&text[from..], secret.as_bytes()) {
                let found = from + at..from + at + secret.len();
                from = found.end;
                text[found].fill(b'*');
            }
        }
    }

    /// The same in each header.
    pub(super) fn blank_headers(&self, headers: &mut HeaderMap) {
        let holds = |value: &HeaderValue| self.0.iter().any(|secret| memmem::find(value.as_bytes(), secret.as_bytes()).is_some());
        for value in headers.values_mut().filter(|value| holds(value)) {
            let mut text = value.as_bytes().to_vec();
            self.blank(&mut text);
            *value = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(secrets: &[&str], text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        Secrets::of(secrets.iter().copied()).blank(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_secret_is_blanked_wherever_it_stands_and_as_a_form_has_it() {
        assert_eq!(blanked(&["1000.abc"], "1000.abc1000.abc x 1000.abd 1000.abc"), "**************** x 1000.abd ********");
        assert_eq!(blanked(&["a/b c/d+e"], "x=a%2Fb+c%2Fd%2Be&y=a/b c/d+e"), "x=***************&y=*********");
        assert_eq!(blanked(&["********", "second-one"], "******** second-one"), "******** **********");
    }

    #[test]
    fn what_is_too_short_for_a_secret_is_left() {
        assert_eq!(blanked(&["b", ""], "a body"), "a body");
    }
}
