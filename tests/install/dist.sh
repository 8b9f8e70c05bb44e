#!/bin/bash
# Builds the release archives and checks them as somebody who downloaded them would.
#   tests/install/dist.sh [TARGET...]    for these of Rust's targets; without any for this machine's own
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
held=0
ok() { echo "ok   $1"; held=$((held + 1)); }
fail() { echo "FAIL $1"; echo "$held passed, 1 failed"; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }; }

# Without a target only this machine's: the others take as long again, each.
host=$(rustc -vV | sed -n 's/^host: //p')
rm -f "$root"/build/zcrm-*.tar.gz* "$root"/build/zcrm-*.zip*
quietly make -C "$root" dist TARGETS="${*:-$host}"
cd "$root/build"
quietly sha256sum --check zcrm-*.sha256
archives=$(ls zcrm-*.tar.gz zcrm-*.zip 2>/dev/null || true)
ok "the archives have their checksums: $(xargs <<<"$archives")"

# check_files NAME SBOM...: what every archive must be. In its folder.
check_files() {
    local name=$1
    quietly sha256sum --check --strict SHA256SUMS
    [ "$(find . -type f ! -name SHA256SUMS | wc -l)" = "$(wc -l <SHA256SUMS)" ] || fail "$1: SHA256SUMS doesn't name every file"
    ok "$1: every file has its checksum"

    ! grep -rlF "$root" . || fail "$1: a path of this machine"
    ok "$1: no file names a path of the building machine"

    cmp -s share/doc/zcrm/licences/crates.txt "$root/packaging/licences/crates.txt" || fail "$1: the licences of the crates aren't there"
    for text in rust.html:'Rust Standard Library' libunwind.txt:'LLVM' compiler-rt.txt:'Zig' musl.txt:'musl as a whole' \
        mingw-w64.txt:'mingw-w64 project'; do
        grep -q "${text#*:}" "share/doc/zcrm/licences/${text%%:*}" || fail "$1: licences/${text%%:*} doesn't name ${text#*:}"
    done
    ok "$1: it has the licences of what is linked in"

    shift
    python3 - share/doc/zcrm "$root/Cargo.lock" "$@" <<'PYTHON' || fail "$name: an SBOM isn't that of Cargo.lock"
import json, sys, tomllib
locked = {(p["name"], p["version"]) for p in tomllib.load(open(sys.argv[2], "rb"))["package"]}
for binary, parts, others in (
    ("zcrm", {"reqwest", "rustls", "ring", "tokio"}, {"zcrm-emulator", "cbindgen"}),
    ("zcrm-cli", {"zcrm", "reqwest", "clap"}, {"cbindgen", "jsonschema"}),
    ("zcrm-emulator", {"sha2", "lexopt"}, {"zcrm", "reqwest", "cbindgen"}),
):
    if binary not in sys.argv[3:]:
        continue
    sbom = json.load(open(f"{sys.argv[1]}/{binary}.cdx.json"))
    found = {(c["name"], c["version"]) for c in sbom["components"]}
    names = {name for name, _ in found}
    assert sbom["bomFormat"] == "CycloneDX" and sbom["metadata"]["component"]["name"] == binary, binary
    assert found <= locked, (binary, found - locked)
    assert parts <= names, (binary, parts - names)
    assert not others & names, (binary, "what only the tests use is no part of it")
PYTHON
    ok "$name: each binary's SBOM names its dependencies, each as locked, and not those of the tests"
}

# The newest symbol of glibc that a binary needs; none for a static one.
newest_glibc() { objdump -T "$1" 2>/dev/null | sed -n 's/.*(\{0,1\}\(GLIBC_[0-9.]*\).*/\1/p' | sort -uV | tail -n 1 || true; }

check_libc() {
    local binary newest
    for binary in bin/zcrm bin/zcrm-emulator lib/libzcrm.so.0; do
        newest=$(newest_glibc $binary)
        case $1-$newest in
        *musl*-GLIBC*) fail "$1: $binary needs glibc" ;;
        *musl* | *-) ;; # or static
        *) [ "$(printf '%s\nGLIBC_2.17\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.17 ] || fail "$1: $binary needs $newest" ;;
        esac
    done
    [[ $1 == *musl* ]] || [ -n "$newest" ] || fail "$1: the library is said to need no glibc"
    ok "$1: its library needs of the C library: ${newest:-musl}"
}

# tour NAME TARGET RUNNER...: the tour of examples/c, built by zig for the archive's target, as the archive's library runs there.
tour() {
    local name=$1 target=$2 zig exe='' link="-L$PWD/lib -lzcrm"
    shift 2
    zig=$(echo "${XDG_CACHE_HOME:-$HOME/.cache}"/zcrm/zig-*/lib/python3*/site-packages/ziglang/zig)
    mkdir "$work/tour"
    case $target in *-windows-*) exe=.exe link=$PWD/lib/libzcrm.dll.a && windows "$zig" ;; esac
    quietly make -C "$root/examples/c" TOUR="$work/tour/tour$exe" CC="$zig cc -target $target" ZCRM_CFLAGS="-I$PWD/include" ZCRM_LIBS="$link"
    quietly "$root/scripts/with-emulator" "$emulator" env LD_LIBRARY_PATH="$PWD/lib" "$@" "$work/tour/tour$exe" "$work/tour"
    rm -rf "$work/tour"
    ok "$name: the tour of all operations${1:+, by ${1##*/}}"
}

# What a program for Windows needs beside it. Wine below 9 lacks a library that Rust's own calls for random numbers.
windows() {
    cp bin/zcrm.dll "$work/tour"
    export WINEPREFIX=$work/wine WINEDEBUG=-all
    quietly "$1" cc -target x86_64-windows-gnu -shared -o "$work/tour/bcryptprimitives.dll" "$root/tests/install/windows/bcryptprimitives.c" -ladvapi32
}

# Where a library for another system or processor can be run on this machine: prints the words before the program.
machine=$(uname -m)
runs() {
    case $1 in
    "$machine"-linux-gnu.2.17) ;;
    "$machine"-linux-musl) [ -e "/lib/ld-musl-$machine.so.1" ] ;;
    aarch64-linux-gnu.2.17) command -v qemu-aarch64-static >/dev/null && [ -d /usr/aarch64-linux-gnu ] && echo "qemu-aarch64-static -L /usr/aarch64-linux-gnu" ;;
    x86_64-windows-gnu) command -v wine || { [ -x /usr/lib/wine/wine64 ] && echo /usr/lib/wine/wine64; } ;;
    *) return 1 ;;
    esac
}

# check NAME TARGET: the archive that is unpacked here.
check() {
    local name=$1 target=$2 runner
    case $target in
    *-windows-*) check_files "$name" zcrm ;;
    *) check_files "$name" zcrm zcrm-cli zcrm-emulator && check_libc "$name" ;;
    esac
    if runner=$(runs "$target"); then
        # shellcheck disable=SC2086
        tour "$name" "$target" $runner
    else
        echo "     $name: its library isn't run: this machine has no way to (for arm64 qemu-user-static and libc6-arm64-cross, for musl the package musl," \
            "for Windows the package wine64)"
    fi
}

emulator=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")/$host/release/zcrm-emulator
[ -x "$emulator" ] || quietly "$root/packaging/portable" "$host" emulator
for file in $archives; do
    cd "$root/build"
    case $file in
    *.zip) name=${file%.zip} && python3 -m zipfile -e "$file" "$work" ;;
    *) name=${file%.tar.gz} && tar -C "$work" -xzf "$file" ;;
    esac
    case $name in *amd64*) target=x86_64 ;; *) target=aarch64 ;; esac
    case $name in *-windows-*) target+=-windows-gnu ;; *musl*) target+=-linux-musl ;; *) target+=-linux-gnu.2.17 ;; esac
    cd "$work/$name"
    check "$name" "$target"
done

own=$(echo "$work"/zcrm-*-linux-"$(sed 's/x86_64/amd64/; s/aarch64/arm64/' <<<"$machine")")
[ -d "$own" ] || { echo "$held passed, 0 failed" && exit 0; }
cd "$own"
mkdir "$work/c"
cp "$root"/tests/install/c/* "$work/c"
PKG_CONFIG_PATH=$PWD/lib/pkgconfig quietly make -C "$work/c" shared static
ok "a program is built against the unpacked archive"

quietly make -C "$root" command-wheel ZCRM_WHEELS="$work/wheels"
quietly python3 -m venv "$work/venv"
quietly "$work/venv/bin/pip" install --no-index --find-links "$work/wheels" zcrm-cli
[ "$("$work/venv/bin/zcrm" --version)" = "$(bin/zcrm --version)" ] || fail "the wheel's command isn't the archive's"
cmp -s "$work"/venv/lib/python3*/site-packages/zcrm_cli-*.dist-info/licenses/licences/crates.txt "$root/packaging/licences/crates.txt" ||
    fail "the wheel of the command lacks the licences of what is linked in"
ok "the wheel zcrm-cli installs the command, with its licences"
echo "$held passed, 0 failed"
