#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - what a file with one handler gives the compiler to do, against the same handler with Asio alone: lines that are read, functions
# in the object, its bytes. Those can be counted; how long it takes is measured by benchmarks/run.sh headers.
#
#   handlers.sh COMPILER [OPTION ...]     exit status 1: a ratio is above its limit; 77: no libpq, or no binutils
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
cost=$repo/benchmarks/header_cost
command -v nm >/dev/null || { echo "skipped: binutils are not installed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-handlers.XXXXXX")
trap 'rm -rf "$work"' EXIT
compile=("$@" -std=c++20 -O2 -DNDEBUG "-I$repo/include" "-I$cost")

# name, options ...: lines without comments and line markers, functions, bytes
count() {
  local file=$1
  shift
  "${compile[@]}" "$@" -E -P "$cost/$file.cpp" >"$work/read"
  "${compile[@]}" "$@" -c "$cost/$file.cpp" -o "$work/object"
  echo "$(wc -l <"$work/read") $(nm "$work/object" | grep -c ' [TtWw] ') $(stat -c %s "$work/object")"
}
status=0
# name, the figures, then the limits of their ratios
check() {
  local name=$1 figures=$2
  shift 2
  awk -v name="$name" -v limits="$*" -v base="$base" -v got="$figures" 'BEGIN {
    split(base, b); split(got, g); split(limits, l); split("lines functions bytes", what)
    for (i = 1; i <= 3; ++i) {
      bad = g[i] / b[i] > l[i]
      printf "%-36s %-10s %8d  %5.2f times, limit %4.2f%s\n", name, what[i], g[i], g[i] / b[i], l[i], bad ? "  TOO MANY" : ""
      failed = failed || bad
    }
    exit failed
  }' || status=1
}

base=$(count asio_handler)
separate=-DTIDEPOOL_SEPARATE_COMPILATION
check 'pool, header-only' "$(count pool_handler)" 1.3 1.2 1.2
check 'pool, compiled separately' "$(count pool_handler $separate)" 1.12 1.08 1.08
if "${compile[@]}" -E -include libpq-fe.h -x c++ /dev/null >/dev/null 2>&1; then
  check 'PostgreSQL, header-only' "$(count postgres_handler)" 1.6 1.6 1.8
  check 'PostgreSQL, compiled separately' "$(count postgres_handler $separate)" 1.22 1.22 1.25
  check 'multiplexer, header-only' "$(count multiplexer_handler)" 1.65 1.75 2.05
  check 'multiplexer, compiled separately' "$(count multiplexer_handler $separate)" 1.53 1.35 1.5
fi
# A file that only includes gives the compiler what Asio's own headers do. GCC without optimisation compiles each inline coroutine that is no
# template, and all behind it, in every file (detail/util/lazy.hpp).
unused() {
  local name=$1 functions
  shift
  "${compile[@]}" "$@" -O0 -c "$work/unused.cpp" -o "$work/object"
  functions=$(nm "$work/object" | grep -c ' [TtWw] ')
  local verdict=''
  if [ "$functions" -gt $((asio_alone + 40)) ]; then verdict='  TOO MANY' status=1; fi
  printf '%-36s %-10s %8d, %d of them of Asio alone%s\n' "includes only, $name" functions "$functions" "$asio_alone" "$verdict"
}
"${compile[@]}" -O0 -c "$cost/asio_only.cpp" -o "$work/object"
asio_alone=$(nm "$work/object" | grep -c ' [TtWw] ')
{
  printf '#include <tidepool/%s.hpp>\n' pool testing metrics
  printf '#if __has_include(<libpq-fe.h>)\n' && printf '#include <tidepool/postgres%s.hpp>\n' '' /cluster /multiplexer /multiplexers && echo '#endif'
  printf '#if __has_include(<%s>)\n#include <tidepool/%s.hpp>\n#endif\n' mariadb_version.h mysql sqlite3.h sqlite
} >"$work/unused.cpp"
unused 'header-only'
unused 'compiled separately' $separate

# Where a driver's pool is compiled apart, a file that may instantiate pools of its own does not compile that one again.
if "${compile[@]}" -E -include libpq-fe.h -x c++ /dev/null >/dev/null 2>&1; then
  cat >"$work/made.cpp" <<'EOF'
#include <tidepool/instantiate.hpp>
#include <tidepool/postgres.hpp>
tidepool::postgres::pool made(asio::io_context& io) { return tidepool::postgres::pool(io, tidepool::postgres::connector("")); }
EOF
  "${compile[@]}" $separate -O0 -c "$work/made.cpp" -o "$work/object"
  if nm "$work/object" | grep ' U .*compiled_by_TIDEPOOL_INSTANTIATE_POOL' >/dev/null; then  # not -q, which leaves nm without a reader
    echo "the pool of PostgreSQL, compiled apart: linked"
  else
    echo "the pool of PostgreSQL, compiled apart: COMPILED AGAIN" && status=1
  fi
fi
exit $status
