# The two commands: `make run` and `make test`. Both make .venv first where it is missing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
FAULTS ?= 100
VERSIONS ?= python3.10 python3.13
PEERS := .venv-peers/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

DATA ?= ../shared/data/ETTh1.csv
FIELD ?= ../shared/data/field

.PHONY: help run test test-matrix coverage lint format lock clean bench bench-missing bench-ablation bench-experts bench-covariates bench-panel bench-speed bench-unseen bench-field bench-intervals bench-peers chaos fuzz

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(INSTALLED)  ## run the pipeline on params.yaml
	dvc repro

test: $(INSTALLED)  ## run the tests
	pytest --numprocesses 2 --dist worksteal

test-matrix:  ## run the tests by each Python of VERSIONS, each in a fresh clone with an environment of its own
	@for python in $(VERSIONS); do \
	  folder=$$(mktemp -d); echo "$$($$python --version), in $$folder" >&2; \
	  git clone --quiet . $$folder/clone && $(MAKE) -C $$folder/clone PYTHON=$$python test || exit 1; \
	  rm -rf $$folder; \
	done

coverage: $(INSTALLED)  ## run the tests and say which lines they reach; takes half as long again
	pytest --numprocesses 2 --dist worksteal --cov --cov-report=term-missing:skip-covered

bench: $(INSTALLED)  ## accuracy on the long-horizon protocol, on DATA=FILE; an hour
	python -m benchmarks.accuracy --data $(DATA)

bench-missing: $(INSTALLED)  ## what missing inputs cost, on DATA; half an hour
	python -m benchmarks.missing --data $(DATA)

bench-ablation: $(INSTALLED)  ## what each part of the model is worth, on DATA; half an hour
	python -m benchmarks.ablation --data $(DATA)

bench-experts: $(INSTALLED)  ## what experts, weights, logarithms and the final fit are worth, on FIELD
	python -m benchmarks.experts --data $(FIELD)

bench-covariates: $(INSTALLED)  ## what covariates are worth, on the example; ten minutes
	python -m benchmarks.covariates

bench-speed: $(INSTALLED) $(PEERS)  ## speed beside neuralforecast, on DATA; a quarter of an hour
	python -m benchmarks.speed --data $(DATA)

bench-unseen: $(INSTALLED)  ## the defaults on a series that was made for it
	python -m benchmarks.unseen

bench-panel: $(INSTALLED)  ## time and memory on up to 10,000 series; half an hour
	python -m benchmarks.panel

bench-field: $(INSTALLED) $(PEERS)  ## beside statsforecast and LightGBM, on the files of FIELD=FOLDER; an hour
	python -m benchmarks.field --data $(FIELD)

bench-intervals: $(INSTALLED)  ## intervals beside fixed ones, on a drift and on FIELD; a quarter of an hour
	python -m benchmarks.intervals --data $(FIELD)

bench-peers: $(PEERS)  ## the peers, in an environment of their own, for bench-speed and bench-field

$(PEERS): benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@

chaos: $(INSTALLED)  ## kill runs of the last commit at FAULTS random moments and compare what they end in
	python -m benchmarks.chaos --faults $(FAULTS)

fuzz: $(INSTALLED)  ## mutate the files of a run for some minutes and see what their readers answer
	python -m benchmarks.fuzz

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
	@echo "Installing into .venv: about 3 GB, once, a few minutes" >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@touch $@

lock:  ## resolve pyproject.toml into requirements.lock again (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.10 --fork-strategy fewest \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

clean:  ## remove environments, caches and benchmark runs; runs and DVC's cache stay
	rm -rf .venv .venv-peers .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* dvc_plots
