#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - one command that shows a cluster at work: two instances of the example service on three PostgreSQL servers under Patroni, both
# under load, while Patroni switches over and a node is killed.
#
#   examples/fleet/run.sh          builds, runs for a minute, prints the story; exit status 0 says that every promise held
#   examples/fleet/run.sh --keep   the picture of the run replaces story.svg; otherwise it is left beside the build
#
# It needs root, for namespaces of its own, and Debian's patroni, etcd-server, haproxy, pgbouncer and nftables, which it installs
# (tests/fleet/rig.sh). Builds under build/examples (or $TIDEPOOL_BUILD). $JOBS: how many compilers at once; $CLIENTS: clients of each
# instance, default 20. $TIDEPOOL_EXAMPLES: a folder where service and load are built already. Exit status 77: it cannot run here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
build=${TIDEPOOL_BUILD:-$repo/build}/examples
# 4 and 5 are the load generators' input: a server that inherits them would keep them open.
rig() { "$repo/tests/fleet/rig.sh" "$@" 4>&- 5>&-; }
say() { printf '\n== %s\n' "$*"; }

# --- from outside: install, build, start the fleet with this script beside it ------------------------------------------------------
if [ -z "${TIDEPOOL_FLEET_RIG:-}" ]; then
  case ${1:-} in
    "" | --keep) ;;
    *) sed -n '4,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
  esac
  rig install
  bin=${TIDEPOOL_EXAMPLES:-$build/examples}
  if [ -z "${TIDEPOOL_EXAMPLES:-}" ]; then
    "$repo/tests/support/install.sh" || say "not all could be installed; going on with what is there"
    say "building into $build: a minute or two the first time"
    if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
    if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
    mkdir -p "$build"
    { cmake -S "$repo" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF &&
      cmake --build "$build" -j "${JOBS:-$(nproc)}" --target example_load example_service; } >"$build/build.log" 2>&1 ||
      { tail -n 20 "$build/build.log" >&2; exit 1; }
  fi
  picture=$build/fleet.svg
  if [ "${1:-}" = --keep ]; then picture=$here/story.svg; fi
  mkdir -p "$(dirname "$picture")"
  say "starting three nodes, etcd, HAProxy and PgBouncer"
  status=0
  rig run "$0" "$bin" "$picture" || status=$?
  exit $status
fi

# --- beside the fleet: two instances, two loads, and what happens -------------------------------------------------------------------
bin=$1 picture=$2
dir=/mnt/example # of these namespaces alone
mkdir "$dir"
url="host=127.0.0.2,127.0.0.3,127.0.0.4 user=tidepool dbname=tidepool sslmode=disable application_name=bank"
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "host=127.0.0.$(rig leader) user=tidepool dbname=tidepool" "$@"; }
sql -f "$repo/examples/service/schema.sql"

ports=()
services=()
for i in 1 2; do
  DATABASE_URL=$url "$bin/service" --database postgres-cluster --connections 8 --threads 1 >"$dir/service$i.out" 2>"$dir/service$i.log" &
  services+=($!)
  for _ in $(seq 100); do
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/service$i.out")
    if [ -n "$port" ]; then break; fi
    sleep 0.1
  done
  [ -n "$port" ] || { echo "instance $i did not start:" >&2; cat "$dir/service$i.log" >&2; exit 1; }
  ports+=("$port")
done
say "two instances of the service, with ${CLIENTS:-20} clients each"

loads=()
mkfifo "$dir/phases1" "$dir/phases2"
for i in 1 2; do
  "$bin/load" "${ports[$((i - 1))]}" "${CLIENTS:-20}" "$dir/result$i" "$dir/timeline$i" <"$dir/phases$i" >"$dir/load$i.out" 2>&1 &
  loads+=($!)
done
exec 4>"$dir/phases1" 5>"$dir/phases2"
now() { date +%s%3N; }
phase() { # words for the picture
  echo "$(now) event $1" >>"$dir/events"
  echo "$1" >&4
  echo "$1" >&5
  printf '%s\n' "$1"
}
# Who is the primary, by Patroni's word, all the time.
watch_leader() {
  local who last=''
  while :; do
    who=$(rig leader || echo 0)
    if [ "$who" != "$last" ]; then echo "$(now) leader $who"; fi
    last=$who
    sleep 0.05
  done
}
watch_leader >"$dir/leaders" 4>&- 5>&- &
wait_for_leader() { # other than
  local who
  for _ in $(seq 600); do
    who=$(rig leader || echo "$1")
    if [ "$who" != "$1" ]; then return; fi
    sleep 0.05
  done
  echo "there is no new primary" >&2
  exit 1
}

sleep 6
first=$(rig leader)
phase "switchover"
rig switchover
sleep 8
rig settled
second=$(rig leader)
[ "$first" != "$second" ]
phase "node $second killed"
rig kill "$second"
wait_for_leader "$second"
sleep 6
phase "node $second is back"
rig revive "$second"
sleep 2
rig settled
sleep 5

exec 4>&- 5>&-
status=0
for i in 1 2; do
  wait "${loads[$((i - 1))]}" || { status=1; tail -n 15 "$dir/load$i.out"; }
done
for i in 1 2; do
  kill -TERM "${services[$((i - 1))]}"
  wait "${services[$((i - 1))]}" || { status=1; tail -n 20 "$dir/service$i.log"; }
done

say "the story"
/usr/bin/python3 "$here/story.py" "$dir" "$picture"

# --- was it all true? ---------------------------------------------------------------------------------------------------------------
say "promises"
promise() { # words, true or false
  if [ "$2" = true ]; then echo "held    $1"; else echo "BROKEN  $1"; status=1; fi
}
same() { if [ "$1" = "$2" ]; then echo true; else echo false; fi; }
number() { awk -F= -v name="$1" '$1 == name { sum += $2 } END { print sum + 0 }' "$dir/result1" "$dir/result2"; }
booked=$(sql -c "select count(*) from transfers")
wrong=$(sql -c "with moved as (select payer as id, -sum(amount) as money from transfers group by payer
    union all select payee, sum(amount) from transfers group by payee)
  select count(*) from accounts a left join (select id, sum(money) as money from moved group by id) m using (id)
  where balance <> 1000000 + coalesce(money, 0)")
confirmed=$(number confirmed)
promise "every request was answered, every transfer confirmed in the end" "$(same "$(($(number unanswered) + $(number unconfirmed)))" 0)"
promise "$confirmed transfers were confirmed, $booked are booked: each once" "$(same "$booked" "$confirmed")"
promise "all balances agree with them ($wrong do not)" "$(same "$wrong" 0)"
promise "no write met a server that was read-only" "$(if grep -q 25006 "$dir"/service?.log; then echo false; else echo true; fi)"
echo
echo "the picture: $picture"
exit $status
