#!/usr/bin/env bash
# The C programs of this directory against the library, both under AddressSanitizer and LeakSanitizer.
# Optimised and without debug assertions: a debug build keeps what is left of freed handles, and a use after the free would go unseen.
set -euo pipefail
cd "$(dirname "$0")/../.."

host=$(rustc -vV | sed -n 's/^host: //p')
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/asan
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
    nice cargo rustc --quiet --release --lib --crate-type cdylib --target "$host" --target-dir "$target"
ZCRM_ASAN_LIBRARY=$target/$host/release/libzcrm.so cargo test --quiet --test abi -- --ignored c::under_asan
