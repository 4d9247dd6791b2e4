# Hostler. `make` or `make help` says what there is; every target does all of its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup plugins fixtures examples reference build test sim sim-planted torture sweep power-cuts fuzz demo demo-keep demo-stop bench format clean-demo

# A shell that was open while rustup was installed does not know it yet.
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

# One profile, and one choice of features, for product, tests and benches: wasmtime is compiled once. `--package hostler` would
# leave out features that other members ask of shared crates, and compile nearly everything a second time.
CARGO_BUILD := cargo build --release --workspace

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: setup plugins ## target/release/hostler, with the built-in plugins inside
	@$(CARGO_BUILD) --bin hostler
	@echo "built target/release/hostler"

demo: build ## examples/shop as a story: starts, falls over, is taken up again, stops; installs what is missing
	@scripts/setup.sh shop
	@/usr/bin/python3 scripts/demo.py

demo-keep: build ## the same, and leaves the shop running, with a note how to look and how to stop it
	@scripts/setup.sh shop
	@/usr/bin/python3 scripts/demo.py --keep

demo-stop: ## stops what `make demo-keep` left running
	@/usr/bin/python3 scripts/demo.py --stop

test: setup ## everything: guests, unit, end-to-end and tidy tests, formatting, lints; with its own set-up
	@scripts/setup.sh shop languages testhost wire monitoring
	@scripts/test.sh

bench: build fixtures ## how fast, beside targets, the machine's own limits, runit, s6 and supervisord, which it installs, and docker; about eight minutes
	@scripts/setup.sh peers
	@$(CARGO_BUILD) --bin hostler-bench
	@target/release/hostler-bench

SEEDS ?= 2000
FROM ?= 0
sim: setup ## as many seeds of the simulator as asked for: make sim SEEDS=10000 FROM=0
	@$(CARGO_BUILD) --bin hostler-sim
	@target/release/hostler-sim --seed $(FROM) --seeds $(SEEDS)

sim-planted: setup ## a fault is planted behind each invariant, and the simulator must find each within 200 seeds
	@cargo test --release --workspace --features hostler-sim/planted --test planted -- --nocapture

torture: build ## 1,000 times kill -9 of the host and its keeper at random, under load, in about five minutes, then 10,000 restarts; `make test` plays 100 and as many
	@$(CARGO_BUILD) --bin hostler-torture
	@target/release/hostler-torture --kills 1000
	@target/release/hostler-torture --restarts 10000

sweep: setup plugins fixtures ## kills host or keeper at each of their failpoints, once per scenario that passes it, in about five minutes; in `make test`, too
	@$(CARGO_BUILD) --bin hostler --features hostler/failpoints
	@cp target/release/hostler target/release/hostler-failpoints
	@$(CARGO_BUILD) --bin hostler --bin hostler-sweep
	@HOSTLER_BIN=target/release/hostler-failpoints target/release/hostler-sweep

power-cuts: setup ## 10,000 disks as a power cut may leave them under the store, each opened with the real engine; about two minutes
	@$(CARGO_BUILD) --bin hostler-disk
	@target/release/hostler-disk --images 10000

SECONDS ?= 60
TARGET ?=
fuzz: plugins ## bad input by coverage-guided fuzzing, every target for a minute: make fuzz SECONDS=600 TARGET=spec
	@scripts/setup.sh fuzz
	@SECONDS_EACH=$(SECONDS) TARGET=$(TARGET) scripts/fuzz.sh

plugins: setup ## only the built-in plugins, as components in target/plugins
	@scripts/guests.sh plugins target/plugins

examples: setup ## only the plugins of examples/plugins, as components in target/examples
	@scripts/setup.sh languages
	@scripts/examples.sh

fixtures: setup ## only the guests that tests load, as components in target/fixtures
	@scripts/guests.sh tests/fixtures target/fixtures

reference: setup ## docs/CONTRACT-REFERENCE.md, from the comments in wit/
	@$(CARGO_BUILD) --bin hostler-componentize
	@target/release/hostler-componentize reference >docs/CONTRACT-REFERENCE.md

format: ## writes all Rust sources as rustfmt.toml says
	@for manifest in Cargo.toml plugins/Cargo.toml tests/fixtures/Cargo.toml; do cargo fmt --all --manifest-path $$manifest; done

setup: ## only what building needs: the compilers, for this machine and for WebAssembly
	@scripts/setup.sh build

clean-demo: demo-stop ## the same as demo-stop, and forgets what the shop's own Redis remembers
	@rm -rf examples/shop/var/appendonlydir
