#!/bin/bash
# Builds the Debian packages, checks them with lintian, installs them into the running system, builds against them, and removes them.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
held=0
ok() { echo "ok   $1"; held=$((held + 1)); }
fail() { echo "FAIL $1"; echo "$held passed, 1 failed"; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }; }
installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }
clean() {
    for package in zcrm zcrm-emulator libzcrm-dev libzcrm0; do installed $package && dpkg --purge $package >/dev/null; done
    rm -rf "$work"
}

[ "$(id -u)" = 0 ] || { echo "this installs packages: run it as root"; exit 2; }
! installed libzcrm0 || { echo "libzcrm0 is installed: this would replace and remove it"; exit 2; }
trap clean EXIT

rm -f "$root"/build/*.deb
quietly make -C "$root" deb
packages=("$root"/build/libzcrm0_*.deb "$root"/build/libzcrm-dev_*.deb "$root"/build/zcrm_*.deb "$root"/build/zcrm-emulator_*.deb)
ok "the packages are built"

# The maintainer's address is the publisher's to set: ZCRM_MAINTAINER.
quietly lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "${packages[@]}"
ok "lintian has neither errors nor warnings"

quietly dpkg --install "${packages[@]}"
ldconfig -p | grep -q 'libzcrm.so.0 ' || fail "the loader doesn't find libzcrm.so.0"
cp -r "$root/tests/install/c" "$root/tests/install/cpp" "$work"
quietly make -C "$work/c" shared static
quietly cmake -S "$work/cpp" -B "$work/cpp/build"
quietly cmake --build "$work/cpp/build"
for program in "$work"/c/shared "$work"/c/static "$work"/cpp/build/shared "$work"/cpp/build/static; do
    status=0
    "$program" >/dev/null 2>&1 || status=$?
    [ $status = 2 ] || fail "$program without arguments gives $status"  # it was loaded and ran
done
ok "programs are built against the installed packages, and load the library"

for package in libzcrm0 libzcrm-dev zcrm zcrm-emulator; do
    zgrep -q '^- ' /usr/share/doc/$package/licences/crates.txt* || fail "$package lacks the licences of what is linked in"
done
for package in libzcrm0 zcrm-emulator; do
    [[ $(dpkg-query -W -f '${Depends}' $package) == *"libc6 (>= 2.17)"* ]] || fail "$package wants another glibc than 2.17: $(dpkg-query -W -f '${Depends}' $package)"
done
for binary in /usr/lib/*/libzcrm.so.0 /usr/bin/zcrm-emulator; do
    needed=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    [ "$(printf '%s\nGLIBC_2.17\n' "$needed" | sort -V | tail -n 1)" = GLIBC_2.17 ] || fail "$binary needs $needed"
done
ok "the packages have the licences of what is linked in, and neither want nor need a newer glibc than 2.17"

[[ $(/usr/bin/zcrm-emulator --version) == "zcrm-emulator "* ]] || fail "the installed emulator doesn't say its version"
[[ $(/usr/bin/zcrm --version) == "zcrm "* ]] || fail "the installed command doesn't say its version"
ok "the packages of the command and the emulator have the programs"

files=$(dpkg -L libzcrm0 libzcrm-dev zcrm zcrm-emulator | grep zcrm)
quietly dpkg --purge zcrm zcrm-emulator libzcrm-dev libzcrm0
for file in $files; do [ ! -e "$file" ] || fail "removal leaves $file"; done
! ldconfig -p | grep -q 'libzcrm.so.0 ' || fail "the loader still knows libzcrm.so.0"
ok "removal leaves nothing"
echo "$held passed, 0 failed"
