#!/usr/bin/env bash
# Takes into the committed corpus what reaches most of the code: fuzz/minimise.sh [TARGET...]
# Inputs with a name of their own were written by hand, or once were a crash, and stay; the others are chosen anew: about 64 of all sizes, 8 KB.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
    committed=fuzz/corpus/$target chosen=$(mktemp -d)
    nice cargo fuzz run "$target" "$chosen" "$committed" "build/fuzz/corpus/$target" -- -set_cover_merge=1 -timeout=10 >"build/fuzz/$target.merge.log" 2>&1
    find "$committed" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    every=$(($(find "$chosen" -type f | wc -l) / 64 + 1)) number=0 total=0
    while read -r size file; do
        number=$((number + 1))
        [ $((number % every)) = 0 ] && [ $((total + size)) -le 8192 ] || continue
        total=$((total + size))
        cp "$file" "$committed/$(sha1sum <"$file" | cut -d ' ' -f 1)"
    done < <(find "$chosen" -type f -printf '%s %p\n' | sort -n)
    rm -rf "$chosen"
    printf '%-12s %4d inputs %7d bytes\n' "$target" "$(find "$committed" -type f | wc -l)" "$(cat "$committed"/* | wc -c)"
done
