#!/usr/bin/env bash
# Writes the files that are generated from the code: the OpenAPI and AsyncAPI documents, the client's types and the example
# configuration. With --check it writes nothing and fails when one of them is not current.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly check="${1:-}"
fresh="$(mktemp -d)"
readonly fresh
trap 'rm -rf "$fresh"' EXIT
stale=0

# Puts the fresh file $1 in the place of $2, or says that they differ.
settle() {
  if cmp --silent "$1" "$2"; then
    return
  elif [ "$check" = --check ]; then
    echo "not current: $2 (make gen writes it)" >&2
    diff -u "$2" "$1" | head -n 20 >&2 || true
    stale=1
  else
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2"
    echo "written: $2"
  fi
}

types() {
  npx --prefix web --no-install openapi-typescript "$fresh/openapi.json" --output "$fresh/api.d.ts" \
    --immutable --root-types --root-types-no-schema-prefix >/dev/null
}

cargo build --locked --quiet ${DESKBELL_FEATURES:+--features "$DESKBELL_FEATURES"}
scripts/npm-ci.sh web

target/debug/deskbell openapi >"$fresh/openapi.json"
target/debug/deskbell asyncapi >"$fresh/asyncapi.json"
target/debug/deskbell check-config --example >"$fresh/deskbell.example.toml"
types

settle "$fresh/openapi.json" web/types/openapi.json
settle "$fresh/asyncapi.json" docs/asyncapi.json
settle "$fresh/deskbell.example.toml" deploy/deskbell.example.toml
settle "$fresh/api.d.ts" web/client/src/api.d.ts
exit "$stale"
