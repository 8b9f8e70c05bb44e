//! Size and offsets of every struct of `zcrm.h`, as a C compiler sees them, held against `layout.golden`; and the numbers of the statuses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::header::structs;
use super::support::{committed, compile, library, read, scratch, succeed, text};

/// What a C program with this body prints.
fn printed(name: &str, body: &str) -> String {
    let dir = scratch(name);
    let source: PathBuf = dir.join(name).with_extension("c");
    std::fs::write(&source, format!("#include <stdio.h>\n#include \"zcrm.h\"\nint main(void) {{\n{body}return 0;\n}}\n")).unwrap();
    text(&succeed(&mut Command::new(compile(&source, &library(), Path::new(&dir)))).stdout)
}

#[test]
fn struct_layouts_are_the_committed_ones() {
    let mut body = String::new();
    for (owner, fields) in structs(&read("include/zcrm.h")) {
        writeln!(body, "printf(\"{owner} %zu\\n\", sizeof({owner}));").unwrap();
        for field in fields {
            writeln!(body, "printf(\"  {field} %zu %zu\\n\", offsetof({owner}, {field}), sizeof((({owner} *)0)->{field}));").unwrap();
        }
    }
    assert!(body.contains("offsetof(zcrm_source, rewind)"), "a callback's field isn't found in the header");
    committed("tests/abi/layout.golden", &printed("layout", &body));
}

#[test]
fn the_numbers_and_names_of_the_header_are_those_of_the_code() {
    let mut body = String::new();
    for status in zcrm::Status::ALL {
        writeln!(body, "printf(\"%d %s\\n\", {0}, zcrm_status_name({0}));", status.name()).unwrap();
    }
    let wanted: String = zcrm::Status::ALL.iter().map(|s| format!("{} {}\n", *s as i32, s.name())).collect();
    assert_eq!(printed("statuses", &body), wanted);
    assert_eq!(read("include/zcrm.h").matches("\n#define ZCRM_E_").count(), zcrm::Status::ALL.len());
}
