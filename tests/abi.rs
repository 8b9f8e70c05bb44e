//! The ABI of the shared library: symbols, SONAME, flags, struct layouts and status numbers.
//!
//! `ZCRM_WRITE_ABI=1 cargo test --test abi` writes the committed lists anew; do so only when the ABI is meant to change.
#![cfg(all(feature = "capi", target_os = "linux"))]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use support::{compile, library, root, scratch, succeed, text};

fn agrees(file: &str, found: &str) {
    let path = root().join("tests/abi").join(file);
    if std::env::var_os("ZCRM_WRITE_ABI").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), found, "the ABI is no longer that of tests/abi/{file}");
}

fn readelf() -> String {
    text(&succeed(Command::new("readelf").arg("-dW").arg(library())).stdout)
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    let output = succeed(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(library()));
    let mut names: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    names.sort();
    agrees("symbols.txt", &(names.join("\n") + "\n"));
    let header = std::fs::read_to_string(root().join("include/zcrm.h")).unwrap();
    let missing: Vec<&String> = names.iter().filter(|name| !header.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "not in the header: {missing:?}");
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

#[test]
fn struct_layouts_are_the_committed_ones() {
    let dir = scratch("layout");
    let program = compile(&root().join("tests/abi/layout.c"), &library(), &dir);
    agrees("layout.golden", &text(&succeed(&mut Command::new(program)).stdout));
    every_field_is_listed();
}

/// A field that the header has and `layout.c` doesn't print would escape the comparison.
fn every_field_is_listed() {
    let (header, layout) = (read("include/zcrm.h"), read("tests/abi/layout.c"));
    let mut inside = None;
    for line in header.lines() {
        if let Some(rest) = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {")) {
            inside = Some(rest);
        } else if line.starts_with('}') {
            inside = None;
        } else if let (Some(owner), Some(name)) = (inside, field(line)) {
            assert!(layout.contains(&format!("FIELD({owner}, {name});")), "layout.c doesn't print {owner}.{name}");
        }
    }
}

/// The name of a field. That of a function stands in the middle, and its parameters may go on in further lines.
fn field(line: &str) -> Option<&str> {
    match line.split_once("(*") {
        Some((_, function)) => function.split(')').next(),
        None => line.strip_suffix(';').filter(|field| !field.ends_with(')')).and_then(|field| field.rsplit([' ', '*']).next()),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_numbers_and_names_of_the_header_are_those_of_the_code() {
    let dir = scratch("statuses");
    let source = dir.join("statuses.c");
    let mut program = String::from("#include <stdio.h>\n#include \"zcrm.h\"\nint main(void) {\n");
    for status in zcrm::Status::ALL {
        writeln!(program, "printf(\"%d %s\\n\", {0}, zcrm_status_name({0}));", status.name()).unwrap();
    }
    std::fs::write(&source, program + "return 0;\n}\n").unwrap();
    let printed = text(&succeed(&mut Command::new(compile(&source, &library(), Path::new(&dir)))).stdout);
    let wanted: String = zcrm::Status::ALL.iter().map(|s| format!("{} {}\n", *s as i32, s.name())).collect();
    assert_eq!(printed, wanted);
    let defined = read("include/zcrm.h").matches("\n#define ZCRM_E_").count();
    assert_eq!(defined, zcrm::Status::ALL.len());
}
