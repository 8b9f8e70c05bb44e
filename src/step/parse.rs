//! Reads JSON into types, and says where it isn't as it should be.
//!
//! serde passes errors on as text. Ours are marked, so that no wording of serde's is taken for one; its own, for a field that is unknown, missing
//! or given twice and for a value of another type, are known by how they begin, which the tests below hold against the serde that is linked.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde_json::json;

use super::{MAX_ITEMS, MAX_STEPS};
use crate::error::{Error, Result, Status, either, one_line};
use crate::fallible;
use crate::object::Object;

/// The largest whole number that every language keeps exactly.
pub(super) const MOST: u64 = (1 << 53) - 1;

/// Reads a step's JSON, an object, as `T`; what is wrong with it is an error with its JSON path.
pub(super) fn parse<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T> {
    let mut from = serde_json::Deserializer::from_str(json);
    let Object(parsed) = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let path = error.path().to_string();
        located(path.trim_matches('.'), &error.into_inner())
    })?;
    from.end().map_err(|error| located("", &error))?;
    Ok(parsed)
}

/// A step's bytes as text.
///
/// # Errors
/// As for every other input that isn't as described.
pub fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| refused("", format_args!("is not UTF-8 at byte {}", e.valid_up_to())))
}

/// The step input is refused: `path` is where, as in `links[2].url`; empty is the whole.
pub(super) fn refused(path: &str, problem: impl fmt::Display) -> Error {
    let (where_, json_path) = match path {
        "" => ("the step".to_owned(), "$".to_owned()),
        path if path.starts_with('[') => (format!("the step{path}"), format!("${path}")),
        path => (path.to_owned(), format!("$.{path}")),
    };
    Error::new(Status::Argument, "step_input", format!("{where_}: {problem}")).with(|d| d.details = details(&json_path))
}

/// `{"json_path":…}`, as Zoho's own errors have it.
pub(super) fn details(json_path: &str) -> Option<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(&json!({"json_path": one_line(json_path)})).ok()
}

/// An error about a parameter of a typed function names the field of the step that it came from, in its message and as JSON path.
pub(super) fn at_field(error: Error, paths: &[(&str, &str)]) -> Error {
    let Some(field) = error.detail().field.filter(|_| error.detail().details.is_none() && error.detail().http_status == 0) else {
        return error;
    };
    let path = paths.iter().find(|(name, _)| *name == field).map_or(field, |(_, path)| path);
    error.with(|d| {
        if let Some(problem) = d.message.strip_prefix(field).filter(|rest| rest.starts_with(": ")) {
            d.message = format!("{path}{problem}");
        }
        d.details = details(&format!("$.{path}"));
    })
}

/// A problem of ours on its way through serde: with a field of the object that is being read, or of the value itself.
#[derive(Debug)]
pub(super) struct Problem {
    field: &'static str,
    text: String,
}

/// No JSON text holds it unescaped, and no message of serde's begins with it.
const MARK: char = '\u{1}';

impl Problem {
    pub(super) fn of(field: &'static str, text: impl Into<String>) -> Problem {
        Problem { field, text: text.into() }
    }

    pub(super) fn here<E: de::Error>(text: impl Into<String>) -> E {
        E::custom(Problem::of("", text))
    }

    /// Field and text of a message that a `Problem` was made into.
    fn read(message: &str) -> Option<(&str, &str)> {
        message.strip_prefix(MARK)?.split_once(MARK)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{MARK}{}{MARK}{}", self.field, self.text)
    }
}

/// What the parser names in words of its own, for what hosts' own JSON writers do.
fn what_is_wrong(error: &serde_json::Error) -> &'static str {
    const HALF: &str = "half of a surrogate pair, which is no character, stands";
    let known = [("surrogate", HALF), ("end of hex escape", HALF), ("control character", "a control character stands in a text as it is")];
    let words = error.to_string();
    known.into_iter().find(|(word, _)| words.contains(word)).map_or("something is wrong", |(_, what)| what)
}

fn located(path: &str, error: &serde_json::Error) -> Error {
    if let Some(exhausted) = fallible::passed_on(error) {
        return exhausted;
    }
    if !error.is_data() {
        let place = format_args!("line {}, column {}", error.line(), error.column());
        return match error.is_eof() {
            true => refused("", format_args!("is not valid JSON: it ends too early, at {place}")),
            false => refused("", format_args!("is not valid JSON: {} at {place}", what_is_wrong(error))),
        };
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if let Some((field, problem)) = Problem::read(text) {
        return refused(&inside(path, field), problem);
    }
    // The path has an unknown field already.
    if let Some((_, rest)) = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        return refused(path, format_args!("is not a field here{}", rest.replace(", expected", "; there is")));
    }
    let named = |word: &str| text.strip_prefix(word).and_then(|rest| rest.strip_prefix(" field `")?.strip_suffix('`'));
    if let Some(field) = named("missing") {
        return refused(&inside(path, field), "is missing");
    }
    if let Some(field) = named("duplicate") {
        return refused(&inside(path, field), "is given twice");
    }
    // The value itself is left out: it may be a file's bytes.
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = text.strip_prefix(kind).and_then(|rest| rest.rsplit_once(", expected ")) {
            return refused(path, format_args!("is {}, not {}", noun(found), expected_noun(expected)));
        }
    }
    refused(path, text)
}

/// What stands there, in words that aren't Rust's. `found` begins with serde's word for it.
fn noun(found: &str) -> &'static str {
    const WORDS: &[(&str, &str)] = &[
        ("string", "a string"),
        ("boolean", "true or false"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("sequence", "an array"),
        ("map", "an object"),
        ("null", "null"),
    ];
    WORDS.iter().find(|(word, _)| found.starts_with(word)).map_or("something else", |(_, noun)| noun)
}

fn expected_noun(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false, without quotes (a boolean)",
        "a sequence" => "an array (a sequence of values)",
        "a borrowed string" | "a string" => "a string",
        other => other,
    }
}

/// The path of a field of the object at `path`; the object's own for none.
fn inside(path: &str, field: &str) -> String {
    match (path, field) {
        (path, "") => path.to_owned(),
        ("", field) => field.to_owned(),
        (path, field) => format!("{path}.{field}"),
    }
}

/// A whole number, also as engines with floats write it: JSON Schema counts 50.0 and 5e1 as integers.
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Whole, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Whole, E> {
                if number > MOST { Err(Problem::here(format!("is {number}; at most {MOST} is taken"))) } else { Ok(Whole(number)) }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<Whole, E> {
                Err(Problem::here(format!("is {number}; it must be a whole number, not below 0")))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Whole, E> {
                match number {
                    n if n > MOST as f64 => Err(Problem::here(format!("is {n}; at most {MOST} is taken"))),
                    n if n < 0.0 || n.fract() != 0.0 => Err(Problem::here(format!("is {n}; it must be a whole number, not below 0"))),
                    n => Ok(Whole(n as u64)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Whole, E> {
                Err(E::invalid_type(Unexpected::Str(text), &self))
            }
        }

        from.deserialize_any(Number)
    }
}

/// A whole number, 0 too.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    Ok(Option::<Whole>::deserialize(from)?.map(|Whole(number)| number))
}

pub(super) fn at_least_1<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    match whole(from)? {
        Some(0) => Err(Problem::here("is 0; it must be at least 1, or left out")),
        number => Ok(number),
    }
}

pub(super) fn up_to<'de, D: Deserializer<'de>, const MOST: u32>(from: D) -> std::result::Result<Option<u32>, D::Error> {
    match whole(from)? {
        None => Ok(None),
        Some(number) => match u32::try_from(number).ok().filter(|n| (1..=MOST).contains(n)) {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::here(format!("is {number}; it must be 1 to {MOST}, or left out"))),
        },
    }
}

pub(super) fn filled<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() { Err(Problem::here("is empty")) } else { Ok(text) }
}

pub(super) fn filled_if_given<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if text.is_empty() => Err(Problem::here("is empty")),
        text => Ok(text),
    }
}

/// One of some words; serde's own enums take a wrong type for JSON that is broken.
pub(super) fn word<'de, D: Deserializer<'de>, T: Copy>(from: D, words: &[(&str, T)]) -> std::result::Result<T, D::Error> {
    let text = String::deserialize(from)?;
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let all = words.iter().map(|(word, _)| *word);
        Problem::here(format!("is {:?}; it must be {}", one_line(&text), either(all)))
    })
}

pub(super) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Option<Vec<T>>, D::Error> {
    Option::<Vec<T>>::deserialize(from)?.map(|items| counted(items, MAX_ITEMS)).transpose()
}

pub(super) fn some_ids<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Vec<T>, D::Error> {
    counted(Vec::deserialize(from)?, MAX_ITEMS)
}

pub(super) fn some_steps<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Vec<T>, D::Error> {
    counted(Vec::deserialize(from)?, MAX_STEPS)
}

fn counted<T, E: de::Error>(items: Vec<T>, most: usize) -> std::result::Result<Vec<T>, E> {
    match items.len() {
        0 => Err(Problem::here("is empty")),
        n if n > most => Err(Problem::here(format!("has {n} entries; at most {most} are taken"))),
        _ => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(default, rename = "number", deserialize_with = "at_least_1")]
        _number: Option<u64>,
        #[serde(rename = "switch")]
        _switch: Option<bool>,
        #[serde(rename = "inner")]
        _inner: Option<Object<Inner>>,
        #[serde(rename = "list")]
        _list: Option<Vec<String>>,
        #[serde(rename = "bytes")]
        _bytes: Option<Unaffordable>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, try_from = "Object<InnerFields>")]
    struct Inner;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct InnerFields {
        a: Option<String>,
        #[serde(rename = "b")]
        _b: String,
    }

    impl TryFrom<Object<InnerFields>> for Inner {
        type Error = Problem;
        fn try_from(Object(from): Object<InnerFields>) -> std::result::Result<Inner, Problem> {
            if from.a.is_some() { Err(Problem::of("a", "is: not wanted")) } else { Ok(Inner) }
        }
    }

    #[derive(Debug)]
    struct Unaffordable;

    impl<'de> Deserialize<'de> for Unaffordable {
        fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Unaffordable, D::Error> {
            Err(de::Error::custom(fallible::out_of_memory(7)))
        }
    }

    /// JSON path and message of what is wrong.
    fn wrong(json: &str) -> (String, String) {
        let error = parse::<Form>(json).expect_err(json);
        let details: serde_json::Value = serde_json::from_str(error.detail().details.as_ref().map_or("{}", |d| d.get())).unwrap();
        (details["json_path"].as_str().unwrap_or_default().to_owned(), error.to_string())
    }

    #[test]
    fn what_json_writers_get_wrong_is_named() {
        for (json, what) in
            [(r#"{"switch":"\ud83d"}"#, "surrogate"), (r#"{"switch":"\udcff."}"#, "surrogate"), ("{\"switch\":\"\t\"}", "control character")]
        {
            let (_, message) = wrong(json);
            assert!(message.contains("is not valid JSON: ") && message.contains(what), "{json}: {message}");
        }
    }

    #[test]
    fn each_kind_of_error_is_known_after_its_way_through_serde() {
        for (json, path, message) in [
            (r#"{"numbr":1}"#, "$.numbr", "numbr: is not a field here; there is one of `number`, `switch`, `inner`, `list`, `bytes`"),
            (r#"{"inner":{}}"#, "$.inner.b", "inner.b: is missing"),
            (r#"{"number":1,"number":1}"#, "$.number", "number: is given twice"),
            (r#"{"switch":"on, expected off"}"#, "$.switch", "switch: is a string, not true or false, without quotes (a boolean)"),
            (r#"{"switch":1.5}"#, "$.switch", "switch: is a number, not true or false, without quotes (a boolean)"),
            (r#"{"list":{"a":1}}"#, "$.list", "list: is an object, not an array (a sequence of values)"),
            (r#"{"list":["a",[]]}"#, "$.list[1]", "list[1]: is an array, not a string"),
            (r#"{"list":["a",null]}"#, "$.list[1]", "list[1]: is null, not a string"),
            (r#"{"inner":true}"#, "$.inner", "inner: is true or false, not an object"),
            (r#"{"number":0}"#, "$.number", "number: is 0; it must be at least 1, or left out"),
            (r#"{"number":"a: b"}"#, "$.number", "number: is a string, not a whole number"),
            (r#"{"number":-1}"#, "$.number", "number: is -1; it must be a whole number, not below 0"),
            (r#"{"number":1.5}"#, "$.number", "number: is 1.5; it must be a whole number, not below 0"),
            (r#"{"inner":{"a":"x","b":"y"}}"#, "$.inner.a", "inner.a: is: not wanted"),
            ("[]", "$", "the step: is an array, not an object"),
            ("{", "$", "the step: is not valid JSON: it ends too early, at line 1, column 1"),
            ("{} x", "$", "the step: is not valid JSON: something is wrong at line 1, column 4"),
        ] {
            assert_eq!(wrong(json), (path.to_owned(), message.to_owned()), "{json}");
        }
        assert_eq!(parse::<Form>(r#"{"bytes":1}"#).unwrap_err().status(), Status::Memory);
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for json in [r#"{"number":5000}"#, r#"{"number":5000.0}"#, r#"{"number":5e3}"#, r#"{"number":9007199254740991}"#] {
            assert!(parse::<Form>(json).is_ok(), "{json}");
        }
        for json in [r#"{"number":9007199254740992}"#, r#"{"number":1e300}"#, r#"{"number":18446744073709551616}"#, r#"{"number":0.5}"#] {
            assert_eq!(wrong(json).0, "$.number", "{json}");
        }
    }
}
