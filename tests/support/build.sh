#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - the part of tests/run.sh that ctest calls to build one configuration.
#
#   build.sh FOLDER JOBS   builds the configured FOLDER; its output goes to FOLDER.log, and of a failure the errors are printed as well
set -euo pipefail
folder=$1 jobs=$2
began=$SECONDS

# Memory in large pages: a fifth less time for Clang, nothing for GCC, whose memory is not malloc's.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# Behind the tests that run beside it, which have deadlines: with the time that they leave, or at least after them.
behind=(nice -n 10)
if chrt --idle 0 true 2>/dev/null; then behind=(chrt --idle 0); fi
status=0
"${behind[@]}" ninja -C "$folder" -j "$jobs" -k 0 >>"$folder.log" 2>&1 || status=$?
if [ $status -ne 0 ]; then
  echo "building FAILED, see $folder.log"
  grep -E 'error:|warning:|undefined reference|multiple definition' "$folder.log" | head -n 30 || tail -n 30 "$folder.log"
  exit $status
fi
times >"$folder.times"
awk -v real=$((SECONDS - began)) -F '[ms ]+' 'NR == 2 { printf "built in %d s, %d s of processor time\n", real, $1 * 60 + $2 + $3 * 60 + $4 }' \
  "$folder.times" | tee -a "$folder.log"
