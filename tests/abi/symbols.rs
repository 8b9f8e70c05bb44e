//! What the shared library exports and needs: the ledger `symbols-in-versions.md` lists every function with the version it came with.

use std::collections::BTreeSet;
use std::process::Command;

use super::header::prototypes;
use super::support::{committed, library, read, succeed, text};

const LEDGER: &str = "tests/abi/symbols-in-versions.md";

/// A line of the ledger.
struct Entry {
    symbol: String,
    since: String,
    /// The version it was deprecated in, or "".
    deprecated: String,
}

fn ledger() -> Vec<Entry> {
    let rows = read(LEDGER);
    let cells = rows.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let entry = |c: Vec<&str>| Entry { symbol: c[1].trim_matches('`').to_owned(), since: c[2].to_owned(), deprecated: c[3].to_owned() };
    cells.map(entry).collect()
}

fn exported() -> BTreeSet<String> {
    let output = succeed(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(library()));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// A function that is new gets its line from `make generated`, with the version that is being worked on. No line is ever taken away.
#[test]
fn the_library_exports_exactly_the_functions_of_the_ledger() {
    let listed: BTreeSet<String> = ledger().into_iter().map(|entry| entry.symbol).collect();
    let exported = exported();
    let gone: Vec<&String> = listed.difference(&exported).collect();
    assert!(gone.is_empty(), "listed in {LEDGER}, and exported no more: {gone:?}");
    let text = read(LEDGER);
    let (head, rows) = text.split_at(text.find("| `").unwrap());
    let new = exported.difference(&listed).map(|symbol| format!("| `{symbol}` | {} | |", env!("CARGO_PKG_VERSION")));
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).chain(new).collect();
    rows.sort();
    committed(LEDGER, &format!("{head}{}\n", rows.join("\n")));
}

#[test]
fn the_header_declares_exactly_the_functions_of_the_ledger() {
    let listed: BTreeSet<String> = ledger().into_iter().map(|entry| entry.symbol).collect();
    let declared: BTreeSet<String> = prototypes(&read("include/zcrm.h")).iter().map(|p| name(p).to_owned()).collect();
    assert_eq!(declared, listed, "declared in include/zcrm.h (left) and listed in {LEDGER} (right)");
}

fn name(prototype: &str) -> &str {
    prototype.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap()
}

#[test]
fn no_function_is_from_a_version_that_is_yet_to_come() {
    let number = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let now = number(env!("CARGO_PKG_VERSION"));
    for Entry { symbol, since, deprecated } in ledger() {
        assert!(number(&since) <= now, "{symbol}: since {since}");
        assert!(deprecated.is_empty() || (number(&since) < number(&deprecated) && number(&deprecated) <= now), "{symbol}: deprecated {deprecated}");
    }
}

fn readelf() -> String {
    text(&succeed(Command::new("readelf").arg("-dW").arg(library())).stdout)
}

#[test]
fn the_library_bears_its_soname_and_stays_loaded() {
    let dynamic = readelf();
    assert!(dynamic.contains("Library soname: [libzcrm.so.0]"), "{dynamic}");
    assert!(dynamic.lines().any(|line| line.contains("FLAGS_1") && line.contains("NODELETE")), "{dynamic}");
}

#[test]
fn only_the_c_library_and_the_compilers_runtime_are_needed() {
    let dynamic = readelf();
    let needed = dynamic.lines().filter_map(|line| line.split_once("Shared library: [")).map(|(_, name)| name.trim_end_matches(']'));
    let foreign: Vec<&str> = needed.filter(|name| !["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"].contains(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
