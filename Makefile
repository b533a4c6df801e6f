# make            lists what there is
# make try        plays one referral through a practice hospital (HOSPITAL=epic-like|oracle-like|athena-like, KEEP=1, VERBOSE=1)
# make test       proves it
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
HOSPITAL ?= open
export HOSPITAL KEEP VERBOSE

.DEFAULT_GOAL := help
.PHONY: help try test check serve bench clean golden storm

help:  ## lists the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-8s %s\n", $$1, $$2}'

$(VENV)/.product: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "PeerFHIR needs Python 3.11 or newer and '$(PYTHON)' is not: install python3.11, or name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "'$(PYTHON)' has no venv module: install it (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tests: tests/requirements.lock $(VENV)/.product
	@echo "Setting up the test tools (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	@touch $@

try: $(VENV)/.product  ## plays one referral through a practice hospital
	@$(BIN)/peerfhir try --hospital $(HOSPITAL) $(if $(KEEP),--keep) $(if $(VERBOSE),--verbose)

test: $(VENV)/.tests  ## everything a change must pass
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/pytest -n 2 --dist worksteal -q

check: $(VENV)/.tests  ## lint, types, imports and the fast tests, while working
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/pytest -n 2 -q -m "not storm and not postgres"

serve: $(VENV)/.product  ## the gateway and the worker with config/ as it is
	@test -e var/secret.key || $(BIN)/peerfhir init
	@$(BIN)/peerfhir serve --with-worker

# Other engines have an environment of their own: the product and its tests never see them.
PEERS := $(VENV)-bench
BESIDE_PEERS := bench/fhirpath.py bench/mapping.py

$(PEERS)/.peers: bench/requirements.lock requirements.lock pyproject.toml
	@echo "Setting up $(PEERS) (once) ..."
	@test -x $(PEERS)/bin/pip || $(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(VENV)/.tests $(PEERS)/.peers  ## the benchmarks, one line each
	@for each in $(filter-out bench/house.py $(BESIDE_PEERS),$(wildcard bench/*.py)); do $(BIN)/python $$each || exit 1; done
	@for each in $(BESIDE_PEERS); do $(PEERS)/bin/python $$each || exit 1; done

golden: $(VENV)/.tests  ## rewrites the golden trees for review
	@$(BIN)/pytest -q tests/golden --rewrite-golden

storm: $(VENV)/.tests  ## the full storm figures
	@STORM=full $(BIN)/pytest -q -m storm

clean:  ## removes what the targets made
	@rm -rf $(VENV) $(VENV)-bench var/try .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
