#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - tests with compilers, standard libraries, Asio, Boost, libpq, PostgreSQL and Catch2 from old to new, each from the Debian that
# has it, unpacked under .cache and entered by chroot. Installs nothing.
#
#   tests/matrix.sh              every cell of the table below; then writes the table in tests/README.md
#   tests/matrix.sh CELL...      just these, and leaves that page alone
#   tests/matrix.sh --list       their names
#   tests/matrix.sh --table      writes the table in tests/README.md from what was run here; the other rows stay
#
# It has to run as root. A cell that has passed is not run again before a file that it uses has changed, unless $AGAIN is set. A cell with a
# part that cannot be had here is not run, and the table says so. Exit status: 1 when a cell failed, else 77 when one was not run.
# $JOBS: how many compilers at once; default: the processors. Logs and results: build/matrix/CELL (or $TIDEPOOL_BUILD/matrix/CELL). What was
# unpacked stays under .cache, and is not looked for anew while it is there.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
install=$repo/tests/support/install.sh
results=${TIDEPOOL_BUILD:-$repo/build}/matrix
page=$repo/tests/README.md

# The suite decides the libpq (bookworm 15, trixie 17, sid 18). Asio and the server (15, 17, 18) come from any; Catch2 2 is that of bookworm,
# of headers alone, so it goes with any standard library; Catch2 3 is compiled, and goes with a compiler about as new as its suite.
all_cells() {
  cat <<'CELLS'
name             suite     compiler    library    asio                       catch2  server    areas
gcc-12           bookworm  g++-12      libstdc++  sid/libasio-dev            2       sid       core;threads;verbs
gcc-13           sid       g++-13      libstdc++  trixie/libasio-dev         2       bookworm  core;threads;verbs
gcc-14           trixie    g++-14      libstdc++  bookworm/libasio-dev       3       trixie    core;threads;verbs
gcc-15           sid       g++-15      libstdc++  sid/libasio-dev            3       -         core;threads
gcc-16           sid       g++-16      libstdc++  bookworm/libasio-dev       3       sid       core;threads;verbs
clang-14         bookworm  clang++-14  libstdc++  sid/libasio-dev            2       sid       core;threads;verbs
clang-14-libc++  bookworm  clang++-14  libc++     bookworm/libasio-dev       2       bookworm  unit;core;pool;postgres
clang-15         bookworm  clang++-15  libstdc++  trixie/libasio-dev         2       -         core;threads
clang-16         bookworm  clang++-16  libstdc++  bookworm/libasio-dev       2       -         core;threads
clang-17         trixie    clang++-17  libstdc++  trixie/libasio-dev         3       -         core;threads
clang-19         trixie    clang++-19  libstdc++  trixie/libasio-dev         3       trixie    unit;core;threads;verbs
clang-21         sid       clang++-21  libstdc++  sid/libasio-dev            3       -         core;threads
clang-23         sid       clang++-23  libstdc++  sid/libasio-dev            3       sid       unit;core;pool;simulator;threads;postgres
clang-23-libc++  sid       clang++-23  libc++     sid/libasio-dev            2       sid       core;threads;verbs
asio-newest      sid       g++-16      libstdc++  upstream/1.38.2            3       sid       unit;core;threads;verbs
boost-1.81       bookworm  g++-12      libstdc++  bookworm/libboost1.81-dev  2       bookworm  core;threads;verbs
boost-1.88       trixie    clang++-18  libstdc++  trixie/libboost1.88-dev    3       -         core;threads
boost-1.92       sid       clang++-22  libstdc++  sid/libboost1.92-dev       3       sid       unit;core;pool;simulator;threads;postgres
CELLS
}
# `verbs`: the part of `postgres` that uses most of libpq.
verbs='bulk|cancelling|commit|libpq_features|multiplexer|multiplexers|pipeline|pool|query|statement_cache|transaction'

# What is unpacked of each suite: one root for all its cells.
packages_of() {
  local tools='bash dash coreutils sed grep gawk findutils util-linux procps openssl perl ccache cmake ninja-build libc6-dev libpq-dev'
  case $1 in
    bookworm) echo "$tools g++-12 clang-14 clang-15 clang-16 libc++-14-dev libc++abi-14-dev postgresql-15" ;;
    trixie) echo "$tools g++-14 clang-17 clang-18 clang-19 postgresql-17" ;;
    sid) echo "$tools g++-13 g++-15 g++-16 clang-21 clang-22 clang-23 libc++-23-dev libc++abi-23-dev postgresql-18" ;;
  esac
}

say() { echo "matrix: $*"; }
names() { all_cells | awk 'NR > 1 { print $1 }'; }
# The columns of one cell, as variables.
read_cell() {
  read -r cell suite compiler library asio catch2 server areas < <(all_cells | awk -v name="$1" '$1 == name') || {
    say "there is no cell $1; there are: $(names | tr "\n" " ")" >&2
    exit 2
  }
  folder=$results/$cell
}

# --- roots --------------------------------------------------------------------------------------------------------------------

root_of() { # suite
  local packages
  read -ra packages <<<"$(packages_of "$1")"
  "$install" root "$1" "${packages[@]}"
}
# Runs a command within a root. This project, the results and /tmp are at the same places in there.
enter() { # root, command...
  # shellcheck disable=SC2016 # expanded inside
  unshare --mount bash -euc '
    root=$1
    for folder in /proc /dev; do
      mkdir -p "$root$folder"
      mount --rbind "$folder" "$root$folder"
    done
    for folder in /tmp "$2" "$3"; do
      mkdir -p "$root$folder"
      mount --bind "$folder" "$root$folder"
    done
    shift 3
    exec chroot "$root" /usr/bin/env PATH=/usr/bin:/bin HOME=/tmp TMPDIR=/tmp "$@"
  ' _ "$1" "$repo" "$results" "${@:2}"
}

server_root='' server_folder=''
start_server() { # suite
  server_root=$(root_of "$1") || return 1
  server_folder=$(mktemp -d /tmp/tidepool-matrix.XXXXXX)
  chmod 711 "$server_folder"
  TIDEPOOL_TEST_PG=$(enter "$server_root" "$repo/tests/support/postgres_server.sh" start "$server_folder/pg") || return 1
  export TIDEPOOL_TEST_PG
}
stop_server() {
  if [ -z "$server_folder" ]; then return; fi
  enter "$server_root" "$repo/tests/support/postgres_server.sh" stop "$server_folder/pg" immediate || true
  rm -rf "$server_folder"
  server_folder=''
  unset TIDEPOOL_TEST_PG
}

# --- results ------------------------------------------------------------------------------------------------------------------

# One number for all that a cell uses.
state_of_cell() {
  local used
  IFS=';' read -ra used <<<"${areas/verbs/postgres}"
  {
    echo "$suite $compiler $library $asio $catch2 $server $areas $verbs"
    cd "$repo"
    find include CMakeLists.txt .cmake tests/CMakeLists.txt tests/CMakePresets.json tests/support "${used[@]/#/tests/}" -type f \
      ! -name '*.md' -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c 1-16
}

version_of() { sed -n "s/^$1=//p" "$folder/versions" 2>/dev/null | grep . || echo "$2"; }
# The cell's row of the table.
row() { # what came of it, in words
  local with='– | –' log=$folder/tree/Testing/Temporary/LastTest.log calls=''
  if [ "$server" != - ]; then
    if [ -e "$log" ]; then
      calls=", $(grep -cE 'libpq [0-9.]+: (rows in chunks|cancels without|closes statements by a message|a pipeline is sent at once)' "$log") of 4"
    fi
    with="$(version_of libpq "of $suite")$calls | $(version_of server "of $server")"
  fi
  printf '| %s | %s | %s | %s | %s | %s | %s | %s |\n' "$cell" "$(version_of compiler "$compiler")" "$(version_of library "$library")" \
    "$(version_of asio "$asio")" "$(version_of catch2 "$catch2")" "$with" "${areas//;/ }" "$1"
}
note() { row "$1" >"$folder/row"; }

write_table() {
  local table name
  table=$(
    echo '| cell | compiler | standard library | Asio | Catch2 | libpq | server | areas | result |'
    echo '|---|---|---|---|---|---|---|---|---|'
    for name in $(names); do
      read_cell "$name"
      cat "$folder/row" 2>/dev/null || grep "^| $cell |" "$page" || row 'not run'
    done
  )
  TABLE=$table perl -0pi -e 's/(<!-- matrix -->\n).*?(<!-- end of matrix -->)/$1$ENV{TABLE}\n$2/s or die "no markers\n"' "$page"
}

# --- cells --------------------------------------------------------------------------------------------------------------------

not_run() { # why
  say "$cell: NOT RUN: $1"
  rm -f "$folder/versions" "$folder/passed"
  note "not run: $1"
  return 77
}

# Exit status: 0 passed, 1 failed, 77 not run.
run_cell() { # name
  local root place state commit day begin=$SECONDS status=0 options=()
  read_cell "$1"
  mkdir -p "$folder"
  state=$(state_of_cell)
  if [ -z "${AGAIN:-}" ] && [ "$(cat "$folder/passed" 2>/dev/null)" = "$state" ]; then
    say "$cell: has passed, and nothing it uses has changed since"
    return 0
  fi
  rm -f "$folder/passed"
  if [ "$(id -u)" != 0 ]; then not_run 'only root can enter another Debian' || return 77; fi
  root=$(root_of "$suite") || not_run "$suite cannot be had" || return 77

  options=("-DCMAKE_CXX_COMPILER=$compiler" "-DTIDEPOOL_TEST_PREFIX=$cell." "-DTIDEPOOL_TEST_AREAS=${areas/verbs/postgres}")
  if [[ $areas == *verbs* ]]; then options+=("-DTIDEPOOL_TEST_FILES=(unit|core|pool|threads)/.*|postgres/($verbs)"); fi
  if [ "$library" = libc++ ]; then options+=('-DCMAKE_CXX_FLAGS=-stdlib=libc++'); fi
  if [[ $asio == upstream/* ]]; then
    place=$("$install" upstream-asio "${asio#*/}") || not_run "Asio ${asio#*/} cannot be had" || return 77
  else
    place=$("$install" headers "${asio%/*}" "${asio#*/}") || not_run "the ${asio#*/} of ${asio%/*} cannot be had" || return 77
  fi
  if [[ $asio == */libboost* ]]; then
    options+=("-DTIDEPOOL_TEST_BOOST_ASIO=ON" "-DTIDEPOOL_STANDALONE_ASIO=OFF" "-DTIDEPOOL_BOOST_INCLUDE_DIR=$place")
  else
    options+=("-DTIDEPOOL_ASIO_INCLUDE_DIR=$place")
  fi
  if [ "$catch2" = 2 ]; then
    place=$("$install" headers bookworm catch2) || not_run 'Catch2 2 cannot be had' || return 77
  else
    place=$("$install" headers "$suite" libcatch2-dev) || not_run 'Catch2 3 cannot be had' || return 77
  fi
  options+=("-DCatch2_DIR=${place%/include}/lib/cmake/Catch2")
  if [ "$server" != - ]; then
    start_server "$server" || not_run "no PostgreSQL of $server starts" || return 77
  fi

  say "$cell: building and running ${areas//;/ }; log: $folder/log"
  rm -rf "$folder/tree"
  enter "$root" "$repo/tests/support/cell.sh" "$folder" "${options[@]}" >"$folder/log" 2>&1 || status=$?
  stop_server
  commit=$(git -C "$repo" describe --always --dirty --exclude '*' 2>/dev/null) || commit='no commit'
  day="$(date -u +%F), $commit"
  if [ $status = 0 ]; then
    # Files that have changed meanwhile may be in it or not.
    if [ "$(state_of_cell)" = "$state" ]; then echo "$state" >"$folder/passed"; fi
    note "$day: $(sed -n 's/.* tests failed out of \([0-9]*\).*/\1/p' "$folder/log") passed"
    say "$cell: passed, $((SECONDS - begin)) s"
    return 0
  fi
  if [ $status = 3 ]; then
    note "$day: DOES NOT BUILD"
    grep -E -A 3 'error:|warning:|undefined reference|CMake Error' "$folder/log" | head -n 40 || tail -n 20 "$folder/log"
    say "$cell: DOES NOT BUILD; log: $folder/log"
  else
    note "$day: $(sed -n 's/.* \([0-9]*\) tests failed out of \([0-9]*\).*/\1 of \2 FAILED/p' "$folder/log")"
    sed -n '/The following tests FAILED/,$p' "$folder/log"
    say "$cell: FAILED; log: $folder/log"
  fi
  return 1
}

case ${1:-} in
  --list) names && exit ;;
  --table) write_table && exit ;;
  -*) sed -n '6,9s/^# *//p' "$0" >&2 && exit 2 ;;
esac
trap stop_server EXIT
trap 'exit 130' INT TERM
# Not those of a long run: what takes long there says little of compilers.
unset TIDEPOOL_TEST_PG TIDEPOOL_LONG TIDEPOOL_STRESS_ROUNDS TIDEPOOL_PGBOUNCER_ROOT
export TIDEPOOL_SIM_SECONDS=5
if [ $# = 0 ]; then
  all=yes
  mapfile -t wanted < <(names)
else
  all=no
  wanted=("$@")
fi
failed=() skipped=()
for name in "${wanted[@]}"; do
  status=0
  run_cell "$name" || status=$?
  case $status in
    0) ;;
    77) skipped+=("$name") ;;
    *) failed+=("$name") ;;
  esac
done
if [ $all = yes ]; then write_table; fi
say "$((${#wanted[@]} - ${#failed[@]} - ${#skipped[@]})) of ${#wanted[@]} cells passed${failed:+; failed: ${failed[*]}}${skipped:+; not run: ${skipped[*]}}"
if [ ${#failed[@]} -gt 0 ]; then exit 1; fi
if [ ${#skipped[@]} -gt 0 ]; then exit 77; fi
