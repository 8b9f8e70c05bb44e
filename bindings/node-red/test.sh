#!/bin/sh
# Tests the Node-RED nodes as installed: in a headless Node-RED, and its editor in a headless Chromium, against the emulator.
#
#   test.sh              everything
#   test.sh install      only the folder build/node-red/project with Node-RED and the nodes in it
#   test.sh every        everything, and the tests with each Node of bindings/node/test.sh, and with Node-RED $newer
#   test.sh picture      everything, and editor.png is drawn
#   test.sh demo         a Node-RED with an example, to look at
#
# Finds or builds libzcrm and the emulator as bindings/node/test.sh does, which makes the npm package, from the same variables.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
work=$root/build/node-red
project=$work/project
tools=$root/bindings/node/node_modules/.bin
older=$(sed -n 's/.*"node-red": "\(.*\)".*/\1/p' project.json)
newer=5.0.7 # needs Node 22.9

say() { echo "== node-red: $*"; }
fail() { echo "node-red: $*" >&2; exit 1; }
packages() {
    "$@" --cache "$root/build/node/npm" --prefer-offline --no-audit --no-fund \
        >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "npm can't get its packages: without a network they must be in build/node/npm, where an earlier run puts them"
    }
}

command -v npm >/dev/null || { say "LEFT OUT: Node 20 or later and npm aren't here (https://nodejs.org)" && exit 0; }
mkdir -p "$work"
if [ "${1:-}" = every ]; then ../node/test.sh nodes; else ../node/test.sh install; fi

say 'lint and types'
"$tools/biome" check --error-on-warnings .
"$tools/tsc" -p .

rm -rf "$work/packages" && mkdir -p "$work/packages"
npm pack --silent --pack-destination "$work/packages" . >/dev/null

# red FOLDER [VERSION]: a Node-RED with the nodes. Only what is ours is installed again: Node-RED alone takes a minute.
red() {
    say "Node-RED ${2:-$older} with the nodes"
    mkdir -p "$1"
    rm -rf "$1/node_modules/zcrm" "$1/node_modules/@zcrm" "$1/node_modules/node-red-contrib-zcrm" "$1/node_modules/.package-lock.json"
    sed "s/\(\"node-red\": \"\)[^\"]*/\1${2:-$older}/" project.json >"$1/package.json"
    packages npm install --prefix "$1" --no-save --no-package-lock "$work"/packages/*.tgz "$root"/build/node/packages/*.tgz
}

red "$project"
[ "${1:-}" != install ] || exit 0

[ -n "${ZCRM_EMULATOR:-}" ] || ZCRM_EMULATOR=${CARGO_TARGET_DIR:-$root/target}/release/zcrm-emulator
export ZCRM_EMULATOR ZCRM_NODE_RED="$project" ZCRM_PORTRAIT="$root/tests/emulator/fixtures/portrait.png"
[ "${1:-}" != demo ] || exec node demo.mjs

[ "${1:-}" != picture ] || export ZCRM_PICTURE="$PWD/editor.png"
# tests NODE FOLDER
tests() (
    say "tests with Node $("$1" --version), Node-RED $("$1" -p "require('$2/node_modules/node-red/package.json').version")"
    rm -rf "$2/test" && cp -r test examples demo.mjs "$2/" && cp ../node/test/world.mjs "$2/test/"
    cd "$2"
    ZCRM_NODE_RED=$2 "$1" --test --test-reporter spec --test-timeout 300000 test/*.test.mjs
)
tests node "$project"
[ "${1:-}" = every ] || exit 0
red "$work/newer" "$newer"
for node in "$root"/build/node/nodes/*/node_modules/.bin/node; do
    tests "$node" "$project"
    tests "$node" "$work/newer"
done
