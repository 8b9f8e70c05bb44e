//! What a step says, however it is written: a journal knows a step by it again.
//!
//! Hosts write one step in many ways: with the fields in another order, with other blanks and escapes, with 5000.0 for 5000, with `null` or the
//! default for a field that isn't given. And what says how a step is run, and not what it does, may differ from run to run.

use std::fmt;

use once_cell::sync::Lazy;
use ring::digest::{Context, SHA256, digest};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::text::mark_length;
use crate::transfer::hex;

/// Fields of a step that say how it is run.
const HOW: &[&str] = &["again", "timeout_ms", "trace_id"];

type Hash = [u8; 32];

/// What every field is that isn't given, but for the one that has a word for it.
static NOTHING: Lazy<[Hash; 3]> = Lazy::new(|| [hash("null", &[]), hash("boolean", &[&[0]]), hash("string", &[b""])]);
static IF_EXISTS: Lazy<Hash> = Lazy::new(|| hash("string", &[b"upload"]));

fn is_default(name: &str, value: &Hash) -> bool {
    NOTHING.contains(value) || (name == "if_exists" && *value == *IF_EXISTS)
}

/// The hash of what the step says, in hexadecimal. What isn't JSON says its text.
pub(super) fn meaning(step: &str) -> String {
    let step = &step[mark_length(step)..];
    let read = Value { depth: 0 }.deserialize(&mut serde_json::Deserializer::from_str(step));
    hex(&read.unwrap_or_else(|_| hash("text", &[step.as_bytes()])))
}

/// Each part is hashed with its length, so that no two lists of parts give the same.
fn hash(kind: &str, parts: &[&[u8]]) -> Hash {
    let mut block = [0; 256];
    let length = kind.len() + parts.iter().map(|part| LENGTH + part.len()).sum::<usize>();
    // Most are short, and one hash at once costs half of one that is fed.
    let hash = if length <= block.len() {
        let mut end = 0;
        pieces(kind, parts, |piece| {
            block[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        });
        digest(&SHA256, &block[..length])
    } else {
        let mut context = Context::new(&SHA256);
        pieces(kind, parts, |piece| context.update(piece));
        context.finish()
    };
    hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// Bytes of a part's length.
const LENGTH: usize = size_of::<u64>();

fn pieces(kind: &str, parts: &[&[u8]], mut take: impl FnMut(&[u8])) {
    take(kind.as_bytes());
    for part in parts {
        take(&(part.len() as u64).to_le_bytes());
        take(part);
    }
}

/// Hashes a value as it is read: nothing of it is kept, as it may hold a file.
struct Value {
    depth: usize,
}

impl Value {
    fn inner(&self) -> Value {
        Value { depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Hash;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Hash, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Hash;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Hash, E> {
        Ok(hash("null", &[]))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Hash, E> {
        Ok(hash("boolean", &[&[u8::from(value)]]))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Hash, E> {
        Ok(hash("number", &[number.to_string().as_bytes()]))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Hash, E> {
        Ok(hash("number", &[number.to_string().as_bytes()]))
    }

    /// Rust writes a whole float as the integer that it is.
    fn visit_f64<E>(self, number: f64) -> Result<Hash, E> {
        Ok(hash("number", &[number.to_string().as_bytes()]))
    }

    fn visit_str<E>(self, text: &str) -> Result<Hash, E> {
        Ok(hash("string", &[text.as_bytes()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Hash, A::Error> {
        let mut hashes = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            hashes.push(item);
        }
        Ok(hash("array", &hashes.iter().map(Hash::as_slice).collect::<Vec<_>>()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Hash, A::Error> {
        let mut hashes = Vec::new();
        while let Some(name) = fields.next_key::<String>()? {
            if self.depth == 0 && HOW.contains(&name.as_str()) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = fields.next_value_seed(self.inner())?;
            if !is_default(&name, &value) {
                hashes.push((name, value));
            }
        }
        hashes.sort();
        Ok(hash("object", &hashes.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]).collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
