//! `include/zcrm.h`: it is what the code says, complete in its documentation, and clean C99, C11 and C++17.
//!
//! `ZCRM_WRITE_HEADER=1 cargo test --test header` writes it anew.
#![cfg(feature = "capi")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use zcrm::Status;

/// In the order in which a reader of the header wants them.
const SOURCES: &[&str] = &[
    "version",
    "text",
    "status",
    "error",
    "config",
    "client",
    "cancel",
    "call",
    "target",
    "source",
    "sink",
    "attachment",
    "photo",
    "result",
    "auth",
    "step",
    "batch",
    "store",
    "plugin",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path() -> PathBuf {
    root().join("include/zcrm.h")
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("include/cbindgen.toml")).unwrap();
    config.after_includes = Some(preamble());
    let sources = SOURCES.iter().fold(cbindgen::Builder::new(), |builder, name| builder.with_src(root().join(format!("src/capi/{name}.rs"))));
    let mut text = Vec::new();
    sources.with_config(config).generate().unwrap().write(&mut text);
    tidy(&String::from_utf8(text).unwrap())
}

/// A comment of one line in one line, and one blank line at most: what cbindgen has no setting for.
fn tidy(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let mut text = String::new();
    let mut i = 0;
    while i < lines.len() {
        let comment = lines.get(i + 1).and_then(|next| next.trim_start().strip_prefix("* "));
        match comment {
            Some(comment) if lines[i].trim() == "/**" && lines.get(i + 2).is_some_and(|end| end.trim() == "*/") => {
                let indent = &lines[i][..lines[i].len() - 3];
                writeln!(text, "{indent}/** {comment} */").unwrap();
                i += 3;
            }
            _ => {
                if !(lines[i].is_empty() && text.ends_with("\n\n")) {
                    writeln!(text, "{}", lines[i]).unwrap();
                }
                i += 1;
            }
        }
    }
    text
}

/// What isn't made from an item of the code: the version, the statuses and macros for text.
fn preamble() -> String {
    let mut text = format!("\n{}", include_str!("../include/preamble.h").trim_end());
    write!(text, "\n\n/** The version of the library that this header belongs to; zcrm_version() gives that of the loaded one. */\n").unwrap();
    writeln!(text, "#define ZCRM_VERSION \"{}\"\n", env!("CARGO_PKG_VERSION")).unwrap();
    writeln!(text, "/** Success. */\n#define ZCRM_OK 0").unwrap();
    for status in Status::ALL {
        writeln!(text, "/** {} */\n#define {} {}", status.help(), status.name(), *status as i32).unwrap();
    }
    text
}

#[test]
fn the_committed_header_is_what_the_code_says() {
    let generated = generated();
    if std::env::var_os("ZCRM_WRITE_HEADER").is_some() {
        std::fs::write(path(), &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(committed == generated, "include/zcrm.h is stale: run ZCRM_WRITE_HEADER=1 cargo test --test header");
    assert!(generated.lines().count() < 1300, "a header that nobody reads");
}

#[test]
fn every_item_and_every_field_is_documented() {
    let header = generated();
    let lines: Vec<&str> = header.lines().skip_while(|line| !line.starts_with("/**")).collect();
    let missing: Vec<&str> = lines.windows(2).filter(|pair| is_item(pair[1]) && !pair[0].trim_end().ends_with("*/")).map(|pair| pair[1]).collect();
    assert!(missing.is_empty(), "without documentation: {missing:#?}");
}

/// A function, a type, a constant or a field: what must follow a comment.
fn is_item(line: &str) -> bool {
    let field = line.strip_prefix("    ").is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()) && rest.ends_with(';'));
    field || ["ZCRM_API ", "typedef ", "#define ZCRM_"].iter().any(|start| line.starts_with(start))
}

#[test]
fn the_header_is_clean_c99_c11_and_cpp17() {
    let dir = tempfile::tempdir().unwrap();
    for (compiler, standard, extension) in [("gcc", "c99", "c"), ("gcc", "c11", "c"), ("g++", "c++17", "cpp")] {
        let source = dir.path().join(format!("header.{extension}"));
        std::fs::write(&source, include_str!("c/header.c")).unwrap();
        let output = Command::new(compiler)
            .args([&format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
            .arg(root().join("include"))
            .arg(&source)
            .output()
            .unwrap();
        assert!(output.status.success(), "{compiler} -std={standard}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_entry_point_is_guarded() {
    // These give a constant.
    let constant = ["zcrm_abi_version", "zcrm_version", "zcrm_step_describe"];
    let mut seen = 0;
    for name in SOURCES {
        let code = std::fs::read_to_string(root().join(format!("src/capi/{name}.rs"))).unwrap();
        for function in code.split("extern \"C\" fn ").skip(1).filter(|f| f.starts_with("zcrm_")) {
            let (name, body) = function.split_once('(').unwrap();
            let body = body.split("\n}\n").next().unwrap();
            let guarded = ["guard::status(", "guard::value(", "operate(", "get(error,"].iter().any(|guard| body.contains(guard));
            assert!(guarded || constant.contains(&name), "{name} has no guard");
            seen += 1;
        }
    }
    assert_eq!(seen, std::fs::read_to_string(path()).unwrap().matches("\nZCRM_API").count());
}
