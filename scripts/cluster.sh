#!/usr/bin/env bash
# A cluster on this machine, without containers: two nodes, PostgreSQL, Redis and a balancer in front, all of their own, on
# loopback and in a folder that goes with them. The demo's project and log-ins are in it. Ctrl-C stops everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly front="${CLUSTER_FRONT:-127.0.0.1:8080}" a="${CLUSTER_A:-127.0.0.1:8081}" b="${CLUSTER_B:-127.0.0.1:8082}"
readonly a_admin="${CLUSTER_A_ADMIN:-127.0.0.1:9464}" b_admin="${CLUSTER_B_ADMIN:-127.0.0.1:9465}"
readonly deskbell="${DESKBELL:-target/debug/deskbell}"
pids=()

say() { printf '%s\n' "$*" >&2; }

# Nodes first: what they were told is in the database before it goes.
stop() {
  trap '' INT TERM
  local pid
  for pid in $(printf '%s\n' "${pids[@]}" | tac); do
    kill -TERM "$pid" 2>/dev/null || continue
    wait "$pid" 2>/dev/null || true
  done
  scripts/test-postgres.sh stop "$folder/postgres"
  rm -rf "$folder"
  say "stopped"
}

# Waits until a node says that it is ready.
wait_ready() {
  local attempt
  for attempt in $(seq 300); do
    kill -0 "$2" 2>/dev/null || { cat "$folder/$3.log" >&2 && exit 1; }
    if curl -fsS -o /dev/null "http://$1/readyz" 2>/dev/null; then return; fi
    sleep 0.1
  done
  say "$3 is not ready: see $folder/$3.log"
  exit 1
}

# A node, by name, public address and admin address. The log-ins are the demo's; they are printed with the first one.
start_node() {
  mkdir "$folder/$1"
  "$deskbell" demo --listen "$2" --data-dir "$folder/$1" --set "admin.listen=$3" --set "public_url=http://$front" \
    --set "database.url=postgres://deskbell@localhost/postgres?host=$folder/postgres" \
    --set "redis.url=unix://$folder/redis.sock" >"$folder/$1.log" 2>&1 </dev/null &
  pids+=("$!")
  wait_ready "$3" "$!" "$1"
}

folder="$(mktemp -d --suffix .deskbell-cluster)"
chmod 755 "$folder"
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/test-postgres.sh start "$folder/postgres" fsync=on
redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no --dir "$folder" >"$folder/redis.log" 2>&1 </dev/null &
pids+=("$!")
while [ ! -S "$folder/redis.sock" ]; do
  kill -0 "${pids[0]}" 2>/dev/null || { cat "$folder/redis.log" >&2 && exit 1; }
  sleep 0.05
done
start_node node-a "$a" "$a_admin"
start_node node-b "$b" "$b_admin"
DESKBELL_BIND="$front" DESKBELL_A="$a" DESKBELL_B="$b" \
  DESKBELL_A_ADMIN_PORT="${a_admin##*:}" DESKBELL_B_ADMIN_PORT="${b_admin##*:}" \
  haproxy -db -q -f deploy/haproxy.cfg </dev/null &
pids+=("$!")

cat "$folder/node-b.log"
say "
  That is one of two nodes; take these addresses, which the balancer serves:

    shop     http://$front/demo
    console  http://$front/
    nodes    http://$a  http://$b
    health   http://$a_admin/readyz  http://$b_admin/readyz
    files    $folder (each node's log, PostgreSQL, Redis)

  Kill what you like of it and see the rest go on; Ctrl-C stops all of it.
"
# A node may be killed, to see the other one go on.
wait "${pids[-1]}" || true
