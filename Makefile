# Everything a newcomer needs: `make demo` and `make test`. Both work in .venv at the root of the clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
GOAL ?= set a pasta timer for 9 minutes and tell me the weather in Oslo

.PHONY: demo test test-all bench bench-loading parity eval clean

demo: .venv/demo.installed  ## the agent on a real goal, with the example tools
	$(BIN)/ferrule run "$(GOAL)" --tools examples/tools.py

test: .venv/test.installed  ## the suite, everything at tested versions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/test.installed  ## also the tests that take longer than the suite may
	$(BIN)/python -m pytest

parity: .venv/test.installed  ## the table of the README
	$(BIN)/ferrule parity needle_3

bench-loading: .venv/test.installed  ## loading beside safetensors; TOKENIZER=folder adds a model's own tokenizer
	$(BIN)/python -m benchmarks.loading $(if $(TOKENIZER),--tokenizer $(TOKENIZER))

bench: .venv/test.installed  ## our backends beside the native engine, on an otherwise idle machine
	$(BIN)/python -m benchmarks.needle_native

eval: .venv/test.installed  ## the native engine's 278 BFCL cases
	$(BIN)/ferrule eval bfcl --baseline benchmarks/data/needle_engine_bfcl.json

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[needle]'
	touch $@

.venv/test.installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[all,test]'
	$(PIP) --no-deps bfcl-eval==2026.3.23 keras-hub==0.32.0
	touch $@ .venv/demo.installed

clean:
	rm -rf .venv build dist *.egg-info
