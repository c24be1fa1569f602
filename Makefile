# Everything a newcomer needs: `make demo` and `make test`. Both work in .venv at the root of the clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
GOAL ?= set a pasta timer for 9 minutes and tell me the weather in Oslo

.PHONY: demo test test-all test-families bench bench-loading bench-overhead parity eval eval-calibration eval-multistep eval-agentdojo clean

demo: .venv/demo.installed  ## the agent on a real goal, with the example tools
	$(BIN)/ferrule run "$(GOAL)" --tools examples/tools.py

test: .venv/test.installed  ## the suite, everything at tested versions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/test.installed  ## also the tests that take longer than the suite may
	$(BIN)/python -m pytest

test-families: .venv/test.installed  ## every model family on every backend, in bfloat16 too
	$(BIN)/python -m pytest tests/models/families

parity: .venv/test.installed  ## the table of the README
	$(BIN)/ferrule parity needle_3

bench-loading: .venv/test.installed  ## loading beside safetensors; TOKENIZER=folder adds a model's own tokenizer
	$(BIN)/python -m benchmarks.loading $(if $(TOKENIZER),--tokenizer $(TOKENIZER))

bench-overhead: .venv/test.installed  ## what the agent takes beside the model, with 10 and 1,000 tools
	$(BIN)/python -m benchmarks.overhead

bench: .venv/test.installed  ## our backends beside the native engine, on an otherwise idle machine
	$(BIN)/python -m benchmarks.needle_native

eval: .venv/test.installed  ## the native engine's 278 BFCL cases
	$(BIN)/ferrule eval bfcl --baseline benchmarks/data/needle_engine_bfcl.json

eval-calibration: .venv/test.installed  ## fits the confidence of Needle's calls on other cases of BFCL; six minutes
	$(BIN)/ferrule eval calibration --without benchmarks/data/needle_engine_bfcl.json

eval-multistep: .venv/test.installed  ## chores of several steps, the held-out half, beside the plain loop
	$(BIN)/ferrule eval multistep --split held-out --plain

eval-agentdojo: .venv/test.installed  ## AgentDojo with a scripted model that obeys every injection; half an hour
	$(BIN)/ferrule eval agentdojo --approver nobody --approver user --approver unguarded

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[needle]'
	touch $@

.venv/test.installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[all,test]'
	$(PIP) --no-deps bfcl-eval==2026.3.23 keras-hub==0.32.0 agentdojo==0.1.35
	touch $@ .venv/demo.installed

clean:
	rm -rf .venv build dist *.egg-info
