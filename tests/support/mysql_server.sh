#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - a throw-away MySQL of another Debian for the long mode, in the root that `install.sh root SUITE mysql-server` prints.
#
#   mysql_server.sh start <root> [option...]  creates it (or starts the one that is there) and prints its folder; options are the server's own
#   mysql_server.sh stop  <root>              kills it and removes its files
#
# The folder has what that of mariadb_server.sh has: `port`, `socket`, `server.crt` (the authority whose certificate names no host). User and
# database are `tidepool`, without a password, of the server's default plugin, caching_sha2_password; `root` has none either. To be run as
# root, because of chroot. Exit status 77: it is not.
set -euo pipefail

users='nobody'
. "$(dirname "$(realpath "$0")")/own_server.sh"

[ $# -ge 2 ] || { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }
root=$(realpath -m "$2")
inner=/tmp/tidepool-mysql
dir=$root$inner
options=("${@:3}")
if [ "$(id -u)" != 0 ]; then say "chroot needs root"; exit 77; fi
# The numbers of `nobody` in there.
within() { chroot --userspec=65534:65534 "$root" "$@"; }
alive() { [ -s "$dir/pid" ] && tr '\0' '\n' 2>/dev/null <"/proc/$(cat "$dir/pid")/cmdline" | grep -qxF -e "--datadir=$inner/data"; }

launch() {
  local port=$1 started
  (cd / && exec chroot --userspec=65534:65534 "$root" /usr/sbin/mysqld --no-defaults --datadir="$inner/data" --socket="$inner/socket" --bind-address=127.0.0.1 \
    --port="$port" --mysqlx=OFF --pid-file="$inner/data/pid" --init-file="$inner/init.sql" --max-connections=100 --skip-log-bin \
    --secure-file-priv=NULL --lc-messages-dir=/usr/share/mysql --innodb-flush-log-at-trx-commit=0 "${options[@]}") >"$dir/server.log" 2>&1 &
  started=$!
  echo $started >"$dir/pid"
  for _ in $(seq 600); do
    if ! kill -0 $started 2>/dev/null; then return 1; fi
    if grep -q 'ready for connections' "$dir/server.log"; then echo "$port" >"$dir/port"; return; fi
    sleep 0.1
  done
  kill -KILL $started
  return 1
}

case $1 in
  start)
    if alive; then echo "$dir"; exit 0; fi
    if [ ! -s "$dir/data/ca.pem" ]; then
      chmod 1777 "$root/tmp"
      rm -rf "$dir" && mkdir -p "$dir" && chown 65534:65534 "$dir"
      (cd / && within /usr/sbin/mysqld --no-defaults --initialize-insecure --datadir="$inner/data" --lc-messages-dir=/usr/share/mysql) \
        >"$dir/install.log" 2>&1 || { tail -n 20 "$dir/install.log" >&2; exit 1; }
      printf '%s\n' 'create database if not exists tidepool;' 'create user if not exists tidepool@localhost;' \
        'grant all on tidepool.* to tidepool@localhost;' >"$dir/init.sql"
      cp "$dir/data/ca.pem" "$dir/server.crt"
      chmod 755 "$dir" && chmod 644 "$dir/server.crt" "$dir/init.sql"
    fi
    for _ in 1 2 3; do
      if launch "$(free_port)"; then echo "$dir"; exit 0; fi
    done
    say "the server did not start; the end of its log:"
    tail -n 20 "$dir/server.log" >&2
    exit 1
    ;;
  stop)
    if alive; then
      pid=$(cat "$dir/pid")
      kill -KILL "$pid" 2>/dev/null || true
      see_end "$pid"
    fi
    rm -rf "$dir"
    ;;
  *) exit 2 ;;
esac
