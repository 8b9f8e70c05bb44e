#!/bin/sh
# Tests the Go module against a libzcrm that need not be installed.
#
#   test.sh              everything but the benchmarks
#   test.sh PART...      some of: check test race cgocheck link bench
#   eval "$(test.sh env)"    lets go build, go test and an editor find the library from this shell on
#
#   ZCRM_LIB_DIR      directory of libzcrm.so and libzcrm.a    default: what make build makes, made if need be
#   ZCRM_INCLUDE_DIR  directory of zcrm.h                      default: include/ of this repository
#   ZCRM_EMULATOR     the program zcrm-emulator                default: what make build makes, made if need be
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
release=${CARGO_TARGET_DIR:-$root/target}/release
work=$root/build/go

if [ -z "${ZCRM_LIB_DIR:-}" ]; then
    make --no-print-directory -C "$root" zcrm-release >&2
    ZCRM_LIB_DIR=$release
fi
if [ -z "${ZCRM_EMULATOR:-}" ]; then
    make --no-print-directory -C "$root" zcrm-emulator >&2
    ZCRM_EMULATOR=$release/zcrm-emulator
fi
ZCRM_INCLUDE_DIR=${ZCRM_INCLUDE_DIR:-$root/include}

# cargo gives the library no file of its SONAME, which is what a program looks for.
mkdir -p "$work/lib"
ln -sf "$ZCRM_LIB_DIR/libzcrm.so" "$work/lib/libzcrm.so"
ln -sf "$ZCRM_LIB_DIR/libzcrm.so" "$work/lib/libzcrm.so.0"
ln -sf "$ZCRM_LIB_DIR/libzcrm.a" "$work/lib/libzcrm.a"
cat >"$work/zcrm.pc" <<END
Name: zcrm
Description: Files and pictures of Zoho CRM records, not installed
Version: $(sed -n 's/^#define ZCRM_VERSION "\(.*\)"/\1/p' "$ZCRM_INCLUDE_DIR/zcrm.h")
Cflags: -I$ZCRM_INCLUDE_DIR
Libs: -L$work/lib -Wl,-rpath,$work/lib -lzcrm
Libs.private: -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
END

# Go's build cache knows neither the library, nor where it lies, nor the header: when one of them changes, the module must be built again.
salt=$({ echo "$work/lib $ZCRM_LIB_DIR"; cat "$ZCRM_INCLUDE_DIR/zcrm.h" "$here"/internal/cabi/*.h; } | cksum | cut -d' ' -f1)
export ZCRM_INCLUDE_DIR ZCRM_EMULATOR
export PKG_CONFIG_PATH="$work${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export CGO_CFLAGS="-O2 -g -DZCRM_GO_SALT=$salt"

say() { echo "== go: $*"; }
fail() { echo "$*" >&2; exit 1; }

check() {
    say gofmt, vet
    unformatted=$(gofmt -l . ../../examples/go)
    [ -z "$unformatted" ] || fail "gofmt -w $unformatted"
    go vet ./...
    go vet -tags zcrm_bench ./...
    (cd ../../examples/go && go vet ./...)
    say the shim under the strict warnings # of which what go itself compiles doesn't pass -Wunused-parameter
    CGO_CFLAGS="$CGO_CFLAGS -Wall -Wextra -Wno-unused-parameter -Werror" go build -tags zcrm_bench ./internal/cabi
    strays=$(grep -rl --include='*.go' '^import "C"' . | grep -v '^./internal/cabi/' || true)
    [ -z "$strays" ] || fail "only internal/cabi may import C: $strays"
}

# Builds and runs a project outside of this module, as a user would.
outside() {
    rm -rf "$work/outside" && mkdir -p "$work/outside"
    module=github.com/zcrm/zcrm/bindings/go
    (cd "$work/outside" && go mod init outside 2>/dev/null && go mod edit -require $module@v0.0.0 -replace "$module=$here")
    cat >"$work/outside/main.go" <<'END'
package main

import (
	"errors"
	"fmt"
	"os"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func main() {
	_, err := zcrm.New(zcrm.WithOption("api_versoin", "v8"))
	fmt.Println(zcrm.Version(), err)
	if !errors.Is(err, zcrm.ErrConfig) {
		os.Exit(1)
	}
}
END
    (cd "$work/outside" && go build -o program "$@" . && ./program)
}

# What a program was built with before, go takes from its cache: without an rpath, here, as of an installed library.
elsewhere() {
    mkdir -p "$work/prefix"
    cp -P "$work"/lib/* "$work/prefix/"
    sed -e "s|^Libs:.*|Libs: -L$work/prefix -lzcrm|" "$work/zcrm.pc" >"$work/prefix/zcrm.pc"
    (cd "$work/outside" && CGO_CFLAGS="-O2 -g" PKG_CONFIG_PATH="$work/prefix" go build -o program . && LD_LIBRARY_PATH="$work/prefix" ./program)
    (unset CGO_CFLAGS PKG_CONFIG_PATH && eval "$("$here/test.sh" env)" && cd "$work/outside" && go build -o program . && ./program)
}

# A build that can't succeed must say why in a few lines, with this in them.
refuses() {
    wanted=$1
    shift
    # With flags that no earlier build had, as go doesn't ask pkg-config again for what its cache holds.
    if said=$(cd "$work/outside" && env CGO_CFLAGS="-DZCRM_GO_SALT=$(date +%s%N)" "$@" go build -o program . 2>&1); then
        fail "with $* the build went well"
    fi
    echo "$said"
    echo "$said" | grep -q "$wanted" || fail "with $* the build does not say $wanted"
    [ "$(echo "$said" | wc -l)" -le 8 ] || fail "with $* the build says too much"
}

link() {
    say the shared library
    outside
    readelf -d "$work/outside/program" | grep -q 'NEEDED.*libzcrm\.so\.0' || fail "the program doesn't load libzcrm.so.0"
    say the library of this repository after a build with one that lies elsewhere
    elsewhere
    say what is said when another library is loaded than the program was built for
    echo 'unsigned zcrm_abi_version(void) { return 4711; }' | cc -shared -fPIC -xc -o "$work/other.so" -
    if said=$(LD_PRELOAD="$work/other.so" "$work/outside/program" 2>&1); then fail "the program runs with it"; fi
    echo "$said" | grep 'has ABI 4711, and this program was built for ABI' || fail "$said"
    say the archive
    outside -tags zcrm_static
    if readelf -d "$work/outside/program" | grep 'NEEDED.*zcrm'; then fail "the program loads a shared library all the same"; fi
    say what is said without the library, without pkg-config, without a header, with another, without cgo
    refuses 'PKG_CONFIG_PATH' PKG_CONFIG_PATH=/nonexistent
    refuses 'pkg-config' PKG_CONFIG=/nonexistent/pkg-config
    mkdir -p "$work/headerless"
    sed "s|^Cflags:.*|Cflags:|" "$work/zcrm.pc" >"$work/headerless/zcrm.pc"
    [ -e /usr/include/zcrm.h ] || [ -e /usr/local/include/zcrm.h ] || refuses 'install libzcrm' PKG_CONFIG_PATH="$work/headerless"
    mkdir -p "$work/other"
    sed 's/^#define ZCRM_ABI_VERSION .*/#define ZCRM_ABI_VERSION 4711/' "$ZCRM_INCLUDE_DIR/zcrm.h" >"$work/other/zcrm.h"
    sed "s|^Cflags:.*|Cflags: -I$work/other|" "$work/zcrm.pc" >"$work/other/zcrm.pc"
    refuses 'another ABI' PKG_CONFIG_PATH="$work/other"
    refuses 'set_CGO_ENABLED_to_1' CGO_ENABLED=0
}

crowd=TenThousandGoroutines # takes most of a minute, and shows no more under the race detector or the pointer rules

cd "$here"
[ $# -gt 0 ] || set -- check test race cgocheck link
for part; do
    case $part in
    env) echo "export PKG_CONFIG_PATH='$PKG_CONFIG_PATH' CGO_CFLAGS='$CGO_CFLAGS' ZCRM_EMULATOR='$ZCRM_EMULATOR'" ;;
    check) check ;;
    test) say go test && go test -count 1 && go test -count 1 ./internal/... ;; # alone, so that what it prints is shown
    race) say go test -race && go test -count 1 -race -skip "$crowd" ./... ;;
    cgocheck) say the cgo pointer rules && GOEXPERIMENT=cgocheck2 go test -count 1 -skip "$crowd" ./... ;;
    link) link ;;
    bench) say benchmarks && go test -tags zcrm_bench -run '^$' -bench . -count "${COUNT:-3}" . ;;
    *) fail "there is no part $part: check test race cgocheck link bench env" ;;
    esac
done
