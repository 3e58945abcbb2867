#!/usr/bin/env bash
# Proves that a fresh machine needs nothing but a clone. Usage, as root: clean_root.sh bookworm|trixie [few] [clang]
# Makes a clean root of that Debian release (nothing but the minimal base, git and certificates), clones the committed
# tree into it, and runs there: scripts/quickstart.sh, whose answers are checked; scripts/test.sh up to its build, or with
# `few` only the tests that the release's libraries and driver could change; with `clang` that release's Clang reads all files but tests,
# each by itself. No compiler but GCC 12 may warn.
#
# From outside come ccache (the program and its cache) and .deb files and the base fetched before, so that it takes minutes;
# they are kept in ${XDG_CACHE_HOME:-~/.cache}/lapidary_clean_roots. LAPIDARY_DEBIAN_MIRROR names another mirror than that
# of the machine's own apt sources.
set -euo pipefail
cd "$(dirname "$0")/.."

release=${1:-}
case "$release:${*:2}" in
    bookworm: | trixie: | bookworm:few | trixie:few | bookworm:clang | trixie:clang | bookworm:'few clang' | trixie:'few clang') ;;
    *) echo "usage: $0 bookworm|trixie [few] [clang]" >&2; exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "$0 makes a root and mounts into it: run it as root" >&2; exit 1; }

store=${XDG_CACHE_HOME:-$HOME/.cache}/lapidary_clean_roots
debs=$store/debs_$release base=$store/base_$release.tar root=$store/root_$release log=$store/$release.log

# The work is done in a name space of mounts and processes: whatever way it ends, none of them is left, and out here the
# root is mere files.
if [ -z "${LAPIDARY_CLEAN_ROOT_INSIDE:-}" ]; then
    mkdir -p "$debs/partial"
    exec 9> "$store/$release.lock"
    flock -n 9 || { echo "another run works in $root: waiting" >&2; flock 9; }
    trap 'rm -rf --one-file-system "$root"' EXIT
    rm -rf --one-file-system "$root"  # of a run that was interrupted
    LAPIDARY_CLEAN_ROOT_INSIDE=yes setpriv --pdeathsig KILL \
        unshare --mount --propagation private --pid --mount-proc --fork --kill-child "$0" "$@"
    exit
fi

began=$SECONDS
step() {  # step NAME COMMAND...: runs it and says how long it took
    local start=$SECONDS
    "${@:2}"
    echo "-- $release, $1: $((SECONDS - start)) s"
}

mirror() {
    if [ -n "${LAPIDARY_DEBIAN_MIRROR:-}" ]; then
        echo "$LAPIDARY_DEBIAN_MIRROR"
        return
    fi
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016  # the format is apt-get's
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        awk -v release="$codename" '$1 == release && !found { print $2; found = 1 }'
}

make_base() {  # the packed base, made once a month
    [ -z "$(find "$base" -mtime -30 2> /dev/null)" ] || return 0
    local from
    from=$(mirror)
    [ -n "$from" ] || { echo "no Debian mirror in the apt sources here: set LAPIDARY_DEBIAN_MIRROR" >&2; exit 1; }
    debootstrap --variant=minbase --include=git,ca-certificates --cache-dir="$debs" \
        "$release" "$root" "$from" > "$log" 2>&1 || { tail -20 "$log" >&2; exit 1; }
    tar -C "$root" --one-file-system -cf "$base.part" .
    mv "$base.part" "$base"
    rm -rf --one-file-system "$root"
}

unpack() {
    mkdir "$root"
    tar -C "$root" -xf "$base"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    apt-config dump | grep -E '^Acquire::https?::Proxy' > "$root/etc/apt/apt.conf.d/proxy" || true
    mkdir -p "$root/opt/ccache" "$root/ccache"
    mount --bind "$debs" "$root/var/cache/apt/archives"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    git clone -q --no-hardlinks "$PWD" "$root$PWD"  # at the same place, for ccache: some objects hold paths
}

# The machine's ccache with the libraries it needs: the root's own package would install some that must not be there.
lend_ccache() {
    local program
    program=$(readlink -f "$(command -v ccache)")
    ldd "$program" | grep -o '/[^ ]*' | xargs cp -L -t "$root/opt/ccache" "$program"
    printf '#!/bin/sh\nexec /opt/ccache/%s --library-path /opt/ccache /opt/ccache/ccache "$@"\n' \
        "$(basename "$(ldd "$program" | grep -o '/[^ ]*/ld-[^ ]*')")" > "$root/usr/local/bin/ccache"
    chmod +x "$root/usr/local/bin/ccache"
    mkdir -p "$(ccache -k cache_dir)"
    mount --bind "$(ccache -k cache_dir)" "$root/ccache"
}

inside() {  # inside COMMAND: runs it in the clone in the root
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" CCACHE_DIR=/ccache CCACHE_NOHASHDIR=yes \
        CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-5G}" CCACHE_BASEDIR="$PWD" CCACHE_COMPILERCHECK=content CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)" \
        chroot "$root" bash -c "cd '$PWD' && $1" < /dev/null
}

quiet() {  # quiet COMMAND: its output into the log, shown when it fails; no warnings
    inside "$1" > "$log" 2>&1 || { tail -100 "$log"; exit 1; }
    if grep -nE 'warning: .*\[-W|CMake.* Warning' "$log"; then
        echo "$release: warnings in: $1" >&2
        [ "$release" = bookworm ] || exit 1  # GCC 12 warns of much that is not so; its Clang makes warnings errors
    fi
}

answers() {
    quiet scripts/quickstart.sh
    local answer
    for answer in 'I am a tiny demo model of the Gemma 4 architecture.' 'A pink square and a yellow triangle.' '4 8 4'; do
        grep -qF "$answer" "$log" ||
            { tail -20 "$log"; echo "$release: quickstart.sh did not answer '$answer'" >&2; exit 1; }
    done
}

# Media, what of the program needs libraries, and the shaders: on Debian 13 with the newer Vulkan driver of its backports, a
# second software GPU, with cooperative matrices. What the shaders' tests skip there is in their output.
few() {
    quiet 'scripts/configure.sh && cmake --build build/release --target lapidary_cli model_media_test runtime_vulkan_test'
    if [ "$release" = trixie ]; then
        echo "deb $(mirror) trixie-backports main" > "$root/etc/apt/sources.list.d/backports.list"
        quiet 'apt-get -q update && apt-get install -q -y --no-install-recommends -t trixie-backports mesa-vulkan-drivers vulkan-tools'
        inside 'vulkaninfo | grep -q VK_KHR_cooperative_matrix' || { echo "$release: no cooperative matrices there" >&2; exit 1; }
    fi
    inside "ctest --test-dir build/release -j2 --output-on-failure --no-tests=error -R '^(runtime/vulkan/|model/media/|cli/(chat|doctor|folders|foreign_gguf|list|media|readme|run|samples|schema|usage)_test)'"
}

clang() {
    quiet 'scripts/install_packages.sh clang && cmake --preset clang &&
           cmake --build --preset clang --target lapidary_shaders && scripts/check_syntax.py build/clang tests'
}

step 'base' make_base
step 'unpacking and cloning' unpack
lend_ccache
step 'packages, quickstart.sh and its answers' answers
if [[ " ${*:2} " == *' few '* ]]; then
    step 'few tests' few
else
    step 'test.sh, configuring and building' quiet 'scripts/test.sh -N'
fi
[[ " ${*:2} " != *' clang '* ]] || step 'rooms and programs read by Clang' clang
echo "-- $release, in all: $((SECONDS - began)) s"
