#!/usr/bin/env bash
# Airflow and Dagster with the package zcrm, installed as a wheel: nothing of them is replaced, and the organisation is an emulator.
#
#   test.sh              everything: airflow dags test, a run with LocalExecutor, Dagster
#   test.sh env          only the environment, whose folder it prints
#   test.sh FILE...      these of tests/
#   test.sh demo [FOLDER]   what make demo-airflow shows
#
# Airflow and Dagster are installed once (about 450 MB), into this user's cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$here"
release=${CARGO_TARGET_DIR:-$root/target}/release
packages=(apache-airflow dagster pytest)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zcrm/airflow-$(cat constraints.txt <(python3 --version) | sha256sum | cut -c 1-12)

fail() { echo "airflow: $*" >&2 && exit 1; }

environment() {
    [ ! -e "$cache/complete" ] || return 0
    python3 -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || fail "Airflow needs Python 3.10 to 3.13 with venv"
    echo "airflow: installing ${packages[*]} into $cache; some minutes" >&2
    rm -rf "$cache"
    python3 -m venv "$cache" && "$cache/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt "${packages[@]}" ||
        fail "needs ${packages[*]} from a package index, and can't reach one; with a network they are installed once, into $cache"
    touch "$cache/complete"
}

wheel() {
    rm -rf "$root/build/airflow/dist"
    make --no-print-directory -C "$root" wheel ZCRM_WHEELS="$root/build/airflow/dist" >/dev/null
    "$cache/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall --find-links "$root/build/airflow/dist" zcrm
    if [ -z "${ZCRM_EMULATOR:-}" ]; then
        make --no-print-directory -C "$root" zcrm-emulator >&2
        export ZCRM_EMULATOR=$release/zcrm-emulator
    fi
}

environment
[ "${1:-}" != env ] || { echo "$cache" && exit 0; }
wheel
if [ "${1:-}" = demo ]; then
    shift
    exec "$root/scripts/with-emulator" "$ZCRM_EMULATOR" "$cache/bin/python" demo.py "$@"
fi
[ $# -gt 0 ] || set -- .
cd tests
exec "$cache/bin/python" -m pytest -q -p no:cacheprovider "$@"
