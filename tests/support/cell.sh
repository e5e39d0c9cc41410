#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - one cell of tests/matrix.sh, within the root that it unpacked: builds areas of the tests, and runs them.
#
#   cell.sh FOLDER CMake options...
#
# Builds in FOLDER/tree, and writes what that was made of to FOLDER/versions. Exit status 3: not all was built; else that of ctest.
set -euo pipefail
folder=$1
shift
repo=$(cd "$(dirname "$0")/../.." && pwd)
jobs=${JOBS:-$(nproc)}
export CCACHE_DIR=$repo/.cache/ccache CCACHE_SLOPPINESS=pch_defines,time_macros

cd "$repo/tests"
cmake --preset debug -B "$folder/tree" -DTIDEPOOL_TEST_UNITY=ON -DTIDEPOOL_TEST_TIMEOUT=1200 -DTIDEPOOL_BUILD_EXAMPLES=OFF \
  -DTIDEPOOL_BUILD_BENCHMARKS=OFF -DCMAKE_CXX_FLAGS_DEBUG=-g0 -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$folder/tree/bin" "$@" || exit 3
cmake --build "$folder/tree" --target tidepool_test_versions || exit 3
"$folder/tree/bin/tidepool_test_versions" >"$folder/versions"
cmake --build "$folder/tree" -j "$jobs" -- -k 0 || exit 3
cd "$folder/tree"
ctest -j "$((3 * jobs))" --output-on-failure --no-tests=error
