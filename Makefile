# Each target is a line that a person could type. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin

CHAT := target/release/chat-service
BUILD := cargo build --release --locked --workspace --bins

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

.PHONY: run
run: tools ## Run a private cluster here: Postgres, Redis, S3, three nodes (Ctrl-C ends it)
	$(BUILD)
	exec $(CHAT) dev

.PHONY: stop
stop: ## End the cluster that `make run` has started
	@if [ -x $(CHAT) ]; then $(CHAT) dev --stop; else echo "nothing runs"; fi

.PHONY: test
test: tools ## Run all tests beside a private Postgres, Redis and S3
	$(BUILD)
	$(CHAT) with-services -- cargo test --release --locked --workspace

.PHONY: test-unit
test-unit: ## Run the tests that need no services
	cargo test --release --locked --workspace --lib --bins

.PHONY: lint
lint: ## Check the form and run clippy, warnings being errors
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Bring the sources into form
	cargo fmt --all

.PHONY: smoke
smoke: ## Two people, two nodes, one message, against the running cluster
	cargo run --release --locked -p loadtest -- smoke

# For example: make replay ARGS="LOGS --files 2012-12 --limit 400 --kill-node-every 5s"
.PHONY: replay
replay: ## Replay chat logs against the running cluster (ARGS="DIRECTORY …")
	cargo run --release --locked -p loadtest -- replay $(ARGS)

.PHONY: schemathesis
schemathesis: tools ## Ask a private cluster all that its OpenAPI document allows, and more
	$(BUILD)
	scripts/schemathesis.sh

.PHONY: run-restricted
run-restricted: tools ## Run two nodes as Pods run: another user, no capabilities, read-only root (as root)
	$(BUILD)
	$(CHAT) with-services -- scripts/run-restricted.sh

.PHONY: helm-check
helm-check: ## Check the Helm chart: lint, schemas of Kubernetes, what belongs together
	scripts/check-helm.sh

.PHONY: helm-docs
helm-docs: ## Make the chart's README.md of its values
	scripts/check-helm.sh --docs

.PHONY: check-metrics
check-metrics: ## Have promtool look at the metrics of the running cluster
	scripts/check-metrics.sh

.PHONY: check-dashboards
check-dashboards: tools ## Ask a Prometheus beside a private cluster every expression of dashboards and rules
	$(BUILD)
	scripts/check-dashboards.sh

.PHONY: clean-data
clean-data: ## End the cluster and remove its data
	@if [ -x $(CHAT) ]; then $(CHAT) dev --clean; else rm -rf target/dev; fi

.PHONY: tools
tools: # Finds PostgreSQL and Redis, or fetches them into target/tools
	@scripts/get-tools.sh
