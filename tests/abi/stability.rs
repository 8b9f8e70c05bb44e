//! That what is built with one release goes on working with the next: abidiff, and the link flags of the installed files. Needs abidiff
//! (abigail-tools).
//!
//! abidiff compares `zcrm.h` with that of the last release, each compiled into a library of empty functions: that is the ABI as a C compiler
//! sees it, without the insides of the handles, and needs neither a build of the old release nor a committed dump. That the real library
//! agrees with its header is the matter of `symbols.rs` and `layout.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::header::prototypes;
use super::support::{compiler, read, root, scratch, succeed, text};

/// A library of empty functions with the prototypes of a header.
fn skeleton(header: &str, dir: &Path) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("zcrm.h"), header).unwrap();
    let bodies: String = prototypes(header).iter().map(|prototype| format!("{prototype} {{ __builtin_trap(); }}\n")).collect();
    std::fs::write(dir.join("skeleton.c"), format!("#include \"zcrm.h\"\n{bodies}")).unwrap();
    let library = dir.join("libzcrm.so");
    succeed(compiler::c().args(["-g", "-shared", "-fPIC", "-w", "-Wl,-soname,libzcrm.so.0", "-o"]).arg(&library).arg(dir.join("skeleton.c")));
    library
}

fn without_comments(header: &str) -> String {
    let mut parts = header.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    let code = parts.filter_map(|part| part.split_once("*/")).fold(first, |text, (_, code)| text + code);
    code.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The body of a struct, as its fields.
fn fields<'a>(header: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let body = header.split_once(&format!("typedef struct {name} {{"))?.1;
    let body = body.split_once(&format!("}} {name};"))?.0;
    Some(body.split_inclusive(';').filter(|field| field.ends_with(';')).collect())
}

/// `new` without the fields that its structs have more than those of `old`: growth at the end is what `struct_size` is for. (A suppression
/// of abidiff's for that lets changed fields through too.)
fn without_growth(old: &str, new: &str) -> String {
    let names = old.lines().filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(" {"));
    names.fold(new.to_owned(), |text, name| {
        let known = fields(old, name).unwrap().len();
        let Some(all) = fields(&text, name) else { return text };
        let kept = all[..known.min(all.len())].concat();
        text.replace(&all.concat(), &kept)
    })
}

/// What of `new` would break a program built with `old`; "" = nothing.
fn breaks(case: &str, old: &str, new: &str) -> String {
    let dir = scratch("abidiff").join(case);
    let (old, new) = (without_comments(old), without_comments(new));
    let new = without_growth(&old, &new);
    let (old, new) = (skeleton(&old, &dir.join("old")), skeleton(&new, &dir.join("new")));
    let output = Command::new("abidiff").arg("--no-added-syms").arg(old).arg(new).output().unwrap();
    let code = output.status.code().unwrap();
    assert!(code & 3 == 0, "abidiff: {code}: {}", text(&output.stderr));
    if code == 0 { String::new() } else { text(&output.stdout) }
}

fn abi_version(header: &str) -> u32 {
    header.split("#define ZCRM_ABI_VERSION ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root()).args(arguments).output().ok()?;
    output.status.success().then(|| text(&output.stdout))
}

#[test]
fn programs_built_with_the_last_release_go_on_working() {
    let Some(tag) = git(&["describe", "--tags", "--abbrev=0", "--match", "v*"]) else {
        println!("there is no release yet");
        return;
    };
    let (old, new) = (git(&["show", &format!("{}:include/zcrm.h", tag.trim())]).unwrap(), read("include/zcrm.h"));
    let broken = breaks("release", &old, &new);
    let raised = abi_version(&new) > abi_version(&old);
    assert!(broken.is_empty() || raised, "ABI_VERSION must be raised, or this undone:\n{broken}");
}

/// The comparison above is worth something only if it sees what it is for.
#[test]
fn a_break_of_the_abi_is_seen_and_growth_is_not_one() {
    let header = without_comments(&read("include/zcrm.h"));
    let changed = |from: &str, to: &str| {
        assert!(header.contains(from), "{from}");
        header.replacen(from, to, 1)
    };
    let field = "    int64_t timeout_ms;\n";
    let function = "ZCRM_API const char *zcrm_version(void);\n";
    let end = "} zcrm_call;\n";
    assert_eq!(breaks("same", &header, &header), "");
    assert_eq!(breaks("added", &header, &changed(function, &format!("{function}ZCRM_API int zcrm_added(void);\n"))), "");
    assert_eq!(breaks("grown", &header, &changed(end, &format!("    int64_t added;\n{end}"))), "");
    assert_ne!(breaks("inserted", &header, &changed(field, &format!("    int64_t inserted;\n{field}"))), "");
    assert_ne!(breaks("narrowed", &header, &changed(field, "    int32_t timeout_ms;\n")), "");
    let both = changed(field, "    int32_t timeout_ms;\n").replace(end, &format!("    int64_t added;\n{end}"));
    assert_ne!(breaks("narrowed and grown", &header, &both), "");
    assert_ne!(breaks("dropped", &header, &changed("    uint32_t reserved;\n} zcrm_call;", "} zcrm_call;")), "");
    assert_ne!(breaks("removed", &header, &changed(function, "\n")), "");
    assert_ne!(breaks("returns", &header, &changed("ZCRM_API uint32_t zcrm_abi_version", "ZCRM_API uint64_t zcrm_abi_version")), "");
}

#[test]
fn the_installed_link_flags_are_those_that_rustc_names() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["rustc", "--offline", "--lib", "--crate-type", "staticlib", "--", "--print", "native-static-libs"]);
    let printed = text(&succeed(&mut cargo).stderr);
    let named = printed.split("native-static-libs: ").nth(1).expect("rustc names no libraries").lines().next().unwrap();
    let makefile = read("packaging/install.mk");
    let installed = makefile.split("ZCRM_NATIVE_LIBS := ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(installed, named.trim());
}
