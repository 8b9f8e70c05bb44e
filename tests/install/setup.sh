#!/bin/bash
# scripts/setup on a machine that has nothing: an emptied PATH and HOME, another user than root, and a local server in place of Rust's and
# Go's. The server holds the same kinds of files: the real rustup and cargo, and a Go archive with the real go.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
held=0
ok() { echo "ok   $1"; held=$((held + 1)); }
fail() { echo "FAIL $1"; cat "$work/log"; echo "$held passed, 1 failed"; exit 1; }

rustup=$(command -v rustup) || { echo "skipped: without rustup there is nothing to serve"; exit 0; }
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
version=$(rustc --version | cut -d ' ' -f 2)
go_version=$(sed -n 's/^readonly go_version=//p' "$root/scripts/setup")
go_arch=$(go env GOARCH)

# component NAME FILE...: a tarball as Rust's servers have it, with these files of the toolchain, and its entry in the channel's manifest.
dist=$work/www/dist
component() {
    local name=$1 dir=$work/parts/$1-$version-$host file
    shift
    mkdir -p "$dir/$name/bin" "$dist"
    touch "$dir/$name/manifest.in"
    echo 3 >"$dir/rust-installer-version"
    echo "$name" >"$dir/components"
    for file in "$@"; do cp "$sysroot/bin/$file" "$dir/$name/bin/$file" && echo "file:bin/$file" >>"$dir/$name/manifest.in"; done
    tar -C "$work/parts" -c "$name-$version-$host" | gzip -1 >"$dist/$name.tar.gz"
    cat <<MANIFEST
[pkg.$name]
version = "$version"
[pkg.$name.target.$host]
available = true
url = "$url/dist/$name.tar.gz"
hash = "$(sha256sum <"$dist/$name.tar.gz" | cut -d ' ' -f 1)"
MANIFEST
}

sum() { sha256sum <"$1" | cut -d ' ' -f 1 >"$1.sha256"; }

serve() {
    mkdir -p "$work/www/rustup/dist/$host" "$work/www/go" "$work/tree/go/bin" "$dist"
    (cd "$work/www" && exec python3 -u -m http.server --bind 127.0.0.1 0 >"$work/address" 2>/dev/null) &
    server=$!
    while ! grep -q port "$work/address" 2>/dev/null; do sleep 0.1; done
    url=http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$work/address")
    cp "$rustup" "$work/www/rustup/dist/$host/rustup-init" && sum "$work/www/rustup/dist/$host/rustup-init"
    cp "$(go env GOROOT)/bin/go" "$work/tree/go/bin/go" && cp "$(go env GOROOT)/VERSION" "$(go env GOROOT)/go.env" "$work/tree/go/"
    archive=$work/www/go/go$go_version.linux-$go_arch.tar.gz
    tar -C "$work/tree" -c go | gzip -1 >"$archive" && sum "$archive"
    {
        printf 'manifest-version = "2"\ndate = "2026-01-01"\n[profiles]\nminimal = ["rustc", "cargo", "rust-std"]\n'
        component rustc rustc
        component cargo cargo
        component rust-std
        component rustfmt-preview rustfmt cargo-fmt
        component clippy-preview cargo-clippy clippy-driver
        printf '[pkg.rust]\nversion = "%s"\n[pkg.rust.target.%s]\navailable = true\nurl = "%s"\nhash = "%s"\n' "$version" "$host" "$url/none" "$(printf '0%.0s' {1..64})"
        for name in rustc cargo rust-std; do printf '[[pkg.rust.target.%s.components]]\npkg = "%s"\ntarget = "%s"\n' "$host" $name "$host"; done
        for name in rustfmt clippy; do printf '[[pkg.rust.target.%s.extensions]]\npkg = "%s-preview"\ntarget = "%s"\n' "$host" $name "$host"; done
        printf '[renames.rustfmt]\nto = "rustfmt-preview"\n[renames.clippy]\nto = "clippy-preview"\n'
    } >"$dist/channel-rust-stable.toml"
    echo "$(sha256sum <"$dist/channel-rust-stable.toml" | cut -d ' ' -f 1)  channel-rust-stable.toml" >"$dist/channel-rust-stable.toml.sha256"
}

# The commands that every Debian has, and those named.
bare() {
    rm -rf "$work/bin" "$work/home" && mkdir -p "$work/bin" "$work/home" && chmod 777 "$work/home" && chmod 755 "$work"
    local command
    for command in bash sh env cat chmod cp cut dirname grep gzip head id ls mkdir mktemp mv printf rm sed sha256sum sort tar tr uname "$@"; do
        ln -sf "$(command -v "$command")" "$work/bin/$command"
    done
}

# As a user who isn't root, with nothing else in the environment.
setup() {
    local as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    (cd / && "${as[@]}" env -i PATH="$work/bin" HOME="$work/home" TMPDIR="$work/home" RUSTUP_UPDATE_ROOT="$url/rustup" RUSTUP_DIST_SERVER="$url" \
        ZCRM_GO_URL="$url/go" "$@" "$root/scripts/setup" test) >"$work/log" 2>&1
}
says() { grep -q -e "$1" "$work/log"; }

serve
bare
! setup ZCRM_SETUP=ask || fail "an empty machine needs nothing"
says 'build-essential' && says 'apt-get install -y .*curl' && says 'missing: Rust' && says 'missing: Go' || fail "not everything is named at once"
[ -z "$(ls -A "$work/home")" ] || fail "asking has installed something"
ok "an empty machine is told all that it lacks, at once"

! setup || fail "it goes on without curl"
says 'sudo apt-get install -y .*curl' && says 'missing: Rust' && says 'missing: Go' || fail "without curl not everything is named at once"
ok "without curl everything is named, curl too"

bare curl
! setup || fail "packages can't be installed by this user"
says 'sudo apt-get install -y .*build-essential' || fail "the packages aren't named"
! says 'missing: Rust' || fail "Rust was not installed"
GOROOT=$(go env GOROOT) "$work/home/.local/go/bin/go" version >/dev/null || fail "Go was not installed"
HOME=$work/home RUSTUP_HOME=$work/home/.rustup "$work/home/.cargo/bin/cargo" --version >/dev/null || fail "cargo doesn't run"
ok "Rust and Go go into the home of a user who isn't root, and the packages are named"

bare curl
echo 0000 >"$archive.sha256"
! setup || fail "a wrong checksum is taken"
says "isn't what its checksum says" || fail "the checksum isn't named"
[ ! -e "$work/home/.local/go" ] || fail "the archive with the wrong checksum was unpacked"
ok "what isn't as its checksum says is refused, and nothing of it stays"
echo "$held passed, 0 failed"
