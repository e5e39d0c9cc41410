#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - shows that the drivers' tests notice bugs: applies each mutant of driver.txt to a copy of the headers, builds the one file of tests
# that is to notice it, and expects it to fail.
#
#   driver.sh            all of them; which test noticed each goes into README.md beside this script
#   driver.sh --check    only that each still applies (fast)
#   driver.sh NAME...    some of them; the rows of the others stay as they are
#
# It starts a PostgreSQL of its own, where one is needed, unless TIDEPOOL_TEST_PG names one, and a MariaDB unless TIDEPOOL_TEST_MYSQL_DIR does. $CXX: the compiler; default: clang++ where there is one, because it
# needs half the time of g++.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cxx=${CXX:-$(command -v clang++ || echo g++)}
mapfile -t all < <(sed -n 's/^== //p' "$here/driver.txt")
names=("${all[@]}")
twice=$(printf '%s\n' "${all[@]}" | sort | uniq -d)
[ -z "$twice" ] || { echo "two mutants are called $twice"; exit 1; }
check=no
if [ "${1:-}" = --check ]; then
  check=yes
elif [ $# -gt 0 ]; then
  names=("$@")
fi

work=$(mktemp -d)
server='' mysql=''
finish() {
  if [ -n "$mysql" ]; then "$root/tests/support/mariadb_server.sh" stop "$mysql" || true; fi
  if [ -n "$server" ]; then "$root/tests/support/postgres_server.sh" stop "$server" immediate || true; fi
  rm -rf "$work"
}
trap finish EXIT
chmod 711 "$work"

launcher=$(command -v ccache || true)
flags=(-std=c++20 -O0 -w -pthread -I"$work/include" -I"$root/tests" -isystem "$(pg_config --includedir)" -isystem "$(pkg-config --variable=includedir libmariadb)" "-DTIDEPOOL_SOURCE_DIR=\"$root\"")
case $cxx in *clang*) flags+=(-DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1) ;; esac
build() {
  $launcher "$cxx" "${flags[@]}" -c "$root/tests/$1.cpp" -o "$work/test.o" >"$work/log" 2>&1 &&
    "$cxx" "$work/test.o" "$work/main.o" -o "$work/test" -lpq -lmariadb -lsqlite3 -ldl -pthread >>"$work/log" 2>&1
}
fresh() { rm -rf "$work/include" && cp -r "$root/include" "$work/include"; }
# A name without a folder is in tests/postgres.
file_of() { awk -v wanted="$1" '/^== / { inside = $2 == wanted } inside && /^\? / { print ($2 ~ /\// ? "" : "postgres/") $2; exit }' "$here/driver.txt"; }
# A test that runs for three minutes waits for something that does not come.
run() {
  local status=0
  timeout -k 5 200 "$work/test" --abort --use-colour no >"$work/run" 2>&1 || status=$?
  case $status in
    0) return 1 ;;
    124 | 137) failed="(no end within minutes)" ;;
    # The title of the case stands between two lines, and may go over several.
    *) failed=$(awk '/^----------/ { if (inside) exit; inside = 1; next } inside { sub(/^ +/, ""); printf "%s%s", sep, $0; sep = " " }' \
      "$work/run") ;;
  esac
  [ -n "$failed" ] || failed="(status $status: $(tail -n 1 "$work/run"))"
}

if [ $check = no ]; then
  fresh
  "$cxx" "${flags[@]}" -c "$root/tests/support/catch_main.cpp" -o "$work/main.o"
  if [ -z "${TIDEPOOL_TEST_PG:-}" ] && for name in "${names[@]}"; do file_of "$name"; done | grep -q '^postgres/'; then
    server="$work/pg"
    TIDEPOOL_TEST_PG=$("$root/tests/support/postgres_server.sh" start "$server")
    export TIDEPOOL_TEST_PG
  fi
  if [ -z "${TIDEPOOL_TEST_MYSQL_DIR:-}" ] && for name in "${names[@]}"; do file_of "$name"; done | grep -q '^mysql/'; then
    mysql="$work/mysql"
    "$root/tests/support/mariadb_server.sh" start "$mysql" >/dev/null
    export TIDEPOOL_TEST_MYSQL_DIR=$mysql
  fi
  # What fails without a mutant would show nothing.
  for file in $(for name in "${names[@]}"; do file_of "$name"; done | sort -u); do
    build "$file" || { cat "$work/log"; exit 1; }
    if run; then
      echo "$file fails without a mutant: $failed"
      cat "$work/run"
      exit 1
    fi
  done
fi

# The table of README.md that begins with `| mutant of the driver |`.
declare -A row
while IFS='|' read -r _ name by; do
  by=${by%|}
  row[${name// /}]=${by%"${by##*[! ]}"}
done < <(grep -E '^\| [a-z0-9-]* \| ([a-z]+/|nothing:)' "$here/README.md")
write_table() {
  local name
  {
    sed '/^| mutant of the driver |/,$d' "$here/README.md"
    echo '| mutant of the driver | caught by |'
    echo '|---|---|'
    for name in "${all[@]}"; do echo "| $name |${row[$name]:- not run} |"; done
    sed '1,/^| mutant of the driver |/d' "$here/README.md" | sed '1,/^$/{/^|/d}'
  } >"$work/table"
  cp "$work/table" "$here/README.md"
}

survivors=()
for name in "${names[@]}"; do
  if [ $check = yes ]; then
    perl "$here/apply.pl" "$here/driver.txt" "$name" "$root/include" check
    continue
  fi
  fresh
  perl "$here/apply.pl" "$here/driver.txt" "$name" "$work/include"
  file=$(file_of "$name")
  caught="nothing: it survives"
  if ! build "$file"; then
    caught="nothing: it does not compile"
  elif run; then
    caught="$file: $failed"
  fi
  case $caught in nothing*) survivors+=("$name") ;; esac
  echo "$name | $caught"
  row[$name]=" ${caught//|/\\|}"
  write_table
done
if [ $check = yes ]; then
  echo "${#names[@]} mutants apply"
elif [ ${#survivors[@]} -gt 0 ]; then
  echo "not caught: ${survivors[*]}"
  exit 1
else
  echo "all ${#names[@]} mutants caught"
fi
