#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - shows that the tests notice bugs: applies each mutant of mutants.txt to a copy of the headers, builds, and expects a test to fail.
#
#   run.sh            all mutants; what came of them goes into README.md beside this script
#   run.sh --check    only that each still applies (fast)
#   run.sh NAME...    some of them; the rows of the others stay as they are
#
# The cheapest area of tests comes first, and the first test that fails ends it. A mutant that does not compile, or that no test notices
# within a minute of running, makes the run fail. $JOBS: how many compilers at once; default: the processors. $AREAS: which areas of tests.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
jobs=${JOBS:-$(nproc)}
read -ra areas <<<"${AREAS:-core threads simulator pool unit}"
whole=(core simulator) # areas whose files compile as one, which is much faster
export TIDEPOOL_SIM_SECONDS=3 TIDEPOOL_SIM_SHRINK=0

mapfile -t all < <(sed -n 's/^== //p' "$here/mutants.txt")
names=("${all[@]}")
check=no
if [ "${1:-}" = --check ]; then
  check=yes
elif [ $# -gt 0 ]; then
  names=("$@")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/include" "$work/pristine"

if [ $check = yes ]; then
  for name in "${names[@]}"; do
    perl "$here/apply.pl" "$here/mutants.txt" "$name" "$root/include" check
  done
  echo "${#names[@]} mutants apply"
  exit 0
fi

mkdir "$work/source"
cp -r "$root"/{include,tests,examples,benchmarks,.cmake,CMakeLists.txt,README.md,LICENSE} "$work/source/"
configure() { # folder, areas, options
  cmake -G Ninja -S "$work/source" -B "$work/$1" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG= -DCMAKE_CXX_FLAGS=-O0 \
    -DTIDEPOOL_BUILD_TESTS=ON -DTIDEPOOL_BUILD_EXAMPLES=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF -DTIDEPOOL_WERROR=OFF \
    "-DTIDEPOOL_TEST_AREAS=$2" "${@:3}" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}
list() { local IFS=';' && echo "$*"; }
configure one "$(list "${whole[@]}")" -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0
configure many "$(list "${areas[@]}")"
folder_of() { case " ${whole[*]} " in *" $1 "*) echo "$work/one" ;; *) echo "$work/many" ;; esac; }
build() { ninja -C "$(folder_of "$1")" -j "$jobs" "tidepool_test_$1" >"$work/log" 2>&1; }
# The test that failed, or nothing. A minute means one minute of processor time, so that other programs on this machine do not matter; a test
# that has not used it up after some minutes of real time waits for something that does not come.
run() {
  local status=0
  (ulimit -t 60 && exec timeout -k 5 240 "$(folder_of "$1")/tests/tidepool_test_$1" --abort --use-colour no) >"$work/run" 2>&1 || status=$?
  case $status in
    0) return 1 ;;
    124 | 137 | 152) failed="(no end within a minute)" ;;
    # The title of the case stands between two lines, and may go over several.
    *) failed=$(awk '/^----------/ { if (inside) exit; inside = 1; next } inside { sub(/^ +/, ""); printf "%s%s", sep, $0; sep = " " }' \
      "$work/run") ;;
  esac
  [ -n "$failed" ] || failed="(status $status: $(tail -n 1 "$work/run"))"
}

# Programs that fail, or take long, without a mutant would show nothing.
for area in "${areas[@]}"; do
  build "$area" || { tail -n 30 "$work/log"; exit 1; }
  if run "$area"; then
    echo "$area fails without a mutant: $failed"
    exit 1
  fi
done

survivors=()
declare -A row
if [ -e "$here/README.md" ]; then
  while IFS='|' read -r _ name by _; do row[${name// /}]=$by; done < <(grep '^| [a-z0-9-]* | [a-z]*:' "$here/README.md")
fi
write_table() {
  local name
  {
    sed '/^| mutant |/,$d' "$here/README.md"
    echo '| mutant | caught by |'
    echo '|---|---|'
    for name in "${all[@]}"; do echo "| $name |${row[$name]:- not run }|"; done
  } >"$work/table"
  cp "$work/table" "$here/README.md"
}

n=0
for name in "${names[@]}"; do
  n=$((n + 1))
  rm -rf "$work/mutated" && cp -r "$work/pristine" "$work/mutated"
  perl "$here/apply.pl" "$here/mutants.txt" "$name" "$work/mutated"
  # Only what differs is touched, so that only what depends on it is built again.
  (cd "$work/mutated" && find . -type f) | while read -r file; do
    cmp -s "$work/mutated/$file" "$work/source/include/$file" || cp "$work/mutated/$file" "$work/source/include/$file"
  done
  caught='' seconds=0
  for area in "${areas[@]}"; do
    if ! build "$area"; then
      # A static_assert, or a warning that is an error, notices it too; but a mutant is meant to compile.
      caught="does not compile"
      break
    fi
    # What does not include the mutant is as it was.
    if grep -q 'no work to do' "$work/log"; then continue; fi
    SECONDS=0
    if run "$area"; then
      caught="$area: $failed" seconds=$SECONDS
      break
    fi
  done
  if [ -z "$caught" ] || [ "$caught" = "does not compile" ]; then
    survivors+=("$name")
    row[$name]=" nothing: ${caught:-it survives} "
  else
    row[$name]=" ${caught//|/\\|} "
  fi
  write_table
  printf '%2d/%d  %-44s %2d s  %s\n' "$n" "${#names[@]}" "$name" "$seconds" "${caught:-SURVIVED}"
  if [ "$caught" = "does not compile" ]; then grep -m 2 error "$work/log" || true; fi
done
echo "$((${#names[@]} - ${#survivors[@]})) of ${#names[@]} mutants caught"
if [ ${#survivors[@]} -gt 0 ]; then
  echo "not caught: ${survivors[*]}"
  exit 1
fi
