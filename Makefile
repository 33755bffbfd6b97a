# make run    a living room at once: virtual environment, install, `livecast demo`
# make test   the same environment, then every test that needs no extra program
# make lint   style, types and import contracts
# make chaos  the tests that take minutes: crowds, kills, full disks, lost power; docs/operations.md says what they show
# make bench  the measurements of bench/README.md
# make screenshots  the pictures of the pages in docs/pictures, with the Chromium of the system
# make clean  remove what the others made
#
# Only Python >= 3.11 and make are needed. PYTHON=python3.12 chooses another one; ARGS="..." is passed on.

PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= 4

# Where this is set (many images do it) Python keeps nothing of what it compiles, and each of the hundreds of processes that the
# tests start would compile all it imports once more: 7 s of a core instead of 2. Empty means not set.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test lint chaos bench screenshots clean
.DEFAULT_GOAL := run

run: $(VENV)/installed
	@exec $(BIN)/livecast demo $(ARGS)

# Four processes on two cores: many tests wait, for a node to start or a limit to pass. A file's tests stay together, as they
# share what it starts, and so do some folders' (tests/support/dealing.py, which also says what is begun first). The few that fail are tried once more, alone (tests/run.py). For one at a time: `make test WORKERS=0`.
test: $(VENV)/installed-dev
	$(BIN)/python tests/run.py -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m chaos -s -v $(ARGS)

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)

screenshots: $(VENV)/installed-dev
	$(BIN)/python tests/browser/screenshots.py
	$(BIN)/python tests/browser/screenshots_console.py

clean:
	rm -rf $(VENV) .livecast build dist livecast/web/dist livecast/web/dist.new livecast/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find livecast tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what was installed and when, so that a second run starts at once; a change of pyproject.toml installs anew, and
# one of the pages builds them anew (with an installed Node, or one that pip brings along).
PAGES := hatch_build.py $(shell find livecast/web -name node_modules -prune -o -name 'dist*' -prune -o -name test -prune \
	-o -type f ! -name '*.pyc' ! -name '*.md' -print)

$(VENV)/installed: pyproject.toml $(PAGES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(PAGES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "livecast needs Python 3.11 or newer (python3). On Debian: apt install python3; on macOS: brew install python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
