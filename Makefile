# Holdfast. `make` alone explains itself; `make run` and `make test` need Python 3.11 or newer, and set up the rest.

PYTHON ?= python3
JOBS   ?= 2
ARGS   ?=

VENV  := .venv
BIN   := $(VENV)/bin
PY    := $(BIN)/python
# The environment is as good as the two files that describe it: their checksum names the stamp.
READY := $(VENV)/.ready-$(shell cat requirements.lock setup.cfg | cksum | tr -dc 0-9)
QUICK := $(wildcard $(addprefix tests/,architecture unit conformance properties))

.DEFAULT_GOAL := explain
.PHONY: explain run test lint check faults bench docs lock clean

explain: ## this list
	@echo "Holdfast: chat answers that survive disconnects, reloads and crashes."
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS='|' read -r name does; do printf '  make %-9s %s\n' "$$name" "$$does"; done
	@echo
	@echo "ARGS go to the program: make run ARGS='--port 9000'. JOBS is how many tests run at once."

run: $(READY) ## serve on http://127.0.0.1:8080, with SQLite in ./data
	@exec $(PY) main.py serve $(ARGS)

test: $(READY) ## run every test there is; at the end, name what could not run here
	$(PY) -m pytest -n $(JOBS) $(ARGS)

lint: $(READY) ## format, style, strict types, direction of imports
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

check: lint ## lint, then the quick tests: what to run before a commit
	$(PY) -m pytest -q -n $(JOBS) $(QUICK) $(ARGS)

faults: $(READY) ## kill, stop and starve real processes
	$(PY) -m pytest -m faults $(ARGS)

bench: $(READY) ## measure; the figures that count are in bench/RESULTS.md
	$(PY) -m bench $(ARGS)

docs: $(READY) ## write again what in docs/ comes from the code
	$(PY) docs/generate.py $(ARGS)

lock: ## take the newest versions that setup.cfg allows into requirements.lock
	@command -v uv >/dev/null || test -x .venv-lock/bin/uv \
	  || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	@PATH="$$PATH:.venv-lock/bin" uv pip compile setup.cfg --quiet --upgrade --universal --python-version 3.11 \
	  --extra server --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command 'make lock' --output-file requirements.lock
	@! grep -nE '://' requirements.lock

clean: ## remove what was made here, the environment too; ./data stays
	rm -rf $(VENV) .venv-lock build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's python3 comes without ensurepip unless python3-venv is installed; uv needs neither.
$(READY):
	@if ! test -x $(PY); then \
	  if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "Making the environment in $(VENV) ..."; $(PYTHON) -m venv $(VENV); \
	  elif command -v uv >/dev/null; then \
	    echo "Making the environment in $(VENV) with uv ..."; uv venv --quiet --python '>=3.11' $(VENV); \
	  else \
	    echo "make: needs Python 3.11 or newer with venv: install python3-venv (apt install python3-venv) or uv" >&2; exit 2; \
	  fi; \
	fi
	@if $(PY) -m pip --version >/dev/null 2>&1; then add="$(PY) -m pip --disable-pip-version-check install"; \
	  else add="uv pip install --python $(PY)"; fi; \
	echo "Installing what requirements.lock names ..."; \
	$$add --quiet --require-hashes -r requirements.lock \
	  && PYTHONWARNINGS=ignore $$add --quiet --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-* && touch $@
