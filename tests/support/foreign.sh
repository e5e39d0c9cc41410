#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - builds and runs the tests with the compiler and libraries of a newer Debian, unpacked under .cache and entered by chroot.
#
#   foreign.sh SUITE COMPILER FOLDER [CMake options]     as root, or with unprivileged user namespaces
set -euo pipefail
suite=${1:?which suite} compiler=${2:?which compiler} folder=${3:?a folder to build in}
shift 3
repo=$(cd "$(dirname "$0")/../.." && pwd)

root=$("$repo/tests/support/install.sh" root "$suite" bash dash coreutils g++ clang cmake ninja-build libasio-dev catch2 libpq-dev)
mkdir -p "$folder" "$root/repo" "$root/build"
enter=(unshare --mount)
if [ "$(id -u)" != 0 ]; then enter+=(--map-root-user); fi

# Processes in there share our network, so the test server is within reach.
# shellcheck disable=SC2016 # expanded inside
exec "${enter[@]}" bash -euc '
  root=$1 repo=$2 folder=$3
  shift 3
  mount --rbind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind "$repo" "$root/repo"
  mount --bind "$folder" "$root/build"
  exec chroot "$root" /bin/bash -euc "
    export PATH=/usr/bin:/bin HOME=/build TMPDIR=/build
    cd /repo/tests
    \$1 --version | head -n 1
    cmake --preset debug -B /build/tree -DCMAKE_CXX_COMPILER=\"\$@\"
    cmake --build /build/tree -j ${JOBS:-2} -- -k 0
    cd /build/tree && ctest -j ${JOBS:-2} --output-on-failure --no-tests=error
  " _ "$@"
' _ "$root" "$repo" "$folder" "$compiler" "-DTIDEPOOL_TEST_PREFIX=$suite-$compiler." -DTIDEPOOL_BUILD_EXAMPLES=OFF \
  -DTIDEPOOL_BUILD_BENCHMARKS=OFF "-DTIDEPOOL_TEST_AREAS=unit;core;pool;simulator;threads;postgres;headers" "$@"
