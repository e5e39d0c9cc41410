#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - one command that shows it at work: a service on a pool of database connections, under load, while its database is maltreated.
#
#   examples/run.sh [DATABASE]    builds, runs for a minute, prints a report; exit status 0 says that every promise held
#   examples/run.sh --multiplex   PostgreSQL: reads go through postgres::multiplexers while the database is maltreated too
#   examples/run.sh --keep        leaves service and database running afterwards and says how to use and stop them
#
# DATABASE: postgres, mysql (MariaDB's server) or sqlite. Without it PostgreSQL, where that is installed or can be, else SQLite, which
# needs no server. Installs what is missing (apt), builds under build/examples (or $TIDEPOOL_BUILD), keeps everything else in a temporary
# folder, and uses free ports of 127.0.0.1 only. $JOBS: how many compilers at once; $CLIENTS: clients at once, default 100, for 8 connections.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
build=${TIDEPOOL_BUILD:-$repo/build}/examples
clients=${CLIENTS:-100}
connections=8
keep=no
database=''
multiplex=()
for argument in "$@"; do
  case $argument in
    postgres | mysql | sqlite) database=$argument ;;
    --keep) keep=yes ;;
    --multiplex) multiplex=(--multiplex) ;;
    --help | -h) sed -n '4,12s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) sed -n '4,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
  esac
done
if [ ${#multiplex[@]} -gt 0 ]; then
  if [ "${database:=postgres}" != postgres ]; then echo "run.sh: --multiplex is for PostgreSQL" >&2 && exit 2; fi
fi

say() { printf '\n== %s\n' "$*"; }

# --- install and build ---------------------------------------------------------------------------------------------------------------
"$repo/tests/support/install.sh" || say "not all could be installed; going on with what is there"
say "building into $build: a minute or two the first time"
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
mkdir -p "$build"
targets=() # all; of one database only what is run here
if [ "$database" = sqlite ] || [ "$database" = mysql ]; then targets=(--target example_load example_service "example_quickstart_$database"); fi
build_all() {
  cmake -S "$repo" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF &&
    cmake --build "$build" -j "${JOBS:-$(nproc)}" "${targets[@]}"
}
if ! build_all 2>&1 | tee "$build/build.log" | { grep --line-buffered -E '^\[ *[0-9]+[/%]' || true; }; then
  echo "the build FAILED, see $build/build.log" >&2
  grep -E '(error|undefined reference)' "$build/build.log" | head -n 20 >&2 || tail -n 20 "$build/build.log" >&2
  exit 1
fi
bin=$build/examples
[ -x "$bin/service" ] || { echo "no service was built: is libhttp-parser-dev installed?" >&2; exit 1; }

# --- a folder, and an end for everything that is started -----------------------------------------------------------------------------
dir=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-example.XXXXXX")
chmod 711 "$dir"
service='' load='' running=''
# shellcheck disable=SC2317 # the trap calls it
finish() {
  local status=$? process
  if [ $status = 0 ] && [ $keep = yes ]; then return; fi
  for process in $load $service; do
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  if [ -n "$running" ]; then stop_server || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- the databases: for each the same functions ------------------------------------------------------------------------------------------
# start_server    starts it, where it has one, and makes the tables; sets `url`, for the service. Fails where it is not installed.
# stop_server     ends it
# trouble         what it suffers under load: phases with their names
# booked, wrong   how many transfers are in the ledger; how many balances do not agree with it
# clean           no session of the service is left, or what it would leave else
# again           an empty ledger
#
# 3 is the load generator's input: a server that inherits it would keep it open.
built_for() { [[ $("$bin/service" --help 2>&1 || true) == *"$1"* ]]; }
select_wrong="select count(*) from accounts a where balance <> 1000000
  - coalesce((select sum(amount) from transfers where payer = a.id), 0) + coalesce((select sum(amount) from transfers where payee = a.id), 0)"

use_postgres() {
  title=PostgreSQL
  server() { "$repo/tests/support/postgres_server.sh" "$1" "$dir/pg" "${@:2}" 3>&-; }
  sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$conninfo" "$@"; }
  sessions() { sql -c "select count(*) from pg_stat_activity where application_name = 'bank'"; }
  start_server() {
    command -v psql >/dev/null && conninfo=$(server start) || return 1
    running=yes
    url="$conninfo application_name=bank"
    sql -f "$repo/examples/service/schema.sql"
  }
  stop_server() { server stop immediate; }
  trouble() {
    phase "backends killed"
    killed=0
    for _ in $(seq 8); do
      killed=$((killed + $(sql -c "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'bank'")))
      sleep 0.5
    done
    sleep 1
    phase "quiet"
    sleep 2
    phase "server restarts"
    server restart fast >/dev/null
    phase "server is back"
    sleep 5
    told="$killed backends were killed, the server was restarted"
  }
  booked() { sql -c "select count(*) from transfers"; }
  wrong() { sql -c "$select_wrong"; }
  clean() { test "$(sessions)" = 0; }
  clean_text="no session of the service is left at the server"
  again() { sql -c "truncate transfers; update accounts set balance = 1000000"; }
  by_hand() { echo "psql '$conninfo'"; }
  to_stop() { echo "$repo/tests/support/postgres_server.sh stop $dir/pg; "; }
}

use_mysql() {
  title=MariaDB
  server() { "$repo/tests/support/mariadb_server.sh" "$1" "$dir/mysql" "${@:2}" 3>&-; }
  # What is confirmed outlasts the end of the process.
  launch() { server start --innodb-flush-log-at-trx-commit=2 >/dev/null; }
  sql() { mariadb --no-defaults --socket="$dir/mysql/socket" --user=root --batch --skip-column-names tidepool "$@"; }
  theirs="from information_schema.processlist where user = 'tidepool'"
  start_server() {
    command -v mariadb >/dev/null && launch || return 1
    running=yes
    url=$(server url)
    sql <"$repo/examples/service/schema_mysql.sql"
  }
  stop_server() { server stop; }
  trouble() {
    phase "sessions killed"
    local killed=0 some
    for _ in $(seq 8); do
      some=$(sql -e "select concat('kill ', id, ';') $theirs")
      killed=$((killed + $(grep -c kill <<<"$some" || true)))
      sql --force <<<"$some" 2>/dev/null || true # one or the other has ended by itself
      sleep 0.5
    done
    sleep 1
    phase "quiet"
    sleep 2
    phase "server killed"
    server stop
    launch
    phase "server is back"
    sleep 5
    told="$killed sessions were killed, the server was killed and started again"
  }
  booked() { sql -e "select count(*) from transfers"; }
  wrong() { sql -e "$select_wrong"; }
  clean() { test "$(sql -e "select count(*) $theirs")" = 0; }
  clean_text="no session of the service is left at the server"
  again() { sql -e "delete from transfers; update accounts set balance = 1000000"; }
  by_hand() { echo "mariadb --socket=$dir/mysql/socket --user=root tidepool"; }
  to_stop() { echo "$repo/tests/support/mariadb_server.sh stop $dir/mysql; "; }
}

use_sqlite() {
  title=SQLite
  url=$dir/bank.db
  start_server() { :; }
  stop_server() { :; }
  # Holds the write lock for so many seconds, in a process of its own. Fails where there is nothing to do it with.
  hold_lock() {
    if command -v sqlite3 >/dev/null; then
      { printf '.timeout 10000\nbegin immediate;\n' && sleep "$1"; } | sqlite3 "$url"
    elif command -v python3 >/dev/null; then
      python3 -c 'import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
db.execute("begin immediate")
time.sleep(float(sys.argv[2]))' "$url" "$1"
    else
      return 1
    fi 3>&-
  }
  trouble() {
    phase "lock held"
    local held="another process held the write lock for a second three times"
    for _ in 1 2 3; do
      hold_lock 1 || held="no lock was held: there is neither sqlite3 nor python3 here, or it did not get it"
      sleep 0.5
    done
    phase "quiet"
    sleep 2
    phase "service killed"
    kill -KILL "$service"
    wait "$service" 2>/dev/null || true
    sleep 0.5
    start_service service --port "$port"
    phase "service is back"
    sleep 5
    told="$held, the service was killed and started again"
  }
  ledger() { "$bin/load" "$port" get /ledger | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
  booked() { ledger booked; }
  wrong() { ledger wrong; }
  clean() { test -s "$url" && test ! -e "$url-wal"; }
  clean_text="the write-ahead log was copied into the file and is gone"
  again() { rm -f "$url"; }
  by_hand() { echo "sqlite3 $url"; }
  to_stop() { :; }
}

if [ -z "$database" ]; then
  use_postgres
  if built_for postgres && start_server; then
    database=postgres
  else
    say "PostgreSQL is not installed here and could not be: SQLite then, in the service's own process, without any server"
    database=sqlite
    use_sqlite
    start_server
  fi
else
  case $database in
    postgres) use_postgres ;;
    mysql) use_mysql ;;
    sqlite) use_sqlite ;;
  esac
  { built_for "$database" && start_server; } || { echo "run.sh: the service was built without $database, or its server is not installed" >&2; exit 1; }
fi

if [ "$database" = postgres ]; then
  say "examples/testing_without_a_database.cpp: the service's handlers on a server that answers by a script"
  "$bin/testing_without_a_database"
fi

# --- database and service --------------------------------------------------------------------------------------------------------------
say "$title, in $dir, with 1000 accounts"
quickstart=quickstart_$database
if [ "$database" = postgres ]; then quickstart=quickstart; fi
say "examples/$quickstart.cpp says"
case $database in
  sqlite) "$bin/$quickstart" "$dir/visits.db" ;;
  *) DATABASE_URL=$url "$bin/$quickstart" ;;
esac

start_service() { # program, its further arguments
  local which=()
  : >"$dir/service.out"
  if [ "$1" = service ]; then which=(--database "$database"); fi
  DATABASE_URL=$url "$bin/$1" "${which[@]}" --connections $connections "${@:2}" >"$dir/service.out" 2>>"$dir/service.log" 3>&- &
  service=$!
  for _ in $(seq 100); do
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/service.out")
    if [ -n "$port" ]; then return; fi
    if ! kill -0 $service 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo "the service did not start:" >&2
  cat "$dir/service.log" >&2
  exit 1
}
say "starting the service, with a pool of $connections connections"
start_service service "${multiplex[@]}"
cat "$dir/service.out"

# --- load, and what happens meanwhile --------------------------------------------------------------------------------------------------
say "$clients clients; every second what they saw"
mkfifo "$dir/phases"
"$bin/load" "$port" "$clients" "$dir/result" <"$dir/phases" &
load=$!
exec 3>"$dir/phases"
phase() { echo "$1" >&3; }
sleep 2
phase "steady"
sleep 4
trouble
phase "last"
"$bin/load" "$port" get /slow/2500 >/dev/null || true # longer than leak_timeout: it will be reported
sleep 1
"$bin/load" "$port" get /stats >"$dir/stats.json"
exec 3>&-
load_status=0
wait $load || load_status=$?
load=''

# --- what came of it -------------------------------------------------------------------------------------------------------------------
confirmed=0 unconfirmed=1 requests_steady=0 failed_steady=0 failed_quiet=0 failed_last=0
# shellcheck disable=SC1091 # the load generator wrote it
. "$dir/result"
in_ledger=$(booked)
unequal=$(wrong)

say "$told; the pool's log of it, shortened"
grep -vE 'connection [0-9]+ .*(created|destroyed)' "$dir/service.log" | grep -E ' (info |warn |error) bank[a-z-]*: ' | head -n 25 || true
printf '... and %s lines about connections that came and went, %s answers of 503\n' \
  "$(grep -cE 'connection [0-9]+ .*(created|destroyed)' "$dir/service.log" || true)" "$(grep -c '^/' "$dir/service.log" || true)"

failures=() promises=0
promise() {
  local text=$1
  shift
  promises=$((promises + 1))
  if "$@"; then echo "  kept    $text"; else echo "  BROKEN  $text" && failures+=("$text"); fi
}
answers_after_the_signal() {
  local request status=0 requests=()
  for _ in 1 2 3 4; do
    "$bin/load" "$port" get /slow/1000 >/dev/null &
    requests+=($!)
  done
  sleep 0.3
  kill -TERM "$service"
  for request in "${requests[@]}"; do wait "$request" || status=1; done
  return $status
}
ended_well() {
  local status=0
  wait "$service" || status=$?
  service=''
  [ $status = 0 ]
}

say "promises"
if [ "$database" = sqlite ]; then # the service was killed, and with it the requests it had
  promise "every transfer was confirmed in the end" test "$unconfirmed" = 0
else
  promise "every request was answered, every transfer confirmed in the end" test "$load_status" = 0
fi
promise "the ledger holds the $confirmed confirmed transfers, none twice, none besides" test "$in_ledger" = "$confirmed"
promise "all 1000 balances agree with it" test "$unequal" = 0
promise "no failure before the trouble, nor after it" test "$((failed_steady + failed_quiet + failed_last))" = 0
promise "leaks: the query that took too long was reported, with place and label" \
  grep -q 'lease of connection .* waiting for the .*handlers.hpp:.*label slow query' "$dir/service.log"

if [ $keep = yes ]; then
  cat <<TEXT

== service and database are left running
  curl http://127.0.0.1:$port/healthz        also /stats, /metrics, /accounts/7, /slow/500
  curl -X PUT http://127.0.0.1:$port/transfers/my-key/1/2/50
  $(by_hand)
  tail -f $dir/service.log
to stop them:
  kill -TERM $service; $(to_stop)rm -rf $dir
TEXT
else
  promise "SIGTERM: the requests under way were answered" answers_after_the_signal
  promise "SIGTERM: the pool closed, io_context::run() returned, the process ended with status 0" ended_well
  promise "$clean_text" clean
  say "what the service says of its pool"
  sed '1d' "$dir/service.out"
fi

# --- the same without troubles: a lease for each request; with PostgreSQL then reads through multiplexers ------------------------------------
steady() { # program, its arguments
  again # the clients name their transfers as those before did
  start_service "$@"
  load_status=0
  { sleep 1 && echo steady && sleep 4; } | "$bin/load" "$port" "$clients" "$dir/result" || load_status=$?
  # shellcheck disable=SC1091 # the load generator wrote it
  . "$dir/result"
  in_ledger=$(booked)
}
if [ $keep = no ]; then
  rates=() forms=('')
  if [ "$database" = postgres ]; then forms+=(--multiplex); fi
  for form in "${forms[@]}"; do
    say "the same service${form:+ $form}, $clients clients"
    # shellcheck disable=SC2086 # empty: no argument
    steady service $form
    rates+=("$requests_steady")
    promise "service${form:+ $form}: every request was answered, none failed" test "$((load_status + failed_steady))" = 0
    promise "service${form:+ $form}: the ledger holds the $confirmed confirmed transfers" test "$in_ledger" = "$confirmed"
    kill -TERM "$service"
    promise "service${form:+ $form}, SIGTERM: the process ended with status 0" ended_well
  done
  echo "requests in these seconds: ${rates[0]} with a lease for each${rates[1]:+, ${rates[1]} with --multiplex}"
fi

# --- the same handlers on Boost.Beast -----------------------------------------------------------------------------------------------------
if [ $keep = no ] && [ "$database" = postgres ] && [ -x "$bin/beast" ]; then
  say "examples/beast: the same handlers on Boost.Asio and Boost.Beast, $clients clients"
  steady beast
  promise "Beast: every request was answered, every transfer confirmed" test "$load_status" = 0
  promise "Beast: the ledger holds the $confirmed confirmed transfers" test "$in_ledger" = "$confirmed"
  promise "Beast: no request failed" test "$failed_steady" = 0
  promise "Beast, SIGTERM: the requests under way were answered" answers_after_the_signal
  promise "Beast, SIGTERM: the process ended with status 0" ended_well
  sed '1d' "$dir/service.out"
fi

if [ ${#failures[@]} -gt 0 ]; then
  say "${#failures[@]} of $promises promises BROKEN; the end of the service's log:"
  tail -n 20 "$dir/service.log"
  exit 1
fi
say "all $promises promises kept"
