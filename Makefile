# make demo        trains three short runs on real digits and opens TensorBoard beside them
# make test        sets everything up and runs every test, as CI does
# make test-oldest runs the tests that need TensorFlow with the oldest versions that may be used
# make lint        checks the form of the Python code
# make frontend    checks and tests the frontend
# make bundle      builds the Health tab into tensorboard_plugin/static
# make screenshot  takes the README's picture anew
# make clean       removes everything that make has made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
FRONTEND := tensorboard_plugin/frontend
STATIC := tensorboard_plugin/static
NODE_MODULES := $(FRONTEND)/node_modules/.package-lock.json

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export npm_config_engine_strict := true
export npm_config_fund := false
export npm_config_audit := false
export npm_config_update_notifier := false

.PHONY: help demo test test-oldest lint frontend bundle committed screenshot clean chromium
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@grep -E '^# make' Makefile | sed 's/^# //'

demo: $(VENV)/.demo
	@exec $(BIN)/tfdiag demo --log-dir .demo

# What may be missing is asked for first; what is quick runs before what is slow. A browser that is
# slow for other reasons than ours gets one more try, which the summary names.
test: $(BIN)/python $(NODE_MODULES) $(VENV)/.dev chromium lint frontend committed
	TFDIAG_REQUIRE_ALL=1 $(BIN)/python -m pytest -m "not browser and not wheel" -n 2 --dist loadfile
	TFDIAG_REQUIRE_ALL=1 $(BIN)/python -m pytest -m "browser or wheel" --reruns 1 -r R

test-oldest: $(OLDEST)/.dev
	$(OLDEST)/bin/python -m pytest -m "tensorflow and not browser"

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

frontend: $(NODE_MODULES)
	npm --prefix $(FRONTEND) run --silent check
	npm --prefix $(FRONTEND) run --silent test

bundle: $(NODE_MODULES)
	npm --prefix $(FRONTEND) run --silent build -- --logLevel warn

# The bundle in git is the one that the sources give: nothing differs, nothing is missing in git.
committed: bundle
	git diff --exit-code --stat -- $(STATIC)
	@new=$$(git ls-files --others --exclude-standard -- $(STATIC)); test -z "$$new" || \
	  { echo "The build made files that are not in git: $$new. Add them: git add $(STATIC)" >&2; exit 1; }

screenshot: chromium
	rm -rf .demo  # of an older version, perhaps
	$(BIN)/python -m docs.screenshot

clean:
	rm -rf $(VENV) $(OLDEST) $(FRONTEND)/node_modules .demo build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

chromium: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.chromium

$(VENV)/.demo: EXTRAS := tensorflow,demo
$(VENV)/.dev: EXTRAS := tensorflow,demo,dev
$(VENV)/.demo $(VENV)/.dev: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing tfdiag[$(EXTRAS)] into $(VENV); this takes minutes, once ..."
	@$(BIN)/python -m pip install --quiet --quiet --editable '.[$(EXTRAS)]'
	@touch $(VENV)/.demo $@

$(OLDEST)/.dev: setup.cfg pyproject.toml tests/oldest.txt | $(OLDEST)/bin/python
	@echo "Installing the oldest versions into $(OLDEST); this takes minutes, once ..."
	@$(OLDEST)/bin/python -m pip install --quiet --quiet --constraint tests/oldest.txt \
	  --editable '.[tensorflow,demo,dev]'
	@touch $@

$(BIN)/python $(OLDEST)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "TensorFlow needs Python 3.10 to 3.13, but $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(@D:/bin=) || { rm -rf $(@D:/bin=); exit 1; }

$(NODE_MODULES): $(FRONTEND)/package.json $(FRONTEND)/package-lock.json
	@node --version >/dev/null && npm --version >/dev/null || \
	  { echo "The frontend is built with Node and its npm, but one is missing." \
	    "Install Node from https://nodejs.org" >&2; exit 1; }
	@npm --prefix $(FRONTEND) ci --silent || npm --prefix $(FRONTEND) ci
	@touch $@
