#!/bin/bash
# Installs zcrm into an empty prefix, moves the prefix, builds three outside projects against it, each shared and static, runs them
# against an emulator, and uninstalls.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$work"' EXIT
held=0

ok() { echo "ok   $1"; held=$((held + 1)); }
fail() { echo "FAIL $1"; echo "$held passed, 1 failed"; exit 1; }

# So that a broken step says what it printed.
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }; }

quietly make -C "$root" install PREFIX=/usr/local DESTDIR="$work/first"
mkdir "$work/moved"
mv "$work/first/usr/local" "$work/moved/prefix"
prefix=$work/moved/prefix
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

# The installed emulator ends when descriptor 3 closes, which this script's end does.
mkfifo "$work/stdin"
"$prefix/bin/zcrm-emulator" --port 0 --until-stdin-closes <"$work/stdin" >"$work/emulator" &
exec 3>"$work/stdin"
while ! grep -q 'access token' "$work/emulator"; do sleep 0.1; done
url=$(head -1 "$work/emulator")
token=$(awk '/access token/ {print $3; exit}' "$work/emulator")

# Runs a program on a record of its own, and checks that it carries the library or loads it.
#   try NAME shared|static PROGRAM
try() {
    local record loads output
    record=$(curl -sS -X POST "$url/_emulator/records" -d '{"module": "Contacts"}' | tr -dc 0-9)
    loads=$(readelf -d "$3" | grep -c 'NEEDED.*\[libzcrm.so.0\]' || true)
    [ "$2-$loads" = shared-1 ] || [ "$2-$loads" = static-0 ] || fail "$1, $2: libzcrm.so.0 is needed $loads times"
    output=$(LD_LIBRARY_PATH=$prefix/lib "$3" "$url" "$token" "$record" 2>&1) || fail "$1, $2: $output"
    [ "$output" = "1 attachments" ] || fail "$1, $2: $output"
    ok "$1, $2"
}

cp -r "$here/c" "$here/cpp" "$here/go" "$work"
quietly make -C "$work/c" shared static
for kind in shared static; do try "C, Makefile and pkg-config" $kind "$work/c/$kind"; done

quietly cmake -S "$work/cpp" -B "$work/cpp/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror"
quietly cmake --build "$work/cpp/build"
for kind in shared static; do try "C++, CMake" $kind "$work/cpp/build/$kind"; done
sed -i 's/find_package(zcrm 0.1/find_package(zcrm 1.0/' "$work/cpp/CMakeLists.txt"
! cmake -S "$work/cpp" -B "$work/cpp/other" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 || fail "CMake takes 0.1 for 1.0"
ok "CMake refuses another major version"

cd "$work/go"
quietly go mod edit -replace "github.com/zcrm/zcrm/bindings/go=$root/bindings/go"
# Go's build cache remembers what pkg-config said of an earlier prefix, unless something else is new too.
export CGO_CFLAGS="-O2 -g -DPREFIX_$(basename "$work" | tr -c 'A-Za-z0-9\n' _)"
quietly go build -mod=mod -o "$work/go-shared" .
quietly go build -mod=mod -tags zcrm_static -o "$work/go-static" .
for kind in shared static; do try "Go" $kind "$work/go-$kind"; done

manifest=$prefix/lib/zcrm/zcrm.manifest.toml
library=$(sed -n 's/^linux_[a-z0-9]* = "\(.*\)"/\1/p' "$manifest")
entrypoint=$(sed -n 's/^entrypoint = "\(.*\)"/\1/p' "$manifest")
nm -D --defined-only "$(dirname "$manifest")/$library" | grep -qw "$entrypoint" || fail "the manifest's library has no $entrypoint"
ok "the manifest names the library and its entry point"

mv "$prefix" "$work/first/usr/local"
quietly make -C "$root" uninstall PREFIX=/usr/local DESTDIR="$work/first"
left=$(cd "$work/first/usr/local" && find . ! -path . ! -path ./bin ! -path ./include ! -path ./lib ! -path ./share ! -path ./share/man)
[ -z "$left" ] || fail "uninstall leaves $left"
ok "uninstall leaves nothing but the folders of every prefix"
echo "$held passed, 0 failed"
