//! What the tests of the C ABI share: the library that was built beside them, and a compiler for C programs against it.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod compiler;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The directory of this repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library that cargo built together with this test.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().join("libzcrm.so")
}

/// Where this test binary may write.
pub fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Compiles `source` against the header and `library`, into `dir`.
pub fn compile(source: &Path, library: &Path, dir: &Path) -> PathBuf {
    compile_with(&[], source, library, dir)
}

/// The same with further flags. What the program defines takes the place of what the library finds elsewhere: of a function of the C library.
pub fn compile_with(flags: &[&str], source: &Path, library: &Path, dir: &Path) -> PathBuf {
    let program = dir.join(source.file_stem().unwrap());
    for name in ["libzcrm.so", "libzcrm.so.0"] {
        let link = dir.join(name);
        if std::fs::read_link(&link).ok().as_deref() != Some(library) {
            let _ = std::fs::remove_file(&link); // it may not be there
            std::os::unix::fs::symlink(library, link).unwrap();
        }
    }
    let mut compiler = compiler::c();
    compiler.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", "-rdynamic"]).args(flags).arg("-I");
    compiler.arg(root().join("include")).arg(source).arg("-o").arg(&program);
    compiler.arg("-L").arg(dir).args(["-Wl,--as-needed", "-lzcrm"]).arg(format!("-Wl,-rpath,{}", dir.display()));
    succeed(&mut compiler);
    program
}

/// A file of this repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Holds a committed file that is made from the code against what would be made now. `make generated` writes it.
pub fn committed(path: &str, made: &str) {
    if std::env::var_os("ZCRM_WRITE_GENERATED").is_some() {
        std::fs::write(root().join(path), made).unwrap();
    }
    let stands = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = stands.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(stands == made, "{path} is stale: run make generated, and look at what it changes; first difference: {differs:?}");
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    output
}

/// Bytes that a program printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether valgrind is there. Tests under it are left out, and say so, where it isn't.
pub fn has_valgrind() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success()))
}
