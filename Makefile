# Pilotwire. `make run` brings up a charging network; `make test` runs every test. Both set up all they need.
.DEFAULT_GOAL := help
.PHONY: help run test lint rules types compile pytest generate ledger timers bench soak fuzz lock clean setup setup-test

# Servers are started hundreds of times: their modules are compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

ARGS ?=
PY := .venv/bin/python
# Tests of browsers, clusters and processes wait more than they compute: three for each two cores.
LANES := $(shell expr '(' $$(nproc) '*' 3 + 1 ')' / 2)

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup:
	@tools/setup.sh run

setup-test:
	@tools/setup.sh test

run: setup ## Bring up the central system, the console and a living demo site (ARGS="--no-demo" and so on)
	@.venv/bin/pilotwire run --data data $(ARGS)

test: setup-test ## Set up, lint and run every test
	@$(MAKE) --no-print-directory --jobs=2 rules compile
	@$(MAKE) --no-print-directory --jobs=2 types pytest

lint: setup-test rules types ## ruff, pyright, import rules, generated code

rules: setup-test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@$(PY) tools/generate_ocpp.py --check
	@$(PY) tools/generate_v2g.py --check
	@$(PY) tools/generate_client.py --check
	@$(PY) tools/make_ledger.py --check
	@$(PY) tools/make_timers.py --check

# The tests wait for more than they compute: the types are checked meanwhile.
types: setup-test
	@node_modules/.bin/pyright

# In a fresh copy each worker would compile all tests for itself. What is wrong with one, the tests say.
compile: setup-test
	@$(PY) -m pytest -qq --collect-only >/dev/null 2>&1 || true

pytest: setup-test
	@$(PY) -m pytest -q --numprocesses $(LANES) --dist loadfile --no-loadscope-reorder $(ARGS)

generate: setup-test ## Make the message modules of OCPP and ISO 15118 and the client's operations anew
	@$(PY) tools/generate_ocpp.py
	@$(PY) tools/generate_v2g.py
	@$(PY) tools/generate_client.py

ledger: setup-test ## Run the tests that show requirements of the standard, and write down which ones are met
	@$(PY) -m pytest -q -m requirement --numprocesses auto --dist loadfile --requirements build/shown.json
	@$(PY) tools/make_ledger.py build/shown.json

timers: setup-test ## Try every timer of the vehicle links at its edges, and make the table of them
	@rm -rf build/timers
	@PILOTWIRE_TIMERS=build/timers $(PY) -m pytest -q -m timer tests/protocols tests/station tests/transport --numprocesses auto
	@$(PY) tools/make_timers.py build/timers

bench: setup-test ## Measure throughput, durability, memory and start-up; prints a table
	@$(PY) -m bench $(ARGS)

soak: setup-test ## The full counts: 100 kills on each store, 10,000 simulated sessions, every schema mutation, 1,000,000 sets of charging profiles, 2,000 EXI messages
	@$(PY) -m tests.soak $(ARGS)

fuzz: setup-test ## Fuzz every decoder and machine that hears strangers, a minute each
	@for target in fuzz/fuzz_*.py; do echo "$$target"; $(PY) "$$target" -max_total_time=60 || exit 1; done

lock: setup-test ## Make the lock files anew
	@PATH=$(CURDIR)/.venv/bin:$$PATH tools/lock.sh

clean: ## Remove the virtual environment and what was built
	@rm -rf .venv node_modules build dist src/pilotwire/console/static/vendor
