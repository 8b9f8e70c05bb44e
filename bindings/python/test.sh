#!/usr/bin/env bash
# Tests the Python package as it is installed: the wheel, in an environment without the source tree.
#
#   test.sh              everything
#   test.sh PART...      some of: check package test old
#   test.sh test -k word    what follows test goes to pytest
#
#   check    what generate.py makes, ruff, mypy --strict, the examples too
#   package  what is in the wheel, its tag and size, and a wheel made from the sdist
#   test     pytest on the newest Python here
#   old      pytest on the oldest one from 3.9 on, and on PyPy if it is there
#
#   ZCRM_WHEEL_LIBRARY    the library that goes into the wheel    default: what make wheel builds
#   ZCRM_EMULATOR         the program zcrm-emulator               default: what make build makes, made if need be
#
# The tools are installed once, into build/python.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
release=${CARGO_TARGET_DIR:-$root/target}/release
work=$root/build/python

say() { echo "== python: $*"; }
fail() { echo "python: $*" >&2 && exit 1; }

# environment NAME PYTHON PACKAGE...: made once, and again when other packages are asked for.
environment() {
    local at=$work/$1 python=$2
    shift 2
    [ "$(cat "$at/packages" 2>/dev/null)" = "$*" ] && return
    say "installing $* for $("$python" --version)"
    rm -rf "$at"
    { "$python" -m venv "$at" && "$at/bin/pip" install --quiet --disable-pip-version-check "$@"; } ||
        fail "the tests need $* from a package index, and can't reach one; with a network they are installed once, into $at"
    echo "$*" >"$at/packages"
}

# The interpreters from 3.9 on, one a line behind its version, oldest first.
pythons() {
    local python
    for python in "$HOME"/.pyenv/versions/*/bin/python3 $(compgen -c python3 | grep -xE 'python3(\.[0-9]+)?' | sort -u); do
        python=$(command -v "$python") || continue
        "$python" -c 'import sys, venv, ensurepip; v = sys.version_info; v >= (3, 9) and sys.implementation.name == "cpython" and print("%d.%02d" % v[:2], sys.executable)' 2>/dev/null || true
    done | sort -V | sort -u -k 1,1
}

build() {
    if [ -z "${ZCRM_EMULATOR:-}" ]; then
        make --no-print-directory -C "$root" zcrm-emulator
        export ZCRM_EMULATOR=$release/zcrm-emulator
    fi
    rm -rf "$work/dist"
    make --no-print-directory -C "$root" wheel ZCRM_WHEELS="$work/dist" >/dev/null
}

check() {
    say what generate.py makes, ruff, mypy
    environment tools "$(pythons | tail -n 1 | cut -d ' ' -f 2)" ruff mypy typing_extensions pytest tqdm types-tqdm hatchling
    cd "$here"
    python3 generate.py --check
    "$work/tools/bin/ruff" check . ../../examples/python
    "$work/tools/bin/mypy" --cache-dir "$work/mypy"
    "$work/tools/bin/mypy" --cache-dir "$work/mypy" --strict generate.py hatch_build.py tests ../../examples/python/*.py
}

package() {
    say the wheel and the sdist
    local wheel unpacked said library=${ZCRM_WHEEL_LIBRARY:-${release%/*}/$(rustc -vV | sed -n 's/^host: //p')/release/libzcrm.so} needed
    wheel=$(ls "$work"/dist/*.whl)
    needed=$(objdump -T "$library" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -n 1)
    case $wheel in
    *-py3-none-manylinux_"$(sed 's/GLIBC_//; s/\./_/' <<<"$needed")"_*) ;;
    *) [ -z "$needed" ] && [[ $wheel == *-py3-none-musllinux_* ]] || fail "$wheel needs $needed, and its name says otherwise" ;;
    esac
    [ "$(stat -c %s "$wheel")" -le 2000000 ] || fail "$wheel is larger than 2 MB"
    unpacked=$work/wheel
    rm -rf "$unpacked" && python3 -m zipfile -e "$wheel" "$unpacked"
    grep -q '^License-File: licences/crates.txt' "$unpacked"/*.dist-info/METADATA || fail "the wheel lacks the licences of what is linked in"
    if grep '^Requires-Dist' "$unpacked"/*.dist-info/METADATA | grep -v 'extra =='; then fail "the wheel needs other packages"; fi
    [ -e "$unpacked/zcrm/py.typed" ] || fail "the wheel has no py.typed"
    rm -rf "$work/sdist" && mkdir "$work/sdist" && tar -C "$work/sdist" --strip-components 1 -xzf "$work"/dist/*.tar.gz
    if said=$(cd "$work/sdist" && env -u ZCRM_LIBRARY "$work/build/bin/hatchling" build -t wheel 2>&1); then fail "the sdist makes a wheel without a library"; fi
    grep -q 'ZCRM_LIBRARY names the path of libzcrm.so' <<<"$said" || fail "without a library the sdist says: $said"
    (cd "$work/sdist" && ZCRM_LIBRARY=$library "$work/build/bin/hatchling" build -t wheel -d again >/dev/null 2>&1)
    [ -e "$work/sdist/again/$(basename "$wheel")" ] || fail "the sdist makes another wheel"
}

# with NAME PYTHON ARGUMENT...: pytest with the wheel, away from the source tree.
with() {
    local name=$1 python=$2
    shift 2
    environment "$name" "$python" pytest tqdm
    "$work/$name/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall --find-links "$work/dist" zcrm
    say "pytest on $("$python" --version 2>&1 | tail -n 1)"
    rm -rf "$work/tests" && cp -r "$here/tests" "$work/tests"
    (cd "$work/tests" && ZCRM_ROOT="$root" "$work/$name/bin/python" -m pytest -c "$here/pyproject.toml" --rootdir . "$@" .)
}

newest() { with "$(pythons | tail -n 1 | cut -d ' ' -f 1)" "$(pythons | tail -n 1 | cut -d ' ' -f 2)" "$@"; }

oldest() {
    with "$(pythons | head -n 1 | cut -d ' ' -f 1)" "$(pythons | head -n 1 | cut -d ' ' -f 2)"
    local pypy
    if pypy=$(command -v pypy3) || pypy=$(compgen -G "$HOME/.pyenv/versions/pypy3*/bin/pypy3" | tail -n 1); then
        with pypy "$pypy"
    else
        say "PyPy isn't here: left out"
    fi
}

[ -n "$(pythons)" ] || fail "needs Python 3.9 or later with venv (python3-venv)"
[ $# -gt 0 ] || set -- check package test old
[ "$*" = check ] || build
while [ $# -gt 0 ]; do
    part=$1
    shift
    case $part in
    check) check ;;
    package) package ;;
    old) oldest ;;
    test)
        rest=()
        while [ $# -gt 0 ] && [[ $1 != old ]]; do rest+=("$1") && shift; done
        newest "${rest[@]}"
        ;;
    *) fail "there is no part $part: check package test old" ;;
    esac
done
