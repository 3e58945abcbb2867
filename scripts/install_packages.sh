#!/usr/bin/env bash
# Installs what is missing on a Debian-like machine. Usage: install_packages.sh build|test|clang|ci
# build: compile and run. test: also the tests and benchmarks. clang: also that compiler. ci: also what .ci/run uses on
# the machine itself. Silent when nothing is missing. The names are those of Debian 12, Debian 13 and Ubuntu alike.
set -euo pipefail

# "command:package": needed as a command that runs, whoever installed it. A plain name is a package.
build=(g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config python3:python3
       libfmt-dev nlohmann-json3-dev libxsimd-dev libpng-dev libjpeg-dev
       libsndfile1-dev libmpg123-dev libvorbis-dev libsamplerate0-dev libxxhash-dev libwebp-dev libgif-dev libedit-dev
       libavformat-dev libavcodec-dev libswscale-dev libswresample-dev
       glslc:glslc libvulkan-dev libvulkan-volk-dev)
test=("${build[@]}" doctest-dev libbenchmark-dev libeigen3-dev python3-numpy python3-jsonschema libopenblas0-serial nm:binutils
      libvulkan1 mesa-vulkan-drivers vulkan-validationlayers
      make:make xz:xz-utils qemu-x86_64-static:qemu-user-static)
clang=("${test[@]}" clang++:clang)
ci=("${clang[@]}" shellcheck:shellcheck ccache:ccache debootstrap:debootstrap unshare:util-linux
    zsh:zsh fish:fish mandoc groff-base ffmpeg
    aarch64-linux-gnu-g++:g++-aarch64-linux-gnu qemu-aarch64-static:qemu-user-static libclang-rt-dev)

case "${1:-}" in
    build) wanted=("${build[@]}") ;;
    test) wanted=("${test[@]}") ;;
    clang) wanted=("${clang[@]}") ;;
    ci) wanted=("${ci[@]}") ;;
    *) echo "usage: $0 build|test|clang|ci" >&2; exit 2 ;;
esac

installed() {
    case "$1" in
        debootstrap:*) command -v debootstrap > /dev/null ;;  # its --version is for root
        *:*) "${1%%:*}" --version > /dev/null 2>&1 ;;
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

give_up() {  # give_up WHY
    echo "$1; run this as root, then the same script again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
}
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || give_up "${#missing[@]} packages are missing, and there is no sudo here"
    as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2; }

echo "installing: ${missing[*]}" >&2
apt update || echo "apt-get update failed; trying with the lists that are here" >&2
apt install -y --no-install-recommends "${missing[@]}" || give_up "installing failed"
