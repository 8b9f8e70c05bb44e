//! The secrets of a request, which no error, log line or result may repeat, even if the reply does.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use memchr::memmem;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;
use crate::transfer::hex;

/// No secret of Zoho's is shorter, and blanking shorter texts would hit ordinary words.
const SHORTEST: usize = 8;

/// The secrets of one request, as a reply may repeat them.
#[derive(Default, PartialEq, Eq)]
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

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.as_str())
    }

    /// Whether one may be in the text: how each begins is looked for, as to make ready for all of it would cost more than to look.
    fn may_stand_in(&self, text: &[u8]) -> bool {
        let begins = |secret: &Zeroizing<String>| memmem::find(text, &secret.as_bytes()[..secret.len().min(PIECE)]).is_some();
        self.0.iter().any(|secret| secret.len() <= text.len() && begins(secret))
    }

    /// The text with stars in the place of each. The length stays, so that JSON does.
    pub(super) fn blanked(&self, text: Bytes) -> Bytes {
        if !self.may_stand_in(&text) {
            return text;
        }
        let mut text = Vec::from(text);
        self.blank(&mut text);
        text.into()
    }

    fn blank(&self, text: &mut [u8]) {
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
        for value in headers.values_mut().filter(|value| self.may_stand_in(value.as_bytes())) {
            let mut text = value.as_bytes().to_vec();
            self.blank(&mut text);
            *value = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

/// A piece of a secret that is this long is blanked in an error: a gateway may cut a header that it repeats.
const PIECE: usize = 16;

/// Blanks, in every text of an error, what it has of these secrets: pieces of 16 bytes and more, in upper or lower case, in hexadecimal or
/// base64, as escapes of JSON, of a URL or of HTML, or as one of these within another. Errors are rare, so that it may look closely; of a reply
/// that is read well, [`Secrets::blank`] blanks the rest.
pub(crate) fn scrub<'t>(error: Error, secrets: impl Iterator<Item = &'t str>) -> Error {
    let needles = Needles::of(secrets);
    error.with(|d| {
        for text in [&mut d.message, &mut d.api_code, &mut d.api_message] {
            if let Some(blanked) = needles.blanked(text) {
                *text = blanked;
            }
        }
        if let Some(blanked) = d.details.as_ref().and_then(|details| needles.blanked(details.get())) {
            d.details = RawValue::from_string(blanked).ok(); // stars in a string of JSON leave it JSON; else it is better not shown
        }
    })
}

/// Every window of 16 bytes of the secrets and of their forms, or the whole of a shorter one, in lower case.
struct Needles(HashMap<usize, HashSet<Vec<u8>>>);

impl Drop for Needles {
    fn drop(&mut self) {
        self.0.values_mut().flat_map(HashSet::drain).for_each(|mut piece| piece.zeroize());
    }
}

impl Needles {
    fn of<'t>(secrets: impl Iterator<Item = &'t str>) -> Needles {
        let mut needles = Needles(HashMap::new());
        for (secret, shortest) in secrets.flat_map(in_url) {
            needles.add(&secret, shortest);
            needles.add(&Zeroizing::new(hex(secret.as_bytes())), SHORTEST);
            for before in 0..3 {
                needles.add(&in_base64(&secret, before, &STANDARD_NO_PAD), SHORTEST);
                needles.add(&in_base64(&secret, before, &URL_SAFE_NO_PAD), SHORTEST);
            }
        }
        needles
    }

    fn add(&mut self, text: &str, shortest: usize) {
        if text.len() < shortest {
            return;
        }
        let length = text.len().min(PIECE);
        let pieces = text.as_bytes().windows(length).map(<[u8]>::to_ascii_lowercase);
        self.0.entry(length).or_default().extend(pieces);
    }

    /// The text with stars for what it has of the secrets; `None` when it has nothing.
    fn blanked(&self, text: &str) -> Option<String> {
        let mut hidden = vec![false; text.len()];
        for view in views(text) {
            let bytes = Zeroizing::new(view.iter().map(|read| read.byte.to_ascii_lowercase()).collect::<Vec<u8>>());
            for (length, pieces) in &self.0 {
                for (at, _) in bytes.windows(*length).enumerate().filter(|(_, window)| pieces.contains(*window)) {
                    hidden[view[at].from..view[at + length - 1].to].fill(true);
                }
            }
        }
        let star = |(at, c): (usize, char)| if hidden[at..at + c.len_utf8()].contains(&true) { '*' } else { c };
        hidden.contains(&true).then(|| text.char_indices().map(star).collect())
    }
}

/// A secret as it is, and how many bytes of it are no ordinary word. Of a URL with a password, the password, which people choose shorter, and
/// what is sent of it: the rest of a proxy's URL may be shown.
fn in_url(secret: &str) -> Vec<(Zeroizing<String>, usize)> {
    const SHORTEST_PASSWORD: usize = 6;
    let url = reqwest::Url::parse(secret).ok().filter(|url| url.has_host());
    let Some(url) = url else { return vec![(Zeroizing::new(secret.to_owned()), SHORTEST)] };
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let Some(password) = url.password().map(decoded) else { return Vec::new() };
    let both = format!("{}:{password}", decoded(url.username()));
    [password, both].map(|secret| (Zeroizing::new(secret), SHORTEST_PASSWORD)).into()
}

/// What base64 makes of a secret behind `before` other bytes: the characters that nothing but the secret decides.
fn in_base64(secret: &str, before: usize, engine: &GeneralPurpose) -> Zeroizing<String> {
    let padded = Zeroizing::new([&[0; 2][..before], secret.as_bytes()].concat());
    let encoded = Zeroizing::new(engine.encode(&padded));
    let end = padded.len() / 3 * 4;
    Zeroizing::new(encoded[(before * 4).div_ceil(3)..end.max((before * 4).div_ceil(3))].to_owned())
}

/// A byte of a text as a decoder gives it, and where it stands in the text.
#[derive(Clone, Copy)]
struct Read {
    byte: u8,
    from: usize,
    to: usize,
}

/// Reads the escape at the beginning of a text: its byte and how many bytes it took.
type Escape = fn(&[u8]) -> Option<(u8, usize)>;

/// No escape that is known has more bytes: `&#x0000041;`.
const LONGEST_ESCAPE: usize = 11;
/// Escapes are undone at most so often: JSON in a string of JSON that has a URL's.
const MOST_LAYERS: usize = 3;

/// The text as it is, and as each order of the decoders makes it.
fn views(text: &str) -> Vec<Vec<Read>> {
    const ESCAPES: [Escape; 3] = [backslash, percent, entity];
    let mut all: Vec<Vec<Read>> = vec![text.bytes().enumerate().map(|(at, byte)| Read { byte, from: at, to: at + 1 }).collect()];
    let mut layer = 0..1;
    for _ in 0..MOST_LAYERS {
        let next: Vec<_> = all[layer.clone()].iter().flat_map(|view| ESCAPES.iter().filter_map(|escape| decoded(view, *escape))).collect();
        layer = layer.end..layer.end + next.len();
        all.extend(next);
    }
    all
}

/// The text with its escapes undone; `None` when it has none.
fn decoded(text: &[Read], escape: Escape) -> Option<Vec<Read>> {
    let mut view = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(read) = text.get(at) {
        let mut ahead = [0; LONGEST_ESCAPE];
        text[at..].iter().zip(&mut ahead).for_each(|(read, byte)| *byte = read.byte);
        let (byte, taken) = escape(&ahead[..LONGEST_ESCAPE.min(text.len() - at)]).unwrap_or((read.byte, 1));
        view.push(Read { byte, from: read.from, to: text[at + taken - 1].to });
        at += taken;
    }
    (view.len() < text.len()).then_some(view)
}

/// Of JSON and of most languages: `\n`, `\x41`, `\u0041`, `\u{41}`.
fn backslash(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'u', b'{', rest @ ..] => numbered(rest, b'}', 16).map(|(byte, taken)| (byte, 3 + taken)),
        [b'\\', b'u', digits @ ..] => Some((number(digits.get(..4)?, 16)?, 6)),
        [b'\\', b'x', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 4)),
        [b'\\', other, ..] => Some((*other, 2)),
        _ => None,
    }
}

/// Of a URL: `%41`, and `%u0041` as browsers had it.
fn percent(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', b'u', digits @ ..] => Some((number(digits.get(..4)?, 16)?, 6)),
        [b'%', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 3)),
        _ => None,
    }
}

/// Of HTML: `&#65;`, `&#x41;`, and the names of the signs that a page must write so.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    const NAMED: [(&[u8], u8); 5] = [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    match text {
        [b'&', b'#', b'x' | b'X', rest @ ..] => numbered(rest, b';', 16).map(|(byte, taken)| (byte, 3 + taken)),
        [b'&', b'#', rest @ ..] => numbered(rest, b';', 10).map(|(byte, taken)| (byte, 2 + taken)),
        _ => NAMED.iter().find(|(name, _)| text.starts_with(name)).map(|(name, byte)| (*byte, name.len())),
    }
}

/// The digits before `end`, and how many bytes both are.
fn numbered(text: &[u8], end: u8, radix: u32) -> Option<(u8, usize)> {
    let length = text.iter().position(|b| *b == end).filter(|length| *length > 0)?;
    Some((number(&text[..length], radix)?, length + 1))
}

/// The byte that these digits stand for; `?` for another character.
fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| char::from(b).is_digit(radix)))?;
    u32::from_str_radix(digits, radix).ok().map(|number| u8::try_from(number).unwrap_or(b'?'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

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

    const TOKEN: &str = "1000.0123456789abcdef0123456789abcdef.fedcba9876543210fedcba9876543210";

    fn scrubbed(text: &str, secrets: &[&str]) -> String {
        let details = RawValue::from_string(serde_json::to_string(&[text]).unwrap()).ok();
        let error = Error::new(Status::Rejected, "x", "").with(|d| (d.message, d.details) = (text.to_owned(), details));
        let error = scrub(error, secrets.iter().copied());
        let shown: Vec<String> = serde_json::from_str(error.detail().details.as_ref().unwrap().get()).unwrap();
        assert_eq!(shown[0].contains('*'), error.to_string().contains('*'));
        error.to_string()
    }

    #[test]
    fn an_error_has_no_piece_of_a_secret_in_any_form() {
        use base64::engine::general_purpose::STANDARD;
        let escaped = |each: fn(u8) -> String| TOKEN.bytes().map(each).collect::<String>();
        let forms = [
            TOKEN.to_owned(),
            TOKEN[..40].to_owned(),
            TOKEN[5..].to_owned(),
            TOKEN[20..36].to_owned(),
            TOKEN.to_uppercase(),
            escaped(|b| format!("%{b:02x}")),
            escaped(|b| format!("\\u00{b:02x}")),
            escaped(|b| format!("\\u0025{b:02X}")),
            STANDARD.encode(TOKEN),
            STANDARD.encode(format!("Zoho-oauthtoken {TOKEN}")),
            STANDARD.encode(format!("x{TOKEN}y")),
            escaped(|b| format!("%25{b:02x}")),
            escaped(|b| format!("%u00{b:02x}")),
            escaped(|b| format!("&#{b};")),
            escaped(|b| format!("&#x{b:04X};")),
            escaped(|b| format!("&amp;#{b};")),
            escaped(|b| format!("\\x{b:02x}")),
            escaped(|b| format!("\\u{{{b:x}}}")),
            escaped(|b| format!("%5Cu00{b:02x}")),
            hex(TOKEN.as_bytes()),
            hex(TOKEN.as_bytes()).to_uppercase(),
        ];
        for form in forms {
            let shown = scrubbed(&format!("before {form} behind"), &[TOKEN]);
            assert!(shown.starts_with("before ") && shown.ends_with(" behind"), "{form}: {shown}");
            assert!(shown.contains("********") && shown.split('*').all(|left| left.len() < 32), "{form}: {shown}");
        }
        assert_eq!(scrubbed("the record 3652397000000649013 has no photo", &[TOKEN]), "the record 3652397000000649013 has no photo");
    }

    #[test]
    fn of_a_proxys_url_only_the_password_is_a_secret() {
        let url = "http://user:p%40ssword-of-it@proxy.example:3128";
        assert_eq!(scrubbed("proxy.example:3128 took p@ssword-of-it", &[url]), "proxy.example:3128 took **************");
        let basic = base64::engine::general_purpose::STANDARD.encode("user:p@ssword-of-it");
        assert!(!scrubbed(&format!("Proxy-Authorization: Basic {basic}"), &[url]).contains(&basic[4..20]));
        assert_eq!(scrubbed("http://proxy.example:3128", &["http://proxy.example:3128"]), "http://proxy.example:3128");
        let short = "http://user:a%26b%3Cc@proxy.example:3128";
        for form in ["a&b<cd", "a&amp;b&lt;cd", "a%26b%3ccd"] {
            assert!(!scrubbed(&format!("<b>{form}</b>"), &[&short.replace("c@", "cd@")]).contains("cd"), "{form}");
        }
    }

    #[test]
    fn what_is_too_short_for_a_secret_is_left() {
        assert_eq!(blanked(&["b", ""], "a body"), "a body");
    }
}
