#!/usr/bin/env bash
# The call sequences of the corpus of the C ABI under Miri: handles, texts, structs and errors. It runs no foreign code, which TLS is, and
# so no client is made. Without debug assertions: a debug build keeps what is left of freed handles, and Miri would take it for leaks.
set -euo pipefail
cd "$(dirname "$0")/.."

rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
cargo +nightly miri --version >/dev/null 2>&1 || rustup component add --toolchain nightly miri rust-src
MIRIFLAGS=-Zmiri-disable-isolation nice cargo +nightly miri test --lib --config 'profile.dev.package.zcrm.debug-assertions=false' fuzzing
