#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - runs a program of 64-bit Windows under Wine: without a screen, and with a Windows of its own in FOLDER, made when it is missing.
#
#   wine.sh FOLDER PROGRAM [arguments]
set -euo pipefail
mkdir -p "${1:?a folder}"
WINEPREFIX=$(cd "$1" && pwd)
export WINEPREFIX WINEDEBUG=${WINEDEBUG:--all} WINEARCH=win64 WINEDLLOVERRIDES='mscoree,mshtml=' # no offer to fetch those two
unset DISPLAY WAYLAND_DISPLAY
shift

if [ ! -e "$WINEPREFIX/.complete" ]; then
  exec 9>"$WINEPREFIX.lock"
  flock 9 # several tests may start at once
  if [ ! -e "$WINEPREFIX/.complete" ]; then
    wine wineboot --init >"$WINEPREFIX/wineboot.log" 2>&1
    touch "$WINEPREFIX/.complete"
  fi
  exec 9>&-
fi
exec wine "$@"
