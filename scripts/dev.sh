#!/usr/bin/env bash
# A demo whose data stays in .tmp/demo, and pages that are built again whenever their sources change: reload to see them. The
# server is started again by hand, by Ctrl-C and make dev.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

node scripts/watch.mjs &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true' EXIT

mkdir -p .tmp/demo
cargo run --locked -- demo --data-dir .tmp/demo --listen 127.0.0.1:8080
