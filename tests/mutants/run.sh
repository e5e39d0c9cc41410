#!/usr/bin/env bash
# tidepool - shows that the tests notice bugs: applies each mutant of mutants.txt to a copy of the headers, builds, and expects a test to fail.
#
#   run.sh            all mutants
#   run.sh --check    only that each still applies (fast)
#   run.sh NAME...    some of them
#
# A mutant that does not compile, or that no test notices within a minute of running, makes the run fail.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
jobs=${JOBS:-$(nproc)}
areas=(core shell simulator)

mapfile -t names < <(sed -n 's/^== //p' "$here/mutants.txt")
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
    rm -rf "$work/include" && cp -r "$work/pristine" "$work/include"
    perl "$here/apply.pl" "$here/mutants.txt" "$name" "$work/include"
  done
  echo "${#names[@]} mutants apply"
  exit 0
fi

mkdir "$work/source"
cp -r "$root"/{include,tests,examples,benchmarks,CMakeLists.txt,README.md,LICENSE} "$work/source/" 2>/dev/null || true
build() {
  ninja -C "$work/build" -j "$jobs" "tidepool_test_$1" >"$work/log" 2>&1
}
echo "building the tests without a mutant"
list=$(IFS=';' && echo "${areas[*]}")
cmake -G Ninja -S "$work/source" -B "$work/build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O0 -DTIDEPOOL_BUILD_TESTS=ON \
  "-DTIDEPOOL_TEST_AREAS=$list" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
programs=()
for area in "${areas[@]}"; do
  if ninja -C "$work/build" -t query "tidepool_test_$area" >/dev/null 2>&1; then programs+=("$area"); fi
done

survivors=()
n=0
for name in "${names[@]}"; do
  n=$((n + 1))
  rm -rf "$work/mutated" && cp -r "$work/pristine" "$work/mutated"
  perl "$here/apply.pl" "$here/mutants.txt" "$name" "$work/mutated"
  # Only what differs is touched, so that only what depends on it is built again.
  (cd "$work/mutated" && find . -type f) | while read -r file; do
    cmp -s "$work/mutated/$file" "$work/source/include/$file" || cp "$work/mutated/$file" "$work/source/include/$file"
  done
  caught=
  for area in "${programs[@]}"; do
    if ! build "$area"; then
      # A static_assert, or a warning that is an error, notices it too; but a mutant is meant to compile.
      caught="does not compile"
      break
    fi
    started=$(date +%s)
    program=$(find "$work/build" -type f -name "tidepool_test_$area" | head -1)
    if ! timeout 60 "$program" --abort >"$work/run" 2>&1; then
      caught="$area, $(($(date +%s) - started)) s: $(grep -m 1 -A 1 -E '^-{20,}$' "$work/run" | tail -1)"
      break
    fi
  done
  if [ -z "$caught" ] || [ "$caught" = "does not compile" ]; then survivors+=("$name"); fi
  printf '%2d/%d  %-44s %s\n' "$n" "${#names[@]}" "$name" "${caught:-SURVIVED}"
  if [ "$caught" = "does not compile" ]; then grep -m 2 error "$work/log" || true; fi
done
echo "$((${#names[@]} - ${#survivors[@]})) of ${#names[@]} mutants caught"
if [ ${#survivors[@]} -gt 0 ]; then
  echo "not caught: ${survivors[*]}"
  exit 1
fi
