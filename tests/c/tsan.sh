#!/usr/bin/env bash
# The C programs of this directory against the library, both under ThreadSanitizer.
# Rust's own standard library is built with it as well, from its source: a lock or a counter that it doesn't see looks like a race.
set -euo pipefail
cd "$(dirname "$0")/../.."

host=$(rustc -vV | sed -n 's/^host: //p')
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tsan
rust=$(rustc --print sysroot)/lib/rustlib
[ -d "$rust/src/rust/library" ] || rustup component add rust-src

export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread nice cargo rustc --quiet --release --lib --crate-type cdylib --target "$host" \
    --target-dir "$target" -Zbuild-std=std,panic_unwind

# One runtime for both. gcc's own is older than what Rust's compiler calls.
mkdir -p "$target/runtime"
ln -sf "$rust/$host/lib/"librustc-*_rt.tsan.a "$target/runtime/libtsan.a"
ZCRM_TSAN_LIBRARY=$target/$host/release/libzcrm.so ZCRM_TSAN_RUNTIME=$target/runtime cargo test --quiet --test abi -- --ignored c::under_tsan
