//! What the fuzz targets check: each takes any bytes, and panics when something doesn't hold that must.
//!
//! Compiled twice: for the targets in `fuzz_targets`, and into the unit tests of zcrm, which run it over the corpus.

mod abi;
mod form;
mod journal;
mod replies;
mod settings;
mod step;

use zcrm::Error;

/// What a target does with the bytes it is given.
type Target = fn(&[u8]);

/// A target's name and its check.
pub const TARGETS: &[(&str, Target)] = &[
    ("list", replies::list),
    ("answer", replies::answer),
    ("token", replies::token),
    ("token_store", replies::token_store),
    ("download", replies::download),
    ("file_name", replies::file_name),
    ("retry_after", replies::retry_after),
    ("picture", replies::picture),
    ("form", form::form),
    ("journal", journal::journal),
    ("step", step::step),
    ("link", settings::link),
    ("setting", settings::setting),
    ("abi", abi::abi),
];

/// Runs the check of a target.
pub fn run(target: &str, data: &[u8]) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).expect("the target is in the table");
    check(data);
}

/// What holds for every error: one line of bounded length, and JSON that can be read.
fn sound(error: &Error) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "more than a line: {text:?}");
    assert!(text.chars().count() <= 600, "{} characters: {text}", text.chars().count());
    let json: serde_json::Value = serde_json::from_str(&error.to_json()).expect("an error is JSON");
    assert_eq!((json["status"].as_i64(), json["message"].as_str()), (Some(error.status() as i64), Some(text.as_str())));
    assert_ne!(error.status(), zcrm::Status::Panic, "{text}");
}

/// The first line of the input, and what is behind it.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}
