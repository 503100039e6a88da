# Three commands: `make run` (a gateway that answers), `make demo` (what it is for) and `make test` (everything that CI
# runs). They make what they need: a virtual environment in .venv, from the lock files, with hashes. The lock files are
# whole, so nothing is resolved (--no-deps): an older pip takes an extra's newest release for the pinned one and fails.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup dev run demo test lint evaluate bench soak chaos lock clean

help:            ## what there is
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gauger needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --editable .
	@touch $@

$(BIN)/.dev: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gauger needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements-dev.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --editable .
	@touch $@ $(BIN)/.run

setup: $(BIN)/.run
dev: $(BIN)/.dev ## the environment of a developer

run: setup       ## start the gateway on 127.0.0.1:8080 (GAUGER_UPSTREAM=https://... for a real model)
	@$(BIN)/gauger serve $(ARGS)

demo: setup      ## two days in a minute, on the terminal: a campaign of forty accounts is found, slowed and explained
	@$(BIN)/python -m gateway.demo $(ARGS)

lint: dev        ## formatting, rules, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint       ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

evaluate: setup  ## how well the shipped packs tell extraction, on labelled traffic (DATA=dir for another)
	@$(BIN)/python -m tests.evaluation $(if $(DATA),--data $(DATA)) $(ARGS)

bench: setup     ## what it costs beside nginx, Envoy, LiteLLM and others, in one run (ARGS=--quick, ARGS=setup)
	@$(BIN)/python -m tests.benchmarks.proxy $(ARGS)

soak: setup      ## half an hour of load with everything that callers do, and what is left of it (ARGS="--minutes 5")
	@$(BIN)/python -m tests.soak $(ARGS)

chaos: dev       ## workers, their store and everything at once are killed, stopped, slowed; what limits and records say
	@$(BIN)/python -m tests.chaos $(ARGS)

lock: dev        ## write the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra embedded -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev --extra embedded --extra otel -o requirements-dev.txt

clean:           ## remove what was made here
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
