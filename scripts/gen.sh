#!/usr/bin/env bash
# Writes the files that are generated from the code: the OpenAPI and AsyncAPI documents, the example configuration, the
# reference of the configuration and, from the first, the client's types. The server's own tests say when one of the first
# four is not current; with --check, this script says it of the types, and writes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly types=web/client/src/api.d.ts

write_documents() { UPDATE_GENERATED=1 cargo test --locked --quiet --lib is_current; }

write_types() { npm run --prefix web gen --silent; }

# The types that the present document gives are those that are kept.
check_types() {
  local kept
  kept="$(mktemp)"
  trap 'mv "$kept" "$types"' RETURN
  cp -p "$types" "$kept"
  write_types >/dev/null
  diff -u "$kept" "$types" || { echo "$types is not current: make gen writes it" >&2 && return 1; }
}

scripts/npm-ci.sh web
if [ "${1:-}" = --check ]; then
  check_types
else
  write_documents
  write_types
fi
