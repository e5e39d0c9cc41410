#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - a token that is nearly right is refused by as many instructions as one that is wrong from its first byte on.
#
#   secret.sh PROGRAM    the program beside this script; exit status 77: there is no valgrind
set -euo pipefail
command -v valgrind >/dev/null || { echo "skipped: no valgrind"; exit 77; }
count() { # position of the wrong byte
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}
first=$(count "$1" 0)
for at in 1 15 31; do
  other=$(count "$1" $at)
  [ -n "$first" ] && [ "$other" -gt 0 ] || { echo "nothing was counted"; exit 1; }
  # A byte in twenty thousand comparisons would be some thousands; what the start of a program costs may differ by a few.
  [ $((other > first ? other - first : first - other)) -lt 2000 ] ||
    { echo "$first instructions with the first byte wrong, $other with byte $at"; exit 1; }
done
echo "$first instructions, whichever byte is wrong"
