#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - a throw-away PostgreSQL for tests and examples.
#
#   postgres_server.sh start   <dir>          creates it (or starts the one that is there) and prints a conninfo
#   postgres_server.sh stop    <dir> [mode]   smart, fast (default) or immediate; the files stay
#   postgres_server.sh restart <dir> [mode]   on the same port
#   postgres_server.sh pid     <dir>          prints the postmaster's process id
#   postgres_server.sh conninfo <dir>         prints the conninfo again
#
# The server listens on a free port of 127.0.0.1 and on a Unix socket in <dir>, and runs as the caller, or as `postgres`, or
# `nobody`, when the caller is root. Members of the role `needs_password` log in by SCRAM over TCP, all others by trust.
# It offers TLS (a self-signed certificate in <dir>/server.crt, for `localhost` and 127.0.0.1) when openssl is installed.
# Nothing is durable: fsync is off. Exit status 77: PostgreSQL is not installed.
set -euo pipefail

users='postgres nobody'
. "$(dirname "$(realpath "$0")")/own_server.sh"

usage() { sed -n '4,8s/^# *//p' "$0" >&2; exit 2; }

conninfo() { echo "host=127.0.0.1 port=$(cat "$dir/port") user=tidepool dbname=tidepool sslmode=disable"; }

create() {
  socket_dir "$dir" 85
  as_owner "$bin/initdb" -D "$dir/data" -U tidepool -E UTF8 --locale=C --auth=trust --no-sync >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; exit 1; }
  as_owner tee "$dir/data/pg_hba.conf" >/dev/null <<HBA
local all all trust
host  all +needs_password 127.0.0.1/32 scram-sha-256
host  all all 127.0.0.1/32 trust
host  replication all 127.0.0.1/32 trust
HBA
  as_owner tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
max_connections = 120
shared_buffers = 32MB
fsync = off
synchronous_commit = off
full_page_writes = off
logging_collector = off
log_min_messages = fatal
password_encryption = scram-sha-256
CONF
  if command -v openssl >/dev/null 2>&1; then
    as_owner openssl req -new -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=localhost \
      -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$dir/server.key" -out "$dir/server.crt" >/dev/null 2>&1
    as_owner chmod 600 "$dir/server.key"
    as_owner tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
ssl = on
ssl_cert_file = '$dir/server.crt'
ssl_key_file = '$dir/server.key'
CONF
  fi
}

launch() { as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -o "-p $(cat "$dir/port")" -w -t 30 start >/dev/null 2>&1; }

start() {
  local fresh=no
  if [ ! -f "$dir/data/PG_VERSION" ]; then create; fresh=yes; fi
  if as_owner "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then conninfo; return; fi
  if [ $fresh = yes ]; then
    # Another process may take the port between the look and the start.
    for _ in 1 2 3 4 5; do
      free_port | as_owner tee "$dir/port" >/dev/null
      if launch; then break; fi
    done
  else
    launch || true
  fi
  if ! as_owner "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then
    say "the server did not start; the end of its log:"
    tail -n 20 "$dir/server.log" >&2
    exit 1
  fi
  if [ $fresh = yes ]; then
    as_owner "$bin/psql" -X -q -h "$dir" -p "$(cat "$dir/port")" -U tidepool -d postgres -v ON_ERROR_STOP=1 \
      -c 'create database tidepool' -c 'create role needs_password' >&2
  fi
  conninfo
}

stop() {
  local pid mode=${1:-fast}
  if [ ! -f "$dir/data/postmaster.pid" ]; then return; fi
  pid=$(head -n 1 "$dir/data/postmaster.pid")
  as_owner "$bin/pg_ctl" -D "$dir/data" -m "$mode" -w -t 30 stop >/dev/null 2>&1 || true
  # pg_ctl signals the process named in the file of this very directory; here it is only seen to its end.
  see_end "$pid"
}

[ $# -ge 2 ] || usage
command=$1
dir=$(realpath -m "$2")
bin=$(pg_bindir)
case $command in
  start) start ;;
  stop) stop "${3:-fast}" ;;
  restart) stop "${3:-fast}"; start ;;
  pid) head -n 1 "$dir/data/postmaster.pid" ;;
  conninfo) conninfo ;;
  *) usage ;;
esac
