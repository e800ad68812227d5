# Every target starts from a bare Python 3.11 or newer and sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check protos graphs conformance lock image clean

demo: $(READY)
	$(BIN)/python -m training.demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.generated_code

protos: $(READY)
	$(BIN)/python -m tests.generated_code --write

# The default recipe's graphs without weights; the tests compare them with a new export.
graphs: $(READY)
	$(BIN)/python -m training.graphs

# Triton's own client against our server, from an environment of its own.
CONFORMANCE := benchmarks/serving/conformance
conformance: $(READY)
	$(PYTHON) -m venv $(CONFORMANCE)/.venv
	$(CONFORMANCE)/.venv/bin/python -m pip install --quiet -r $(CONFORMANCE)/requirements.txt
	$(BIN)/python -m pytest tests/integration/test_tritonclient.py

# Serving's lock holds hashes, for the image. The other has none, and torch without its local
# version: which build of torch is right depends on the machine.
LOCK := --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: $(READY)
	$(BIN)/pip-compile $(LOCK) --generate-hashes -o requirements/serving.txt pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra training --extra tracing --extra dev -o requirements/dev.txt pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements/dev.txt

image:
	docker build -t onehand .

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "onehand needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@
