#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - builds and runs what uses Boost.MySQL, which Debian 12 does not have: with the newest Boost of another Debian that has it, unpacked under .cache.
#
#   boost_mysql.sh [DIR]                builds examples/boost_mysql.cpp in DIR (default: a temporary folder), runs it on a MariaDB of its own
#                                       and looks at what it says
#   boost_mysql.sh build DIR TARGET...  only builds these targets in DIR, as a release
#
# Exit status 77: there is no MariaDB, or Boost.MySQL cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { echo "boost_mysql: $*" >&2; }

build() {
  local dir=$1 headers='' library='' suite version
  shift
  while read -r suite version; do
    if headers=$(tests/support/install.sh headers "$suite" "libboost$version-dev") &&
      library=$(tests/support/install.sh headers "$suite" "libboost-charconv$version-dev"); then
      break
    fi
    headers=''
  done <<<$'sid 1.90\ntrixie 1.88'
  if [ -z "$headers" ]; then
    say "skipped, because neither Boost 1.90 of Debian's sid nor 1.88 of trixie can be had"
    exit 77
  fi
  library=$(find "${library%/include}/lib" -name libboost_charconv.a)
  local options=()
  if command -v ninja >/dev/null; then options+=(-G Ninja); fi
  if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  mkdir -p "$dir"
  cmake -S . -B "$dir" "${options[@]}" -DCMAKE_BUILD_TYPE=Release -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_EXAMPLES=ON \
    -DTIDEPOOL_BUILD_BENCHMARKS=ON "-DTIDEPOOL_BOOST_INCLUDE_DIR=$headers" "-DBOOST_CHARCONV_LIBRARY=$library" >"$dir/configure.log" 2>&1 ||
    { cat "$dir/configure.log" >&2; exit 1; }
  if ! grep -q '^BOOST_MYSQL_INCLUDE_DIR:PATH=/' "$dir/CMakeCache.txt" || ! grep -q '^OPENSSL_SSL_LIBRARY:FILEPATH=/' "$dir/CMakeCache.txt"; then
    say "skipped: $(grep 'Boost.MySQL' "$dir/configure.log" || echo 'no OpenSSL')"
    exit 77
  fi
  cmake --build "$dir" --target "$@" >"$dir/build.log" 2>&1 || { grep -E 'error|warning|undefined' "$dir/build.log" >&2; exit 1; }
}

if [ "${1:-}" = build ]; then
  build "${@:2}"
  exit
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-mysql.XXXXXX")
chmod 711 "$scratch"
# shellcheck disable=SC2317 # the trap calls it
finish() {
  if [ -d "$scratch/db" ]; then tests/support/mariadb_server.sh stop "$scratch/db" || true; fi
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

status=0
server=$(tests/support/mariadb_server.sh start "$scratch/db") || status=$?
if [ $status = 77 ]; then say "skipped, because there is no MariaDB"; fi
if [ $status != 0 ]; then exit $status; fi
dir=${1:-$scratch/build}
build "$dir" example_boost_mysql
read -ra variables <<<"$server"
said=$(env "${variables[@]}" timeout 60 "$dir/examples/boost_mysql")
[ "$said" = 42 ] || { say "the example was to say 42, and said: $said"; exit 1; }
# What the server says reaches the user.
if said=$(env "${variables[@]}" MYSQL_USER=nobody_known timeout 60 "$dir/examples/boost_mysql" 2>&1); then
  say "the example ended well without a user"
  exit 1
fi
[[ $said == *er_access_denied_error* ]] || { say "the example was to say that access is denied, and said: $said"; exit 1; }
echo "boost_mysql: 42, and access denied to others"
