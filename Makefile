# Two commands do everything on a machine with Python 3.11+, Rust and a C++ compiler: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without what reads pictures and sounds.
LLAMA := -DLLAVA_BUILD=OFF
CRATES := -p waypost-text -p waypost-decide -p waypost-sim -p waypost-sample -p waypost-store -p waypost-retrieve -p waypost-plane
# What tests run beside Waypost; Debian's packages are called as the programs are.
PROGRAMS := redis-server prometheus chromium
# A package with a service does not start it here.
APT := SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
INSTALL := test "$$(id -u)" = 0 && apt-get update -qq && $(APT)
RUST := $(shell find rust_core proto -name '*.rs' -o -name '*.proto' -o -name Cargo.toml)

.PHONY: help setup demo test lint programs test-rust test-python test-clients bench image-test proto clean

help: ## List the commands.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

setup: $(VENV)/.ready ## Make .venv with the release build, llama.cpp and the test tools.

$(VENV)/.tools: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade 'pip>=25.1'
	$(BIN)/pip install -q --group test
	@touch $@

$(VENV)/.llama: $(VENV)/.tools
	@echo 'llama.cpp is compiled for this machine: some 11 minutes of one core, once; pip keeps the result.'
	CMAKE_ARGS='$(LLAMA)' $(BIN)/pip install --group llama
	@touch $@

$(VENV)/.ready: $(VENV)/.llama Cargo.toml Cargo.lock $(RUST)
	$(BIN)/maturin develop --release --locked
	@touch $@

demo: setup ## Start a mesh, send it real requests, stop it.
	$(BIN)/waypost demo

test: setup lint test-rust test-python test-clients ## Everything that must pass.

lint: setup ## Style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy waypost router services
	$(BIN)/buf lint proto
	cargo fmt --all --check

# Not every machine can have them: the tests that need them then say that they were skipped.
programs:
	@for each in $(PROGRAMS); do \
		command -v $$each >/dev/null || { echo "$$each is installed for the tests."; $(INSTALL) $$each >/dev/null; } \
			|| echo "SKIPPED: $$each is not here and can only be installed as root with apt-get."; \
	done

test-rust: setup programs ## The pure crates, in the profile that is shipped.
	$(BIN)/python -m tests.postgres run -- cargo test --release --locked $(CRATES)

test-python: setup programs ## Behaviour, against real servers.
	$(BIN)/python -m pytest

test-clients: setup ## The clients in Go, TypeScript, Java and Rust; test-client-go is one of them alone.
	$(BIN)/python -m clients.run

test-client-%: setup
	$(BIN)/python -m clients.run $*

bench: setup ## All figures of bench/README.md.
	$(BIN)/pip install -q --group bench
	$(BIN)/python -m bench

image-test: setup ## Build the container image over a local base, lint it, call it.
	docker/test.sh

proto: setup ## Regenerate waypost/v1 from proto/.
	$(BIN)/python proto/generate.py

clean: ## Remove what the other commands made.
	rm -rf $(VENV) target
