#!/usr/bin/env bash
# Checks the tools that a job needs and installs the Debian packages that are missing. Quick when nothing is.
#
#   scripts/setup.sh build      a C compiler, Rust, Node.js
#   scripts/setup.sh test       these, Chromium with fonts for the browser tests, faketime, the tools that check deploy/, and
#                               PostgreSQL, Redis and balancers, of which the tests start their own: what the packages bring
#                               as services is not started
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Where Debian has servers: only root looks there by itself.
export PATH="$PATH:/usr/sbin"

readonly job="${1:-build}"
readonly rust_needed="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
packages=()

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 1
}

has() { command -v "$1" >/dev/null; }

# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

need_package() {
  packages+=("$@")
}

find_missing() {
  has cc || need_package gcc libc6-dev
  if [ "$job" = test ] || [ "$job" = cluster ]; then
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || need_package postgresql
    has redis-server || need_package redis-server
  fi
  if [ "$job" = cluster ]; then
    has haproxy || need_package haproxy
    has curl || need_package curl
  fi
  if [ "$job" = test ]; then
    has "${CHROMIUM:-chromium}" || need_package chromium
    has fc-list || need_package fontconfig
    # Tests set the clock of a server that runs.
    has faketime || need_package faketime
    # The files of deploy/ are checked by their own tools, and people talk through the balancers.
    has haproxy || need_package haproxy
    has nginx || need_package nginx-light
    has caddy || need_package caddy
    has promtool || need_package prometheus
    # A certificate authority to be asked by ACME.
    has pebble || need_package pebble
    has systemd-analyze || need_package systemd
    has openssl || need_package openssl
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_package python3-venv
    # What load/peers/ has for people's own tools is tried, and the servers there that are measured beside this one.
    { python3 -c 'import websockets' || /usr/bin/python3 -c 'import websockets'; } 2>/dev/null || need_package python3-websockets
    has nats-server || need_package nats-server
    # The widget is tested in English, German and Arabic.
    { has fc-list && [ -n "$(fc-list :lang=en family | head -c1)" ]; } || need_package fonts-liberation
    { has fc-list && [ -n "$(fc-list :lang=ar family | head -c1)" ]; } || need_package fonts-noto-core
  fi
}

install_missing() {
  [ ${#packages[@]} -gt 0 ] || return 0
  has apt-get || fail "install these first, by what your system has for it: ${packages[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || fail "run this as root, or install these first: ${packages[*]}"
    as_root=(sudo)
  fi
  say "installing ${packages[*]}"
  keep_services_down "${as_root[@]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-install-recommends "${packages[@]}" >&2
}

# Debian starts the services that it installs, unless this file says no. One that is there already is somebody's own.
keep_services_down() {
  local policy=/usr/sbin/policy-rc.d
  [ ! -e "$policy" ] || return 0
  printf '#!/bin/sh\nexit 101\n' | "$@" tee "$policy" >/dev/null
  "$@" chmod 755 "$policy"
  # shellcheck disable=SC2064  # as it is now
  trap "$* rm -f $policy" EXIT
}

check_rust() {
  has cargo || fail "Rust $rust_needed or newer is needed: see https://rustup.rs"
  local version
  version="$(rustc --version | cut -d' ' -f2)"
  at_least "$version" "$rust_needed" || fail "this is Rust $version, $rust_needed or newer is needed: rustup update stable"
}

check_node() {
  has node && has npm || fail "Node.js 20.19, 22.12 or newer with npm is needed: see https://nodejs.org"
  local version
  version="$(node --version)"
  version="${version#v}"
  case "$version" in
    20.*) at_least "$version" 20.19.0 ;;
    21.*) false ;;
    *) at_least "$version" 22.12.0 ;;
  esac || fail "this is Node.js $version; 20.19, 22.12 or newer is needed: see https://nodejs.org"
}

find_missing
install_missing
check_rust
check_node
