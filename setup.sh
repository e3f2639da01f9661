#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what a target of the Makefile needs, by Debian 12 package name. Usage: setup.sh demo|check|lint|fuzz
# Silent, and without touching apt or the network, when everything is there already.
set -eu

build="gcc libc6-dev make pkg-config python3 libsigrok-dev libglib2.0-dev libserialport-dev libusb-1.0-0-dev
libmicrohttpd-dev libsqlite3-dev libjansson-dev libyaml-dev libzstd-dev nettle-dev libsodium-dev libelf-dev
libcurl4-openssl-dev libarchive-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev libunicorn-dev gcc-arm-none-eabi binutils-arm-none-eabi libnewlib-arm-none-eabi openocd"
check="$build libcmocka-dev qemu-system-arm qemu-system-misc gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
libarmnn-dev libarmnntfliteparser-dev libarmnn-cpuref-backend22 g++ libonnx-testdata sigrok-cli file procps"

case "${1:-}" in
demo) want=$build ;;
check) want=$check ;;
lint) want="$check clang-tidy cppcheck" ;;
fuzz) want="$check clang libclang-rt-14-dev" ;;
*)
    echo "usage: $0 demo|check|lint|fuzz" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: this is not a Debian system (no dpkg-query). Install the equivalents of: $(echo $want)" >&2
    exit 1
fi
missing=
for p in $want; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) || state=absent
    [ "$state" = installed ] || missing="$missing $p"
done
# Node.js may have come from elsewhere, with npm in one package; Debian's own two would conflict with that one.
case "$want" in *libcmocka-dev*) command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm" ;; esac
[ -n "$missing" ] || exit 0

echo "setup: these Debian packages are missing and will be installed:$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
    as_root="sudo" # asks for the password on the terminal
else
    echo "setup: installing needs root, and neither root nor sudo works here. As root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
run() { $as_root env DEBIAN_FRONTEND=noninteractive "$@"; }
run apt-get update -q
# shellcheck disable=SC2086 # a list of words
run apt-get install -q -y --no-install-recommends $missing
