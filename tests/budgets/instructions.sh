#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - instructions per operation and sizes, against what was recorded for the same compiler and Asio.
#
#   instructions.sh check  LOOPS    more than 5 % above the record: exit status 1. Nothing recorded for this toolchain, or no valgrind: 77
#   instructions.sh record LOOPS    writes the record anew (the target `record_budgets` of the build does that)
#
# LOOPS is the program made of loops.cpp. Each loop runs twice under callgrind, short and long; the difference is the loop's own. User
# space only, and valgrind reads clocks by system call, so clocks do not count here (counts.cpp counts them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
record=$here/recorded.txt
short=1000 long=21000

[ $# -eq 2 ] || { sed -n '4,5s/^# *//p' "$0" >&2; exit 2; }
what=$1 loops=$2
if ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind is not installed"
  exit 77
fi
toolchain=$("$loops" toolchain)-$(uname -m)

executed() { # case, count
  # The processor's features decide which memcpy glibc takes; the plainest is everywhere.
  GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-AVX512F,-ERMS,-FSRM valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    "$loops" "$1" "$2" 2>&1 | awk '/Collected/ { print $NF; found = 1 } END { exit !found }'
}
measured=$(
  "$loops" sizes | sed 's/^/size /'
  for name in $("$loops" cases); do
    few=$(executed "$name" $short)
    many=$(executed "$name" $long)
    awk "BEGIN { printf \"instructions $name %.1f\n\", ($many - $few) / ($long - $short) }"
  done
)

if [ "$what" = record ]; then
  {
    echo "# tidepool - made by instructions.sh record: bytes, and instructions per operation, by toolchain."
    { grep -v '^#' "$record" 2>/dev/null || true; } | awk -v toolchain="$toolchain" '$1 != toolchain'
    awk -v toolchain="$toolchain" '{ print toolchain, $0 }' <<<"$measured"
  } >"$record.new"
  mv "$record.new" "$record"
  grep "^$toolchain " "$record"
  exit 0
fi

status=0
awk -v toolchain="$toolchain" '
  NR == FNR { if ($1 == toolchain) { known = 1; budget[$2 " " $3] = $4 }; next }
  {
    key = $1 " " $2
    room = $1 == "size" ? 1 : 1.05
    verdict = !known ? "not recorded" : !(key in budget) ? "MISSING from the record" : $3 > budget[key] * room ? "TOO MANY" : "ok"
    printf "%-45s %8s  recorded %8s  %s\n", key, $3, key in budget ? budget[key] : "-", verdict
    if (known && verdict != "ok") failed = 1
    got[key] = $3
  }
  END {
    # A policy that is off is not looked at, whatever it is made of, but the compiler may inline differently; and one that is off is
    # never dearer than one that is on.
    off = got["instructions acquire.bare"]; heavy = got["instructions acquire.bare_with_dead_weight"]
    if (heavy > off * 1.05 || heavy < off * 0.95) { print "a policy that is off changes the instructions: " off " and " heavy; failed = 1 }
    for (key in got) {
      if (key ~ /acquire.without_/ && got[key] > got["instructions acquire.concrete_executor"] * 1.01) {
        print key " takes more than with the policy on"; failed = 1
      }
    }
    if (failed) exit 1
    if (!known) { print "skipped: nothing is recorded for " toolchain; exit 77 }
  }' "$record" - <<<"$measured" || status=$?
exit $status
