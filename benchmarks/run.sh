#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - runs the benchmarks, and the pools one could take instead, and writes tables and plots into benchmarks/README.md.
#
#   benchmarks/run.sh                all of it: some 40 minutes on two cores
#   benchmarks/run.sh --quick        a round of each, short; the report goes beside the results and the README stays as it is
#   benchmarks/run.sh memory ...     just these parts: memory (no server: ours and peers), server (PostgreSQL), multiplexer (PostgreSQL;
#                                    beside clients that pipeline), headers, fleet, headline, soak (10,000 connections through PgBouncer),
#                                    boost_mysql (MariaDB; beside Boost.MySQL's own pool), mysql (MariaDB; beside the bare client library
#                                    and mysql2; prints its figures), sqlite (beside better-sqlite3; prints its figures)
#
# It installs what is missing (apt, npm) and leaves out, with a message, the peers it cannot get. Programs take turns, round after round, so
# that a noisy minute meets all alike; figures are medians of rounds. Built and kept under build/benchmarks (or $TIDEPOOL_BUILD/benchmarks).
# $ROUNDS: how many; default 5. $SOAK_SECONDS: how long the soak is, default 60; $SOAK_ARRIVALS: its callers a second, default 1000. With two processors or more, what has one thread runs on processor 0 and the server on processor 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")
build=${TIDEPOOL_BUILD:-$repo/build}/benchmarks
results=$build/results
started=$SECONDS

parts=() quick=no
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    memory | server | multiplexer | headers | fleet | headline | soak | boost_mysql | mysql | sqlite) parts+=("$argument") ;;
    *) sed -n '4,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(memory server multiplexer headers fleet headline soak boost_mysql mysql sqlite)
rounds=${ROUNDS:-5}
seconds=1 # of each run against a server, and of each case of a peer
min_time=0.2
report=$here
if [ $quick = yes ]; then
  rounds=${ROUNDS:-1} seconds=0.3 min_time=0.05 results=$build/quick report=$build/quick
fi

say() { printf '[%2d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
wanted() { [[ " ${parts[*]} " == *" $1 "* ]]; }

# --- what it needs -------------------------------------------------------------------------------------------------------------
"$repo/tests/support/install.sh"
missing=() packages=()
if wanted memory || wanted server; then
  packages=(libhikaricp-java libpostgresql-jdbc-java libslf4j-java default-jdk-headless python3-asyncpg python3-psycopg python3-psycopg-pool
    golang-go golang-github-jackc-puddle-dev golang-github-jackc-pgx-v4-dev)
fi
if wanted multiplexer; then
  packages+=(librust-tokio-postgres-dev librust-libc-dev)
  command -v cargo >/dev/null || packages+=(cargo)
fi
if wanted server || wanted multiplexer || wanted headline || wanted soak; then packages+=(pgbouncer); fi
if wanted boost_mysql; then packages+=(libssl-dev); fi
if wanted boost_mysql || wanted mysql; then packages+=(mariadb-server-core mariadb-client-core); fi
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$'; then missing+=("$package"); fi
done
if command -v javac >/dev/null; then missing=("${missing[@]/default-jdk-headless/}"); fi
for package in "${missing[@]}"; do
  [ -n "$package" ] || continue
  say "installing $package"
  if [ "$(id -u)" = 0 ]; then root=(env); else root=(sudo env); fi
  "${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$package" >/dev/null 2>&1 ||
    say "$package cannot be had here"
done

one_cpu=() server_cpu=() first=()
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
  one_cpu=(taskset -c 0) server_cpu=(taskset -c 1)
fi
# With a higher priority than other work of the machine, where that is allowed: for waits that other work would make longer.
if chrt -f 5 true 2>/dev/null; then first=(chrt -f 5); fi

# --- build ---------------------------------------------------------------------------------------------------------------------
mkdir -p "$results" "$build"
options=()
if asio=$("$repo/tests/support/install.sh" newer-asio trixie); then
  options=("-DTIDEPOOL_ASIO_INCLUDE_DIR=$asio")
else
  asio=
  say "no newer Asio within reach, so with the one installed"
fi
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
say "building"
cmake -S "$repo" -B "$build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_EXAMPLES=OFF \
  "${options[@]}" >"$build/configure.log" || { cat "$build/configure.log"; exit 1; }
programs=()
if wanted memory; then programs+=(bench_acquire bench_handoff bench_crowd bench_size bench_threads); fi
if wanted server; then programs+=(bench_end_to_end); fi
if wanted multiplexer; then programs+=(bench_multiplexer); fi
if wanted fleet; then programs+=(bench_fleet); fi
if wanted headline; then programs+=(bench_headline); fi
if wanted soak; then programs+=(bench_soak); fi
if wanted mysql; then programs+=(bench_mysql); fi
if wanted sqlite; then programs+=(bench_sqlite); fi
[ ${#programs[@]} = 0 ] || ninja -C "$build/release" "${programs[@]}" >"$build/build.log" || { grep -E 'error|warning' "$build/build.log"; exit 1; }
bin=$build/release/benchmarks

peers=() # "name|command ...": each prints lines "case<TAB>metric<TAB>value" for `memory` or `server`
build_peers() {
  local java=/usr/share/java
  if command -v javac >/dev/null && [ -e $java/HikariCP.jar ]; then
    javac -cp $java/HikariCP.jar -d "$build/java" "$here/peers/Hikari.java" &&
      peers+=("hikaricp|java -Xms512m -Xmx512m -XX:+UseSerialGC -cp $build/java:$java/HikariCP.jar:$java/slf4j-api.jar:$java/slf4j-nop.jar:$java/postgresql.jar Hikari")
  else
    say "skipped: HikariCP (libhikaricp-java and a JDK)"
  fi
  if command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/jackc/puddle ]; then
    (cd "$here/peers" && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' go build -o "$build/pgx" pgx.go) && peers+=("pgx|$build/pgx")
  else
    say "skipped: puddle and pgx (golang-github-jackc-pgx-v4-dev)"
  fi
  if /usr/bin/python3 -c 'import asyncpg' 2>/dev/null; then
    peers+=("asyncpg|/usr/bin/python3 $here/peers/python_pools.py asyncpg")
  else
    say "skipped: asyncpg (python3-asyncpg)"
  fi
  if /usr/bin/python3 -c 'import psycopg_pool' 2>/dev/null; then
    peers+=("psycopg|/usr/bin/python3 $here/peers/python_pools.py psycopg")
  else
    say "skipped: psycopg_pool (python3-psycopg-pool)"
  fi
  if command -v npm >/dev/null && { [ -d "$build/node/node_modules/pg" ] || npm install --silent --prefix "$build/node" pg@8 >/dev/null 2>&1; }; then
    peers+=("node-pg|env NODE_PATH=$build/node/node_modules node $here/peers/node_pg.js")
  else
    say "skipped: node pg (npm install pg)"
  fi
}
if wanted memory || wanted server; then build_peers; fi

pipelining=() # the same, of clients that pipeline
build_pipelining() {
  local package name
  for package in postgres@3 pg@8; do
    name=${package%@*}
    if command -v npm >/dev/null && { [ -d "$build/node/node_modules/$name" ] || npm install --silent --prefix "$build/node" "$package" >/dev/null 2>&1; }; then
      pipelining+=("node-$name|env NODE_PATH=$build/node/node_modules node $here/peers/pipelines.js $name")
    else
      say "skipped: npm install $package"
    fi
  done
  # From Debian's packages alone.
  if command -v cargo >/dev/null && [ -d /usr/share/cargo/registry ]; then
    mkdir -p "$build/tokio/.cargo"
    printf '[package]\nname = "pipelines"\nversion = "0.0.0"\nedition = "2021"\n[[bin]]\nname = "pipelines"\npath = "%s"\n[dependencies]\nlibc = "0.2"\ntokio = { version = "1", features = ["rt", "time", "net"] }\ntokio-postgres = "0.7"\n[profile.release]\nlto = "fat"\ncodegen-units = 1\n' \
      "$here/peers/tokio_postgres.rs" >"$build/tokio/Cargo.toml"
    printf '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "/usr/share/cargo/registry"\n' >"$build/tokio/.cargo/config.toml"
    if (cd "$build/tokio" && cargo build --release --offline >"$build/tokio.log" 2>&1); then
      pipelining+=("tokio-postgres|$build/tokio/target/release/pipelines")
    else
      say "skipped: tokio-postgres, which does not build: $build/tokio.log"
    fi
  else
    say "skipped: tokio-postgres (cargo, librust-tokio-postgres-dev)"
  fi
}
# The same program with a libpq that can send a Sync without a flush, from a newer Debian.
build_newer_libpq() {
  local root
  root=$("$repo/tests/support/install.sh" root trixie libpq-dev libstdc++6 2>/dev/null) || { say "skipped: libpq 17"; return 0; }
  g++ -std=c++20 -O3 -DNDEBUG -pthread -I"$repo/include" ${asio:+-isystem "$asio"} -isystem "$root/usr/include/postgresql" \
    "$here/multiplexer.cpp" -o "$build/multiplexer_17" "$root"/usr/lib/*/libpq.so.5 -Wl,--allow-shlib-undefined 2>"$build/libpq_17.log" ||
    { say "skipped: libpq 17: $build/libpq_17.log"; return 0; }
  pipelining+=("libpq-17|$(echo "$root"/lib64/ld-linux-*.so.*) --library-path $(echo "$root"/usr/lib/*-linux-gnu) $build/multiplexer_17")
}
if wanted multiplexer; then
  build_pipelining
  build_newer_libpq
fi

# --- a server of its own ---------------------------------------------------------------------------------------------------------
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-bench.XXXXXX")
chmod 711 "$scratch"
bouncer='' tracker=''
# shellcheck disable=SC2317 # the trap calls it
finish() {
  if [ -n "$bouncer" ]; then kill "$bouncer" 2>/dev/null || true; fi
  if [ -n "$tracker" ]; then "$repo/tests/faults/servers.sh" bouncer-stop "$scratch/tracker" || true; fi
  if [ -d "$scratch/pg" ]; then "$repo/tests/support/postgres_server.sh" stop "$scratch/pg" immediate || true; fi
  local server
  for server in "$scratch/mysql" "$scratch/own_mysql"; do
    if [ -d "$server" ]; then "$repo/tests/support/mariadb_server.sh" stop "$server" || true; fi
  done
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
start_server() { # whatever is to stand in front of the server's command
  local conninfo
  conninfo=$("$@" "${server_cpu[@]}" "$repo/tests/support/postgres_server.sh" start "$scratch/pg")
  conninfo=${conninfo#*port=}
  PGPORT=${conninfo%% *}
  export PGPORT PGUSER=tidepool PGDATABASE=tidepool PGSSLMODE=disable PGHOST=$scratch/pg
  psql -X -q -v ON_ERROR_STOP=1 -c 'create table accounts (id int primary key, balance int not null)' \
    -c 'insert into accounts select i, i from generate_series(1, 100000) i' -c 'vacuum analyze accounts'
}
# What a peer or a program of ours prints, with its name in front.
record() { # file, name, command ...
  local file=$1 name=$2
  shift 2
  if ! "$@" 2>"$build/$name.err" | sed "s/^/$name\t/" >>"$file"; then
    say "$name failed: $(tail -n 1 "$build/$name.err")"
  fi
}
export SECONDS_A_CASE=$seconds

# --- memory: no server but for the pools that cannot do without ------------------------------------------------------------------
if wanted memory; then
  rm -f "$results"/memory.* "$results"/*.json
  start_server
  for ((round = 1; round <= rounds; ++round)); do
    for program in acquire handoff crowd size threads; do
      say "memory, round $round of $rounds: $program"
      pin=("${one_cpu[@]}")
      if [ $program = threads ]; then pin=(); fi
      # Cases that are compared with each other take turns within the program as well.
      repeat=("--benchmark_min_time=$min_time")
      if [ $program = acquire ]; then
        repeat=(--benchmark_min_time="$(awk "BEGIN { print $min_time / 4 }")" --benchmark_repetitions=4 --benchmark_enable_random_interleaving=true)
      fi
      "${pin[@]}" "$bin/bench_$program" "${repeat[@]}" --benchmark_out="$results/$program.$round.json" \
        --benchmark_out_format=json >/dev/null 2>"$build/$program.err" || { cat "$build/$program.err"; exit 1; }
    done
    for peer in "${peers[@]}"; do
      say "memory, round $round of $rounds: ${peer%%|*}"
      read -ra command <<<"${peer#*|}"
      record "$results/memory.$round.tsv" "${peer%%|*}" "${one_cpu[@]}" "${command[@]}" memory
      record "$results/memory.$round.tsv" "${peer%%|*}" "${command[@]}" threads
    done
  done
fi

# --- server: end to end ----------------------------------------------------------------------------------------------------------
pgbench_run() { # host, script
  local log=$scratch/pgbench.log cpu
  TIMEFORMAT='%U %S'
  { time PGHOST=$1 "${one_cpu[@]}" pgbench -n -M prepared -c 8 -j 1 -T "$(printf '%.0f' "$(awk "BEGIN{print $seconds < 1 ? 1 : $seconds}")")" -f "$2" >"$log" 2>&1; } 2>"$scratch/pgbench.cpu"
  cpu=$(awk '{ print ($1 + $2) * 1e6 }' "$scratch/pgbench.cpu")
  awk -v cpu="$cpu" -v case="$3" '/transactions actually processed/ { split($NF, n, "/"); done = n[1] } /^tps/ { tps = $3 }
    END { printf "%s\tqps\t%s\n%s\tcpu_us\t%s\n", case, tps, case, cpu / done }' "$log"
}
start_bouncer() { # whatever is to stand in front of its command
  command -v pgbouncer >/dev/null || { say "skipped: PgBouncer"; return; }
  # Below the ports that the system gives to clients.
  for _ in $(seq 50); do
    bouncer_port=$((RANDOM % 12000 + 20000))
    if ! (exec 4<>"/dev/tcp/127.0.0.1/$bouncer_port") 2>/dev/null; then break; fi
  done
  cat >"$scratch/bouncer.ini" <<INI
[databases]
tidepool = host=$scratch/pg port=$PGPORT dbname=tidepool user=tidepool
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir = $scratch/bouncer
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 12000
listen_backlog = 1024
logfile = $scratch/bouncer.log
pidfile = $scratch/bouncer.pid
INI
  mkdir -p "$scratch/bouncer" && chmod 777 "$scratch/bouncer"
  local as=()
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    chown -R postgres "$scratch/bouncer" "$scratch/bouncer.ini"
    touch "$scratch/bouncer.log" && chown postgres "$scratch/bouncer.log"
    sed -i '/^pidfile/d' "$scratch/bouncer.ini"
  fi
  ulimit -S -n "$(ulimit -H -n)"
  "$@" "${server_cpu[@]}" "${as[@]}" pgbouncer -q "$scratch/bouncer.ini" >/dev/null 2>&1 &
  bouncer=$!
  sleep 1
  if ! psql -X -q -h "$scratch/bouncer" -p "$bouncer_port" -c 'select 1' >/dev/null 2>&1; then
    say "skipped: PgBouncer, which did not start"
    kill "$bouncer" 2>/dev/null || true
    bouncer=''
  fi
}
# The newest one, which tracks prepared statements.
start_tracker() {
  local root
  root=$("$repo/tests/support/install.sh" root sid pgbouncer 2>/dev/null) || { say "skipped: the newest PgBouncer"; return 0; }
  # The last of two settings counts.
  tracker=$("${server_cpu[@]}" "$repo/tests/faults/servers.sh" bouncer "$scratch/pg" "$scratch/tracker" "root=$root" max_prepared_statements=200 \
    default_pool_size=8 max_client_conn=10100 listen_backlog=1024 "unix_socket_dir=$scratch/tracker" \
    '[databases]' "tidepool = host=$PGHOST port=$PGPORT dbname=tidepool user=tidepool") || { say "skipped: the newest PgBouncer, which did not start"; return 0; }
  tracker=${tracker#*port=}
  tracker="host=$scratch/tracker port=${tracker%% *}"
}
if wanted server; then
  rm -f "$results"/server.*
  [ -n "${PGPORT:-}" ] || start_server
  start_bouncer
  echo 'select 1' >"$scratch/one.sql"
  printf '\\set id random(1, 100000)\nselect balance from accounts where id = :id\n' >"$scratch/read.sql"
  for ((round = 1; round <= rounds; ++round)); do
    say "server, round $round of $rounds: tidepool and bare libpq"
    out=$results/server.$round.tsv
    record "$out" tidepool "${one_cpu[@]}" "$bin/bench_end_to_end" "host=$PGHOST" unix
    record "$out" tidepool "${one_cpu[@]}" "$bin/bench_end_to_end" "host=127.0.0.1" tcp
    if [ -n "$bouncer" ]; then
      record "$out" tidepool "${one_cpu[@]}" "$bin/bench_end_to_end" "host=$PGHOST" plain
      record "$out" tidepool "${one_cpu[@]}" "$bin/bench_end_to_end" "host=$scratch/bouncer port=$bouncer_port" bouncer
    fi
    say "server, round $round of $rounds: pgbench"
    record "$out" pgbench pgbench_run "$PGHOST" "$scratch/one.sql" select1/unix/8
    record "$out" pgbench pgbench_run "$PGHOST" "$scratch/read.sql" read/unix/8
    record "$out" pgbench pgbench_run 127.0.0.1 "$scratch/one.sql" select1/tcp/8
    for peer in "${peers[@]}"; do
      say "server, round $round of $rounds: ${peer%%|*}"
      read -ra command <<<"${peer#*|}"
      record "$out" "${peer%%|*}" "${one_cpu[@]}" "${command[@]}" server
    done
  done
  # What a connection costs the server: memory of an idle backend that ran a query, not shared with others.
  say "server: memory of a backend"
  psql -X -q -A -t -c 'select sum(balance) from accounts' -c '\! sleep 2' >/dev/null &
  sleep 1
  backend=$(psql -X -q -A -t -c "select pid from pg_stat_activity where query like '%sum(balance)%' and pid <> pg_backend_pid() limit 1")
  if [ -r "/proc/$backend/smaps_rollup" ]; then
    awk '/^Private_(Clean|Dirty):/ { sum += $2 } /^Pss:/ { pss = $2 }
      END { printf "postgres\tbackend\tprivate_kb\t%d\npostgres\tbackend\tpss_kb\t%d\n", sum, pss }' "/proc/$backend/smaps_rollup" >"$results/server.backend.tsv"
  fi
  wait %% 2>/dev/null || true
fi

# --- many callers, few connections -----------------------------------------------------------------------------------------------
if wanted multiplexer; then
  rm -f "$results"/multiplexer.*
  [ -n "${PGPORT:-}" ] || start_server
  [ -n "$bouncer" ] || start_bouncer
  start_tracker
  for ((round = 1; round <= rounds; ++round)); do
    say "multiplexer, round $round of $rounds; load $(cut -d ' ' -f 1 /proc/loadavg)"
    out=$results/multiplexer.$round.tsv
    printf 'machine\tmultiplexer\tload\t%s\n' "$(cut -d ' ' -f 1 /proc/loadavg)" >"$out"
    record "$out" multiplexer "${one_cpu[@]}" "$bin/bench_multiplexer" "host=$PGHOST" unix
    record "$out" multiplexer "${one_cpu[@]}" "$bin/bench_multiplexer" "host=127.0.0.1" tcp
    record "$out" multiplexer "$bin/bench_multiplexer" "host=$PGHOST" threads
    if [ -n "$bouncer" ]; then
      record "$out" multiplexer "${one_cpu[@]}" "$bin/bench_multiplexer" "host=$PGHOST" plain
      record "$out" multiplexer "${one_cpu[@]}" "$bin/bench_multiplexer" "host=$scratch/bouncer port=$bouncer_port" bouncer
    fi
    if [ -n "$tracker" ]; then record "$out" multiplexer "${one_cpu[@]}" "$bin/bench_multiplexer" "$tracker" tracking; fi
    for peer in "${pipelining[@]}"; do
      say "multiplexer, round $round of $rounds: ${peer%%|*}"
      read -ra command <<<"${peer#*|}"
      if [ "${peer%%|*}" = libpq-17 ]; then command+=("host=$PGHOST" unix); fi
      record "$out" "${peer%%|*}" "${one_cpu[@]}" "${command[@]}"
    done
  done
fi

# --- what the headers cost -------------------------------------------------------------------------------------------------------
if wanted headers; then
  rm -f "$results"/headers.*
  flags=(-std=c++20 -O2 -DNDEBUG -I"$repo/include" -I"$here/header_cost")
  if [ -n "$asio" ]; then flags+=(-isystem "$asio"); fi
  if command -v pg_config >/dev/null; then flags+=(-isystem "$(pg_config --includedir)"); fi
  for ((round = 1; round <= (rounds < 3 ? rounds : 3); ++round)); do
    say "headers, round $round"
    for compiler in g++ clang++; do
      command -v $compiler >/dev/null || continue
      for file in asio_only asio_handler pool_only pool_handler pool_made postgres_handler \
        separate/{pool_only,pool_handler,pool_made,postgres_handler,pool_src,postgres_src}; do
        mode=()
        if [[ $file == separate/* ]]; then mode=(-DTIDEPOOL_SEPARATE_COMPILATION); fi
        TIMEFORMAT='%U'
        { time "${one_cpu[@]}" $compiler "${flags[@]}" "${mode[@]}" -c "$here/header_cost/${file#*/}.cpp" -o "$build/header.o" \
          2>"$build/header.err"; } 2>"$scratch/time" || { say "headers: $file does not compile"; head "$build/header.err"; exit 1; }
        printf '%s\t%s\tseconds\t%s\n%s\t%s\tbytes\t%s\n' $compiler $file "$(tail -n 1 "$scratch/time")" $compiler $file \
          "$(stat -c %s "$build/header.o")" >>"$results/headers.$round.tsv"
      done
    done
  done
fi

# --- what a fleet meets, in virtual time -----------------------------------------------------------------------------------------
if wanted fleet; then
  say "fleet"
  customers=400000
  if [ $quick = yes ]; then customers=20000; fi
  "$bin/bench_fleet" $customers >"$results/fleet.1.tsv"
fi

# --- the headline's figures ------------------------------------------------------------------------------------------------------
if wanted headline; then
  rm -f "$results"/headline.*
  if [ -n "${PGPORT:-}" ]; then "$repo/tests/support/postgres_server.sh" stop "$scratch/pg" immediate; fi
  start_server "${first[@]}"
  [ -n "$bouncer" ] || start_bouncer "${first[@]}"
  for ((round = 1; round <= (rounds < 3 ? rounds : 3); ++round)); do
    say "headline, round $round"
    record "$results/headline.$round.tsv" tidepool "${first[@]}" "${one_cpu[@]}" "$bin/bench_headline" "host=$PGHOST" \
      ${bouncer:+"host=$scratch/bouncer port=$bouncer_port"}
  done
fi

# --- 10,000 connections in use, for long --------------------------------------------------------------------------------------------
soak_status=0
if wanted soak; then
  [ -n "${PGPORT:-}" ] || start_server "${first[@]}"
  [ -n "$bouncer" ] || start_bouncer "${first[@]}"
  if [ -z "$bouncer" ]; then
    if [ "${parts[*]}" = soak ]; then exit 77; fi
  else
    say "soak of ${SOAK_SECONDS:-60} s; load $(cut -d ' ' -f 1 /proc/loadavg)"
    rm -f "$results"/soak.*
    "${first[@]}" "${one_cpu[@]}" "$bin/bench_soak" "host=127.0.0.1 port=$bouncer_port" "${SOAK_SECONDS:-60}" "${SOAK_ARRIVALS:-1000}" |
      sed 's/^/tidepool\t/' >"$results/soak.1.tsv" || soak_status=$?
    printf 'tidepool\tsoak\tload\t%s\n' "$(cut -d ' ' -f 2 /proc/loadavg)" >>"$results/soak.1.tsv"
    sed 's/^tidepool\tsoak\t//' "$results/soak.1.tsv"
  fi
fi

# --- beside Boost.MySQL's own pool -----------------------------------------------------------------------------------------------
if wanted boost_mysql; then
  if ! "$repo/tests/support/boost_mysql.sh" build "$build/boost_mysql" bench_boost_mysql; then
    say "skipped: Boost.MySQL"
  elif ! mysql=$("${server_cpu[@]}" "$repo/tests/support/mariadb_server.sh" start "$scratch/mysql"); then
    say "skipped: Boost.MySQL, because no MariaDB could be started"
  else
    rm -f "$results"/boost_mysql.*
    read -ra mysql <<<"$mysql"
    grep -o '"[0-9_]*"' "$(sed -n 's/^BOOST_MYSQL_INCLUDE_DIR:PATH=//p' "$build/boost_mysql/CMakeCache.txt")/boost/version.hpp" |
      tr -d '"' | tr _ . >"$results/boost_mysql.about"
    mariadbd --version 2>/dev/null | sed 's/.*Ver \([0-9.]*\).*/\1/' >>"$results/boost_mysql.about"
    for ((round = 1; round <= rounds; ++round)); do
      say "boost_mysql, round $round of $rounds; load $(cut -d ' ' -f 1 /proc/loadavg)"
      printf 'machine\tload\t%s\n' "$(cut -d ' ' -f 1 /proc/loadavg)" >"$results/boost_mysql.$round.tsv"
      reversed=()
      if [ $((round % 2)) = 0 ]; then reversed=(reversed); fi
      env "${mysql[@]}" "${one_cpu[@]}" "$build/boost_mysql/benchmarks/bench_boost_mysql" "${reversed[@]}" \
        >>"$results/boost_mysql.$round.tsv" 2>"$build/boost_mysql.err" || { cat "$build/boost_mysql.err"; exit 1; }
    done
  fi
fi

# --- MySQL: beside the bare client library, which shares a processor with the server ---------------------------------------------------
if wanted mysql; then
  if ! mysql=$("${one_cpu[@]}" "$repo/tests/support/mariadb_server.sh" start "$scratch/own_mysql"); then
    say "skipped: MySQL, because no MariaDB could be started"
  else
    read -ra mysql <<<"$mysql"
    say "mysql; load $(cut -d ' ' -f 1 /proc/loadavg)"
    env "${mysql[@]}" SECONDS_A_CASE=$seconds "${one_cpu[@]}" "$bin/bench_mysql" | tee "$results/mysql.txt"
    if command -v npm >/dev/null && { [ -d "$build/node/node_modules/mysql2" ] || npm install --silent --prefix "$build/node" mysql2@3 >/dev/null 2>&1; }; then
      env "${mysql[@]}" NODE_PATH="$build/node/node_modules" SECONDS_A_CASE=$seconds "${one_cpu[@]}" node "$here/peers/node_mysql.js" | tee -a "$results/mysql.txt"
    else
      say "skipped: mysql2 (npm install mysql2)"
    fi
  fi
fi

# --- SQLite: in this process, and beside better-sqlite3 ----------------------------------------------------------------------------
if wanted sqlite; then
  say "sqlite"
  SECONDS_A_CASE=$seconds "$bin/bench_sqlite" | tee "$results/sqlite.txt"
  if command -v npm >/dev/null && { [ -d "$build/node/node_modules/better-sqlite3/build" ] ||
    npm install --silent --prefix "$build/node" better-sqlite3@11 >/dev/null 2>&1; }; then
    NODE_PATH=$build/node/node_modules node "$here/peers/node_sqlite.js" "$scratch/node.db" | tee -a "$results/sqlite.txt"
  else
    say "skipped: better-sqlite3 (npm install better-sqlite3)"
  fi
fi
# Their figures are in no table that is written here.
if [[ " mysql sqlite mysql " == *" ${parts[*]} "* ]]; then exit; fi

say "writing the report"
/usr/bin/env python3 "$here/report.py" "$results" "$here/README.md" "$report"
say "done: $report/README.md"
if [ $soak_status != 0 ]; then say "soak: something was lost" && exit 1; fi
