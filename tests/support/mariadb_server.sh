#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - a throw-away MariaDB for tests, examples and benchmarks.
#
#   mariadb_server.sh start <dir> [option...]  creates it (or starts the one that is there, on the port it had) and prints
#                                              MYSQL_SOCKET=... MYSQL_PORT=... MYSQL_USER=... MYSQL_DATABASE=...; options are the server's own
#   mariadb_server.sh stop  <dir>              kills it; the files stay
#   mariadb_server.sh pid   <dir>              prints the server's process id
#   mariadb_server.sh url   <dir>              prints mysql://tidepool@127.0.0.1:PORT/tidepool
#
# The server listens on a free port of 127.0.0.1 and on the Unix socket <dir>/socket, and runs as the caller, or as `mysql`, or `nobody`,
# when the caller is root. User and database are `tidepool`, without a password; `root` has none either, over the socket. It offers TLS (a
# self-signed certificate in <dir>/server.crt, for `localhost`) when openssl is installed. Nothing is durable. Exit status 77: MariaDB is
# not installed.
set -euo pipefail

users='mysql nobody'
. "$(dirname "$(realpath "$0")")/own_server.sh"

usage() { sed -n '4,8s/^# *//p' "$0" >&2; exit 2; }

# By its arguments as well: a process id may be given anew.
alive() { [ -s "$dir/pid" ] && tr '\0' '\n' 2>/dev/null <"/proc/$(cat "$dir/pid")/cmdline" | grep -qxF -e "--datadir=$dir/data"; }
variables() { echo "MYSQL_SOCKET=$dir/socket MYSQL_PORT=$(cat "$dir/port") MYSQL_USER=tidepool MYSQL_DATABASE=tidepool"; }

create() {
  socket_dir "$dir" 90
  # A folder of its own for what is temporary: at its start a server deletes there what looks like another one's leftovers, and is not.
  as_owner mkdir -p "$dir/tmp"
  as_owner env TMPDIR="$dir/tmp" "$install" --no-defaults --datadir="$dir/data" --skip-test-db --auth-root-authentication-method=normal >"$dir/install.log" 2>&1 ||
    { tail -n 20 "$dir/install.log" >&2; exit 1; }
  as_owner tee "$dir/init.sql" >/dev/null <<'SQL'
create database if not exists tidepool;
create user if not exists tidepool@localhost;
grant all on tidepool.* to tidepool@localhost;
SQL
  if command -v openssl >/dev/null 2>&1; then
    as_owner openssl req -new -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
      -keyout "$dir/server.key" -out "$dir/server.crt" >/dev/null 2>&1
    as_owner chmod 600 "$dir/server.key"
  fi
}

# Ready, or ended.
launch() {
  local port=$1 started tls=()
  if [ -s "$dir/server.key" ]; then tls=(--ssl-cert="$dir/server.crt" --ssl-key="$dir/server.key"); fi
  (cd / && exec "${as[@]}" "$server" --no-defaults --datadir="$dir/data" --tmpdir="$dir/tmp" --socket="$dir/socket" --bind-address=127.0.0.1 --port="$port" \
    --pid-file="$dir/data/pid" --init-file="$dir/init.sql" --max-connections=200 --innodb-buffer-pool-size=32M --innodb-log-file-size=8M \
    --innodb-flush-log-at-trx-commit=0 --skip-log-bin "${tls[@]}" "${options[@]}") >"$dir/server.log" 2>&1 3>&- &
  started=$!
  echo $started >"$dir/pid"
  for _ in $(seq 300); do
    if ! kill -0 $started 2>/dev/null; then return 1; fi
    if grep -q 'ready for connections' "$dir/server.log"; then echo "$port" >"$dir/port"; return; fi
    sleep 0.1
  done
  kill -KILL $started
  return 1
}

start() {
  if [ ! -d "$dir/data/mysql" ]; then create; fi
  if alive; then variables; return; fi
  if [ -s "$dir/port" ]; then
    if launch "$(cat "$dir/port")"; then variables; return; fi
  else
    # Another process may take the port between the look and the start.
    for _ in 1 2 3; do
      if launch "$(free_port)"; then variables; return; fi
    done
  fi
  say "the server did not start; the end of its log:"
  tail -n 20 "$dir/server.log" >&2
  exit 1
}

stop() {
  local pid
  if ! alive; then return; fi
  pid=$(cat "$dir/pid")
  kill -KILL "$pid" 2>/dev/null || true
  see_end "$pid"
  rm -f "$dir/pid"
}

[ $# -ge 2 ] || usage
command=$1
dir=$(realpath -m "$2")
options=("${@:3}")
server=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mariadbd || true)
install=$(command -v mariadb-install-db || true)
if [ -z "$server" ] || [ -z "$install" ]; then
  say "MariaDB's server programs are not installed (mariadbd, mariadb-install-db)"
  exit 77
fi
case $command in
  start) start ;;
  stop) stop ;;
  pid) cat "$dir/pid" ;;
  url) echo "mysql://tidepool@127.0.0.1:$(cat "$dir/port")/tidepool" ;;
  *) usage ;;
esac
