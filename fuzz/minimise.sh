#!/usr/bin/env bash
# Takes into the committed corpus what reaches most of the code: fuzz/minimise.sh [TARGET...]
# Inputs with a name of their own were written by hand, or were a crash once, and stay. Of the others it keeps the ten that add most coverage.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1

SEEDS=10 MOST_BYTES=4096

# Of libFuzzer's notes (an input's number and file, the features that it reaches): the inputs that reach most beyond the named ones and each other.
choose() {
    python3 - "$1" "$SEEDS" "$MOST_BYTES" <<'PYTHON'
import os, re, sys
control, seeds, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lines = open(control).read().splitlines()
files = lines[2:2 + int(lines[0])]
reaches = {files[int(l.split()[1])]: set(l.split()[2:]) for l in lines if l.startswith("FT ")}
own = {f for f in reaches if not re.fullmatch(r"[0-9a-f]{40}", os.path.basename(f))}
have = set().union(*(reaches[f] for f in own))
small = sorted((f for f in reaches if f not in own and os.path.getsize(f) <= most), key=os.path.getsize)
for _ in range(seeds):
    best = max(small, key=lambda f: len(reaches[f] - have), default=None)
    if best is None or not reaches[best] - have:
        break
    have |= reaches[best]
    print(best)
PYTHON
}

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
    committed=fuzz/corpus/$target found=build/fuzz/corpus/$target work=$(mktemp -d)
    mkdir -p "$found" "$work/merged"
    nice cargo fuzz run "$target" "$work/merged" "$committed" "$found" -- \
        -set_cover_merge=1 -timeout=10 -merge_control_file="$work/control" >"build/fuzz/$target.merge.log" 2>&1
    choose "$work/control" >"$work/chosen"
    while read -r file; do cp "$file" "$work/merged/seed-$(sha1sum <"$file" | cut -d ' ' -f 1)"; done <"$work/chosen"
    find "$committed" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    for file in "$work"/merged/seed-*; do
        [ ! -e "$file" ] || mv "$file" "$committed/${file##*/seed-}"
    done
    rm -rf "$work"
    printf '%-12s %4d inputs %7d bytes\n' "$target" "$(find "$committed" -type f | wc -l)" "$(cat "$committed"/* | wc -c)"
done
