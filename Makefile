# `make test` passes every test; it installs what it needs into ignored folders (.tools, .venv, node_modules).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_DENY_VERSION := 0.20.2
PYTHON := .venv/bin/python
export INSTA_UPDATE := no
export SCARF_ANALYTICS := false

.PHONY: help test lint unit openapi judge schema-check stately-clients simulation soak kill bench stately-bench clean-tools

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

test: lint unit openapi judge schema-check stately-clients simulation kill ## Everything that CI runs
	@echo "make test: all passed"

lint: .tools/bin/cargo-deny ## Formatting, lints, documentation, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --quiet
	.tools/bin/cargo-deny --log-level error check bans licenses sources

unit: ## Every Rust test
	cargo build -p monitor-local --bin runner-monitor
	cargo test --workspace --all-features

openapi: tests/openapi/node_modules/.package-lock.json ## The fake GitHub and the client against GitHub's own description
	node tests/openapi/check.mjs
	node tests/openapi/mock.mjs cargo test -p monitor-github --test examples

judge: .venv/installed ## Slack messages before an independent judge
	cargo run --quiet -p monitor-slack --example render_all | $(PYTHON) shared/slack/tests/judge.py

SIMULATION := target/release/monitor-simulation --known tests/simulation/seeds/known.txt

simulation: ## Known seeds, fresh stories for 2 minutes on both stores, and a stage ended at every await
	cargo build --release -p monitor-simulation
	$(SIMULATION) --seeds 1000000 --from $$(date +%s) --for-secs 80
	$(SIMULATION) --seeds 1000000 --from $$(date +%s) --for-secs 40 --store stately
	target/release/monitor-simulation --crash-points

soak: ## 20,000 stories of 24 h each, and 5,000 on StatelyDB
	cargo build --release -p monitor-simulation
	$(SIMULATION) --seeds 20000
	$(SIMULATION) --seeds 5000 --store stately
	target/release/monitor-simulation --crash-points --store stately

schema-check: schema/node_modules/.package-lock.json ## The StatelyDB schema compiles, breaks no rule, and its numbers only grow
	node --test schema/
	cd schema && node check.mjs

stately-clients: .venv/installed tests/stately/clients/js/node_modules/.package-lock.json ## The official StatelyDB clients against the local server
	node tests/stately/clients/run.mjs

kill: ## kill -9 of the daemon under load, 200 times: every outage told once
	cargo build --release -p monitor-local --bin runner-monitor
	cargo run --release -p monitor-e2e --bin kill-and-restart -- --kills 200

bench: ## A fleet of 800 repositories: time, requests, writes, memory
	cargo run --release -p monitor-e2e --bin fleet-pass

stately-bench: tests/stately/clients/js/node_modules/.package-lock.json ## CPU per 1,000 runners read from StatelyDB, beside the official JavaScript client
	node tests/stately/clients/bench.mjs

.tools/bin/cargo-deny:
	cargo install cargo-deny --locked --version $(CARGO_DENY_VERSION) --root .tools --quiet

.venv/installed: tests/requirements.txt
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --requirement tests/requirements.txt
	touch $@

tests/openapi/node_modules/.package-lock.json: tests/openapi/package-lock.json
	cd tests/openapi && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

schema/node_modules/.package-lock.json: schema/package-lock.json
	cd schema && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tests/stately/clients/js/node_modules/.package-lock.json: tests/stately/clients/js/package-lock.json
	cd tests/stately/clients/js && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

clean-tools: ## Remove what the tests installed
	rm -rf .tools .venv tests/openapi/node_modules schema/node_modules tests/stately/clients/js/node_modules
