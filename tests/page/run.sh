#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - the page /pool of examples/service in headless Chromium, and its /metrics before promtool.
#
#   run.sh SERVICE [DATABASE [FOLDER]]   SERVICE: the program; DATABASE: sqlite (default), postgres or mysql, on a server of its own;
#                                        FOLDER: pictures of the page go there
#
# Exit status 77: there is no Chromium, and none can be had; or the service was built without that database.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
support=$here/../support
service=$1 database=${2:-sqlite} pictures=${3:-}

[[ $("$service" --help 2>&1 || true) == *"$database"* ]] || { echo "skipped: the service was built without $database"; exit 77; }
command -v node >/dev/null || { echo "skipped: no node"; exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-page.XXXXXX")
chmod 711 "$dir"
started=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
  local status=$? one
  for one in "${started[@]}"; do kill -KILL "$one" 2>/dev/null || true; done
  if [ "$database" != sqlite ] && [ -d "$dir/server" ]; then "$support/${server}_server.sh" stop "$dir/server" || true; fi
  if [ $status != 0 ] && [ $status != 77 ]; then tail -n 20 "$dir"/*.log 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

case $database in
  sqlite) url=$dir/bank.db ;;
  postgres)
    server=postgres
    conninfo=$("$support/postgres_server.sh" start "$dir/server") || exit $?
    url="$conninfo application_name=bank"
    psql -X -q -v ON_ERROR_STOP=1 -d "$conninfo" -f "$here/../../examples/service/schema.sql"
    ;;
  mysql)
    server=mariadb
    "$support/mariadb_server.sh" start "$dir/server" >/dev/null || exit $?
    url=$("$support/mariadb_server.sh" url "$dir/server")
    mariadb --no-defaults --socket="$dir/server/socket" --user=root tidepool <"$here/../../examples/service/schema_mysql.sql"
    ;;
esac

serve() { # name, further arguments
  DATABASE_URL=$url "$service" --database "$database" --connections 8 "${@:2}" >"$dir/$1.out" 2>"$dir/$1.log" &
  started+=($!)
  for _ in $(seq 100); do
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/$1.out")
    if [ -n "$port" ]; then return; fi
    sleep 0.1
  done
  echo "the service did not start" && exit 1
}
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
POOL_CONTROL_TOKEN=$token serve controlled
controlled=$port
if [ $database = postgres ]; then serve plain --multiplex; else serve plain; fi
plain=$port
if POOL_CONTROL_TOKEN=short "$service" --database "$database" >/dev/null 2>&1; then echo "a short token was taken" && exit 1; fi

# Of the pool, of statements by their tag, and of multiplexers.
curl --silent --show-error --fail "http://127.0.0.1:$plain/accounts/7" "http://127.0.0.1:$plain/ledger" >/dev/null
curl --silent --show-error --fail "http://127.0.0.1:$plain/metrics" >"$dir/metrics"
wanted=(db_pool_size 'db_client_operation_duration_seconds_count{[^}]*db_operation_name="SELECT"}')
if [ $database = postgres ]; then wanted+=('db_multiplexer_[a-z_]*{multiplexer="bank"'); fi
for one in "${wanted[@]}"; do grep -q "^$one" "$dir/metrics" || { echo "not in /metrics: $one"; exit 1; }; done
if promtool=$(command -v promtool || "$support/install.sh" promtool); then
  "$promtool" check metrics <"$dir/metrics"
  echo "promtool reads /metrics"
fi

browser=$("$support/install.sh" browser) || { echo "skipped: Chromium or playwright-core cannot be had here"; exit 77; }
read -r chromium modules <<<"$browser"
NODE_PATH=$modules TOKEN=$token node "$here/page.js" "$chromium" "$controlled" "$plain" "$database" "$dir/bank.db" $pictures

# A page that is open does not keep the service from ending.
curl --silent --no-buffer "http://127.0.0.1:$controlled/pool/events" >"$dir/events" &
reader=$!
for _ in $(seq 50); do
  if grep -q '^data: ' "$dir/events"; then break; fi
  sleep 0.1
done
kill -TERM "${started[0]}"
status=0
wait "${started[0]}" || status=$?
wait "$reader" || true
[ $status = 0 ] || { echo "the service ended with status $status" && exit 1; }
grep -q '^data: {"control":true' "$dir/events" || { echo "no event came" && exit 1; }
echo "SIGTERM with a page open: ended with status 0"
