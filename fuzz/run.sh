#!/usr/bin/env bash
# Runs fuzz targets one after the other and prints a line for each: fuzz/run.sh SECONDS [TARGET...]
# What is found goes to build/fuzz; fuzz/minimise.sh takes the best of it into the committed corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
export RUST_BACKTRACE=0 RUSTC_BOOTSTRAP=1 # sanitizers on the stable toolchain
cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: there are no targets" >&2 && exit 2; }
nice cargo fuzz build

crashed=''
summary=$(printf '%-12s %12s %8s %9s %7s %9s %7s' target executions 'per s' coverage inputs bytes crashes)
for target in "${targets[@]}"; do
    found=build/fuzz/corpus/$target crashes=build/fuzz/crashes/$target log=build/fuzz/$target.log
    mkdir -p "$found" "$crashes"
    printf '\n%s, %s s\n' "$target" "$seconds"
    before=$(find "$crashes" -type f | wc -l)
    nice cargo fuzz run "$target" "$found" "fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -artifact_prefix="$crashes/" -print_final_stats=1 >"$log" 2>&1 || crashed+=" $target"
    new=$(($(find "$crashes" -type f | wc -l) - before))
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    last=$(grep -o 'cov: [0-9]* .*corp: [0-9]*/[0-9A-Za-z]*' "$log" | tail -1)
    read -r coverage inputs bytes < <(sed 's/cov: \([0-9]*\).*corp: \([0-9]*\)\/\(.*\)/\1 \2 \3/' <<<"$last") || true
    row=$(printf '%-12s %12s %8s %9s %7s %9s %7s' "$target" "${executions:--}" "$((${executions:-0} / seconds))" "${coverage:--}" "${inputs:--}" "${bytes:--}" "$new")
    echo "$row"
    summary+=$'\n'$row
done

printf '\n%s\n' "$summary"
for target in $crashed; do
    grep -a -v -e '^ *[0-9]*: ' -e '^ *at /' -e '^#' "build/fuzz/$target.log" | tail -n 25 >&2
    file=$(find "build/fuzz/crashes/$target" -type f -printf '%T@ %p\n' | sort -n | tail -1 | cut -d ' ' -f 2)
    if [ -n "$file" ]; then
        printf 'fuzz: %s failed; again with: RUSTC_BOOTSTRAP=1 cargo fuzz run %s %s\n' "$target" "$target" "$file" >&2
    else
        printf 'fuzz: %s ended before its time, without a crash; all of its log: build/fuzz/%s.log\n' "$target" "$target" >&2
    fi
done
[ -z "$crashed" ]
