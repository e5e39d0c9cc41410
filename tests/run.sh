#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - builds and runs all tests; the last thing it prints is ctest's summary, its exit status says whether all is well.
#
#   tests/run.sh                 debug, asan, tsan, release, examples and boost; 25 to 45 minutes on two cores
#   tests/run.sh --quick         unit, core and pool with Clang, without sanitizers and PostgreSQL, and the checks of texts; a few minutes
#   tests/run.sh --long          every configuration, old and new compilers and libraries (matrix.sh), soak tests (some hours)
#   tests/run.sh asan tsan ...   just these
#   tests/run.sh fleet           a cluster on a real fleet of servers (fleet/README.md), some four minutes; part of --long
#
# Configurations (tests/CMakePresets.json): debug (GCC), asan (Clang, with UBSan; it compiles that in half the time), asan-gcc, tsan (GCC),
# clang, release (GCC with a newer Asio where one can be had), examples (with benchmarks and the pages' snippets; Clang), boost (Clang, on
# Boost.Asio), windows (mingw-w64 and Wine; in --long, or alone), fleet (Clang; the same). The first run has every area once or twice; alone,
# or with --long, each runs all that its preset names.
# It installs what is missing (apt), starts PostgreSQL and MariaDB servers of its own on free ports and stops them again, and builds under build/
# (or $TIDEPOOL_BUILD). ctest does it all: building a configuration is a test of its own, `build.NAME`; its tests run while the next one
# is built. $JOBS: how many compilers at once; default: the processors.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
build=${TIDEPOOL_BUILD:-$repo/build}
jobs=${JOBS:-$(nproc)}
started=$SECONDS

configurations=() long=no quick=no
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    --long) long=yes ;;
    -*) sed -n '4,10s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) configurations+=("$argument") ;;
  esac
done
if [ $quick = yes ]; then
  if [ $long = yes ] || [ ${#configurations[@]} -gt 0 ]; then
    echo "run.sh: --quick is a choice of its own: leave out the others" >&2
    exit 2
  fi
  configurations=(quick)
fi
standard=no
if [ ${#configurations[@]} -eq 0 ]; then
  if [ $long = yes ]; then
    configurations=(debug asan tsan release boost asan-gcc clang windows fleet)
  else
    configurations=(debug asan examples release tsan boost)
    standard=yes
  fi
fi

say() { printf '[%2d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

"$repo/tests/support/install.sh"
mkdir -p "$build"

# --- servers for this run ----------------------------------------------------------------------------------------------------
servers=$(mktemp -d "${TMPDIR:-/tmp}/tidepool-tests.XXXXXX")
chmod 711 "$servers"
child='' oracle=''
# shellcheck disable=SC2317 # the trap calls it
finish() {
  if [ -n "$child" ]; then kill -- "-$child" 2>/dev/null || true; fi
  wait || true # for servers that are being started
  local server
  for server in "$servers"/*/; do
    case $server in
      *.mysql/) "$repo/tests/support/mariadb_server.sh" stop "${server%/}" || true ;;
      *) if [ -d "$server" ]; then "$repo/tests/support/postgres_server.sh" stop "${server%/}" immediate || true; fi ;;
    esac
  done
  if [ -n "$oracle" ]; then "$repo/tests/support/mysql_server.sh" stop "$oracle" || true; fi
  rm -rf "$servers"
}
# Beside us, because a shell hears no signal while it waits for a command in front; with a group of its own, so that all of it can be ended.
run() {
  local status=0
  setsid "$@" &
  child=$!
  wait "$child" || status=$?
  child=''
  return $status
}
trap finish EXIT
trap 'exit 130' INT TERM
export TIDEPOOL_SIM_SECONDS=${TIDEPOOL_SIM_SECONDS:-10} # of fresh seeds, in each configuration
timeout=600
if [ $long = yes ]; then
  timeout=7200
  export TIDEPOOL_LONG=1 TIDEPOOL_SIM_SECONDS=600 TIDEPOOL_STRESS_ROUNDS=5000
  if bouncer=$("$repo/tests/support/install.sh" root sid pgbouncer 2>/dev/null); then
    export TIDEPOOL_PGBOUNCER_ROOT=$bouncer
  else
    say "no newer PgBouncer within reach, so with the one installed"
  fi
  if oracle=$("$repo/tests/support/install.sh" root sid mysql-server 2>/dev/null) &&
    TIDEPOOL_TEST_MYSQL_ORACLE_DIR=$("$repo/tests/support/mysql_server.sh" start "$oracle"); then
    export TIDEPOOL_TEST_MYSQL_ORACLE_DIR
  else
    oracle=''
    say "no server of MySQL's own within reach, so only with MariaDB's"
  fi
fi

# --- configure: what is not configured has no tests, so that ends it --------------------------------------------------------
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_SLOPPINESS=pch_defines,time_macros
fi
# Where compilers get only the time that nobody else wants, tests with servers run beside them; otherwise when all is built.
last="-DTIDEPOOL_TEST_LAST_FIXTURE=build.${configurations[-1]}"
if chrt --idle 0 true 2>/dev/null; then last=-DTIDEPOOL_TEST_LAST_FIXTURE=; fi
configured=()
# name, preset, then options for CMake
configure() {
  local name=$1 preset=$2
  shift 2
  if ! (cd "$repo/tests" && cmake --preset "$preset" -B "$build/$name" -DTIDEPOOL_TEST_PREFIX="$name." -DTIDEPOOL_TEST_TIMEOUT=$timeout \
    -DTIDEPOOL_TEST_FIXTURE="build.$name" "$last" -DTIDEPOOL_TEST_UNITY=ON "$@") >"$build/$name.log" 2>&1; then
    say "$name: configuring FAILED, see $build/$name.log"
    tail -n 20 "$build/$name.log"
    return 1
  fi
}
# Starts the servers that a configuration uses (with_postgres, with_mysql), and configures it.
set_up() {
  local name=$1 conninfo servers_of=()
  if [ "$with_postgres" = yes ]; then
    conninfo=$("$repo/tests/support/postgres_server.sh" start "$servers/$name") || return 1
    servers_of+=("-DTIDEPOOL_TEST_SERVER=$conninfo")
  fi
  if [ "$with_mysql" = yes ]; then
    "$repo/tests/support/mariadb_server.sh" start "$servers/$name.mysql" >/dev/null || return 1
    servers_of+=("-DTIDEPOOL_TEST_MYSQL_DIR=$servers/$name.mysql")
  fi
  configure "$@" ${servers_of[@]+"${servers_of[@]}"}
}

# GNU ld takes a twentieth of the time of the compilers; the linker of LLVM, or gold, takes a quarter of that.
linker=
for name in lld gold; do
  if command -v ld.$name >/dev/null; then linker=$name && break; fi
done

# Without what one of the others covers as well.
declare -A areas=([quick]='unit;core;pool;texts' [examples]='headers;snippets' [fleet]='fleet')
if [ $standard = yes ]; then
  areas+=([debug]='unit;core;threads;postgres;mysql;sqlite;differential;faults;mysql_faults;budgets;headers;consumers;texts'
    [asan]='unit;core;pool;simulator;postgres;mysql;sqlite;headers;misuse'
    [release]='simulator;threads'
    [boost]='unit;core;threads;postgres')
fi

setting_up=() # all of them at once
for configuration in "${configurations[@]}"; do
  options=()
  if [ "$configuration" = windows ] && ! "$repo/tests/support/install.sh" windows >/dev/null; then
    say "windows: skipped, because there is no mingw-w64 or no Wine, and they cannot be installed"
    continue
  fi
  if [ "$configuration" = fleet ] && ! "$repo/tests/fleet/rig.sh" install; then continue; fi
  if [ -n "${areas[$configuration]:-}" ]; then
    options+=("-DTIDEPOOL_TEST_AREAS=${areas[$configuration]}")
  fi
  # Each has servers of its own: the same tests use the same names there.
  with_postgres=no with_mysql=no
  if [[ ${areas[$configuration]:-postgres} =~ postgres ]] && [[ ! $configuration =~ ^(tsan|examples|windows)$ ]]; then with_postgres=yes; fi
  if [[ ${areas[$configuration]:-mysql} =~ mysql ]] && [[ ! $standard.$configuration =~ ^(.*[.](examples|boost|windows)|yes[.]tsan)$ ]]; then
    with_mysql=yes
  fi
  if [ $standard = yes ]; then
    # Line numbers cost a fourteenth of GCC's time and a fifth of Clang's, and nothing here is read in a debugger. A sanitizer names functions
    # all the same; `run.sh asan` has the lines.
    [ "$configuration" = release ] || options+=("-DCMAKE_CXX_FLAGS_DEBUG=-g0 -fno-omit-frame-pointer")
    if [ -n "$linker" ]; then options+=("-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=$linker" "-DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=$linker"); fi
    # Catch2's own code is compiled by the first one for all; not for ThreadSanitizer, which has to see what is done with locks.
    if [ ${#configured[@]} -gt 0 ] && [ "$configuration" != tsan ]; then
      options+=("-DTIDEPOOL_TEST_SESSION=$build/${configured[0]}/catch_main.o")
    fi
    # GCC collects garbage for a quarter of its time, unless it may use more memory.
    case $configuration in debug | tsan | release) options+=("-DCMAKE_CXX_FLAGS=--param ggc-min-heapsize=1000000") ;; esac
    case $configuration in
      debug) options+=(-DTIDEPOOL_TEST_SEPARATE=ON -DTIDEPOOL_TEST_EACH_HEADER=ONE -DTIDEPOOL_BUILD_EXAMPLES=OFF
        -DTIDEPOOL_BUILD_BENCHMARKS=OFF) ;;
      # Each header by itself where the compiler is the quickest.
      asan) options+=(-DTIDEPOOL_TEST_SEPARATE=ON -DTIDEPOOL_TEST_EACH_HEADER=ONLY) ;;
      # Only what has threads. By GCC: what Clang 14 has for it takes the reference counts of libstdc++'s exceptions for races.
      tsan) options+=("-DTIDEPOOL_TEST_FILES=threads/.*|pool/($(cd "$repo/tests/pool" && grep -lE 'std::thread|thread_pool' -- *.cpp |
        sed 's/[.]cpp$//' | paste -sd '|')|instances)|sqlite/threads") ;;
      # The driver header-only.
      *) options+=(-DTIDEPOOL_TEST_EACH_HEADER=OFF) ;;
    esac
  fi
  if [ "$configuration" = examples ]; then
    options+=("-DCMAKE_CXX_FLAGS_DEBUG=-g0" -DTIDEPOOL_TEST_SEPARATE=ON -DTIDEPOOL_BUILD_EXAMPLES=ON -DTIDEPOOL_BUILD_BENCHMARKS=ON
      -DTIDEPOOL_PRECOMPILE_PROGRAMS=ON)
  fi
  # A newer Asio with GCC, optimised, and with Clang, where all headers and programs are compiled.
  if [[ $configuration =~ ^(release|examples)$ ]]; then
    if asio=$("$repo/tests/support/install.sh" newer-asio trixie); then
      options+=("-DTIDEPOOL_ASIO_INCLUDE_DIR=$asio")
    else
      say "$configuration: no newer Asio within reach, so with the one installed"
    fi
  fi
  if [ $long = yes ] && [ "$configuration" = clang ]; then
    options+=("-DTIDEPOOL_TEST_AREAS=unit;core;pool;simulator;threads;postgres;headers;snippets" -DTIDEPOOL_BUILD_EXAMPLES=ON)
  fi
  # Of what needs a server, threads that share one.
  if [ $long = yes ] && [ "$configuration" = tsan ]; then
    options+=("-DTIDEPOOL_TEST_AREAS=pool;threads;postgres;mysql;sqlite"
      "-DTIDEPOOL_TEST_FILES=(pool|threads)/.*|postgres/multiplexers|(mysql|sqlite)/threads")
  fi
  # Both flavours have all sources in common: here the files that name error codes and sockets. All areas with the newest Boost: matrix.sh.
  if [ "$configuration" = boost ]; then
    options+=("-DTIDEPOOL_TEST_BOOST_ASIO=ON" "-DTIDEPOOL_TEST_FILES=(unit|core|threads)/.*|postgres/(connect|query|transaction|pool)")
  fi
  preset=$configuration
  if [[ $preset =~ ^(quick|examples|boost|fleet)$ ]]; then preset=clang; fi
  set_up "$configuration" "$preset" "${options[@]}" &
  setting_up+=($!)
  configured+=("$configuration")
done
for one in "${setting_up[@]}"; do wait "$one" || exit 1; done

# Older and newer compilers and libraries: each cell is one long test of its own. And the example on Boost.MySQL, which Debian 12 does not have.
matrix() {
  local cell
  if [ $long = no ]; then return; fi
  printf 'add_test("asio-releases" "%s")\n' "$repo/tests/support/asio_matrix.sh"
  printf 'set_tests_properties("asio-releases" PROPERTIES TIMEOUT 7200)\n'
  printf 'add_test("soak" "%s" "--quick" "soak")\n' "$repo/benchmarks/run.sh" # an hour of 10,000 connections through PgBouncer
  printf 'set_tests_properties("soak" PROPERTIES ENVIRONMENT "SOAK_SECONDS=3600" TIMEOUT 7200 RUN_SERIAL ON SKIP_RETURN_CODE 77)\n'
  printf 'add_test("boost-mysql" "%s")\n' "$repo/tests/support/boost_mysql.sh"
  printf 'set_tests_properties("boost-mysql" PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77)\n'
  for cell in $("$repo/tests/matrix.sh" --list); do
    printf 'add_test("matrix.%s" "%s" "%s")\n' "$cell" "$repo/tests/matrix.sh" "$cell"
    printf 'set_tests_properties("matrix.%s" PROPERTIES TIMEOUT 7200 RUN_SERIAL ON SKIP_RETURN_CODE 77)\n' "$cell"
  done
}

# One after the other, each with all processors. The tests of a configuration need what builds it: where that fails, ctest leaves them out
# and says so.
builds() {
  local name before='' cost=1000
  for name in "${configured[@]}"; do
    printf 'add_test("build.%s" "%s" "%s" "%s")\n' "$name" "$repo/tests/support/build.sh" "$build/$name" "$jobs"
    printf 'set_tests_properties("build.%s" PROPERTIES FIXTURES_SETUP "build.%s" PROCESSORS %s TIMEOUT 7200 COST %s %s)\n' \
      "$name" "$name" "$jobs" $((cost--)) "${before:+DEPENDS build.$before}"
    printf 'subdirs("%s")\n' "$build/$name"
    before=$name
  done
}

# --- one ctest over all of it, so one summary ----------------------------------------------------------------------------------
{ builds && matrix; } >"$build/CTestTestfile.cmake"
say "building and testing: ${configured[*]}"
status=0
failures=$build/Testing/Temporary/LastTestsFailed.log
rm -f "$failures"
run ctest --test-dir "$build" -j $((3 * jobs)) --output-on-failure --no-tests=error || status=$?
# Tests with servers have deadlines, and three of them at a time may be too much for a machine that others use as well. So those that
# failed run once more, one at a time; what fails then counts. Not in a long run, and not where any other test failed.
if [ $status -ne 0 ] && [ $standard = yes ] && [ -s "$failures" ] && ! grep -vqE '^[0-9]+:[a-z]+[.](postgres|mysql|faults|mysql_faults)[.]' "$failures"; then
  say "failed beside other tests, and run again alone: $(sed 's/^[0-9]*://' "$failures" | paste -sd ' ')"
  status=0
  run ctest --test-dir "$build" --rerun-failed --fixture-exclude-any . --output-on-failure || status=$?
fi
exit $status
