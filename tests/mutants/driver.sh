#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - shows that the driver's tests notice bugs: applies each mutant of driver.txt to a copy of the headers, builds the one file of tests
# that is to notice it, and expects it to fail.
#
#   driver.sh            all of them; starts a PostgreSQL of its own unless TIDEPOOL_TEST_PG names one
#   driver.sh --check    only that each still applies (fast)
#   driver.sh NAME...    some of them
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cxx=${CXX:-g++}
mapfile -t names < <(sed -n 's/^== //p' "$here/driver.txt")
check=no
if [ "${1:-}" = --check ]; then
  check=yes
elif [ $# -gt 0 ]; then
  names=("$@")
fi

work=$(mktemp -d)
server=''
finish() {
  if [ -n "$server" ]; then "$root/tests/support/postgres_server.sh" stop "$server" immediate || true; fi
  rm -rf "$work"
}
trap finish EXIT
chmod 711 "$work"

flags=(-std=c++20 -O0 -w -pthread -I"$work/include" -I"$root/tests" -isystem "$(pg_config --includedir)" "-DTIDEPOOL_SOURCE_DIR=\"$root\"")
case $cxx in *clang*) flags+=(-DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1) ;; esac
build() { "$cxx" "${flags[@]}" "$root/tests/postgres/$1.cpp" "$work/main.o" -o "$work/test" -lpq -ldl >"$work/log" 2>&1; }
fresh() { rm -rf "$work/include" && cp -r "$root/include" "$work/include"; }

if [ $check = no ]; then
  fresh
  "$cxx" "${flags[@]}" -c "$root/tests/support/catch_main.cpp" -o "$work/main.o"
  if [ -z "${TIDEPOOL_TEST_PG:-}" ]; then
    server="$work/pg"
    TIDEPOOL_TEST_PG=$("$root/tests/support/postgres_server.sh" start "$server")
    export TIDEPOOL_TEST_PG
  fi
  # What fails without a mutant would show nothing.
  for file in $(sed -n 's/^? //p' "$here/driver.txt" | sort -u); do
    build "$file" || { cat "$work/log"; exit 1; }
    timeout 300 "$work/test" --abort >"$work/run" 2>&1 || { echo "$file fails without a mutant"; cat "$work/run"; exit 1; }
  done
fi

survivors=()
for name in "${names[@]}"; do
  fresh
  perl "$here/apply.pl" "$here/driver.txt" "$name" "$work/include"
  if [ $check = yes ]; then continue; fi
  file=$(awk -v wanted="$name" '/^== / { inside = $2 == wanted } inside && /^\? / { print $2; exit }' "$here/driver.txt")
  if ! build "$file"; then
    caught="does not compile"
  elif timeout 200 "$work/test" --abort >"$work/run" 2>&1; then
    caught="survives"
  else
    echo "$name: caught by $file"
    continue
  fi
  echo "$name: $caught"
  survivors+=("$name")
done
if [ $check = yes ]; then
  echo "${#names[@]} mutants apply"
elif [ ${#survivors[@]} -gt 0 ]; then
  echo "not caught: ${survivors[*]}"
  exit 1
else
  echo "all ${#names[@]} mutants caught"
fi
