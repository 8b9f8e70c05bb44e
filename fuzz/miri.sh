#!/usr/bin/env bash
# Under Miri: the handles and settings of the C ABI, and the call sequences of its corpus. It runs no foreign code, which TLS is, and so no
# client is made.
#   miri.sh           everything; installs what is missing
#   miri.sh quick     what takes a minute, where a nightly toolchain with Miri is there; else a line that says that it isn't
set -euo pipefail
cd "$(dirname "$0")/.."

there() { cargo +nightly miri --version >/dev/null 2>&1; }
tests=(capi fuzzing)
if [ "${1:-}" = quick ]; then
    tests=(capi)
    there || { echo "miri: left out, there is no nightly toolchain with Miri here: make miri installs one" && exit 0; }
fi
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
there || rustup component add --toolchain nightly miri rust-src
for name in "${tests[@]}"; do
    MIRIFLAGS=-Zmiri-disable-isolation nice cargo +nightly miri test --quiet --lib "$name"
done
