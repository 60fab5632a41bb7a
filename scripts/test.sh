#!/usr/bin/env bash
# Runs every suite, or those that are named, and fails when one of them failed. One failure does not hide another.
#
#   scripts/test.sh                      all
#   scripts/test.sh clippy rust          these
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Where Debian has servers: only root looks there by itself.
export PATH="$PATH:/usr/sbin"

# In the order in which they run: the pages are built before the server that embeds them.
readonly all=(setup format types deploy generated pages clippy rust postgres drills peers browser browser-strict licences)
# One set of features for lints, tests and the binary under test, so that nothing is built twice.
readonly features=fault-injection
report=()
failed=0

suite_setup() { scripts/setup.sh test && scripts/npm-ci.sh web && scripts/npm-ci.sh tests/e2e; }

suite_format() { cargo fmt --all --check; }

suite_types() {
  scripts/npm-ci.sh web && npm run --prefix web check && scripts/npm-ci.sh tests/e2e && npm run --prefix tests/e2e check
}

suite_pages() { npm run --prefix web test && make --no-print-directory web && npm run --prefix web size; }

suite_clippy() { cargo clippy --workspace --all-targets --features "$features" --locked -- -D warnings; }

suite_rust() {
  if cargo nextest --version &>/dev/null; then
    cargo nextest run --workspace --features "$features" --locked --no-tests fail
  else
    mkdir -p target && cargo test --workspace --lib --bins --tests --features "$features" --locked | tee target/test.log && ran_some target/test.log
  fi
}

# What the database may make a difference to, once more on PostgreSQL. The tests start one of their own. The whole workspace
# again: with fewer packages some libraries would have fewer features, and be built a second time.
suite_postgres() {
  local tests='binary(it) and not test(/^(tidy|tls|limits|frames|origins|simulation)::/)'
  if cargo nextest --version &>/dev/null; then
    TEST_DATABASE=postgres cargo nextest run --workspace --features "$features" --locked --no-tests fail -E "$tests"
  else
    mkdir -p target && TEST_DATABASE=postgres cargo test --workspace --test it --features "$features" --locked | tee target/test.log && ran_some target/test.log
  fi
}

# cargo test is content with no tests at all.
ran_some() { grep -Eq '^test result: ok\. [1-9][0-9]* passed' "$1" || { echo "no test ran" >&2 && false; }; }

# The short form: every fault on a cluster of two nodes, every message judged. `make drills` is the long one. A machine that
# runs tests may be busy, so times count less strictly here than there.
suite_drills() {
  cargo build --workspace --features "$features" --locked && target/debug/deskbell-load drills --short --patience 3
}

# What load/peers/ has beside its examples, which tests/it/examples.rs runs.
suite_peers() { cargo build --workspace --features "$features" --locked && scripts/check-peers.sh; }

suite_deploy() { scripts/check-deploy.sh; }

suite_generated() { scripts/gen.sh --check; }

suite_browser() { npm run --prefix tests/e2e test -- --project normal; }

suite_browser-strict() { npm run --prefix tests/e2e test -- --project strict-csp; }

suite_licences() {
  if cargo deny --version &>/dev/null; then
    # It looks at the crates of every platform; a build brings those of its own.
    cargo fetch --locked --quiet && cargo deny --offline --all-features check bans licenses sources
  else
    echo "skipped: cargo-deny is not installed"
  fi
}

run() {
  local name="$1" begun=$SECONDS result=ok
  printf '\n==> %s\n' "$name"
  "suite_$name" || { result=FAILED && failed=1; }
  report+=("$(printf '%-16s %-8s %4d s' "$name" "$result" $((SECONDS - begun)))")
}

for name in "${@:-${all[@]}}"; do
  declare -F "suite_$name" >/dev/null || { echo "there is no suite $name; there are: ${all[*]}" >&2 && exit 2; }
  run "$name"
done

printf '\n'
printf '%s\n' "${report[@]}" "$(printf '%-16s %-8s %4d s' total "$([ "$failed" = 0 ] && echo ok || echo FAILED)" "$SECONDS")"
exit "$failed"
