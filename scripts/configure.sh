#!/usr/bin/env bash
# Configures the release preset in build/release, with ccache when there is one. Usage: configure.sh [CMake options]
# What an earlier configuration left there never stands in the way: it may be of another folder (the clone was moved),
# of another generator or compiler, or have failed over an option. Objects stay, so a second build is quick.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build/release
cache=$folder/CMakeCache.txt
forget() { rm -rf "$cache" "$folder/CMakeFiles"; }
is_at() { [ "$(realpath -m "$(cached "$1")")" = "$(realpath "$2")" ]; }  # clones may be entered through links
cached() { sed -n "s/^$1:[A-Z]*=//p" "$cache"; }

launcher=
command -v ccache > /dev/null && launcher=ccache
options=(-DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" "$@")
again=
if [ -f "$cache" ]; then
    again=yes
    if ! is_at CMAKE_HOME_DIRECTORY . || ! is_at CMAKE_CACHEFILE_DIR "$folder"; then
        echo "$folder was configured in another folder, $(cached CMAKE_HOME_DIRECTORY): starting afresh" >&2
        forget
        again=
    fi
fi
cmake --preset release "${options[@]}" >&2 && exit 0
if [ -n "$again" ]; then
    echo "starting afresh, without what $cache kept" >&2
    forget
    cmake --preset release "${options[@]}" >&2 && exit 0
fi
forget  # a later run must not inherit what failed here
exit 1
