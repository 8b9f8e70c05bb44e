#!/bin/sh
# Builds the npm package, installs it into a clean folder as a user would, and tests it there against the emulator.
#
#   test.sh              everything
#   test.sh install      only the folder build/node/project with the package in it
#   test.sh nodes        that, and each Node of $nodes from npm in build/node/nodes
#   test.sh every        everything, and the tests with each of these, too
#
#   ZCRM_LIB_DIR      directory of libzcrm.so              default: what make build makes, made if need be
#   ZCRM_EMULATOR     the program zcrm-emulator            default: what make build makes, made if need be
#
# npm's packages are kept in build/node/npm.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
release=${CARGO_TARGET_DIR:-$root/target}/release
work=$root/build/node
project=$work/project
nodes='22 24'

say() { echo "== node: $*"; }
fail() { echo "node: $*" >&2; exit 1; }
# quiet COMMAND...: shows what it prints only when it fails.
quiet() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }; }
unreachable() { fail "npm can't get its packages: without a network they must be in build/node/npm, where an earlier run puts them"; }
packages() {
    # npm itself would try each package for minutes.
    [ -e "$work/npm/_cacache" ] || quiet npm view koffi version --cache "$work/npm" --fetch-retries 0 || unreachable
    quiet "$@" --cache "$work/npm" --prefer-offline --no-audit --no-fund || unreachable
}

command -v npm >/dev/null || { say "LEFT OUT: Node 20 or later and npm aren't here (https://nodejs.org)" && exit 0; }
[ "$(node -p "process.versions.node.split('.')[0]")" -ge 20 ] || fail "Node 20 or later is needed, and this is $(node --version)"
mkdir -p "$work"
if [ -z "${ZCRM_LIB_DIR:-}" ]; then
    make --no-print-directory -C "$root" zcrm-release >&2
    ZCRM_LIB_DIR=$release
fi
if [ -z "${ZCRM_EMULATOR:-}" ]; then
    make --no-print-directory -C "$root" zcrm-emulator >&2
    ZCRM_EMULATOR=$release/zcrm-emulator
fi
export ZCRM_EMULATOR ZCRM_PORTRAIT="$root/tests/emulator/fixtures/portrait.png"

say 'build and lint'
packages npm install
npm run --silent build
npm run --silent lint

say 'the packages, installed'
rm -rf "$work/packages" "$work/platform" "$project"
mkdir -p "$work/packages" "$project"
node scripts/platform.mjs "$ZCRM_LIB_DIR/libzcrm.so" "$work/platform"
quiet npm pack --pack-destination "$work/packages" . "$work/platform"
(
    cd "$project"
    echo '{ "private": true }' >package.json
    packages npm install "$work"/packages/*.tgz
)
case ${1:-} in nodes | every)
    for version in $nodes; do
        mkdir -p "$work/nodes/$version"
        echo '{ "private": true }' >"$work/nodes/$version/package.json"
        packages npm install --prefix "$work/nodes/$version" "node@$version"
    done
    ;;
esac
case ${1:-} in install | nodes) exit 0 ;; esac

say 'types'
cp -r test "$project/"
(cd "$project" && "$OLDPWD/node_modules/.bin/tsc" --strict --noEmit --target es2022 --lib es2022,esnext.disposable --module node16 \
    --skipLibCheck --typeRoots "$OLDPWD/node_modules/@types" --types node test/types.ts)

cd "$project"
tests() {
    say "tests with Node $("$1" --version)"
    "$1" --test --test-reporter spec test/*.test.mjs
}
tests node
[ "${1:-}" != every ] || for version in $nodes; do tests "$work/nodes/$version/node_modules/.bin/node"; done
