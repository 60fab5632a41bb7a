#!/bin/sh
# Starts centrifugo (version 6) with its WebSocket at HOST PORT, files in FOLDER; says where it listens and becomes the server.
set -eu
host=$1 port=$2 folder=$3
command -v centrifugo >/dev/null || { echo "there is no centrifugo on the PATH: see https://centrifugal.dev" >&2; exit 1; }
# Anybody may do anything: it is measured, not used.
cat >"$folder/centrifugo.json" <<CONF
{
  "http_server": { "address": "$host", "port": "$port" },
  "client": { "insecure": true, "allowed_origins": ["*"], "channel_limit": 1000 },
  "log": { "level": "error" }
}
CONF
echo "listening $host:$port centrifuge"
exec centrifugo --config "$folder/centrifugo.json" >"$folder/centrifugo.log" 2>&1
