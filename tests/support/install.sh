#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - installs what tests and examples need and this machine lacks; what is there is left alone.
#
#   install.sh                   compilers, CMake, Asio, Catch2, libpq, PostgreSQL, MariaDB, PgBouncer and the rest (Debian and its kin; root or sudo)
#   install.sh newer-asio SUITE  unpacks the Asio of a newer Debian (trixie, sid) under .cache and prints its include folder
#   install.sh upstream-asio X.Y.Z  fetches a release of Asio from its authors under .cache and prints its include folder
#   install.sh headers SUITE PKG unpacks one package of a Debian, without what it needs, under .cache and prints its include folder
#   install.sh root SUITE PKG... unpacks packages of a Debian, with all they need, under .cache, to be entered by chroot, and prints the folder
#   install.sh source PKG        unpacks the sources of a package of this Debian, as they were before Debian, and prints the folder
#   install.sh promtool          unpacks Prometheus of this Debian under .cache and prints the path of its promtool
#   install.sh browser           installs Chromium (root or sudo), unpacks playwright-core under .cache, and prints the paths of both
#   install.sh windows           installs mingw-w64 and Wine (root or sudo), fills a folder for them under .cache, and prints it
#
# All but the first and the last two install nothing. They ask the mirror this machine's apt already uses, and say so and fail when it cannot
# be reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=$PWD/.cache

say() { echo "install: $*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

packages() {
  local wanted=(g++ clang libc++-dev libc++abi-dev llvm lld cmake ninja-build ccache pkg-config libasio-dev catch2 libpq-dev postgresql libmariadb-dev mariadb-server libsqlite3-dev libbenchmark-dev libhttp-parser-dev libspdlog-dev
    valgrind doxygen openssl pgbouncer nftables faketime) # LLVM names the places in what its sanitizers say; the last four are for the faults
  local missing=() optional=(clang-format-14 clang-tidy-14 libboost1.81-dev) package # of Debian 12; newer ones need not have them
  if ! command -v dpkg-query >/dev/null; then
    say "no Debian packages here; needed are the likes of: ${wanted[*]}"
    return 0
  fi
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
  done
  for package in "${optional[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' && continue
    if apt-cache show "$package" >/dev/null 2>&1; then missing+=("$package"); fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "missing: ${missing[*]}; install them as root"
    return 1
  fi
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update || say "apt-get update failed; trying with what is known"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# One at a time, for those who call this beside each other.
locked() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  "$@"
}

# A package index of another suite, or one of sources (deb-src), in a folder of our own, from the mirror this machine uses. Sets
# `apt_options`.
foreign_index() {
  local suite=$1 kind=${2:-deb} dir=$cache/apt-$1${2:+-$2} mirror
  command -v apt-get >/dev/null || { say "no apt here, so nothing newer"; return 1; }
  # shellcheck disable=SC2016 # apt's own placeholders
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }')
  [ -n "$mirror" ] || { say "this machine's apt knows no Debian mirror, so nothing newer"; return 1; }
  mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
  echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$dir/sources.list"
  apt_options=(-qq -o "Dir::State=$dir/state" -o "Dir::Cache=$dir/cache" -o "Dir::State::status=/dev/null"
    -o "Dir::Etc::SourceList=$dir/sources.list" -o "Dir::Etc::SourceParts=/dev/null" -o "Acquire::Languages=none"
    -o "APT::Sandbox::User=$(id -un)" -o "Acquire::Retries=2" -o "Acquire::http::Timeout=20" -o "Debug::NoLocking=true")
  if ! apt-get "${apt_options[@]}" update >"$dir/update.log" 2>&1 || grep -q '^[EW]:' "$dir/update.log"; then
    say "the mirror could not be reached for $suite: $(grep -m 1 '^[EW]:' "$dir/update.log")"
    return 1
  fi
}

package_of() {
  local suite=$1 package=$2 dir=$cache/headers-$1-$2
  if [ ! -e "$dir/.complete" ]; then
    foreign_index "$suite"
    rm -rf "$dir" && mkdir -p "$dir"
    (cd "$dir" && apt-get "${apt_options[@]}" download "$package" >&2 && dpkg -x ./*.deb . && rm -f ./*.deb)
    touch "$dir/.complete"
  fi
  echo "$dir"
}
headers_of() { echo "$(package_of "$@")/usr/include"; }

promtool() {
  local dir
  dir=$(package_of "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" prometheus)
  "$dir/usr/bin/promtool" --version >/dev/null # it needs no other package; a broken one is no promtool
  echo "$dir/usr/bin/promtool"
}

upstream_asio() {
  local tag=asio-${1//./-} dir=$cache/asio-$1
  if [ ! -e "$dir/.complete" ]; then
    rm -rf "$dir" && mkdir -p "$cache"
    GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet --depth 1 --branch "$tag" https://github.com/chriskohlhoff/asio.git "$dir" >&2 ||
      { say "Asio $1 cannot be fetched"; return 1; }
    touch "$dir/.complete"
  fi
  if [ -d "$dir/include" ]; then echo "$dir/include"; else echo "$dir/asio/include"; fi
}

foreign_root() {
  local suite=$1 dir=$cache/root-$1-$2 deb # a folder for each set of packages, by its first
  shift
  if [ "$(cat "$dir/.complete" 2>/dev/null)" != "$*" ]; then
    foreign_index "$suite"
    rm -rf "$dir" && mkdir -p "$dir"
    apt-get "${apt_options[@]}" -y --no-install-recommends --download-only install base-files "$@" >&2
    # base-files first: it makes /bin, /lib and the like links into /usr.
    for deb in "$cache/apt-$suite"/cache/archives/base-files_*.deb "$cache/apt-$suite"/cache/archives/*.deb; do
      dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --keep-directory-symlink
    done
    rm -rf "$cache/apt-$suite/cache/archives"
    # What the packages' scripts would do, as far as programs in there need it.
    printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$dir/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$dir/etc/group"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$dir/etc/hosts"
    echo "$*" >"$dir/.complete"
  fi
  echo "$dir"
}

source_package() {
  local package=$1 dir=$cache/source-$1
  if [ ! -e "$dir/.complete" ]; then
    # shellcheck disable=SC1091 # the system's
    foreign_index "$(. /etc/os-release && echo "$VERSION_CODENAME")" deb-src
    rm -rf "$dir" && mkdir -p "$dir"
    (cd "$dir" && apt-get "${apt_options[@]}" source --download-only --only-source --tar-only "$package" >&2 &&
      tar -xf ./*.orig.tar.* --strip-components=1 && rm -f ./*.orig.tar.*)
    touch "$dir/.complete"
  fi
  echo "$dir"
}

browser() {
  local dir=$cache/browser chromium
  if ! command -v chromium >/dev/null; then
    command -v apt-get >/dev/null || { say "no Debian packages here; needed is chromium"; return 1; }
    say "installing chromium"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || say "apt-get update failed; trying with what is known"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null ||
      { say "chromium cannot be installed"; return 1; }
  fi
  chromium=$(command -v chromium)
  if [ ! -e "$dir/.complete" ]; then
    command -v npm >/dev/null || { say "no npm, so no playwright-core"; return 1; }
    rm -rf "$dir" && mkdir -p "$dir"
    npm install --silent --no-fund --no-audit --prefix "$dir" playwright-core@1 >&2 || { say "playwright-core cannot be fetched"; return 1; }
    touch "$dir/.complete"
  fi
  echo "$chromium $dir/node_modules"
}

windows() {
  local missing=() dir=$cache/windows
  command -v x86_64-w64-mingw32-g++-posix >/dev/null || missing+=(g++-mingw-w64-x86-64-posix)
  command -v wine >/dev/null || missing+=(wine64 wine)
  if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || { say "no Debian packages here; needed are the likes of: ${missing[*]}"; return 1; }
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
      { say "mingw-w64 and Wine cannot be installed"; return 1; }
  fi
  # What is only headers, apart from those of Linux. Without the one file of Catch2 2, CMake fetches Catch2 3.
  rm -rf "$dir" && mkdir -p "$dir/include"
  if [ -e /usr/include/asio.hpp ]; then ln -s /usr/include/asio /usr/include/asio.hpp "$dir/include/"; fi
  if [ -e /usr/include/catch2/catch.hpp ]; then
    mkdir -p "$dir/lib/cmake/Catch2"
    ln -s /usr/include/catch2 "$dir/include/"
    cat >"$dir/lib/cmake/Catch2/Catch2Config.cmake" <<'CMAKE'
add_library(Catch2::Catch2 INTERFACE IMPORTED)
set_target_properties(Catch2::Catch2 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_LIST_DIR}/../../../include)
set(Catch2_VERSION 2)
CMAKE
  fi
  echo "$dir"
}

case ${1:-} in
  "") packages ;;
  newer-asio) locked headers_of "${2:?which suite}" libasio-dev ;;
  upstream-asio) locked upstream_asio "${2:?which release}" ;;
  headers) locked headers_of "${2:?which suite}" "${3:?which package}" ;;
  root) shift && locked foreign_root "$@" ;;
  promtool) locked promtool ;;
  browser) locked browser ;;
  source) locked source_package "${2:?which package}" ;;
  windows) windows ;;
  *) sed -n '4,14s/^# *//p' "$0" >&2 && exit 2 ;;
esac
