# Every target prepares what it needs; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-board build vendor-deps docker-build docker-check train evaluate test lint verify bench lock clean

CONFIG ?= resnet8_5w5a
ARGS ?=
UV_VERSION := 0.13.8
# Which build of PyTorch: cpu, or any that `uv --torch-backend` knows (auto, cu128, …).
TORCH_BACKEND ?= cpu
BIN := .venv/bin
UV := $(BIN)/uv --cache-dir .venv/.uv-cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  CONFIG=NAME chooses a file of configs/ (default $(CONFIG)); ARGS='…' is handed to finn-cam"

setup: .venv/.ready ## prepare .venv from requirements.lock; finn-cam is then .venv/bin/finn-cam

.venv/.ready: requirements.lock pyproject.toml
	@python=$$(PYTHON="$${PYTHON:-$$(ls $(BIN)/python 2>/dev/null)}" bash .ci/prerequisites) || exit 2; \
	version='import sys; print(sys.version_info[:2])'; \
	[ "$$($(BIN)/python -c "$$version" 2>/dev/null)" = "$$("$$python" -c "$$version")" ] || rm -rf .venv; \
	echo "setting up .venv with $$("$$python" --version); this downloads about 1 GB and takes a minute or two"; \
	"$$python" -m venv .venv
	@$(BIN)/python -m pip install -q --no-cache-dir uv==$(UV_VERSION) 2>/dev/null || { echo "setup: PyPI cannot be reached, so uv==$(UV_VERSION) was not installed; check the network or PIP_INDEX_URL" >&2; exit 2; }
	@sync="$(UV) pip sync -q --compile-bytecode requirements.lock"; \
	if [ -n "$${PIP_FIND_LINKS:-}" ]; then $$sync --find-links "$$PIP_FIND_LINKS"; \
	elif ! $$sync --torch-backend $(TORCH_BACKEND) 2>.venv/.setup.log; then \
		echo "setup: PyTorch's own index ($(TORCH_BACKEND)) did not serve; taking the larger build from the package index" >&2; $$sync; \
	fi || { echo "setup: the package index did not serve all of requirements.lock; check the network, PIP_INDEX_URL and free disk, then again: make setup" >&2; exit 2; }
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
		echo "setup: this build of PyTorch is linked with CUDA: fetching its libraries too, 3 GB" >&2; \
		$(UV) pip install -q --no-config --constraint requirements.lock "$$(grep '^torch==' requirements.lock)" && $(BIN)/python -c 'import torch'; \
	} || { echo "setup: PyTorch does not load; what it lacks stands above" >&2; exit 2; }
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	@touch .venv/.ready

setup-board: .venv-board/.ready ## prepare .venv-board (numpy 1 and pynq), in which the board's driver runs on the emulated board

.venv-board/.ready: requirements-board.lock | setup
	@rm -rf .venv-board
	@$(BIN)/python -m venv --without-pip .venv-board
	@$(UV) pip sync -q --python .venv-board/bin/python requirements-board.lock
	@touch .venv-board/.ready

build: setup ## images in, verified accelerator graph, report and package out: build/CONFIG/
	@$(BIN)/finn-cam build $(CONFIG) $(ARGS)

vendor-deps: setup ## what a bitfile needs from git: FINN's headers and the board files; then no build needs a network
	@$(BIN)/python -m finn_build.vendor.deps "$${FINN_DEPS:-build/.cache/finn-deps}"

docker-build: ## as build, in a container with this machine's Vivado and Vitis HLS, on to the bitfile
	@bash docker/run.sh $(CONFIG) $(ARGS)

docker-check: ## run the Dockerfile's steps in a clean Debian by chroot (as root, with debootstrap)
	@python3 docker/check.py build/.docker-check

train: setup ## train CONFIG with the recipe in its [train] table
	@$(BIN)/finn-cam train $(CONFIG) $(ARGS)

evaluate: setup ## accuracy of CONFIG's float model, quantised model and integer graph over its test set
	@$(BIN)/finn-cam evaluate $(CONFIG) $(ARGS)

test: setup setup-board lint ## lint, types, import contract and every test of the first tier
	@$(BIN)/pytest -q -n 2 -m "not verify" $(ARGS)

lint: setup ## ruff, mypy (strict) and the import contract
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check -q
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

verify: setup setup-board ## the full bars of each issue (long); writes build/verify.json
	@$(BIN)/pytest -q -m verify $(ARGS)

bench: setup ## images a second of training and inference, as ratios to float PyTorch; writes build/bench.json
	@$(BIN)/finn-cam bench $(CONFIG) $(ARGS)

lock: setup ## resolve pyproject.toml and requirements-board.in anew into their lock files
	@$(UV) pip compile -q --universal --python-version 3.11 --group dev pyproject.toml -o requirements.lock --no-header --no-annotate --upgrade
	@$(UV) pip compile -q --universal --python-version 3.10 requirements-board.in -o requirements-board.lock --no-header --no-annotate --upgrade

clean: ## remove results; .venv stays
	rm -rf build
