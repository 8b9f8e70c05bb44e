#!/bin/sh
# Tests the Node-RED nodes as installed: in a headless Node-RED, and its editor in a headless Chromium, against the emulator.
#
#   test.sh              everything
#   test.sh install      only the folder build/node-red/project with Node-RED and the nodes in it
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
../node/test.sh install

say 'lint and types'
"$tools/biome" check --error-on-warnings .
"$tools/tsc" -p .

say 'Node-RED with the nodes'
mkdir -p "$project"
rm -rf "$work/packages" && mkdir "$work/packages"
npm pack --silent --pack-destination "$work/packages" . >/dev/null
# Only what is ours is installed again: Node-RED alone takes a minute.
rm -rf "$project/node_modules/zcrm" "$project/node_modules/@zcrm" "$project/node_modules/node-red-contrib-zcrm" "$project/node_modules/.package-lock.json"
cp project.json "$project/package.json"
packages npm install --prefix "$project" --no-save --no-package-lock "$work"/packages/*.tgz "$root"/build/node/packages/*.tgz
[ "${1:-}" != install ] || exit 0

[ -n "${ZCRM_EMULATOR:-}" ] || ZCRM_EMULATOR=${CARGO_TARGET_DIR:-$root/target}/release/zcrm-emulator
export ZCRM_EMULATOR ZCRM_NODE_RED="$project" ZCRM_PORTRAIT="$root/tests/emulator/fixtures/portrait.png"
[ "${1:-}" != demo ] || exec node demo.mjs

say tests
rm -rf "$project/test" && cp -r test examples demo.mjs "$project/" && cp ../node/test/world.mjs "$project/test/"
[ "${1:-}" != picture ] || export ZCRM_PICTURE="$PWD/editor.png"
cd "$project"
exec node --test --test-reporter spec --test-timeout 300000 test/*.test.mjs
