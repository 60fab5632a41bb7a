#!/bin/sh
# Starts a Redis and two Socket.IO servers on it at HOST, files in FOLDER; the port is theirs to choose. Says where they listen.
set -eu
host=$1 folder=$3
command -v redis-server >/dev/null || { echo "there is no redis-server: apt-get install redis-server" >&2; exit 1; }
[ -d node_modules ] || { echo "it is not installed: npm ci --prefix load/peers/socket.io-redis" >&2; exit 1; }
exec node server.mjs "$host" "$folder"
