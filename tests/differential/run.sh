#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - PostgreSQL's regression suite through the driver, in lock-step with plain libpq on two more servers; see README.md.
#
#   run.sh PROGRAM [FILE...]   PROGRAM: tidepool_test_differential; FILE...: parts of names, as in sql/join; default: all of the suite
#
# $WAYS: which ways, separated by commas; default: all. Exit status 77: skipped, with the reason.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
support=$here/../support
program=$(realpath "${1:?which program}")
shift

say() { echo "differential: $*" >&2; }
skip() {
  say "skipped: $*"
  exit 77
}
IFS=, read -ra ways <<<"${WAYS:-exec,script,stream,exec with the statement cache,independent pipeline,atomic pipeline}"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV | head -n 1)
[ -n "$bin" ] || skip "no PostgreSQL of Debian's here"
major=$(basename "$(dirname "$bin")")
source=$("$support/install.sh" source "postgresql-$major") || skip "the sources of PostgreSQL $major cannot be had"

yard=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-differential.XXXXXX")
chmod 711 "$yard"
stop_servers() {
  local side
  for side in a b c; do
    if [ -d "$yard/$side" ]; then "$support/postgres_server.sh" stop "$yard/$side" immediate || true; fi
    rm -rf "${yard:?}/$side"
  done
}
# shellcheck disable=SC2317 # the trap calls it
finish() {
  stop_servers
  rm -rf "$yard"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The server reads files of the suite, and is another user.
mkdir "$yard/suite"
(cd "$source" && tar -cf - src/test/regress/{sql,data,parallel_schedule} src/pl/plpgsql/src/sql contrib/*/sql $(ls -d contrib/*/data)) |
  tar -xf - -C "$yard/suite"
chmod -R a+rX "$yard/suite"
export PG_ABS_SRCDIR=$yard/suite/src/test/regress PG_ABS_BUILDDIR=$yard PG_LIBDIR=/nowhere PG_DLSUFFIX=.so

# In the order PostgreSQL has them; then those of its language, and of the extensions.
mapfile -t suite < <(
  cd "$yard/suite"
  sed -n 's/^test: //p' src/test/regress/parallel_schedule | tr ' ' '\n' | sed 's|.*|src/test/regress/sql/&.sql|'
  ls src/pl/plpgsql/src/sql/*.sql contrib/*/sql/*.sql
)
files=()
for file in "${suite[@]}"; do
  if [ $# -eq 0 ] || printf '%s\n' "$@" | grep -qF "$(printf '%s' "$file" | sed 's|.*/\(sql/.*\)\.sql|\1|')"; then
    if [ -e "$yard/suite/$file" ]; then files+=("$yard/suite/$file"); fi
  fi
done
[ ${#files[@]} -gt 0 ] || { say "no such file in the suite"; exit 2; }
export DIFFERENTIAL_FILES="${files[*]}"

start_server() { # fresh, and as pg_regress wants it
  local info owner=
  "$support/postgres_server.sh" start "$yard/$1" >/dev/null
  if [ "$(id -u)" = 0 ]; then owner="runuser -u $(stat -c %U "$yard/$1/data") --"; fi
  $owner tee -a "$yard/$1/data/postgresql.conf" >/dev/null <<CONF
max_connections = 20
max_prepared_transactions = 2
autovacuum = off
timezone = 'America/Los_Angeles'
intervalstyle = postgres_verbose
lc_messages = 'C'
statement_timeout = 60s
CONF
  info=$("$support/postgres_server.sh" restart "$yard/$1" fast)
  "$bin/psql" -X -q "$info" -v ON_ERROR_STOP=1 -c 'create database regression template template0' >&2
  echo "${info/dbname=tidepool/dbname=regression}"
}

status=0
for way in "${ways[@]}"; do
  DIFFERENTIAL_A=$(start_server a) DIFFERENTIAL_B=$(start_server b) DIFFERENTIAL_C=$(start_server c)
  export DIFFERENTIAL_A DIFFERENTIAL_B DIFFERENTIAL_C DIFFERENTIAL_WAY=$way
  "$program" '[.suite]' --reporter compact || status=1
  stop_servers
done
exit $status
