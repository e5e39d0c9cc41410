#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - check.sh PROGRAM: the example makes a recording, tells its story, draws it, and replays it.
set -euo pipefail
replay=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
check() { # what, command...
  local what=$1
  shift
  if "$@" >/dev/null; then echo "ok      $what"; else echo "FAILED  $what"; failed=1; fi
}

"$replay" --sample "$folder/orders.recording"
"$replay" "$folder/orders.recording" >"$folder/story"
check "the story names the places that acquire" grep -q "replay/main.cpp:" "$folder/story"
check "the story has the connections" grep -Eq '^ +6 \|.*#.*\| [0-9]+ leases' "$folder/story"
row() { sed -n "s/^  $1  *\([0-9].*\)/\1/p" "$folder/story" | tr -s ' '; }
check "there were timeouts" test "$(row 'as it was' | cut -d' ' -f2)" -gt 0
check "replayed it comes to the same figures" test "$(row 'as it was')" = "$(row replayed)"
check "twice as large it has no timeouts" test "$(row 'with max_size = 12' | cut -d' ' -f2)" = 0
"$replay" "$folder/orders.recording" --with max_size=7 --with acquire_timeout=2s >"$folder/story"
check "options are taken as words" grep -q "with max_size=7 acquire_timeout=2s" "$folder/story"
events=$("$replay" "$folder/orders.recording" --json | tee "$folder/lines" | sed -n '1s/.*"events":\([0-9]*\).*/\1/p')
check "each event is a line" test "$(wc -l <"$folder/lines")" = $((events + 1))
"$replay" "$folder/orders.recording" --svg "$folder/orders.svg"
check "the picture is whole" grep -q '</svg>' "$folder/orders.svg"
head -c 1000 "$folder/orders.recording" >"$folder/cut"
said=$("$replay" "$folder/cut" 2>&1 || true)
check "a file that was cut off is told as that" grep -q "it ends within" <<<"$said"
exit $failed
