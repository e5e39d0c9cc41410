#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - a fleet on this machine: three PostgreSQL servers under Patroni, etcd, HAProxy, and a PgBouncer on each node.
#
#   rig.sh run COMMAND [ARGUMENT...]   starts it all, runs the command beside it, ends it all; exit status: that of the command
#   rig.sh install                     installs what is missing (Debian and its kin; root or sudo), and starts no service of the system
#
# What that command may call, N is 2, 3 or 4:
#
#   rig.sh leader                  prints the number of the node that is the primary by Patroni's word
#   rig.sh switchover [N]          Patroni makes another node the primary (N: that one), in good order
#   rig.sh kill N | revive N       SIGKILL for all of a node: Patroni, the server, its PgBouncer | and starts it again
#   rig.sh freeze N | thaw N       SIGSTOP and SIGCONT for all of a node
#   rig.sh cut N                   no packet gets through between clients (root's programs) and a node
#   rig.sh isolate N               no packet gets through between a node and anything else
#   rig.sh mend                    ends both
#   rig.sh etcd stop | start
#   rig.sh lag N | unlag N         a standby receives the log and replays nothing | and goes on
#   rig.sh settled                 waits until there are a primary and two standbys, one of them synchronous
#   rig.sh status                  prints what Patroni says of all
#
# Node N: server 127.0.0.N:5432, PgBouncer (transactions) 127.0.0.N:6432, Patroni 127.0.0.N:8008. HAProxy: 127.0.0.1:5000 leads to the
# primary, 127.0.0.1:5001 to standbys; 127.0.0.1:6432 is a PgBouncer before the former. Role and database: tidepool, without a password.
# Replication is synchronous to one standby, so a failover loses nothing that was confirmed.
#
# Everything is in namespaces of its own (network, processes, mounts), its files in a file system in memory: when this script ends, in
# whatever way, the kernel ends all of it, and nothing is left. $TIDEPOOL_FLEET_LOGS: a folder for copies of all logs at the end.
# It has to run as root. Exit status 77: it cannot run here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
self=$here/rig.sh
top=/mnt # of our mounts alone
nodes=(2 3 4)

# shellcheck disable=SC2034 # of own_server.sh
users='postgres nobody'
# shellcheck disable=SC1091
. "$here/../support/own_server.sh"

wanted=(patroni etcd-server haproxy pgbouncer postgresql nftables)
unable() {
  say "skipped: $*"
  exit 77
}
# Patroni is a program of the system's Python.
python() { /usr/bin/python3 "$@"; }

# --- installing ---------------------------------------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  local missing=() package unit policy=/usr/sbin/policy-rc.d own_policy=no
  command -v dpkg-query >/dev/null || unable "no Debian packages here; needed are the likes of: ${wanted[*]}"
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then unable "missing: ${missing[*]}; install them as root"; fi
  say "installing ${missing[*]}"
  # Neither now nor when the machine starts the next time.
  for package in "${missing[@]}"; do
    case $package in etcd-server) unit=etcd ;; patroni | haproxy | pgbouncer) unit=$package ;; *) continue ;; esac
    as_root mkdir -p /etc/systemd/system
    [ -e "/etc/systemd/system/$unit.service" ] || as_root ln -s /dev/null "/etc/systemd/system/$unit.service"
  done
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    own_policy=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || say "apt-get update failed; trying with what is known"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null || own_policy+=.failed
  if [[ $own_policy == yes* ]]; then as_root rm -f $policy; fi
  if [[ $own_policy == *.failed ]]; then unable "these packages cannot be installed: ${missing[*]}"; fi
}

# --- from outside -------------------------------------------------------------------------------------------------------------

run() {
  local status=0 program
  [ "$(id -u)" = 0 ] || unable "it needs to be root"
  PATH=$PATH:/usr/sbin:/sbin
  for program in patroni etcd haproxy pgbouncer nft; do
    command -v $program >/dev/null || unable "$program is not installed (rig.sh install)"
  done
  pg_bindir >/dev/null
  unshare --net --pid --mount --fork --kill-child --mount-proc true 2>/dev/null || unable "no namespaces of one's own are allowed here"
  # It dies with this shell, and all within it with it.
  setpriv --pdeathsig KILL unshare --net --pid --mount --fork --kill-child --mount-proc "$self" within "$@" <&0 &
  trap 'kill -KILL $! 2>/dev/null; exit 130' INT TERM HUP
  wait $! || status=$?
  exit $status
}

# --- from inside: the first process of these namespaces -----------------------------------------------------------------------

within() {
  local status=0 n called_in=$PWD
  mount -t tmpfs -o size=2g,mode=755 tidepool-fleet $top
  mkdir $top/fleet && cd $top/fleet
  if ! ip link set lo up 2>/dev/null; then
    python -c 'import fcntl,socket,struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))' # SIOCSIFFLAGS
  fi
  nft list ruleset >/dev/null 2>&1 || unable "the kernel has no nftables"
  # A user for each node: that is how a node is told from another one.
  {
    cat /etc/passwd
    for n in "${nodes[@]}"; do echo "node$n:x:6000$n:6000$n::$top/fleet/n$n:/bin/sh"; done
  } >passwd
  mount --bind passwd /etc/passwd
  export PYTHONDONTWRITEBYTECODE=1
  if start_all; then
    export TIDEPOOL_FLEET_RIG=$self
    (cd "$called_in" && "$@") || status=$?
  else
    status=1
    tail -n 20 ./*/*.log >&2
  fi
  if [ -n "${TIDEPOOL_FLEET_LOGS:-}" ]; then
    mkdir -p "$TIDEPOOL_FLEET_LOGS"
    for n in */*.log; do cp "$n" "$TIDEPOOL_FLEET_LOGS/${n//\//-}"; done
  fi
  exit $status
}
inside() { [ -d $top/fleet/n2 ] || { say "there is no fleet here: rig.sh run COMMAND"; exit 2; }; }

# as USER COMMAND...
as_user() {
  local who=$1 id
  shift
  id=$(id -u "$who")
  setpriv --reuid "$id" --regid "$id" --clear-groups -- "$@"
}
# background LOG USER COMMAND...
background() {
  local log=$1
  shift
  (cd / && as_user "$@") </dev/null >>"$log" 2>&1 &
}
# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  while ! "$@"; do
    if [ $SECONDS -ge $end ]; then return 1; fi
    sleep 0.1
  done
}
reached() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# ask NODE METHOD PATH [BODY]: of Patroni's REST interface; prints status and body.
ask() {
  local node=$1 method=$2 path=$3 body=${4:-}
  # shellcheck disable=SC2016 # expanded inside
  timeout "$patience" bash -c 'exec 3<>"/dev/tcp/127.0.0.$1/8008"
    printf "%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" "$2" "$3" "${#4}" "$4" >&3
    cat <&3' - "$node" "$method" "$path" "$body" 2>/dev/null || true
}
patience=2
is() { [[ $(ask "$1" GET "/$2") == 'HTTP/1.0 200 '* ]]; } # node, role
leader() {
  local n
  for n in "${nodes[@]}"; do
    if [ -e "$top/fleet/n$n/frozen" ] || [ -e "$top/fleet/n$n/cut" ]; then continue; fi
    if is "$n" primary; then echo "$n"; return; fi
  done
  return 1
}
settled_now() {
  local n primary=0 standby=0 synchronous=0
  for n in "${nodes[@]}"; do
    if is "$n" primary; then primary=$((primary + 1)); fi
    if is "$n" "replica?lag=1MB"; then standby=$((standby + 1)); fi
    if is "$n" synchronous; then synchronous=$((synchronous + 1)); fi
  done
  [ "$primary$standby" = 12 ] && [ $synchronous -ge 1 ]
}

start_etcd() {
  background etcd/etcd.log nobody etcd --name fleet --data-dir $top/fleet/etcd/data --enable-v2=true --log-level warn --logger zap \
    --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster fleet=http://127.0.0.1:2380
  until_true 10 reached 127.0.0.1 2379
}

configure_node() { # N
  local n=$1 dir=$top/fleet/n$1
  mkdir "$dir"
  # etcd's API of version 2: with `etcd3:` this Patroni lets a thawed primary take the lock from its successor.
  cat >"$dir/patroni.yml" <<YAML
scope: fleet
name: n$n
restapi: {listen: "127.0.0.$n:8008", connect_address: "127.0.0.$n:8008"}
etcd: {host: "127.0.0.1:2379"}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    master_start_timeout: 0
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {max_connections: 75, max_wal_senders: 8, max_replication_slots: 8, wal_keep_size: 128MB, wal_log_hints: "on"}
  initdb: [encoding: UTF8, locale: C, no-sync, auth-local: trust, auth-host: trust]
postgresql:
  listen: 127.0.0.$n:5432
  connect_address: 127.0.0.$n:5432
  data_dir: $dir/data
  bin_dir: $bin
  pgpass: $dir/pgpass
  use_unix_socket: true
  basebackup: [checkpoint: fast, no-sync]
  authentication: {superuser: {username: postgres}, replication: {username: replicator}, rewind: {username: postgres}}
  pg_hba: [local all all trust, host all all 127.0.0.0/8 trust, host replication all 127.0.0.0/8 trust]
  parameters:
    unix_socket_directories: $dir
    shared_buffers: 32MB
    fsync: "off"
    max_wal_size: 256MB
    min_wal_size: 64MB
    wal_receiver_timeout: 5s
    wal_sender_timeout: 5s
    wal_receiver_status_interval: 1s
    wal_retrieve_retry_interval: 500ms
    log_min_messages: log
    log_line_prefix: "%m [%p] %a "
    logging_collector: "off"
YAML
  cat >"$dir/bouncer.ini" <<INI
[databases]
tidepool = host=$dir port=5432 dbname=tidepool user=tidepool
[pgbouncer]
listen_addr = 127.0.0.$n
listen_port = 6432
$bouncer_settings
logfile = $dir/bouncer.log
pidfile = $dir/bouncer.pid
INI
  chown -R "node$n:" "$dir" 2>/dev/null || chown -R "6000$n:6000$n" "$dir"
  chmod 755 "$dir"
}
bouncer_settings="unix_socket_dir =
auth_type = any
auth_file = $top/fleet/users.txt
admin_users = tidepool
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
server_login_retry = 1
server_tls_sslmode = disable"
start_node() { # N
  local dir=$top/fleet/n$1
  rm -f "$dir/bouncer.pid"
  background "$dir/patroni.log" "node$1" patroni "$dir/patroni.yml"
  background "$dir/patroni.log" "node$1" pgbouncer -q "$dir/bouncer.ini"
}

start_all() {
  local n
  bin=$(pg_bindir)
  printf '"tidepool" ""\n' >users.txt
  mkdir -m 700 etcd && mkdir proxy && chown nobody etcd proxy
  start_etcd || return 1
  for n in "${nodes[@]}"; do configure_node "$n"; done
  start_node 2
  until_true 60 is 2 primary || return 1
  for n in 3 4; do start_node $n; done
  "$bin/psql" -X -q -h $top/fleet/n2 -U postgres -d postgres -v ON_ERROR_STOP=1 -c "create role tidepool login createdb" \
    -c "grant pg_monitor to tidepool" -c "create database tidepool owner tidepool" || return 1
  {
    printf 'global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n'
    printf 'listen write\n  bind 127.0.0.1:5000\n  option httpchk GET /primary\n'
    printf '  default-server check port 8008 inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions\n'
    for n in "${nodes[@]}"; do echo "  server n$n 127.0.0.$n:5432"; done
    printf 'listen read\n  bind 127.0.0.1:5001\n  option httpchk GET /replica\n'
    printf '  default-server check port 8008 inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions\n'
    for n in "${nodes[@]}"; do echo "  server n$n 127.0.0.$n:5432"; done
  } >proxy/haproxy.cfg
  printf '[databases]\ntidepool = host=127.0.0.1 port=5000 dbname=tidepool user=tidepool\n[pgbouncer]\nlisten_addr = 127.0.0.1\n' >proxy/bouncer.ini
  printf 'listen_port = 6432\n%s\nlogfile = %s/bouncer.log\n' "$bouncer_settings" "$top/fleet/proxy" >>proxy/bouncer.ini
  background proxy/haproxy.log nobody haproxy -f $top/fleet/proxy/haproxy.cfg
  background proxy/haproxy.log nobody pgbouncer -q $top/fleet/proxy/bouncer.ini
  until_true 60 settled_now || return 1
  until_true 10 reached 127.0.0.1 5000 && until_true 10 reached 127.0.0.1 6432
}

# --- events -------------------------------------------------------------------------------------------------------------------

processes_of() { ps -o pid= -u "node$1" | tr '\n' ' '; }
# signal NAME N
signal_node() {
  local pids
  # Once more: for those that were born meanwhile.
  for _ in 1 2; do
    read -ra pids <<<"$(processes_of "$2")"
    if [ ${#pids[@]} -gt 0 ]; then kill "-$1" "${pids[@]}" 2>/dev/null || true; fi
  done
}
switchover() {
  local from to=${1:-} answer n
  from=$(leader)
  if [ -z "$to" ]; then
    for n in "${nodes[@]}"; do if is "$n" synchronous; then to=$n; fi; done
  fi
  patience=60
  answer=$(ask "$from" POST /switchover "{\"leader\": \"n$from\", \"candidate\": \"n$to\"}")
  grep -q ' 200 ' <<<"$answer" || { say "$(tail -n 1 <<<"$answer")"; return 1; }
}
startup_of() { ps -o pid=,args= -u "node$1" | awk '/postgres: .*startup/ { print $1 }'; }
rules() {
  nft flush ruleset
  printf 'table ip fleet {\n chain out {\n  type filter hook output priority 0\n%s\n }\n}\n' "$1" | nft -f -
}

case ${1:-} in
  install) install_packages; exit ;;
  run) shift; [ $# -gt 0 ] || { say "which command?"; exit 2; }; run "$@" ;;
  within) shift; within "$@" ;;
  "" | -*) sed -n '4,22s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
inside
cd $top/fleet
case $1 in
  leader) leader ;;
  switchover) switchover "${2:-}" ;;
  kill) signal_node KILL "$2" ;;
  revive) start_node "$2" ;;
  freeze) touch "n$2/frozen"; signal_node STOP "$2" ;;
  thaw) rm -f "n$2/frozen"; signal_node CONT "$2" ;;
  cut) rules "  meta skuid 0 ct mark set 1"$'\n'"  ct mark 1 ip daddr 127.0.0.$2 drop"$'\n'"  ct mark 1 ip saddr 127.0.0.$2 drop" ;;
  isolate) touch "n$2/cut"; rules "  meta skuid 6000$2 ip daddr != 127.0.0.$2 drop"$'\n'"  ip daddr 127.0.0.$2 meta skuid != 6000$2 drop" ;;
  mend) rm -f ./*/cut; nft flush ruleset ;;
  etcd)
    if [ "$2" = stop ]; then
      read -ra pids <<<"$(ps -o pid= -C etcd | tr '\n' ' ')"
      kill "${pids[@]}"
    else
      start_etcd
    fi ;;
  lag) kill -STOP "$(startup_of "$2")" ;;
  unlag) kill -CONT "$(startup_of "$2")" ;;
  settled) until_true 60 settled_now ;;
  status) ask "$(leader)" GET /cluster | tail -n 1 | python -m json.tool ;;
  *) say "unknown: $1"; exit 2 ;;
esac
