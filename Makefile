# make quickstart: a run without network or weights, into runs/quickstart
# make test: the tests but the slow ones    make test-slow: the slow ones, which CI runs too
# make check: lint and types                make docs: docs/reference.md, from the code
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test test-slow check docs clean

quickstart: .venv/installed
	$(BIN)/python run.py --config=configs/quickstart.py --workdir=runs/quickstart

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv/installed
	$(BIN)/python -m geneb_jax.reference > docs/reference.md

.venv/installed: pyproject.toml
	@echo "installing what pyproject.toml names into .venv, which takes minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv runs
