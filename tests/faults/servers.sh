#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - what the fault tests need besides tests/support/postgres_server.sh.
#
#   servers.sh guard   <yard>                  waits for the end of its input, then stops all that runs in <yard> and deletes it
#   servers.sh standby <dir> <standby dir>     copies a running server and starts the copy as its streaming standby; prints its conninfo
#   servers.sh promote <dir>                   makes a standby the primary
#   servers.sh demote  <dir> <primary dir>     makes a stopped server the standby of another one (pg_rewind); prints its conninfo
#   servers.sh bouncer <dir> <bouncer dir> [root=FOLDER] [setting=value...]   starts PgBouncer (transaction mode) before a server and
#                                              prints a conninfo; root: where a newer one is unpacked (install.sh root sid pgbouncer)
#   servers.sh bouncer-stop <bouncer dir>
#
# Signals go only to processes whose pid stands in a file below the directory given. Exit status 77: a program is not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
postgres_server=$here/../support/postgres_server.sh

users='postgres nobody'
. "$here/../support/own_server.sh"

# A process that is called so and works in this very directory.
is_ours() { [ -n "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF "$2"; }

guard() {
  local dir pid
  trap '' INT TERM HUP PIPE
  cat >/dev/null || true
  for dir in "$1"/*/; do
    dir=${dir%/}
    if [ -f "$dir/data/postmaster.pid" ]; then
      pid=$(head -n 1 "$dir/data/postmaster.pid")
      if is_ours "$pid" "$dir/data"; then
        # shellcheck disable=SC2046 # a list of numbers
        kill -CONT "$pid" $(ps -o pid= --ppid "$pid") 2>/dev/null || true
      fi
      "$postgres_server" stop "$dir" immediate || true
    fi
    if [ -d "$dir/data/mysql" ]; then "$here/../support/mariadb_server.sh" stop "$dir" || true; fi
    if [ -f "$dir/bouncer.pid" ]; then bouncer_stop "$dir" || true; fi
    if mountpoint -q "$dir/small" 2>/dev/null; then umount "$dir/small" || true; fi
  done
  rm -rf "$1"
}

# Settings that initdb of the first server wrote with its own paths; and a standby that has just lost its primary shall not sleep for five
# seconds before it looks whether it is promoted.
own_settings() {
  as_owner tee -a "$1/data/postgresql.conf" >/dev/null <<CONF
unix_socket_directories = '$1'
wal_retrieve_retry_interval = 200ms
CONF
}

standby() {
  local from=$1 to=$2 bin
  bin=$(pg_bindir)
  own_dir "$to"
  as_owner "$bin/pg_basebackup" -h 127.0.0.1 -p "$(cat "$from/port")" -U tidepool -D "$to/data" -R -c fast -X stream --no-sync >&2
  own_settings "$to"
  free_port | as_owner tee "$to/port" >/dev/null
  "$postgres_server" start "$to"
}

demote() {
  local dir=$1 to=$2 bin
  bin=$(pg_bindir)
  as_owner "$bin/pg_rewind" -D "$dir/data" --no-sync \
    --source-server="host=$to port=$(cat "$to/port") user=tidepool dbname=postgres" >&2
  own_settings "$dir"
  as_owner tee -a "$dir/data/postgresql.auto.conf" >/dev/null <<CONF
primary_conninfo = 'host=127.0.0.1 port=$(cat "$to/port") user=tidepool'
CONF
  as_owner touch "$dir/data/standby.signal"
  "$postgres_server" start "$dir"
}

# The program of a newer Debian and the libraries it needs, where the servers' user may read them.
unpacked_bouncer() {
  local root=$1 to=$2 loader
  if [ -x "$to/pgbouncer" ]; then return; fi
  mkdir -p "$to"
  loader=$(echo "$root"/lib64/ld-linux-*.so.* "$root"/usr/lib/ld-linux-*.so.* | tr ' ' '\n' | grep -v '[*]' | head -n 1)
  cp -L "$loader" "$to/ld.so"
  cp -L "$root/usr/sbin/pgbouncer" "$to/"
  "$to/ld.so" --library-path "$(echo "$root"/usr/lib/*-linux-gnu | tr ' ' :)" --list "$to/pgbouncer" |
    awk -v own="$to/" '$3 ~ /^\// && index($3, own) != 1 { print $3 }' | xargs cp -L -t "$to/"
  chmod -R a+rX "$to"
}

bouncer() {
  local server=$1 dir=$2 port program=(pgbouncer)
  shift 2
  mkdir -p "$dir"
  if [[ ${1:-} == root=* ]]; then
    unpacked_bouncer "${1#root=}" "$dir/program"
    program=("$dir/program/ld.so" --library-path "$dir/program" "$dir/program/pgbouncer")
    shift
  else
    command -v pgbouncer >/dev/null || { say "PgBouncer is not installed"; exit 77; }
  fi
  own_dir "$dir"
  if [ ! -f "$dir/port" ]; then free_port >"$dir/port"; fi
  port=$(cat "$dir/port")
  printf '"tidepool" ""\n' >"$dir/users.txt"
  cat >"$dir/bouncer.ini" <<INI
[databases]
tidepool = host=127.0.0.1 port=$(cat "$server/port") dbname=tidepool user=tidepool
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
auth_file = $dir/users.txt
admin_users = tidepool
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_tls_sslmode = disable
logfile = $dir/bouncer.log
pidfile = $dir/bouncer.pid
INI
  if [ $# -gt 0 ]; then printf '%s\n' "$@" >>"$dir/bouncer.ini"; fi
  chmod 644 "$dir"/*.ini "$dir"/users.txt "$dir/port"
  as_owner "${program[@]}" -d -q "$dir/bouncer.ini" </dev/null >/dev/null 2>&1
  for _ in $(seq 50); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "host=127.0.0.1 port=$port user=tidepool dbname=tidepool sslmode=disable"
      return
    fi
    sleep 0.1
  done
  say "PgBouncer did not start; its log:"
  tail -n 20 "$dir/bouncer.log" >&2
  exit 1
}

bouncer_stop() {
  local pid signal
  pid=$(cat "$1/bouncer.pid" 2>/dev/null || true)
  is_ours "$pid" "$1/bouncer.ini" || return 0
  # From 1.23 on TERM waits until every client has left; QUIT does not.
  for signal in TERM QUIT; do
    kill -"$signal" "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || return 0
      sleep 0.02
    done
  done
  say "PgBouncer, process $pid, did not stop"
  exit 1
}

[ $# -ge 2 ] || { sed -n '4,9s/^# *//p' "$0" >&2; exit 2; }
case $1 in
  guard) guard "$2" ;;
  standby) standby "$2" "$3" ;;
  promote) as_owner "$(pg_bindir)/pg_ctl" -D "$2/data" -w -t 30 promote >/dev/null ;;
  demote) demote "$2" "$3" ;;
  bouncer) shift && bouncer "$@" ;;
  bouncer-stop) bouncer_stop "$2" ;;
  *) exit 2 ;;
esac
