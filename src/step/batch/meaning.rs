//! What a step says, however it is written: a journal knows a step by it again.
//!
//! Hosts write one step in many ways: with the fields in another order, with other blanks and escapes, with 5000.0 for 5000, with `null` or the
//! default for a field that isn't given. And what says how a step is run, and not what it does, may differ from run to run.

use std::borrow::Cow;

use once_cell::sync::Lazy;
use ring::digest::{Context, SHA256, digest};
use serde_json::{Deserializer, Number};

use crate::text::{mark_length, plain_length};
use crate::transfer::hex;

/// Fields of a step that say how it is run.
const HOW: &[&str] = &["again", "timeout_ms", "trace_id"];

type Hash = [u8; 32];

/// What every field is that isn't given, but for the one that has a word for it.
static NOTHING: Lazy<[Hash; 3]> = Lazy::new(|| [hash_of("null", |_| {}), hash("boolean", &[0]), hash("string", b"")]);
static IF_EXISTS: Lazy<Hash> = Lazy::new(|| hash("string", b"upload"));

fn is_default(name: &str, value: &Hash) -> bool {
    NOTHING.contains(value) || (name == "if_exists" && *value == *IF_EXISTS)
}

/// What a step says.
pub(super) struct Meaning<'s> {
    /// The hash of it, in hexadecimal. What isn't JSON says its text.
    pub(super) hash: String,
    /// The path of the file that it sends.
    pub(super) path: Option<Cow<'s, str>>,
}

/// Reads what steps say, one after another.
#[derive(Default)]
pub(super) struct Meanings {
    before: TextsBefore,
}

impl Meanings {
    pub(super) fn of<'s>(&mut self, step: &'s str) -> Meaning<'s> {
        let step = &step[mark_length(step)..];
        let mut reader = Reader { rest: step, depth: 0, path: None, before: &mut self.before };
        match reader.document() {
            Some(hash) => Meaning { hash: hex(&hash), path: reader.path },
            None => Meaning { hash: hex(&hash("text", step.as_bytes())), path: None },
        }
    }
}

/// The hash of a kind of value and a list of parts.
fn hash_of(kind: &str, add_all: impl FnOnce(&mut Parts)) -> Hash {
    let mut parts = Parts { block: [0; 256], end: 0, fed: None };
    parts.take(kind.as_bytes());
    add_all(&mut parts);
    parts.hash()
}

/// The same of one part.
fn hash(kind: &str, part: &[u8]) -> Hash {
    hash_of(kind, |parts| parts.add(part))
}

/// Parts that are hashed: each goes in with its length, so that no two lists give the same.
struct Parts {
    /// Most lists are short, and one hash at once costs half of one that is fed.
    block: [u8; 256],
    end: usize,
    fed: Option<Context>,
}

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.take(&(part.len() as u64).to_le_bytes());
        self.take(part);
    }

    fn take(&mut self, piece: &[u8]) {
        let end = self.end + piece.len();
        if let Some(free) = self.block.get_mut(self.end..end) {
            free.copy_from_slice(piece);
            self.end = end;
        } else {
            let fed = self.fed.get_or_insert_with(|| Context::new(&SHA256));
            fed.update(&self.block[..self.end]);
            fed.update(piece);
            self.end = 0;
        }
    }

    fn hash(&mut self) -> Hash {
        let block = &self.block[..self.end];
        let hash = match self.fed.take() {
            None => digest(&SHA256, block),
            Some(mut fed) => {
                fed.update(block);
                fed.finish()
            }
        };
        hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")
    }
}

/// Hashes JSON as it reads it: nothing long of it is kept, as it may hold a file. A parser that gives values as they come takes twice as long.
/// Each part that is read is `None` where what stands there isn't JSON.
struct Reader<'s, 'b> {
    rest: &'s str,
    depth: usize,
    path: Option<Cow<'s, str>>,
    before: &'b mut TextsBefore,
}

/// For some fields the text that stood there in a step before, and its hash: the steps of a job have the operation in common, the module, and more.
#[derive(Default)]
struct TextsBefore(Vec<(String, String, Hash)>);

/// Fields of which that is kept, and how long name and text may be.
const KEPT: usize = 8;
const LONGEST_KEPT: usize = 256;

impl TextsBefore {
    fn hash(&mut self, field: &str, text: &str) -> Hash {
        let anew = || hash("string", text.as_bytes());
        if field.len() + text.len() > LONGEST_KEPT {
            return anew();
        }
        let Some((_, before, known)) = self.0.iter_mut().find(|(of, ..)| of == field) else {
            let new = anew();
            if self.0.len() < KEPT {
                self.0.push((field.to_owned(), text.to_owned(), new));
            }
            return new;
        };
        if before != text {
            before.clear();
            before.push_str(text);
            *known = anew();
        }
        *known
    }
}

/// What a value is of the step.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Step,
    Source,
    Path,
    Other,
}

/// No step goes deeper.
const DEEPEST: usize = 100;

impl<'s> Reader<'s, '_> {
    fn document(&mut self) -> Option<Hash> {
        let hash = self.value(Role::Step, "")?;
        self.skip_blanks();
        self.rest.is_empty().then_some(hash)
    }

    /// `field` is the name of the one that it stands in.
    fn value(&mut self, role: Role, field: &str) -> Option<Hash> {
        self.skip_blanks();
        match self.rest.as_bytes().first()? {
            b'"' => {
                let text = self.text()?;
                let hash = self.before.hash(field, &text);
                if role == Role::Path {
                    self.path = Some(text);
                }
                Some(hash)
            }
            b'{' => self.inside(|reader| reader.object(role)),
            b'[' => self.inside(Reader::array),
            b't' => self.takes("true").then(|| hash("boolean", &[1])),
            b'f' => self.takes("false").then(|| NOTHING[1]),
            b'n' => self.takes("null").then(|| NOTHING[0]),
            _ => self.number(),
        }
    }

    /// Behind a bracket.
    fn inside(&mut self, read: impl FnOnce(&mut Self) -> Option<Hash>) -> Option<Hash> {
        self.rest = &self.rest[1..];
        self.depth += 1;
        let hash = if self.depth > DEEPEST { None } else { read(self) };
        self.depth -= 1;
        hash
    }

    fn object(&mut self, role: Role) -> Option<Hash> {
        let mut fields = Vec::with_capacity(8);
        let mut is_first = true;
        while !self.takes_token(b'}') {
            if !is_first && !self.takes_token(b',') {
                return None;
            }
            is_first = false;
            self.skip_blanks();
            let name = self.text()?;
            if !self.takes_token(b':') {
                return None;
            }
            let role_of_value = match (role, &*name) {
                (Role::Step, "source") => Role::Source,
                (Role::Source, "path") => Role::Path,
                _ => Role::Other,
            };
            let value = self.value(role_of_value, &name)?;
            let is_how = role == Role::Step && HOW.contains(&&*name);
            if !is_how && !is_default(&name, &value) {
                fields.push((name, value));
            }
        }
        fields.sort_unstable();
        Some(hash_of("object", |parts| {
            for (name, value) in &fields {
                parts.add(name.as_bytes());
                parts.add(value);
            }
        }))
    }

    fn array(&mut self) -> Option<Hash> {
        let mut values = Vec::new();
        while !self.takes_token(b']') {
            if !values.is_empty() && !self.takes_token(b',') {
                return None;
            }
            values.push(self.value(Role::Other, "")?);
        }
        Some(hash_of("array", |parts| values.iter().for_each(|value| parts.add(value))))
    }

    /// A text, at its quote. One with escapes is a parser's.
    fn text(&mut self) -> Option<Cow<'s, str>> {
        let rest = self.rest.strip_prefix('"')?;
        let end = plain_length(rest.as_bytes());
        if rest.as_bytes().get(end) == Some(&b'"') {
            self.rest = &rest[end + 1..];
            return Some(Cow::Borrowed(&rest[..end]));
        }
        let mut texts = Deserializer::from_str(self.rest).into_iter::<String>();
        let text = texts.next()?.ok()?;
        self.rest = &self.rest[texts.byte_offset()..];
        Some(Cow::Owned(text))
    }

    /// A whole float is the integer that it is: Rust writes both alike.
    fn number(&mut self) -> Option<Hash> {
        let length = self.rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let (number, rest) = self.rest.split_at(length);
        let number: Number = serde_json::from_str(number).ok()?;
        self.rest = rest;
        let whole = number.as_u64().map(|whole| whole.to_string()).or_else(|| number.as_i64().map(|whole| whole.to_string()));
        let number = whole.or_else(|| number.as_f64().map(|float| float.to_string()))?;
        Some(hash("number", number.as_bytes()))
    }

    fn takes(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The same, of what blanks may stand before.
    fn takes_token(&mut self, token: u8) -> bool {
        self.skip_blanks();
        let is_there = self.rest.as_bytes().first() == Some(&token);
        self.rest = &self.rest[usize::from(is_there)..];
        is_there
    }

    fn skip_blanks(&mut self) {
        let blanks = self.rest.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = &self.rest[blanks..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(step: &str) -> String {
        Meanings::default().of(step).hash
    }

    const STEP: &str = r#"{"operation":"attachment.upload","record_id":"1","source":{"path":"/a b","name":"Grüße"},"links":["a","b"],"n":5000}"#;

    #[test]
    fn a_step_is_the_same_however_it_is_written() {
        for same in [
            r#"{"n":5000,"links":["a","b"],"source":{"name":"Grüße","path":"/a b"},"record_id":"1","operation":"attachment.upload"}"#,
            "{ \"operation\" : \"attachment.upload\",\r\n\"record_id\":\"1\",\"source\":{\"path\":\"/a b\",\"name\":\"Grüße\"},\"links\":[ \"a\" ,\"b\"],\"n\":5000 } ",
            r#"{"operation":"attachment.upload","record_id":"1","source":{"path":"\/a\u0020b","name":"Gr\u00fc\u00dfe"},"links":["a","b"],"n":5e3}"#,
            r#"{"operation":"attachment.upload","record_id":"1","source":{"path":"/a b","name":"Grüße","content_type":null},"links":["a","b"],"n":5000.0}"#,
            r#"{"operation":"attachment.upload","record_id":"1","source":{"path":"/a b","name":"Grüße"},"links":["a","b"],"n":5000,"again":true,"trace_id":"t","timeout_ms":5}"#,
            r#"{"operation":"attachment.upload","record_id":"1","source":{"path":"/a b","name":"Grüße","content_type":""},"links":["a","b"],"n":5000,"if_exists":"upload","sha256":false}"#,
        ] {
            assert_eq!(meaning(same), meaning(STEP), "{same}");
        }
    }

    #[test]
    fn whatever_says_something_else_is_another_step() {
        for other in [
            STEP.replace("/a b", "/a  b"),
            STEP.replace("5000", "5001"),
            STEP.replace("5000", "5000,\"sha256\":true"),
            STEP.replace("5000", "5000,\"if_exists\":\"skip\""),
            STEP.replace("\"b\"]", "\"b\",\"\"]"),
            STEP.replace("5000", "\"5000\""),
            STEP.replace("\"1\"", "\"2\""),
            STEP.replace(r#"["a","b"]"#, r#"["b","a"]"#),
            STEP.replace(r#"["a","b"]"#, r#"["ab"]"#),
            STEP.replace("\"source\"", "\"sink\""),
            STEP.replace("\"path\":\"/a b\"", "\"path\":\"/a b\",\"again\":true"),
            STEP.replace('{', ""),
        ] {
            assert_ne!(meaning(&other), meaning(STEP), "{other}");
        }
    }

    /// What earlier versions wrote into journals.
    #[test]
    fn a_step_of_an_earlier_journal_is_known_again() {
        let long = "x".repeat(300);
        let odd = format!(r#"{{"i":1e20,"z":"{long}","a":-7,"b":1.5,"c":18446744073709551615,"d":true,"e":[],"f":{{}},"g":[null,false,""],"h":-0}}"#);
        for (step, hash) in [
            (STEP, "0af963955cf6f3b3e8fe8ecfa0e71e479124a8900fc22cc61a9cf2fc37b109be"),
            (&odd, "6fa3a71e63c0be82bc3115dc084325569ec1b9ce89cd01151d953b735f36258d"),
            ("no JSON", "70610a111e32c8793e4f3c14a0f2ebb57dc44117ea8e6d0fa3a52a96a3297907"),
        ] {
            assert_eq!(meaning(step), hash, "{step}");
        }
    }

    #[test]
    fn what_a_step_says_does_not_depend_on_the_steps_before() {
        let long = format!(r#"{{"operation":"{}"}}"#, "x".repeat(300));
        let many: Vec<String> = ('a'..='p').map(|name| format!(r#"{{"{name}":"1","links":["{name}","b"]}}"#)).collect();
        let steps = [STEP, r#"{"operation":"","record_id":"1"}"#, r#"{"operation":"attachment","source":{"record_id":"2"}}"#, &long, "{", STEP];
        let mut meanings = Meanings::default();
        for step in steps.into_iter().chain(many.iter().map(String::as_str)).chain(steps) {
            assert_eq!(meanings.of(step).hash, meaning(step), "{step}");
        }
    }

    #[test]
    fn what_is_no_json_says_its_text() {
        for text in [
            "",
            "{",
            "{}}",
            "{} x",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"}"#,
            "tru",
            "truex",
            "nul",
            "01",
            "1.",
            "-",
            "1e400",
            "1x",
            "+1",
            "\u{a0}{}",
            &"[".repeat(200),
        ] {
            assert_eq!(meaning(text), hex(&hash("text", text.as_bytes())), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_path_of_the_source_is_read_with_it() {
        for (step, path) in [
            (STEP, Some("/a b")),
            (r#" { "source" : { "path" : "\u0061\/" } }"#, Some("a/")),
            (r#"{"source":{"url":"/a"},"path":"/b","x":{"path":"/c"},"sink":{"source":{"path":"/d"}}}"#, None),
            (r#"{"source":{"path":7}}"#, None),
            (r#"{"source":"/a"}"#, None),
            (r#"{"source":[{"path":"/a"}]}"#, None),
        ] {
            assert_eq!(Meanings::default().of(step).path.as_deref(), path, "{step}");
        }
    }
}
