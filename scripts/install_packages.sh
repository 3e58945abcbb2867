#!/usr/bin/env bash
# Installs what is missing on a Debian-like machine. Usage: install_packages.sh build|test|ci
# build: compile and run. test: also the tests. ci: also the checks of .ci/run. Silent when nothing is missing.
set -euo pipefail

# "command:package": needed as a command, whoever installed it. A plain name is a package.
build=(g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config python3:python3
       libcli11-dev libfmt-dev nlohmann-json3-dev libxsimd-dev libpng-dev libjpeg62-turbo-dev
       libsndfile1-dev libsamplerate0-dev libxxhash-dev)
test=("${build[@]}" doctest-dev libeigen3-dev python3-numpy libopenblas0-serial nm:binutils xz:xz-utils
      qemu-x86_64-static:qemu-user-static)
ci=("${test[@]}" shellcheck:shellcheck ccache:ccache aarch64-linux-gnu-g++:g++-aarch64-linux-gnu
    qemu-aarch64-static:qemu-user-static clang:clang libclang-rt-dev)

case "${1:-}" in
    build) wanted=("${build[@]}") ;;
    test) wanted=("${test[@]}") ;;
    ci) wanted=("${ci[@]}") ;;
    *) echo "usage: $0 build|test|ci" >&2; exit 2 ;;
esac

installed() {
    case "$1" in
        *:*) command -v "${1%%:*}" > /dev/null ;;
        *) dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2> /dev/null | grep -q '^ii' ;;
    esac
}

missing=()
for entry in "${wanted[@]}"; do
    installed "$entry" || missing+=("${entry##*:}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
    echo "apt-get is not here; please install these, or what your system calls them: ${missing[*]}" >&2
    exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing: ${missing[*]}" >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" >&2
