#!/usr/bin/env bash
# Tests zcrm mcp with the official Python client, against an emulator. Arguments go to pytest.
#
#   ZCRM_COMMAND     the program zcrm             default: what cargo build makes
#   ZCRM_EMULATOR    the program zcrm-emulator    default: the same
#
# The client and pytest are installed once, into build/mcp.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
at=$root/build/mcp
packages='mcp==2.3.0 pytest'

if [ "$(cat "$at/packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$at"
    # shellcheck disable=SC2086 # several words
    { python3 -m venv "$at" && "$at/bin/pip" install --quiet --disable-pip-version-check $packages; } || {
        echo "mcp: the tests need $packages from a package index, and can't reach one; with a network they are installed once, into $at" >&2
        exit 1
    }
    echo "$packages" >"$at/packages"
fi
if [ -z "${ZCRM_COMMAND:-}" ] || [ -z "${ZCRM_EMULATOR:-}" ]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml" -p zcrm-cli -p zcrm-emulator
fi
built=${CARGO_TARGET_DIR:-$root/target}/debug
export ZCRM_COMMAND=${ZCRM_COMMAND:-$built/zcrm} ZCRM_EMULATOR=${ZCRM_EMULATOR:-$built/zcrm-emulator}
exec "$at/bin/python" -m pytest -q -p no:cacheprovider "$here" "$@"
