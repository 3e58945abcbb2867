#!/usr/bin/env bash
# Installs what is missing, builds the release preset with its tests, and runs all of them, or what the arguments, which
# go to ctest, choose (slow ones apart): test.sh -R kernels; test.sh -N builds, and lists the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh test
scripts/configure.sh -DLAP_BUILD_BENCH=ON
cmake --build --preset release
ctest --test-dir build/release -j2 --output-on-failure --no-tests=error -LE slow "$@"
