#!/usr/bin/env bash
# Tries the adapters in load/peers/ for other servers: each relays between some pairs, beside the server, and all of it comes. What
# they can do is measured elsewhere (load/README.md). Centrifugo has no package and is left out.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
for peer in ws socket.io socket.io-redis nats; do
  folder="load/peers/$peer"
  # As figures name it.
  name="${peer//[.-]/_}"
  if [ -f "$folder/package-lock.json" ] && ! scripts/npm-ci.sh "$folder" >/dev/null; then
    printf 'FAILED  %s: its packages can not be installed\n' "$peer"
    failed=1
    continue
  fi
  if said="$(timeout 120 target/debug/deskbell-load chat --peer "$folder" --pairs 10 --seconds 1 --warm-up 1 \
    --fail-if "${name}_not_delivered>0" --fail-if "${name}_messages_per_s<1" 2>&1)"; then
    printf 'ok      %s\n' "$peer"
  else
    printf 'FAILED  %s\n%s\n' "$peer" "$said"
    failed=1
  fi
done
exit "$failed"
