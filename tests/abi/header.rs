//! `include/zcrm.h`: it is what the code says, complete in its documentation, and clean C99, C11 and C++17.

use std::fmt::Write as _;
use std::process::Command;

use zcrm::Status;

use super::support::{committed, compiler, read, root, text};

const HEADER: &str = "include/zcrm.h";

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
    "pages",
    "photo",
    "records",
    "outputs",
    "result",
    "auth",
    "step",
    "batch",
    "store",
    "plugin",
];

/// The prototypes of a header.
pub fn prototypes(header: &str) -> Vec<String> {
    let parts = header.split("\nZCRM_API").skip(1);
    parts.filter_map(|part| part.split_once(';')).map(|(prototype, _)| prototype.trim().to_owned()).collect()
}

/// The structs of a header that aren't opaque, with the names of their fields.
pub fn structs(header: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in header.lines() {
        if let Some(name) = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {")) {
            all.push((name.to_owned(), Vec::new()));
            inside = true;
        } else if line.starts_with('}') {
            inside = false;
        } else if let (true, Some(name)) = (inside, field(line.split(" /**<").next().unwrap_or(line))) {
            all.last_mut().unwrap().1.push(name.to_owned());
        }
    }
    all
}

/// The name of a field. That of a function stands in the middle, and its parameters may go on in further lines.
fn field(line: &str) -> Option<&str> {
    match line.split_once("(*") {
        Some((_, function)) => function.split(')').next(),
        None => line.strip_suffix(';').filter(|field| !field.ends_with(')')).and_then(|field| field.rsplit([' ', '*']).next()),
    }
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("include/cbindgen.toml")).unwrap();
    config.after_includes = Some(preamble());
    let sources = SOURCES.iter().fold(cbindgen::Builder::new(), |builder, name| builder.with_src(root().join(format!("src/capi/{name}.rs"))));
    let mut text = Vec::new();
    sources.with_config(config).generate().unwrap().write(&mut text);
    tighten(&tidy(&String::from_utf8(text).unwrap()))
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

/// Comments as C89 has them, no empty line of a comment before its first `@`, a field and its comment in one line where that isn't long, no empty
/// line between constants, and no comment that is only a function's name: the table of the plugin says it once.
fn tighten(header: &str) -> String {
    let header =
        header.replace("\n *\n * @", "\n * @").replace("// extern \"C\"", "/* extern \"C\" */").replace("// __cplusplus", "/* __cplusplus */");
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        let comment = lines.last().and_then(|last| last.trim_start().strip_prefix("/** ")?.strip_suffix(" */")).map(str::to_owned);
        let single = line.starts_with("    ") && line.ends_with(';');
        match comment {
            Some(comment) if field(line).is_some_and(|name| comment == format!("zcrm_{name}()")) => *lines.last_mut().unwrap() = line.to_owned(),
            Some(comment) if single && line.len() + comment.len() <= 140 => *lines.last_mut().unwrap() = format!("{line} /**< {comment} */"),
            _ => lines.push(line.to_owned()),
        }
    }
    let starts = |i: usize, with: &str| lines.get(i).is_some_and(|line| line.starts_with(with));
    let between_constants = |i: usize| starts(i - 1, "#define ZCRM_") && starts(i + 1, "/** ") && starts(i + 2, "#define ZCRM_");
    let kept = (0..lines.len()).filter(|i| !(lines[*i].is_empty() && *i > 0 && between_constants(*i)));
    kept.fold(String::new(), |text, i| text + &lines[i] + "\n")
}

/// What isn't made from an item of the code: the version, the statuses and macros for text.
fn preamble() -> String {
    let mut text = format!("\n{}", include_str!("../../include/preamble.h").trim_end());
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
    committed(HEADER, &generated);
    assert!(generated.lines().count() <= 1100, "a header that nobody reads: {} lines", generated.lines().count());
}

#[test]
fn every_item_and_every_field_is_documented() {
    let header = generated();
    let lines: Vec<&str> = header.lines().skip_while(|line| !line.starts_with("/**")).collect();
    let named: Vec<&str> =
        lines.iter().filter_map(|line| field(line).filter(|name| line.contains("(*") && header.contains(&format!("zcrm_{name}(")))).collect();
    assert!(named.len() > 20, "the table of the plugin has a member for each function, under its name: {named:?}");
    let missing: Vec<&str> = lines
        .windows(2)
        .filter(|pair| {
            is_item(pair[1])
                && !pair[1].ends_with("*/")
                && !pair[0].trim_end().ends_with("*/")
                && !field(pair[1]).is_some_and(|name| named.contains(&name))
        })
        .map(|pair| pair[1])
        .collect();
    assert!(missing.is_empty(), "without documentation: {missing:#?}");
}

/// A function, a type, a constant or a field: what must follow a comment.
fn is_item(line: &str) -> bool {
    let field = line.strip_prefix("    ").is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()) && rest.ends_with(';'));
    field || ["ZCRM_API ", "typedef ", "#define ZCRM_"].iter().any(|start| line.starts_with(start))
}

#[test]
fn the_header_is_clean_c89_c99_c11_and_cpp17() {
    let dir = tempfile::tempdir().unwrap();
    let compilers: [(fn() -> Command, _, _); 4] =
        [(compiler::c, "c89", "c"), (compiler::c, "c99", "c"), (compiler::c, "c11", "c"), (compiler::cpp, "c++17", "cpp")];
    for (compiler, standard, extension) in compilers {
        let source = dir.path().join(format!("header.{extension}"));
        std::fs::write(&source, include_str!("../c/header.c")).unwrap();
        let mut command = compiler();
        command.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
        let output = command.arg(root().join("include")).arg(&source).output().unwrap();
        assert!(output.status.success(), "-std={standard}: {}", text(&output.stderr));
    }
}

#[test]
fn every_entry_point_is_guarded() {
    // These give a constant.
    let constant = ["zcrm_abi_version", "zcrm_version", "zcrm_status_name", "zcrm_step_describe"];
    let mut seen = 0;
    for name in SOURCES {
        let code = read(&format!("src/capi/{name}.rs"));
        for function in code.split("extern \"C\" fn ").skip(1).filter(|f| f.starts_with("zcrm_")) {
            let (name, body) = function.split_once('(').unwrap();
            let body = body.split("\n}\n").next().unwrap();
            let guarded = ["guard::status(", "guard::value(", "operate(", "give_result(", "fill(", "get(error,", "borrowed("]
                .iter()
                .any(|guard| body.contains(guard));
            assert!(guarded || constant.contains(&name), "{name} has no guard");
            seen += 1;
        }
    }
    assert_eq!(seen, read(HEADER).matches("\nZCRM_API").count());
}
