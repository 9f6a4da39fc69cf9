#!/usr/bin/env bash
# Makes PostgreSQL (13 or newer) and redis-server (7.0 or newer) available to `make run` and
# `make test`, without installing either: what is there is used, else Debian's or Ubuntu's packages
# are unpacked into target/tools, which needs no root. Prints where the two are.
#
#   POSTGRES_BIN         directory with initdb, postgres and pg_ctl
#   REDIS_SERVER         path of redis-server
#   TOOLS_IGNORE_SYSTEM  set: only those two variables and target/tools are looked at
#
# src/dev/tools.rs looks in the same places in the same order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TOOLS="$PWD/target/tools"
readonly POSTGRES_MIN=13
readonly REDIS_MIN=7

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# --- looking ---------------------------------------------------------------------------------

is_postgres() { [[ -x $1/initdb && -x $1/postgres && -x $1/pg_ctl ]]; }

# The newest version below $1/usr/lib/postgresql.
newest_postgres() {
  local bin newest='' major best=0
  for bin in "$1"/usr/lib/postgresql/*/bin; do
    major=${bin%/bin}
    major=${major##*/}
    if [[ $major =~ ^[0-9]+$ ]] && ((major >= POSTGRES_MIN && major > best)) && is_postgres "$bin"; then
      best=$major
      newest=$bin
    fi
  done
  [[ -n $newest ]] && printf '%s\n' "$newest"
}

find_postgres() {
  if [[ -n ${POSTGRES_BIN:-} ]]; then
    printf '%s\n' "$POSTGRES_BIN"
    return
  fi
  local path
  if [[ -z ${TOOLS_IGNORE_SYSTEM:-} ]]; then
    newest_postgres '' && return
    if path=$(command -v postgres); then
      path=$(dirname "$(readlink -f "$path")")
      is_postgres "$path" && printf '%s\n' "$path" && return
    fi
  fi
  newest_postgres "$TOOLS/postgres"
}

# Version 6 knows neither functions nor sharded pub/sub, so a too old one is as good as none.
is_redis() {
  [[ -x $1 ]] || return 1
  local version
  version=$(LD_LIBRARY_PATH="$(library_path "$TOOLS/redis")" "$1" --version 2>/dev/null) || return 1
  [[ $version =~ v=([0-9]+)\. ]] && ((BASH_REMATCH[1] >= REDIS_MIN))
}

find_redis() {
  if [[ -n ${REDIS_SERVER:-} ]]; then
    printf '%s\n' "$REDIS_SERVER"
    return
  fi
  local path
  if [[ -z ${TOOLS_IGNORE_SYSTEM:-} ]] && path=$(command -v redis-server) && is_redis "$path"; then
    printf '%s\n' "$path"
    return
  fi
  is_redis "$TOOLS/redis/usr/bin/redis-server" && printf '%s\n' "$TOOLS/redis/usr/bin/redis-server"
}

# The library directories below $1.
library_path() {
  local dir joined=''
  for dir in "$1"/usr/lib/*-linux-gnu* "$1"/lib/*-linux-gnu*; do
    [[ -d $dir ]] && joined+=${joined:+:}$dir
  done
  printf '%s\n' "$joined"
}

# --- fetching --------------------------------------------------------------------------------

# Runs as root where that is possible without a question asked.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

# Standard output is for the two lines found, so apt's goes to standard error.
quiet() { "$@" >&2; }

need_apt() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "$1 is missing, and this is neither Debian nor Ubuntu." \
      "Install PostgreSQL $POSTGRES_MIN+ and Redis $REDIS_MIN+ with the system's package manager, or set" \
      "  POSTGRES_BIN  to the directory of initdb, postgres and pg_ctl" \
      "  REDIS_SERVER  to the path of redis-server"
  fi
  if [[ -z ${lists_are_fresh:-} ]] && ! apt-cache show redis-server >/dev/null 2>&1; then
    quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq \
      || fail "apt's package lists are empty: run \`apt-get update\` as root once."
    lists_are_fresh=1
  fi
}

# Unpacks packages into directory $1. Their scripts do not run, so nothing is started or set up.
unpack() {
  local root=$1 debs
  shift
  mkdir -p "$root"
  debs=$(mktemp -d "$root/debs.XXXXXX")
  # The lists may name versions that the mirror has replaced since: then they are read anew.
  # The sandbox user of apt could not write into a clone of root's.
  if ! (cd "$debs" && quiet apt-get -qq -o APT::Sandbox::User=root download "$@"); then
    quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || true
    if ! (cd "$debs" && quiet apt-get -qq -o APT::Sandbox::User=root download "$@"); then
      rm -rf "$debs"
      fail "apt-get could not download: $*"
    fi
  fi
  local deb
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$root"; done
  rm -rf "$debs"
}

# Of the programs $2... below $1.
missing_libraries() {
  local libraries
  libraries=$(library_path "$1")
  shift
  LD_LIBRARY_PATH="$libraries" ldd "$@" 2>/dev/null | awk '/not found/ { print $1 }' | sort -u
}

# The libraries that packages $1... depend on, directly or through other libraries. Not libllvm:
# only JIT compilation wants it, which is off, and it is larger than all the rest.
library_packages() {
  local level=("$@") found=' ' name
  while ((${#level[@]} > 0)); do
    local names
    names=$(apt-cache depends --important "${level[@]}" 2>/dev/null \
      | sed -n 's/^ *|\?\(Pre\)\?Depends: *\(\(lib\|lua\)[^:<>]*\).*/\2/p' | sort -u)
    level=()
    for name in $names; do
      [[ $found == *" $name "* || $name =~ ^lib(llvm|c6$|gcc-s1$) ]] && continue
      found+="$name "
      level+=("$name")
    done
  done
  printf '%s\n' "$found"
}

# Adds the libraries below $1 that programs $3... lack, out of what package $2 depends on.
complete_libraries() {
  local root=$1 package=$2 wanted=() name missing
  shift 2
  [[ -n $(missing_libraries "$root" "$@") ]] || return 0
  for name in $(library_packages "$package"); do
    # Not those that are installed: the system's copy is found without LD_LIBRARY_PATH.
    dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || wanted+=("$name")
  done
  ((${#wanted[@]} == 0)) || unpack "$root" "${wanted[@]}"
  missing=$(missing_libraries "$root" "$@")
  [[ -z $missing ]] || fail "shared libraries are missing for $package:" "$missing"
}

get_postgres() {
  need_apt PostgreSQL
  local major
  major=$(apt-cache search --names-only '^postgresql-[0-9]+$' \
    | awk '{ sub(/^postgresql-/, "", $1); print $1 }' | sort -n | tail -n 1)
  [[ -n $major ]] && ((major >= POSTGRES_MIN)) \
    || fail "apt offers no PostgreSQL $POSTGRES_MIN or newer: set POSTGRES_BIN to the directory of one."
  local root="$TOOLS/postgres.new"
  local bin="$root/usr/lib/postgresql/$major/bin"
  rm -rf "$root" "$TOOLS/postgres"
  unpack "$root" "postgresql-$major" "postgresql-client-$major" libpq5
  complete_libraries "$root" "postgresql-$major" "$bin/postgres" "$bin/initdb" "$bin/pg_ctl"
  # Only what is complete gets the name that is looked for.
  mv "$root" "$TOOLS/postgres"
}

get_redis() {
  need_apt redis-server
  local version
  version=$(apt-cache show --no-all-versions redis-server 2>/dev/null | awk '/^Version:/ { print $2; exit }')
  version=${version#*:}
  [[ ${version%%.*} =~ ^[0-9]+$ ]] && ((${version%%.*} >= REDIS_MIN)) \
    || fail "apt offers redis-server ${version:-not at all}, but $REDIS_MIN.0 or newer is needed:" \
      "set REDIS_SERVER to the path of one (packages for every release: https://redis.io/docs/latest/operate/oss_and_stack/install/)."
  local root="$TOOLS/redis.new"
  rm -rf "$root" "$TOOLS/redis"
  unpack "$root" redis-server redis-tools
  complete_libraries "$root" redis-tools "$root/usr/bin/redis-server"
  mv "$root" "$TOOLS/redis"
}

# Debian's PostgreSQL reads the system's time zones from a fixed place, and clients ask for UTC.
get_time_zones() {
  need_apt "the time zone database"
  quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tzdata \
    || fail "PostgreSQL needs the time zone database: install the package tzdata."
}

# cargo needs a C linker.
get_linker() {
  need_apt "a C compiler (cc)"
  quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev \
    || fail "cargo needs a C linker: install the packages gcc and libc6-dev."
}

[[ -z ${POSTGRES_BIN:-} ]] || is_postgres "$POSTGRES_BIN" \
  || fail "POSTGRES_BIN=$POSTGRES_BIN holds no initdb, postgres and pg_ctl."
[[ -z ${REDIS_SERVER:-} ]] || is_redis "$REDIS_SERVER" \
  || fail "REDIS_SERVER=$REDIS_SERVER is no redis-server of version $REDIS_MIN.0 or newer."

command -v cc >/dev/null || get_linker
postgres=$(find_postgres) || { get_postgres && postgres=$(find_postgres); } \
  || fail "PostgreSQL was unpacked, but is not found in $TOOLS"
redis=$(find_redis) || { get_redis && redis=$(find_redis); } \
  || fail "redis-server was unpacked into $TOOLS, but does not run"
[[ $postgres != "$TOOLS"/* || -e /usr/share/zoneinfo/UTC ]] || get_time_zones
printf 'PostgreSQL:   %s\nredis-server: %s\n' "$postgres" "$redis"
