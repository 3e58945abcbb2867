#!/usr/bin/env bash
# Installs what is missing, builds the release preset with its tests, and runs all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh test
launcher=()
command -v ccache > /dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset release -DLAP_BUILD_BENCH=ON "${launcher[@]}"
cmake --build --preset release
ctest --test-dir build/release -j2 --output-on-failure --no-tests=error
