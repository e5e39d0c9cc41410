#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - one command that shows it at work: a service on a pool of PostgreSQL connections, under load, while its database is maltreated.
#
#   examples/run.sh               builds, runs for a minute, prints a report; exit status 0 says that every promise held
#   examples/run.sh --multiplex   reads go through postgres::multiplexers while the database is maltreated too
#   examples/run.sh --keep        leaves service and database running afterwards and says how to use and stop them
#
# Installs what is missing (apt), builds under build/examples (or $TIDEPOOL_BUILD), keeps everything else in a temporary folder, and uses
# free ports of 127.0.0.1 only. $JOBS: how many compilers at once; $CLIENTS: clients at once, default 100, for 8 connections.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
build=${TIDEPOOL_BUILD:-$repo/build}/examples
clients=${CLIENTS:-100}
connections=8
keep=no
multiplex=()
case ${1:-} in
  "") ;;
  --keep) keep=yes ;;
  --multiplex) multiplex=(--multiplex) ;;
  --help | -h) sed -n '4,10s/^# \{0,1\}//p' "$0" && exit 0 ;;
  *) sed -n '4,10s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

# --- install and build ---------------------------------------------------------------------------------------------------------------
"$repo/tests/support/install.sh"
say "building into $build: a minute or two the first time"
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
mkdir -p "$build"
build_all() {
  cmake -S "$repo" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF &&
    cmake --build "$build" -j "${JOBS:-$(nproc)}"
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
# 3 is the load generator's input: a server that inherits it would keep it open.
postgres() { "$repo/tests/support/postgres_server.sh" "$1" "$dir/pg" "${@:2}" 3>&-; }
service='' load=''
# shellcheck disable=SC2317 # the trap calls it
finish() {
  local status=$? process
  if [ $status = 0 ] && [ $keep = yes ]; then return; fi
  for process in $load $service; do
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  postgres stop immediate || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$database" "$@"; }

say "examples/testing_without_a_database.cpp: the service's handlers on a server that answers by a script"
"$bin/testing_without_a_database"

# --- database and service --------------------------------------------------------------------------------------------------------------
say "starting PostgreSQL in $dir/pg, with 1000 accounts"
database=$(postgres start)
sql -f "$repo/examples/service/schema.sql"

say "examples/quickstart.cpp says"
DATABASE_URL=$database "$bin/quickstart"

start_service() { # program, its further arguments
  DATABASE_URL="$database application_name=bank" "$bin/$1" --connections $connections "${@:2}" >"$dir/service.out" 2>"$dir/service.log" &
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
postgres restart fast >/dev/null
phase "server is back"
sleep 5
phase "last"
"$bin/load" "$port" get /slow/2500 >/dev/null || true # longer than leak_timeout: it will be reported
sleep 1
"$bin/load" "$port" get /stats >"$dir/stats.json"
exec 3>&-
load_status=0
wait $load || load_status=$?
load=''

# --- what came of it -------------------------------------------------------------------------------------------------------------------
confirmed=0 requests_steady=0 failed_steady=0 failed_quiet=0 failed_last=0
# shellcheck disable=SC1091 # the load generator wrote it
. "$dir/result"
booked=$(sql -c "select count(*) from transfers")
wrong=$(sql -c "select count(*) from accounts a where balance <> 1000000
  - coalesce((select sum(amount) from transfers where payer = a.id), 0) + coalesce((select sum(amount) from transfers where payee = a.id), 0)")

say "$killed backends were killed, the server was restarted; the pool's log of it, shortened"
grep -vE 'connection [0-9]+ (created|destroyed)' "$dir/service.log" | grep -E ' (info |warn |error) bank: ' | head -n 25 || true
printf '... and %s lines about connections that came and went, %s answers of 503\n' \
  "$(grep -cE 'connection [0-9]+ (created|destroyed)' "$dir/service.log" || true)" "$(grep -c '^/' "$dir/service.log" || true)"

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
promise "every request was answered, every transfer confirmed in the end" test "$load_status" = 0
promise "the ledger holds the $confirmed confirmed transfers, none twice, none besides" test "$booked" = "$confirmed"
promise "all 1000 balances agree with it" test "$wrong" = 0
promise "no failure before the trouble, nor after it" test "$((failed_steady + failed_quiet + failed_last))" = 0
promise "leaks: the query that took too long was reported, with place and label" \
  grep -q 'lease of connection .* waiting for the server .*bank.cpp:.*label slow query' "$dir/service.log"

if [ $keep = yes ]; then
  cat <<TEXT

== service and database are left running
  curl http://127.0.0.1:$port/healthz        also /stats, /metrics, /accounts/7, /slow/500
  curl -X PUT http://127.0.0.1:$port/transfers/my-key/1/2/50
  psql '$database'
  tail -f $dir/service.log
to stop them:
  kill -TERM $service; $repo/tests/support/postgres_server.sh stop $dir/pg; rm -rf $dir
TEXT
else
  promise "SIGTERM: the requests under way were answered" answers_after_the_signal
  promise "SIGTERM: the pool closed, io_context::run() returned, the process ended with status 0" ended_well
  promise "no session of the service is left at the server" \
    test "$(sql -c "select count(*) from pg_stat_activity where application_name = 'bank'")" = 0
  say "what the service says of its pool"
  sed '1d' "$dir/service.out"
fi

# --- the same without troubles: a lease for each request, then reads through multiplexers ------------------------------------------------
steady() { # program, its arguments
  sql -c "truncate transfers; update accounts set balance = 1000000" # the clients name their transfers as those before did
  start_service "$@"
  load_status=0
  { sleep 1 && echo steady && sleep 4; } | "$bin/load" "$port" "$clients" "$dir/result" || load_status=$?
  # shellcheck disable=SC1091 # the load generator wrote it
  . "$dir/result"
  booked=$(sql -c "select count(*) from transfers")
}
if [ $keep = no ]; then
  rates=()
  for form in '' --multiplex; do
    say "the same service${form:+ $form}, $clients clients"
    # shellcheck disable=SC2086 # empty: no argument
    steady service $form
    rates+=("$requests_steady")
    promise "service${form:+ $form}: every request was answered, none failed" test "$((load_status + failed_steady))" = 0
    promise "service${form:+ $form}: the ledger holds the $confirmed confirmed transfers" test "$booked" = "$confirmed"
    kill -TERM "$service"
    promise "service${form:+ $form}, SIGTERM: the process ended with status 0" ended_well
  done
  echo "requests in these seconds: ${rates[0]} with a lease for each, ${rates[1]} with --multiplex"
fi

# --- the same handlers on Boost.Beast -----------------------------------------------------------------------------------------------------
if [ $keep = no ] && [ -x "$bin/beast" ]; then
  say "examples/beast: the same handlers on Boost.Asio and Boost.Beast, $clients clients"
  steady beast
  promise "Beast: every request was answered, every transfer confirmed" test "$load_status" = 0
  promise "Beast: the ledger holds the $confirmed confirmed transfers" test "$booked" = "$confirmed"
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
