# Everything that a person types. `make help` lists it; the work is in scripts/, cargo and npm.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

WEB_SOURCES := $(shell find web \( -name node_modules -o -name dist \) -prune -o -type f -print)
WEB_BUILT := web/dist/.built

.PHONY: help
help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

.PHONY: setup
setup: ## check the tools, install what is missing
	@scripts/setup.sh build

.PHONY: run
run: setup $(WEB_BUILT) ## build everything and start a demo on this machine
	cargo run --locked -- demo

.PHONY: dev
dev: setup $(WEB_BUILT) ## a demo that keeps its data, and rebuilds the pages when their sources change
	@scripts/dev.sh

.PHONY: web
web: setup $(WEB_BUILT) ## build widget and console into web/dist

$(WEB_BUILT): $(WEB_SOURCES)
	@scripts/npm-ci.sh web
	@npm run --prefix web build
	@touch $@

.PHONY: release
release: setup $(WEB_BUILT) ## target/release/deskbell, everything in one file
	cargo build --release --locked

.PHONY: test
test: ## every suite, as CI runs it
	@scripts/test.sh

.PHONY: lint
lint: setup ## formatting, lints, types, licences
	@scripts/test.sh format clippy types licences

.PHONY: gen
gen: setup ## write again what is generated from the code
	@scripts/gen.sh

.PHONY: bench
bench: release ## the goals in short, each beside its yardstick (some minutes, wants the machine for itself)
	@scripts/setup.sh cluster
	cargo build --release --locked --package deskbell-load
	target/release/deskbell-load run load/bench.toml

.PHONY: drills
drills: release ## every fault that a cluster must survive, as long as in the world, every message judged (about 20 minutes, a million messages)
	@scripts/setup.sh cluster
	cargo build --release --locked --package deskbell-load
	target/release/deskbell-load drills --keep

.PHONY: cluster
cluster: setup $(WEB_BUILT) ## two nodes, PostgreSQL, Redis and a balancer on this machine, without containers
	@scripts/setup.sh cluster
	cargo build --locked
	@scripts/cluster.sh

.PHONY: clean
clean: ## remove what was built
	cargo clean
	rm -rf web/dist web/node_modules web/*/node_modules tests/e2e/node_modules
