# SPDX-License-Identifier: BSL-1.0
# shellcheck shell=bash
# tidepool - what the scripts share that run a throw-away server. To be sourced; $users: as whom it runs where the caller is root, the first
# of them that there is.

say() { echo "$(basename "$0" .sh): $*" >&2; }

find_owner() {
  local name
  if [ "$(id -u)" != 0 ]; then id -un; return; fi
  # shellcheck disable=SC2154 # of the script that sources this
  for name in $users; do
    if id "$name" >/dev/null 2>&1; then echo "$name"; return; fi
  done
  say "running as root, and there is none of these users: $users"
  exit 1
}
# Servers refuse to run as root.
owner=$(find_owner)
as=()
# setpriv and not runuser, which needs PAM to be set up.
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups --); fi
# From a folder that every user may enter.
as_owner() { (cd / && "${as[@]}" "$@"); }

# own_dir DIR: makes it, for the owner.
own_dir() {
  mkdir -p "$1"
  if [ "$(id -u)" = 0 ]; then chown "$owner" "$1"; fi
}
# socket_dir DIR MOST: the same, usable for Unix sockets, whose names are short.
socket_dir() {
  own_dir "$1"
  if ! as_owner test -w "$1"; then
    say "user $owner cannot write to $1: give a directory whose parents every user may enter"
    exit 1
  fi
  if [ ${#1} -gt "$2" ]; then say "the path $1 is too long for a Unix socket"; exit 1; fi
}

# Of 127.0.0.1. Another process may take it before the server does: start it again with another one then.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((RANDOM % 12000 + 20000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
  say "no free port found"
  exit 1
}

# see_end PID: waits for the end of a process that was told to stop.
see_end() {
  for _ in $(seq 100); do
    if ! kill -0 "$1" 2>/dev/null; then return; fi
    sleep 0.1
  done
  say "process $1 did not stop"
  exit 1
}

# The newest PostgreSQL's programs.
pg_bindir() {
  local dir
  for dir in "${TIDEPOOL_PG_BINDIR:-}" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV) \
    "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb 2>/dev/null || echo /none)")"; do
    if [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then echo "$dir"; return; fi
  done
  say "PostgreSQL's server programs are not installed (initdb, pg_ctl)"
  exit 77
}
