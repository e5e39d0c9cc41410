#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - compiles all of the library with every release of Asio within reach; runs nothing.
#
#   asio_matrix.sh [COMPILER...]     default: g++ and clang++, as far as they are installed
#
# Within reach: the installed one, those of newer Debians, upstream's releases where they can be fetched, and the include folders named in
# $TIDEPOOL_ASIO_FOLDERS (separated by colons). What is out of reach is said. Exit status 1: something did not compile.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
install=$repo/tests/support/install.sh
releases=(1.22.1 1.22.2 1.23.0 1.24.0 1.26.0 1.27.0 1.28.0 1.28.2 1.29.0 1.30.2 1.31.0 1.32.0 1.33.0 1.34.2 1.35.0 1.36.0 1.38.2)

compilers=("$@")
if [ ${#compilers[@]} -eq 0 ]; then
  for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null; then compilers+=("$compiler"); fi
  done
fi

folders=('')
IFS=: read -ra named <<<"${TIDEPOOL_ASIO_FOLDERS:-}"
folders+=("${named[@]}")
for suite in trixie sid; do
  if folder=$("$install" newer-asio "$suite" 2>/dev/null); then folders+=("$folder"); else echo "out of reach: the Asio of $suite"; fi
done
for release in "${releases[@]}"; do
  if folder=$("$install" upstream-asio "$release" 2>/dev/null); then folders+=("$folder"); else missing+=" $release"; fi
done
if [ -n "${missing:-}" ]; then echo "out of reach: upstream's$missing"; fi

version_of() { # folder; the compiler's own where that is empty
  echo '#include <asio/version.hpp>
  ASIO_VERSION' | "${compilers[0]}" ${1:+-isystem "$1"} -E -P -x c++ - | tail -n 1
}
flags=(-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Werror -pthread)
status=0
declare -A seen=()
for folder in "${folders[@]}"; do
  version=$(version_of "$folder")
  if [ -n "${seen[$version]:-}" ]; then continue; fi
  seen[$version]=yes
  for compiler in "${compilers[@]}"; do
    if "$compiler" "${flags[@]}" -I"$repo/include" ${folder:+-isystem "$folder"} -isystem "$(pg_config --includedir)" \
      "$repo/tests/consumers/uses.cpp" 2>"${TMPDIR:-/tmp}/tidepool-asio.$$"; then
      echo "Asio $version with $compiler: compiles"
    else
      status=1
      echo "Asio $version with $compiler: DOES NOT COMPILE"
      grep -E 'error' "${TMPDIR:-/tmp}/tidepool-asio.$$" | head -n 5
    fi
  done
done
rm -f "${TMPDIR:-/tmp}/tidepool-asio.$$"
exit $status
