#!/usr/bin/env bash
# Fuzzes the readers of files and texts with libFuzzer under the address and undefined-behaviour sanitizers.
# Usage: fuzz.sh SECONDS [TARGET...]   (no target: all of them, as many at a time as there are cores)
# What a run learns stays in build/fuzz/corpus/TARGET. A crash, broken promise, leak, more than 10 s or 1 GiB for one
# input fails, and the input is kept in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: fuzz.sh SECONDS [TARGET...]}
shift
build=build/asan kept=build/fuzz
launcher=()
command -v ccache > /dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset asan "${launcher[@]}" > /dev/null
cmake --build --preset asan --target fuzz
if [ $# -eq 0 ]; then
    for file in tests/fuzz/*_target.cpp; do
        name=${file##*/}
        set -- "$@" "${name%_target.cpp}"
    done
fi

scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/var/tmp}")")  # inputs become files
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=32:allocator_may_return_null=0:handle_abort=1
mkdir -p $kept/found $kept/corpus

fuzz() {  # fuzz TARGET: prints a line of its results
    local name=$1 start=$scratch/$1 log=$kept/$1.log status=0 regressions=()
    LAPIDARY_FUZZ=$name $build/bin/fuzz --prepare "$start"
    mkdir -p "$kept/corpus/$name"
    [ -d "tests/fuzz/regressions/$name" ] && regressions=("tests/fuzz/regressions/$name")
    LAPIDARY_FUZZ=$name $build/bin/fuzz -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 \
        -max_len="$(cat "$start/max_len")" -dict="$start/words" -print_final_stats=1 \
        -artifact_prefix="$kept/found/$name-" "$kept/corpus/$name" "$start/seeds" "${regressions[@]}" \
        > "$log" 2>&1 || status=$?
    local runs covered rss
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    printf '%-10s %9s runs, %6s a second, %6s places covered, %5s MiB: %s\n' "$name" "${runs:-?}" \
        "$((${runs:-0} / (seconds + 1)))" "${covered:-?}" "${rss:-?}" "$([ "$status" -eq 0 ] && echo ok || echo FAILED)"
    [ "$status" -eq 0 ] && return
    tail -n 40 "$log"
    sed -n "s|^.*Test unit written to \(.*\)|again: LAPIDARY_FUZZ=$name $build/bin/fuzz \1|p" "$log"
    return 1
}
export -f fuzz
export build kept scratch seconds

printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'fuzz {}'
