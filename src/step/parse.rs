//! Reads JSON into types, and says where it isn't as it should be.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::json;

use super::{MAX_ITEMS, MAX_STEPS};
use crate::error::{Error, Result, Status};
use crate::fallible;

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
    serde_json::value::to_raw_value(&json!({"json_path": crate::error::one_line(json_path)})).ok()
}

/// An error about a parameter of a typed function says where in the step's JSON that is.
pub(super) fn placed(error: Error, paths: &[(&str, &str)]) -> Error {
    let Some(field) = error.detail().field.filter(|_| error.detail().details.is_none() && error.detail().http_status == 0) else {
        return error;
    };
    let path = paths.iter().find(|(name, _)| *name == field).map_or(field, |(_, path)| path);
    error.with(|d| d.details = details(&format!("$.{path}")))
}

fn located(path: &str, error: &serde_json::Error) -> Error {
    if let Some(exhausted) = fallible::passed_on(error) {
        return exhausted;
    }
    if !error.is_data() {
        return refused("", format_args!("is not valid JSON: {error}"));
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // serde's words for a field; the path has an unknown one already. Ours begin with "field: ".
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
    for start in ["invalid type: string \"", "invalid value: string \""] {
        if let Some((_, expected)) = text.strip_prefix(start).and_then(|rest| rest.rsplit_once("\", expected ")) {
            return refused(path, format_args!("is a string, not {expected}"));
        }
    }
    match text.split_once(": ") {
        Some((field, problem)) if !field.contains(' ') && !field.is_empty() => refused(&inside(path, field), problem),
        _ => refused(path, text),
    }
}

/// The path of a field of the object at `path`.
fn inside(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

// A JSON object: serde alone would take an array of the fields' values as well. Not a doc comment, which would get into the description.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(transparent))]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> std::result::Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        from.deserialize_map(Fields(PhantomData))
    }
}

pub(super) fn at_least_1<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default + PartialEq>(from: D) -> std::result::Result<Option<T>, D::Error> {
    match Option::<T>::deserialize(from)? {
        Some(number) if number == T::default() => Err(de::Error::custom("is 0; it is at least 1, or not given")),
        number => Ok(number),
    }
}

pub(super) fn up_to<'de, D: Deserializer<'de>, const MOST: u32>(from: D) -> std::result::Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(from)? {
        Some(number) if !(1..=MOST).contains(&number) => Err(de::Error::custom(format!("is {number}; it is 1 to {MOST}, or not given"))),
        number => Ok(number),
    }
}

pub(super) fn filled<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() { Err(de::Error::custom("is empty")) } else { Ok(text) }
}

pub(super) fn filled_if_given<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if text.is_empty() => Err(de::Error::custom("is empty")),
        text => Ok(text),
    }
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
        0 => Err(de::Error::custom("is empty")),
        n if n > most => Err(de::Error::custom(format!("has {n} entries; at most {most} are taken"))),
        _ => Ok(items),
    }
}
