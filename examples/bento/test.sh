#!/bin/sh
# Builds the engine and tests it: unit tests, lint, the engine's own tests, and two workers on a queue of which one is killed.
#
#   test.sh              everything
#   test.sh build        only the programs, into build/bento: bento and jetstream
#   test.sh docs         writes docs/
#   test.sh soak SECONDS only the workers under everything that can fail, for so long, and what six of them reach together
#
# Finds or builds libzcrm and the emulator as bindings/go/test.sh does, from the same variables.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
eval "$("$root/bindings/go/test.sh" env)"
export ZCRM_BENTO_DIR="$root/build/bento"

say() { echo "== bento: $*"; }
# timed WHAT COMMAND...: the command, and how long it took.
timed() {
    what=$1 && shift
    began=$(date +%s)
    "$@"
    say "$what: $(($(date +%s) - began)) s"
}

[ "${1:-}" != docs ] || exec go test -count 1 ./zohocrm -run Docs -update
mkdir -p "$ZCRM_BENTO_DIR"
timed 'build of the engine (a minute or more of each core when go has none of it in its cache)' go build -o "$ZCRM_BENTO_DIR/" . ./cmd/jetstream
[ "${1:-}" != build ] || exit 0
if [ "${1:-}" = soak ]; then
    # The chaos waits up to twenty minutes at its end, as Zoho gives few tokens.
    ZCRM_CHAOS_SECONDS=$2 exec go test -count 1 -v -timeout $(($2 + 3000))s -run 'TestChaos|TestSixWorkersReach' .
fi

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "gofmt -w $unformatted" >&2 && exit 1; }
timed vet go vet ./...
timed components go test -count 1 -race ./zohocrm
# Three at once, as the five minutes of chaos mostly wait.
timed "configs and workers" go test -count 1 -v -parallel 3 -timeout 30m .
