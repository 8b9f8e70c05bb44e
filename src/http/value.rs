//! Values in Zoho's JSON, read as far as they can be: an undocumented value makes its field empty, but not the whole reply unreadable.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::error::Result;
use crate::fallible;
use crate::record::is_id;

/// A string, or a number as its digits; empty for everything else. Half of a surrogate pair, which remains when a server cuts through an emoji, is
/// U+FFFD.
pub(crate) fn borrowed(value: Option<&RawValue>) -> Cow<'_, str> {
    let raw = value.map_or("", RawValue::get);
    match raw.as_bytes().first() {
        Some(b'"') => match raw[1..raw.len() - 1].contains('\\') {
            false => Cow::Borrowed(&raw[1..raw.len() - 1]),
            true => Cow::Owned(serde_json::from_str::<Loose>(raw).map(|loose| loose.0).unwrap_or_default()),
        },
        Some(b'0'..=b'9' | b'-') => Cow::Borrowed(raw),
        _ => Cow::Borrowed(""),
    }
}

/// [`borrowed`], as a text of its own.
pub(crate) fn text(value: Option<&RawValue>) -> Result<String> {
    match borrowed(value) {
        Cow::Borrowed(text) => fallible::copy(text),
        Cow::Owned(text) => Ok(text),
    }
}

/// An id: digits, as a string or as an integer by its digits, and never by way of a float.
pub(crate) fn id(value: Option<&RawValue>) -> Result<Option<String>> {
    Ok(Some(text(value)?).filter(|text| is_id(text)))
}

/// `text` for a field of a struct.
pub(crate) fn loose<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    text(raw).map_err(de::Error::custom)
}

/// [`borrowed`] for a field of a struct. Unless it is `TOLERANT` it takes what is documented alone, and the same of it, in a third of the time:
/// strings, integers and `null`.
#[derive(Default)]
pub(crate) struct Text<'a, const TOLERANT: bool>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a, const TOLERANT: bool> Deserialize<'de> for Text<'a, TOLERANT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        if TOLERANT { Option::<&RawValue>::deserialize(deserializer).map(borrowed) } else { deserializer.deserialize_any(Documented) }.map(Text)
    }
}

struct Documented;

impl<'de> Visitor<'de> for Documented {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an integer or null")
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> std::result::Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Cow<'de, str>, E> {
        fallible::copy(text).map(Cow::Owned).map_err(de::Error::custom)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(number.to_string()))
    }
    fn visit_unit<E: de::Error>(self) -> std::result::Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// A string in which half of a surrogate pair may stand.
struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Loose, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Loose;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> std::result::Result<Loose, E> {
                Ok(Loose(from_wtf8(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bytes) // which gives half of a pair as three bytes, where `deserialize_str` refuses it
    }
}

fn from_wtf8(bytes: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), bytes);
    while let Err(e) = std::str::from_utf8(rest) {
        let (good, bad) = rest.split_at(e.valid_up_to());
        text.push_str(&String::from_utf8_lossy(good));
        text.push('\u{fffd}');
        rest = &bad[bad.len().min(3)..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_text_is_read_in_every_form_and_is_empty_for_what_is_none() {
        for (json, expected) in [
            (r#""a""#, "a"),
            (r#""a\"\u00fc\ud83d\ude00""#, "a\"ü😀"),
            (r#""a\ud83d.txt""#, "a\u{fffd}.txt"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            ("9007199254740993", "9007199254740993"),
            ("5.0", "5.0"),
            ("null", ""),
            ("true", ""),
            (r#"{"id":"1"}"#, ""),
            ("[]", ""),
        ] {
            assert_eq!(text(Some(&of(json))).unwrap(), expected, "{json}");
        }
        assert_eq!(text(None).unwrap(), "");
    }

    #[test]
    fn an_id_is_its_digits_and_nothing_else_is_one() {
        for json in [r#""123456789012345678901""#, "123456789012345678901"] {
            assert_eq!(id(Some(&of(json))).unwrap().unwrap(), "123456789012345678901");
        }
        for json in [r#""""#, "null", "1.5", "1e20", "-1", r#"" 1""#, r#""1a""#, "true", "{}"] {
            assert_eq!(id(Some(&of(json))).unwrap(), None, "{json}");
        }
    }
}
