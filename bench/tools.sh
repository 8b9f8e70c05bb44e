#!/bin/sh
# Installs what the bench needs beside cargo and go, where it is missing: Debian and its kin, as root.
set -eu
missing=
for package in gcc pkg-config libcurl4-openssl-dev libcjson-dev python3-venv openssl valgrind; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -q
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
