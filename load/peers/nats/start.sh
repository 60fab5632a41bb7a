#!/bin/sh
# Starts nats-server with its WebSocket at HOST PORT, files in FOLDER; says where it listens and becomes the server.
set -eu
host=$1 port=$2 folder=$3
command -v nats-server >/dev/null || { echo "there is no nats-server: apt-get install nats-server" >&2; exit 1; }
cat >"$folder/nats.conf" <<CONF
listen: "$host:-1"
max_connections: 1000000
websocket { listen: "$host:$port", no_tls: true, compression: false }
CONF
echo "listening $host:$port nats"
exec nats-server -c "$folder/nats.conf" -l "$folder/nats.log"
