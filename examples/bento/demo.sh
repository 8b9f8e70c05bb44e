#!/bin/sh
# Files flow from a folder to records, through a queue and two workers: all on this machine, against the emulator.
#
#   demo.sh [FILES]      how many files: 120
set -eu
cd "$(dirname "$0")"
files=${1:-120}
root=$(cd ../.. && pwd)
dir=$root/build/bento/demo
rm -rf "$dir" && mkdir -p "$dir/files" "$dir/log"

pids=
finish() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# background LOG COMMAND...
background() {
    log=$dir/log/$1
    shift
    "$@" >"$log" 2>&1 &
    pids="$! $pids"
}
# first LOG TEXT: waits until the log has a line with the text.
first() {
    for _ in $(seq 300); do
        grep -q "$2" "$dir/log/$1" 2>/dev/null && return
        sleep 0.1
    done
    echo "demo: $1 did not start:" >&2
    cat "$dir/log/$1" >&2
    exit 1
}

say 'Building the library, the emulator and an engine with our components (the first time takes some minutes)'
./test.sh build
eval "$("$root/bindings/go/test.sh" env)"
bento=$root/build/bento/bento

say 'Starting a Zoho CRM that is an emulator, a NATS server with JetStream, and two workers'
background emulator "$ZCRM_EMULATOR" --parent-pid $$
first emulator 'Invoices '
told() { sed -n "s/^  $1  *\([^ ]*\).*/\1/p" "$dir/log/emulator" | head -n 1; }
ZCRM_API_DOMAIN=$(head -n 1 "$dir/log/emulator")
export ZCRM_API_DOMAIN ZCRM_ACCOUNTS_URL="$ZCRM_API_DOMAIN" ZCRM_DATA_CENTER=us ZCRM_ALLOW_PATHS="$dir/files" ZCRM_TOKEN_FILE="$dir/token"
ZCRM_CLIENT_ID=$(told 'client id') ZCRM_CLIENT_SECRET=$(told 'client secret') ZCRM_REFRESH_TOKEN=$(told 'refresh token')
export ZCRM_CLIENT_ID ZCRM_CLIENT_SECRET ZCRM_REFRESH_TOKEN
background jetstream "$root/build/bento/jetstream" -dir "$dir/streams"
first jetstream nats://
NATS_URL=$(head -n 1 "$dir/log/jetstream")
export NATS_URL
for name in ada grace; do
    ZCRM_WORKER=$name ZCRM_WORKER_ADDRESS=127.0.0.1:0 ZCRM_SHUTDOWN=2s background "worker-$name" "$bento" -c worker.yaml
    first "worker-$name" 'Input type zoho_crm_jobs is now active'
done
# Calls that take their time, so that there is something to see. Where curl is missing it is over sooner.
delays=$(yes '{"kind":"delay","ms":120},' | head -n "$files" | tr -d '\n')
! command -v curl >/dev/null || curl -sf "$ZCRM_API_DOMAIN/_emulator/faults" -d "{\"operation\":\"attachment.upload\",\"faults\":[${delays%,}]}" >/dev/null

for module in Contacts Leads Deals; do
    record=$(told $module)
    mkdir -p "$dir/files/$module/$record"
    for n in $(seq $((files / 3))); do
        head -c $((n * 997)) /dev/zero | tr '\0' "$(printf %s $module | cut -c1)" >"$dir/files/$module/$record/document-$n.txt"
    done
done
mkdir -p "$dir/files/Contacts/999"
echo 'for nobody' >"$dir/files/Contacts/999/stray.txt" # a record that there isn't
cp "$root/tests/emulator/fixtures/portrait.png" "$dir/files/Contacts/$(told Contacts)/photo.png"
jobs=$(find "$dir/files" -type f | wc -l)
say "$jobs files, in folders that say which record they are for, become jobs"
echo "  find build/bento/demo/files -type f | bento -c enqueue.yaml"
find "$dir/files" -type f | sort -R | "$bento" -c enqueue.yaml

say 'The workers ada and grace take them'
background watch "$bento" -c watch.yaml
tail -f -n +1 "$dir/log/watch" &
pids="$! $pids"
for _ in $(seq 1200); do
    [ "$(wc -l <"$dir/log/watch")" -lt "$jobs" ] || break
    sleep 0.1
done
sleep 0.3

done_by() { grep -c "done  $1" "$dir/log/watch" || true; }
say "Done: $(done_by ada) by ada, $(done_by grace) by grace; not possible: $(grep -c ' dead ' "$dir/log/watch" || true)"
echo "What the worker that met it says of the one that isn't possible is above, and a dead letter on zcrm.dead with the job in it."
echo "The contact now has a photo, and these are the first attachments of it, as the input zoho_crm_attachments lists them:"
RECORD_ID=$(told Contacts) "$bento" -c list.yaml | head -n 4
echo "Logs are in build/bento/demo/log. How to run this with your organisation: examples/bento/README.md"
