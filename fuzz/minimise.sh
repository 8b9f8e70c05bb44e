#!/usr/bin/env bash
# Takes into the committed corpus what reaches most of the code: fuzz/minimise.sh [TARGET...]
# Inputs with a name of their own were written by hand, or once were a crash, and stay; the others are chosen anew, at most 12 KB a target.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
    committed=fuzz/corpus/$target chosen=$(mktemp -d)
    nice cargo fuzz run "$target" "$chosen" "$committed" "build/fuzz/corpus/$target" -- -set_cover_merge=1 -timeout=10 >"build/fuzz/$target.merge.log" 2>&1
    find "$committed" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    total=0
    while read -r size file; do
        total=$((total + size))
        [ $total -le 12288 ] || break
        name=$(sha1sum <"$file" | cut -d ' ' -f 1)
        cmp -s "$file" "$committed/$name" || cp "$file" "$committed/$name"
    done < <(find "$chosen" -type f -printf '%s %p\n' | sort -n)
    rm -rf "$chosen"
    printf '%-12s %4d inputs %7d bytes\n' "$target" "$(find "$committed" -type f | wc -l)" "$(cat "$committed"/* | wc -c)"
done
