//! The kinds of settings: how each turns text into a value, and what a form can know of it.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::Secret;
use crate::error::{either, one_line};
use crate::text::mark_length;

/// What stands in the way of a value, without the value where that is a secret.
pub(super) type Read<T> = std::result::Result<T, String>;

/// What a form can know of a setting's value, in the words of JSON Schema where it has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Form {
    /// `string`, `integer`, or `list` (entries in one text, with `separator` between them).
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the text is: `uri`, `path`, `directory` or `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// The words that it takes; empty = any text. Those of a list are its entries'.
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<&'static str>,
    /// The least number; a `string` with one is a number or something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u64>,
    /// What the number counts: `ms`, `bytes`, `pixels`, `calls` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// What separates the entries of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<&'static str>,
}

impl Form {
    pub(super) fn text(format: Option<&'static str>) -> Form {
        Form { kind: "string", format, ..Form::default() }
    }
}

/// One kind of setting. Empty text means "not set" to every kind that can be without a value.
pub(super) trait Kind {
    type Value;
    /// Whether the value is kept out of every text.
    const SECRET: bool = false;
    fn read(&self, text: &str) -> Read<Self::Value>;
    fn form(&self) -> Form;
    /// The secrets in a value, which no text may hold.
    fn secrets(_: &Self::Value) -> Vec<&str> {
        Vec::new()
    }
    /// What the words mean, for the help; empty where there are none.
    fn words(&self) -> String {
        String::new()
    }
}

/// Values that are written as one word of a few: the value, its word, and a note for the help.
pub(super) trait Words: Copy + 'static {
    fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)>;
}

/// A value that is wrong, as an error shows it. One that is longer than any right one isn't shown: it may be a secret in the wrong place.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 24;
    if text.len() > LONGEST { "a text (not shown, as it may be a secret)".to_owned() } else { format!("{:?}", one_line(text)) }
}

/// One word of a few.
pub(super) struct Word<T>(PhantomData<T>);

pub(super) const fn word<T: Words>() -> Word<T> {
    Word(PhantomData)
}

impl<T: Words> Kind for Word<T> {
    type Value = T;

    fn read(&self, text: &str) -> Read<T> {
        let known = T::all().find(|(_, word, _)| *word == text).map(|(value, ..)| value);
        known.ok_or_else(|| format!("{} is not {}", shown(text), either(T::all().map(|(_, word, _)| word))))
    }

    fn form(&self) -> Form {
        Form { kind: "string", words: T::all().map(|(_, word, _)| word).collect(), ..Form::default() }
    }

    fn words(&self) -> String {
        either(T::all().map(|(_, word, note)| if note.is_empty() { word.to_owned() } else { format!("{word} ({note})") }))
    }
}

/// A list of words, separated by commas; `all` stands for every one.
pub(super) struct WordList<T>(PhantomData<T>);

pub(super) const fn word_list<T: Words>() -> WordList<T> {
    WordList(PhantomData)
}

impl<T: Words> Kind for WordList<T> {
    type Value = Vec<T>;

    fn read(&self, text: &str) -> Read<Vec<T>> {
        let mut values = Vec::new();
        for entry in entries(text) {
            match entry {
                "all" => values.extend(T::all().map(|(value, ..)| value)),
                entry => values.push(word::<T>().read(entry)?),
            }
        }
        Ok(values)
    }

    fn form(&self) -> Form {
        let words = T::all().map(|(_, word, _)| word).chain(["all"]).collect();
        Form { kind: "list", words, separator: Some(","), ..Form::default() }
    }

    fn words(&self) -> String {
        word::<T>().words()
    }
}

/// Far above any sense, far below where adding two would overflow.
pub(super) const MAX: u64 = 1 << 50;

/// A whole number within bounds.
pub(super) struct Number<T> {
    minimum: u64,
    maximum: u64,
    unit: &'static str,
    of: PhantomData<T>,
}

pub(super) const fn number<T>(minimum: u64, maximum: u64, unit: &'static str) -> Number<T> {
    Number { minimum, maximum, unit, of: PhantomData }
}

impl<T: TryFrom<u64>> Kind for Number<T> {
    type Value = T;

    fn read(&self, text: &str) -> Read<T> {
        let n = text.parse::<u64>().ok().filter(|n| (self.minimum..=self.maximum).contains(n)).and_then(|n| T::try_from(n).ok());
        n.ok_or_else(|| match self.maximum {
            MAX => format!("{} is not a whole number from {}", shown(text), self.minimum),
            most => format!("{} is not a whole number from {} to {most}", shown(text), self.minimum),
        })
    }

    fn form(&self) -> Form {
        Form { kind: "integer", minimum: Some(self.minimum), maximum: Some(self.maximum), unit: Some(self.unit), ..Form::default() }
    }
}

/// A time in milliseconds, at least one: none at all is never meant.
pub(super) struct Millis;

impl Kind for Millis {
    type Value = Duration;

    fn read(&self, text: &str) -> Read<Duration> {
        number(1, MAX, "ms").read(text).map(Duration::from_millis)
    }

    fn form(&self) -> Form {
        number::<u64>(1, MAX, "ms").form()
    }
}

/// A time in milliseconds; 0 = without a bound.
pub(super) struct MillisOrNone;

impl Kind for MillisOrNone {
    type Value = Option<Duration>;

    fn read(&self, text: &str) -> Read<Option<Duration>> {
        let ms = number(0, MAX, "ms").read(text)?;
        Ok((ms > 0).then(|| Duration::from_millis(ms)))
    }

    fn form(&self) -> Form {
        number::<u64>(0, MAX, "ms").form()
    }
}

/// Times in milliseconds, separated by commas.
pub(super) struct MillisList;

impl Kind for MillisList {
    type Value = Vec<Duration>;

    fn read(&self, text: &str) -> Read<Vec<Duration>> {
        entries(text).map(|ms| number(0, MAX, "ms").read(ms).map(Duration::from_millis)).collect()
    }

    fn form(&self) -> Form {
        Form { kind: "list", separator: Some(","), ..number::<u64>(0, MAX, "ms").form() }
    }
}

/// Text without control characters, and without what a value has around it that was read from a file as it is.
pub(super) struct Text;

impl Kind for Text {
    type Value = Option<String>;

    fn read(&self, text: &str) -> Read<Option<String>> {
        if text.ends_with(['\r', '\n']) {
            return Err("ends with a line end; cut it off (it comes with a value that is read from a file)".into());
        }
        if text.trim() != text || mark_length(text) > 0 {
            return Err("has a blank or a byte order mark around it; cut it off".into());
        }
        if text.chars().any(char::is_control) {
            return Err("holds a line end or another control character".into());
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn form(&self) -> Form {
        Form::text(None)
    }
}

/// The same, never shown.
pub(super) struct SecretText;

impl Kind for SecretText {
    type Value = Option<Secret>;
    const SECRET: bool = true;

    fn secrets(value: &Option<Secret>) -> Vec<&str> {
        value.iter().map(Secret::expose).collect()
    }

    fn read(&self, text: &str) -> Read<Option<Secret>> {
        Ok(Text.read(text)?.map(Secret::new))
    }

    fn form(&self) -> Form {
        Form::text(None)
    }
}

/// A secret that is sent in a header.
pub(super) struct SecretHeader;

impl Kind for SecretHeader {
    type Value = Option<Secret>;
    const SECRET: bool = true;

    fn secrets(value: &Option<Secret>) -> Vec<&str> {
        value.iter().map(Secret::expose).collect()
    }

    fn read(&self, text: &str) -> Read<Option<Secret>> {
        let secret = SecretText.read(text)?;
        secret.as_ref().map_or(Ok(()), |secret| header(secret.expose()))?;
        Ok(secret)
    }

    fn form(&self) -> Form {
        Form::text(None)
    }
}

/// Text that is sent in a header; never empty.
pub(super) struct Header;

impl Kind for Header {
    type Value = String;

    fn read(&self, text: &str) -> Read<String> {
        let text = Text.read(text)?.ok_or("is empty")?;
        header(&text).map(|()| text)
    }

    fn form(&self) -> Form {
        Form::text(None)
    }
}

/// A path, taken as it is.
pub(super) struct Path(pub(super) &'static str);

impl Kind for Path {
    type Value = Option<PathBuf>;

    fn read(&self, text: &str) -> Read<Option<PathBuf>> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn form(&self) -> Form {
        Form::text(Some(self.0))
    }
}

/// A path, or the word `env`: the path that SSL_CERT_FILE has at this moment.
pub(super) struct PathOrEnv;

impl Kind for PathOrEnv {
    type Value = Option<PathBuf>;

    fn read(&self, text: &str) -> Read<Option<PathBuf>> {
        match text {
            "env" => Ok(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from)),
            path => Path("path").read(path),
        }
    }

    fn form(&self) -> Form {
        Form::text(Some("path"))
    }
}

/// Directories, separated as in the system's PATH.
pub(super) struct Directories;

impl Kind for Directories {
    type Value = Vec<PathBuf>;

    fn read(&self, text: &str) -> Read<Vec<PathBuf>> {
        Ok(std::env::split_paths(text).filter(|path| !path.as_os_str().is_empty()).collect())
    }

    fn form(&self) -> Form {
        Form { kind: "list", format: Some("directory"), separator: Some(if cfg!(windows) { ";" } else { ":" }), ..Form::default() }
    }
}

pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn header(text: &str) -> Read<()> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) { Ok(()) } else { Err("holds characters that a header can't".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_as_it_comes_out_of_a_file_is_refused_with_the_way_out() {
        for text in ["1000.abc\n", "1000.abc\r\n", "\u{feff}1000.abc", " 1000.abc", "1000.abc\t", "\n"] {
            assert!(SecretText.read(text).unwrap_err().contains("cut it off"), "{text:?}");
            assert!(Text.read(text).is_err() && SecretHeader.read(text).is_err(), "{text:?}");
        }
        for text in ["1000.abc\ndef", "1000\u{0}", "a\rb", "a\u{85}b"] {
            assert!(SecretText.read(text).is_err() && Text.read(text).is_err(), "{text:?}");
        }
        assert_eq!((SecretText.read("").unwrap(), Text.read("").unwrap()), (None, None));
    }

    #[test]
    fn a_number_over_its_bound_is_told_the_bound() {
        assert_eq!(number::<u32>(1, 1000, "calls").read("1001").unwrap_err(), "\"1001\" is not a whole number from 1 to 1000");
        assert!(number::<u64>(0, MAX, "bytes").read("-1").is_err() && Millis.read("0").is_err());
        assert_eq!(MillisOrNone.read("0").unwrap(), None);
    }
}
