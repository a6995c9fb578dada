# The commands of the hub. `make help` is made from the `##` comments below.
SHELL := /bin/bash
PYTHON := .venv/bin/python
RUN := .run
.DEFAULT_GOAL := help
.PHONY: help setup demo test check up down status bench bench-lists bench-reconcile bench-streams chaos fuzz mutants e2e lock

help:  ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install what is missing: system packages (as root), .venv, our packages, the console's assets, Kafka
	@command -v python3 >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -y -q python3 python3-venv; }
	@python3 deploy/preparing.py

demo: setup  ## start everything and play a province's year at scale 0.02, then check every promise (KEEP=1 leaves it up)
	@$(PYTHON) -m sandbox demo

test: setup  ## every test but the bench suite and the fault suite's long tier
	@$(PYTHON) -m pytest --ignore=tests/bench

check: setup  ## ruff, mypy, import rules, limits of files and functions
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@$(PYTHON) -m deploy.limits

up: setup  ## start the stack and leave it running; addresses in .run/stack.json, clients in .run/clients.json
	@$(PYTHON) -m deploy.local up --dir $(RUN)

down:  ## stop the stack; its data stay in .run
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.local down --dir $(RUN); fi

status:  ## what runs and whether it is well
	@$(PYTHON) -m deploy.local status --dir $(RUN)

bench: setup  ## measure the hub against the limit of this machine; writes .run/bench.json
	@$(PYTHON) -m tests.bench

bench-reconcile: setup  ## a file of 1,000,000 dossiers compared: seconds and memory; writes .run/bench-reconcile.json
	@$(PYTHON) -m tests.bench.reconcile

bench-lists: setup  ## every filter of the lists at 1,000,000 dossiers: milliseconds; writes .run/bench-lists.json
	@$(PYTHON) -m tests.bench.lists

bench-streams: setup  ## what 500 open streams cost; writes .run/bench-streams.json
	@$(PYTHON) -m tests.bench.streams

chaos: setup  ## the fault suite's long tier: 20 seeds, replays under kills and faults (CHAOS="--chaos-scale 0.02")
	@$(PYTHON) -m pytest tests/chaos --chaos-long $(CHAOS)

fuzz: setup  ## the security suite's long tier: 125,000 inputs for the readers, 300 for each operation, a minute of overload
	@$(PYTHON) -m pytest tests/security --security-long -rP $(FUZZ)

mutants: setup  ## can the tests fail? each broken promise, on a copy of the tree, must be caught
	@$(PYTHON) -m tests.mutants

e2e: setup  ## the citizens' journeys, through the gateway only
	@$(PYTHON) -m pytest tests/e2e

lock:  ## resolve requirements.in and requirements-assets.in anew, pinned with hashes
	@[ -x $(RUN)/lock/bin/uv ] || { python3 -m venv $(RUN)/lock && $(RUN)/lock/bin/pip install -q uv; }
	@$(RUN)/lock/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(LOCK) \
	  requirements.in -o requirements.txt
	@$(RUN)/lock/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(LOCK) \
	  --no-deps requirements-assets.in -o requirements-assets.txt
