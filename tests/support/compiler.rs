//! The compilers for C and C++ that the crate `cc` finds: those of `CC` and `CXX`, a cross compiler, or the system's own.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::process::Command;

/// The C compiler, with what the target needs.
pub fn c() -> Command {
    found(false).to_command()
}

/// The C++ compiler, with what the target needs.
pub fn cpp() -> Command {
    found(true).to_command()
}

/// A compiler with the name to show for it.
pub type Named = (&'static str, fn() -> Command);

/// The C++ compiler, and clang's beside it where it is another one and there.
pub fn every_cpp() -> Vec<Named> {
    let mut all: Vec<Named> = vec![("the C++ compiler", cpp)];
    let clang = Command::new(CLANG).arg("--version").output().is_ok_and(|output| output.status.success());
    if clang && !found(true).is_like_clang() {
        all.push((CLANG, || Command::new(CLANG)));
    }
    all
}

const CLANG: &str = "clang++";

fn found(cpp: bool) -> cc::Tool {
    let mut build = cc::Build::new();
    build.cpp(cpp).target(env!("ZCRM_TARGET")).host(env!("ZCRM_HOST")).opt_level(0).no_default_flags(true);
    build.cargo_metadata(false).cargo_warnings(false).get_compiler()
}
