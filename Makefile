# make demo   shows the product on real data
# make test   sets everything up and passes every test
# make help   lists the rest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FRONTEND := tensorboard_plugin/frontend
NODE_MODULES := $(FRONTEND)/node_modules/.package-lock.json

.PHONY: help demo test lint frontend bundle screenshot clean
.DELETE_ON_ERROR:

help:
	@grep -E '^# make' Makefile | sed 's/^# //'

# make demo: trains three short runs on scikit-learn's digits and opens TensorBoard beside them
demo: $(INSTALLED)
	@exec $(BIN)/tfdiag demo

# make lint: what the tests check of the code's form
lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[tensorflow,demo,dev]'
	@touch $@
