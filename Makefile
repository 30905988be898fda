# `make test` runs every test. It installs what it needs into ignored folders (.tools, .venv, node_modules).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
UV_VERSION := 0.13.9
FUZZ_SECS ?= 60
PYTHON := .venv/bin/python
# Folder for the built functions and their logs.
STACK := target/stack
# Here the functions run on this machine, whatever architecture they are deployed to.
ARCHITECTURE := $(patsubst aarch64,arm64,$(shell uname -m))
export INSTA_UPDATE := no
export SCARF_ANALYTICS := false
export SAM_CLI_TELEMETRY := 0
# sam finds cargo-lambda in this path, and cargo-lambda finds zig, with which it links.
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: help test check vocabulary lint advisories unit openapi monitoring web slack-sdk schema-check stately-clients simulation soak fuzz mutants instructions kill functions stack release release-program release-functions commands bench capacity stately-bench screenshots release-local sbom pins clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

# Always the whole workspace, and in release builds the default members: with the same features no crate is built twice.
WHOLE := --workspace --all-features
PARTS := lint unit openapi monitoring web slack-sdk schema-check stately-clients simulation instructions kill stack release commands

test: ## All tests that CI runs
	@for part in $(PARTS); do \
	  began=$$SECONDS; $(MAKE) --no-print-directory $$part; times+="  $$part $$((SECONDS - began)) s"$$'\n'; \
	done; printf 'make test: all passed in %s s\n%s' "$$SECONDS" "$$times"

check: vocabulary ## To run before each commit: words, formatting, lints, quick tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo test --quiet

vocabulary: ## No word of scripts/vocabulary.toml in code, texts and pages
	python3 scripts/vocabulary.py

# The program also builds without its demo.
lint: vocabulary .tools/bin/cargo-deny .venv/installed ## Words, formatting, lints, documentation, licences, packaging, workflows
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy -p runner-monitor --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --quiet
	.tools/bin/cargo-deny --log-level error check bans licenses sources
	cargo fmt --manifest-path tests/fuzz/fuzz/Cargo.toml --check
	cargo clippy --manifest-path tests/fuzz/fuzz/Cargo.toml --target-dir target --locked -- -D warnings
	python3 scripts/import_circles.py
	python3 tests/mutations/run.py --list >/dev/null
	.venv/bin/zizmor --offline --quiet --persona pedantic .github/workflows
	.venv/bin/hadolint packaging/Dockerfile
	$(PYTHON) packaging/test_packaging.py --quiet

# Many threads, because tests of the program mostly wait for its clock.
unit: tests/dynamodb/node_modules/.package-lock.json .tools/ministack/installed ## Every Rust test
	cargo build $(WHOLE) --bin runner-monitor
	RUST_TEST_THREADS=8 cargo test $(WHOLE)

openapi: tests/openapi/node_modules/.package-lock.json tests/web-api/node_modules/.package-lock.json .tools/schemathesis/installed ## The fake GitHub and the client against GitHub's own description, the API against ours
	node tests/openapi/check.mjs
	node tests/openapi/mock.mjs cargo test $(WHOLE) --test examples
	cargo build --quiet $(WHOLE) --example webhooks
	node tests/openapi/webhooks.mjs target/debug/examples/webhooks
	cargo build --quiet $(WHOLE) --bin runner-monitor
	node tests/web-api/check.mjs target/debug/runner-monitor .tools/schemathesis/bin/schemathesis

monitoring: ## Alert rules, dashboard and metrics with a real Prometheus that scrapes the demo
	cargo build --quiet $(WHOLE) --bin runner-monitor
	python3 tests/monitoring/check.py target/debug/runner-monitor

# One file after the other: some tests measure time.
web: tests/web/node_modules/.package-lock.json ## The web page in a browser: accessible, valid, live, with the keyboard alone and without scripts
	@for program in chromium java; do command -v $$program >/dev/null || { echo "$$program is missing: see tests/web/README.md"; exit 1; }; done
	cargo build $(WHOLE) --bin runner-monitor
	node --test --test-concurrency=1 tests/web/*.test.mjs

slack-sdk: .venv/installed ## Slack messages and signatures checked with Slack's Python SDK
	cargo build --quiet $(WHOLE) --example render_all --example signatures
	target/debug/examples/render_all | $(PYTHON) shared/slack/tests/slack_sdk_messages.py
	$(PYTHON) shared/slack/tests/slack_sdk_signatures.py target/debug/examples/signatures

SIMULATION := target/release/monitor-simulation --known tests/simulation/seeds/known.txt
FORESIGHT := target/release/monitor-simulation --foresight
WORKFLOW_JOBS := target/release/monitor-simulation --workflow-jobs

# In 20276000995 an outage was put down to what other targets lost half an hour after it had begun. In 20276003874 a week counted as
# reported although the store was too slow to read any target. In 20286000114 the end of a job was not found behind twenty older ones. In
# 20286001116 the release of a job counted from the start of a check that had stalled; in 20286100767 a check stalled before its questions.
simulation: ## Known seeds and a fixed range of scenarios on each store, and a stage ended at every await: the same on every day
	cargo build --release --bin monitor-simulation
	$(SIMULATION) --from 1 --seeds 600
	$(SIMULATION) --from 1 --seeds 100 --store stately
	$(SIMULATION) --from 1 --seeds 100 --store dynamodb
	$(FORESIGHT) --from 20276000995 --seeds 1
	$(FORESIGHT) --from 20276003874 --seeds 1
	$(FORESIGHT) --from 20276004375 --seeds 1
	$(FORESIGHT) --from 1 --seeds 400
	$(FORESIGHT) --from 1 --seeds 400 --store stately
	$(FORESIGHT) --from 1 --seeds 400 --store dynamodb
	$(FORESIGHT) --from 1 --seeds 20 --hours 500
	$(WORKFLOW_JOBS) --from 1 --seeds 100
	$(WORKFLOW_JOBS) --from 20286000114 --seeds 1
	$(WORKFLOW_JOBS) --from 20286001116 --seeds 1
	$(WORKFLOW_JOBS) --from 20286100767 --seeds 1
	target/release/monitor-simulation --crash-points --each-pair 7

# Fresh scenarios. FROM=<seed> repeats a range that an earlier run printed.
FROM ?= $(shell date -u +%Y%m%d00000)
SEEDS ?= 50000
STATELY_SEEDS ?= 20000
DYNAMODB_SEEDS ?= 5000
FORESIGHT_SEEDS ?= 10000
WORKFLOW_JOBS_SEEDS ?= 10000
CASES ?= 1024

soak: ## Fresh scenarios of 24 h from seed FROM (today's date) on: SEEDS (50,000), STATELY_SEEDS (20,000), DYNAMODB_SEEDS (5,000), FORESIGHT_SEEDS (10,000), WORKFLOW_JOBS_SEEDS (10,000); and CASES (1,024) other cases of each property
	cargo build --release --bin monitor-simulation
	$(SIMULATION) --from $(FROM) --seeds $(SEEDS)
	$(SIMULATION) --from $(FROM) --seeds $(STATELY_SEEDS) --store stately
	$(SIMULATION) --from $(FROM) --seeds $(DYNAMODB_SEEDS) --store dynamodb
	$(FORESIGHT) --from $(FROM) --seeds $(FORESIGHT_SEEDS)
	$(FORESIGHT) --from $(FROM) --seeds 500 --hours 500
	$(WORKFLOW_JOBS) --from $(FROM) --seeds $(WORKFLOW_JOBS_SEEDS)
	for store in embedded stately dynamodb; do target/release/monitor-simulation --crash-points --store $$store; done
	PROPTEST_RNG_SEED=$(FROM) PROPTEST_CASES=$(CASES) cargo test --quiet

# Not part of `lint`: a new advisory must not fail a commit that passed before.
advisories: .tools/bin/cargo-deny ## Check dependencies for known vulnerabilities
	.tools/bin/cargo-deny --log-level error check advisories

fuzz: .tools/bin/cargo-fuzz ## Search for inputs that break a decoder, FUZZ_SECS (60) for each target
	tests/fuzz/run.sh $(FUZZ_SECS)

mutants: ## Apply small faults, each of which a test or the simulation must catch; about an hour
	python3 tests/mutations/run.py

schema-check: schema/node_modules/.package-lock.json ## The StatelyDB schema compiles, breaks no rule, and its numbers only grow
	node --test schema/
	cd schema && node check.mjs

stately-clients: .venv/installed tests/stately/clients/js/node_modules/.package-lock.json ## The official StatelyDB clients against the local server
	node tests/stately/clients/run.mjs

KILLS ?= 50

# The daemon is the program that the README's first command builds.
kill: ## kill -9 of the daemon under load, KILLS (50) times: each outage notified once
	cargo build --release --bin runner-monitor
	cargo build $(WHOLE) --bin kill-and-restart
	RUNNER_MONITOR=target/release/runner-monitor target/debug/kill-and-restart --kills $(KILLS)

instructions: ## Instructions of the inner loops, counted by valgrind, compared with the committed figures
	@command -v valgrind >/dev/null || { echo "valgrind is missing: install the package valgrind"; exit 1; }
	cargo build --release -q --bin instructions
	target/release/instructions

FUNCTIONS := scheduler poller notifier slack hooks web

# All at once, on all processors: `sam build` builds one after the other, and then finds them built, because their dependencies have the
# same features.
functions: .venv/stack-installed ## The functions for this machine's architecture, in target/lambda
	cd functions && $(IN_VENV) cargo lambda build --release --manifest-path ../Cargo.toml $(FUNCTIONS:%=--package monitor-function-%) $(if $(filter arm64,$(ARCHITECTURE)),--arm64)

stack: .venv/stack-installed .tools/checkov/installed tests/dynamodb/node_modules/.package-lock.json .tools/ministack/installed ## The deployed stack without a cloud: template, queues, functions, containers
	tests/e2e/stack/install-localstack
	cd infra && $(IN_VENV) sam validate --lint
	$(PYTHON) tests/e2e/stack/lint.py
	$(PYTHON) tests/e2e/stack/test_template.py --quiet
	infra/cost.py --check
	$(MAKE) --no-print-directory functions
	$(IN_VENV) sam build --template infra/template.yaml --build-dir $(STACK)/build \
		--parameter-overrides Architecture=$(ARCHITECTURE)
	cargo build --quiet $(WHOLE) --bin deployed-stack
	$(PYTHON) tests/e2e/stack/run.py statelydb $(STACK)/build $(STACK)/logs target/debug/deployed-stack
	$(PYTHON) tests/e2e/stack/run.py dynamodb $(STACK)/build $(STACK)/logs-dynamodb target/debug/deployed-stack \
		scheduled twice_and_out_of_order by_hand slash_command every_metric units_of job_that_waits
	$(PYTHON) tests/e2e/stack/run.py dynamodb $(STACK)/build $(STACK)/logs-ministack target/debug/deployed-stack \
		--ministack by_hand slash_command
	$(PYTHON) tests/e2e/stack/local_invoke.py $(STACK)/build/template.yaml

# Both at once: they mostly wait.
release: functions .tools/ministack/installed ## A release as a newcomer installs it: the program in an empty root, the functions with sam and the AWS CLI
	cargo build --quiet --release --bin runner-monitor
	cargo build --quiet $(WHOLE) --example fake-github
	$(MAKE) --no-print-directory --jobs=2 release-program release-functions

release-program:
	$(PYTHON) tests/release/program.py target/release/runner-monitor

release-functions:
	$(PYTHON) tests/release/functions.py target/lambda

commands: .venv/stack-installed .tools/ministack/installed ## Every command in the docs: run as written, or listed with the reason why not
	cargo build --quiet --release
	cargo build --quiet $(WHOLE) --bin runner-monitor --bin stately-server --example fake-github --example fake-slack
	$(PYTHON) tests/commands/commands.py

bench: ## All measurements as a table, target/bench.json and target/bench.md; BENCH='--help' prints the options
	for function in $(FUNCTIONS); do (cd functions/$$function && cargo build --release --bin $$function); done
	cargo build --release $(WHOLE) --bin runner-monitor --bin bench
	target/release/bench --functions target/release $(BENCH)

capacity: ## 4,000 targets of one credential against GitHub's limits: 24 h of virtual time in nine ways; half an hour on one processor
	cargo build --release --bin monitor-simulation
	target/release/monitor-simulation --capacity

stately-bench: tests/stately/clients/js/node_modules/.package-lock.json ## CPU per 1,000 runners read from StatelyDB, compared with the official JavaScript client
	node tests/stately/clients/bench.mjs

screenshots: tests/web/node_modules/.package-lock.json ## The pictures of the page in docs/images, from the demo
	cargo build $(WHOLE) --bin runner-monitor
	node tests/web/screenshots.mjs

RELEASE := target/release-local
LINUX := $(shell uname -m)-unknown-linux
# Static with musl if rustup has that target, else with the C library of this machine.
STATIC_TARGET = $(LINUX)-$(if $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(LINUX)-musl),musl,gnu)

release-local: functions ## The archives of a release for this machine (Linux), in target/release-local; unpacks and tries them
	rm -rf $(RELEASE)
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --package runner-monitor --target $(STATIC_TARGET)
	scripts/release.py program --target $(STATIC_TARGET)
	scripts/release.py functions --architecture $(ARCHITECTURE)
	scripts/release.py image
	scripts/release.py checksums
	scripts/release.py try
	$(PYTHON) tests/e2e/stack/local_invoke.py $(RELEASE)/unpacked/*-lambda-$(ARCHITECTURE)/template.yaml

sbom: .tools/bin/cargo-cyclonedx ## The crates in the program and in each function, as CycloneDX files in target/release-local
	scripts/release.py sbom

.tools/bin/cargo-fuzz:
	cargo install cargo-fuzz --locked --version $(CARGO_FUZZ_VERSION) --root .tools --quiet

# Without optimisation: they run for a second, but take long to compile.
.tools/bin/cargo-cyclonedx:
	cargo install cargo-cyclonedx --debug --locked --version $(CARGO_CYCLONEDX_VERSION) --root .tools --quiet

.tools/bin/cargo-deny:
	cargo install cargo-deny --debug --locked --version $(CARGO_DENY_VERSION) --root .tools --quiet

# All dependencies with hashes, so that nothing else can be installed under these names.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement

.venv/installed: tests/requirements.txt
	python3 -m venv .venv
	$(PYTHON) $(PIP_INSTALL) $<
	touch $@

.venv/stack-installed: tests/e2e/stack/requirements.txt .venv/installed
	$(PYTHON) $(PIP_INSTALL) $<
	touch $@

# A separate environment: its dependencies conflict with those of the others.
.tools/checkov/installed: tests/e2e/stack/checkov-requirements.txt
	python3 -m venv .tools/checkov
	.tools/checkov/bin/python $(PIP_INSTALL) $<
	touch $@

# Separate too: it pins its own botocore.
.tools/ministack/installed: tests/dynamodb/requirements.txt
	python3 -m venv .tools/ministack
	.tools/ministack/bin/python $(PIP_INSTALL) $<
	touch $@

# Separate as well: it needs many packages that nothing else does.
.tools/schemathesis/installed: tests/web-api/requirements.txt
	python3 -m venv .tools/schemathesis
	.tools/schemathesis/bin/python $(PIP_INSTALL) $<
	touch $@

.tools/uv/installed:
	python3 -m venv .tools/uv
	.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

PIP_COMPILE = .tools/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--custom-compile-command 'make pins' --output-file $(1).txt $(1).in

pins: .tools/uv/installed ## Resolve the Python requirements again: each .txt with hashes from its .in
	$(call PIP_COMPILE,tests/requirements) --python-version 3.11
	$(call PIP_COMPILE,tests/dynamodb/requirements) --python-version 3.11
	$(call PIP_COMPILE,tests/web-api/requirements) --python-version 3.11
	$(call PIP_COMPILE,tests/e2e/stack/requirements) --python-version 3.11
	$(call PIP_COMPILE,tests/e2e/stack/checkov-requirements) --python-version 3.11
	$(call PIP_COMPILE,tests/e2e/stack/localstack-requirements) --python-version 3.13

tests/openapi/node_modules/.package-lock.json: tests/openapi/package-lock.json
	cd tests/openapi && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tests/web-api/node_modules/.package-lock.json: tests/web-api/package-lock.json
	cd tests/web-api && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tests/web/node_modules/.package-lock.json: tests/web/package-lock.json
	cd tests/web && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tests/dynamodb/node_modules/.package-lock.json: tests/dynamodb/package-lock.json
	cd tests/dynamodb && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

schema/node_modules/.package-lock.json: schema/package-lock.json
	cd schema && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tests/stately/clients/js/node_modules/.package-lock.json: tests/stately/clients/js/package-lock.json
	cd tests/stately/clients/js && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

clean: ## Remove the tools that the tests installed
	rm -rf .tools .venv tests/dynamodb/node_modules tests/openapi/node_modules tests/web-api/node_modules tests/web/node_modules schema/node_modules tests/stately/clients/js/node_modules
