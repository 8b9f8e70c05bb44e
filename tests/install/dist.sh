#!/bin/bash
# Builds the release archive and checks it as somebody who downloaded it would.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
held=0
ok() { echo "ok   $1"; held=$((held + 1)); }
fail() { echo "FAIL $1"; echo "$held passed, 1 failed"; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }; }

rm -f "$root"/build/zcrm-*.tar.gz*
quietly make -C "$root" dist
cd "$root/build"
quietly sha256sum --check zcrm-*.tar.gz.sha256
ok "the archive has its checksum"

tar -C "$work" -xzf zcrm-*.tar.gz
cd "$work"/zcrm-*/
quietly sha256sum --check --strict SHA256SUMS
[ "$(find . -type f ! -name SHA256SUMS | wc -l)" = "$(wc -l <SHA256SUMS)" ] || fail "SHA256SUMS doesn't name every file"
ok "every file has its checksum"

sbom=share/doc/zcrm/zcrm.cdx.json
python3 - "$sbom" "$root/Cargo.lock" <<'PYTHON' || fail "the SBOM isn't that of Cargo.lock"
import json, sys, tomllib
sbom = json.load(open(sys.argv[1]))
locked = {(p["name"], p["version"]) for p in tomllib.load(open(sys.argv[2], "rb"))["package"]}
found = {(c["name"], c["version"]) for c in sbom["components"]}
assert sbom["bomFormat"] == "CycloneDX" and sbom["metadata"]["component"]["name"] == "zcrm"
assert found <= locked, found - locked
names = {name for name, _ in found}
assert {"reqwest", "rustls", "ring", "tokio"} <= names, names
assert not {"zcrm-emulator", "cbindgen"} & names, "what only the tests use is no part of the library"
PYTHON
ok "the SBOM names the library's dependencies, each as locked, and not those of the tests"

! grep -rlF "$root" --include='*.pc' --include='*.cmake' --include='*.toml' --include='*.json' . || fail "a path of this machine"
ok "no text file names a path of the building machine"

mkdir "$work/c"
cp "$root"/tests/install/c/* "$work/c"
PKG_CONFIG_PATH=$PWD/lib/pkgconfig quietly make -C "$work/c" shared static
ok "a program is built against the unpacked archive"
echo "$held passed, 0 failed"
