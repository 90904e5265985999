# Cloud-X backend. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?= 5001
DRIVER ?= raw_exec
N ?= 8
KIND ?= nomad
export PORT

VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready

.PHONY: help run dev rig test check bench image lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

run: $(RUN_READY) ## The whole product on this machine: http://127.0.0.1:5001 (PORT=, CLOUDX_DATA_DIR=)
	@scripts/install-tools
	@exec $(BIN)/cloudx up

dev: $(RUN_READY) ## The production shape on this machine: Nomad, Consul, Vault, Fabio (DRIVER=docker; needs root)
	@[ "$(DRIVER)" != docker ] || scripts/make-image
	@exec setpriv --pdeathsig TERM -- $(BIN)/cloudx dev --driver $(DRIVER)

rig: $(DEV_READY) ## N VPSes as network namespaces around real servers (N=8, KIND=resident: no Nomad; needs root)
	@scripts/install-test-tools
	@exec setpriv --pdeathsig TERM -- scripts/rig up --vpses $(N) --kind $(KIND)

# Most tests wait for a server or a scanner, so two processes share them. More, and servers run out of time.
test: $(DEV_READY) ## Every test, with real scanners, PostgreSQL and containers (needs root)
	@scripts/install-test-tools
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder --durations=25 --durations-min=5 tests

# Where `make test` is asked for as well, the unit tests are left to it.
check: $(DEV_READY) ## Lint, types, import rules, job files, unit tests
	$(BIN)/ruff check backend tests rig
	$(BIN)/ruff format --check backend tests rig
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@scripts/validate-jobs
	$(if $(filter test,$(MAKECMDGOALS)),,$(BIN)/pytest tests/unit)

bench: $(DEV_READY) ## The benchmarks, one JSON line a figure (needs root)
	@scripts/install-test-tools
	@scripts/bench

image: ## The container image cloudx:dev (BASE_IMAGE= names another base; needs root)
	@scripts/make-image

lock: $(DEV_READY) ## Compile requirements/ again from pyproject.toml
	@scripts/compile-lock

clean: ## Remove the virtual environment and caches (never data/)
	rm -rf $(VENV) build .mypy_cache .ruff_cache .hypothesis .import_linter_cache backend/*.egg-info

$(RUN_READY): requirements/run.txt pyproject.toml scripts/install-packages
	@scripts/install-packages $(VENV) requirements/run.txt
	@touch $@

$(DEV_READY): requirements/dev.txt pyproject.toml scripts/install-packages
	@scripts/install-packages $(VENV) requirements/dev.txt
	@touch $@ $(RUN_READY)
