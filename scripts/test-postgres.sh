#!/usr/bin/env bash
# A PostgreSQL for tests: private, in a folder of its own, reached by a Unix socket in it. What is installed as a service is
# neither used nor touched. Nothing of it is durable (fsync = off) unless the settings say so.
#
#   scripts/test-postgres.sh start FOLDER [SETTING=VALUE...]   made if it is missing; returns when it takes connections
#   scripts/test-postgres.sh stop FOLDER [MODE]                MODE as pg_ctl knows it: immediate (a crash; the default), fast;
#                                                              fails when it goes on
#   scripts/test-postgres.sh database FOLDER NAME              makes an empty database
#   scripts/test-postgres.sh while PID FOLDER                  started now, stopped and removed when process PID is gone;
#                                                              FOLDER/ready is there when it takes connections
set -euo pipefail

fail() {
  echo "test-postgres: $*" >&2
  exit 1
}

# PostgreSQL refuses to run as root.
as_owner() {
  if [ "$(id -u)" -eq 0 ]; then
    local user=nobody
    id -u postgres &>/dev/null && user=postgres
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
  else
    "$@"
  fi
}

find_programs() {
  local folder
  for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(dirname "$(command -v initdb || echo none/initdb)")"; do
    [ -x "$folder/initdb" ] && [ -x "$folder/createdb" ] && programs="$folder" && return
  done
  fail "PostgreSQL's programs are missing: scripts/setup.sh test installs them"
}

make_cluster() {
  mkdir -p "$folder"
  [ "$(id -u)" -ne 0 ] || chown "$(as_owner id -u)" "$folder"
  as_owner "$programs/initdb" --pgdata "$folder/data" --username deskbell --auth trust --encoding UTF8 --locale C.UTF-8 --no-sync >"$folder/initdb.log" 2>&1 ||
    fail "$(cat "$folder/initdb.log")"
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$folder'"
    echo "max_connections = 300"
    echo "fsync = off"
    echo "shared_buffers = 32MB"
  } | as_owner tee -a "$folder/data/postgresql.conf" >/dev/null
}

start() {
  local setting attempt
  [ -d "$folder/data" ] || make_cluster
  for setting in "$@"; do
    echo "${setting%%=*} = '${setting#*=}'" | as_owner tee -a "$folder/data/postgresql.conf" >/dev/null
  done
  # A killed one leaves its number behind, and a new one does not start while that number is a process, if only a dead one.
  is_alive || rm -f "$folder/data/postmaster.pid"
  # What it had in memory is gone only when the last of its processes is.
  for attempt in $(seq 50); do
    if (cd / && as_owner "$programs/pg_ctl" --pgdata "$folder/data" --log "$folder/postgres.log" --silent --wait start >/dev/null 2>&1); then
      return
    fi
    sleep 0.1
  done
  fail "it does not start: $(tail -n5 "$folder/postgres.log")"
}

# Whether the server that wrote its number down is a process that lives.
is_alive() {
  local number
  number="$(head -n1 "$folder/data/postmaster.pid" 2>/dev/null || true)"
  [ -n "$number" ] && grep -qs '^State:.[^ZX]' "/proc/$number/status"
}

# One that is not there is stopped.
stop() {
  local said
  is_alive || return 0
  said="$(cd / && as_owner "$programs/pg_ctl" --pgdata "$folder/data" --silent --mode "${1:-immediate}" stop 2>&1)" ||
    ! is_alive || fail "it does not stop: $said"
}

find_programs
case "${1:-}" in
  start)
    folder="$2"
    start "${@:3}"
    ;;
  stop)
    folder="$2"
    stop "${3:-}"
    ;;
  database)
    "$programs/createdb" --host "$2" --username deskbell "$3"
    ;;
  while)
    folder="$3"
    trap '(stop) || true; rm -rf "$folder" "$folder.lock"' EXIT
    start
    touch "$folder/ready"
    while kill -0 "$2" 2>/dev/null; do sleep 0.5; done
    ;;
  *) fail "see the head of this file" ;;
esac
