# The two commands: `make run` and `make test`. Both make .venv first where it is missing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test lint format lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(INSTALLED)  ## run the pipeline on params.yaml
	dvc repro

test: $(INSTALLED)  ## run the tests, with line coverage
	pytest --numprocesses 2 --dist worksteal

lint: $(INSTALLED)  ## check style and types
	ruff check .
	ruff format --check .
	mypy

format: $(INSTALLED)  ## apply the style
	ruff check --fix .
	ruff format .

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.10 to 3.13 is needed. Found: $$($(PYTHON) --version). Run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into .venv: about 2 GB, once, a few minutes" >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@touch $@

lock:  ## resolve pyproject.toml into requirements.lock again (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.10 --fork-strategy fewest \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

clean:  ## remove .venv and caches; runs and DVC's cache stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* dvc_plots
