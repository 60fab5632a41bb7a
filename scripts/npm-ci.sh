#!/usr/bin/env bash
# Installs the npm packages of a folder as its lock file says; does nothing while the lock is the one installed last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../$1"

readonly stamp=node_modules/.installed
wanted="$(node --version) $(sha256sum package-lock.json)"

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  npm ci --no-fund --no-audit --prefer-offline
  echo "$wanted" >"$stamp"
fi
