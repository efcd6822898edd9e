# Every target sets up what it needs in .venv by itself, once. On a machine without a CUDA GPU, the small CPU torch (pytorch.org
# names its CPU_INDEX):
#   make setup PIP_EXTRA="--extra-index-url CPU_INDEX"
PYTHON ?= python3
VENV ?= .venv
PIP_EXTRA ?=
# How many tests run side by side.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
BIN := $(VENV)/bin
STAMP := $(VENV)/.easel-ready

.PHONY: setup demo test check format docs gallery pocket pocket-score bench clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "easel needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet $(PIP_EXTRA) -e '.[dev,docs]'
	@touch $@

demo: $(STAMP)
	$(BIN)/easel stylize examples/photo.jpg --seed 1 --out out/demo
	@echo "The contact sheet is out/demo/sheet.png"

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m easel.cli.reference --check docs/settings.md easel/__init__.pyi

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)
	$(BIN)/python -m easel.cli.reference docs/settings.md easel/__init__.pyi
	$(BIN)/mkdocs build --strict

gallery: $(STAMP)
	$(BIN)/python -m easel.pocket.world.gallery docs/images

pocket: $(STAMP)
	$(BIN)/python -m easel.pocket.train all

pocket-score: $(STAMP)
	$(BIN)/python -m easel.pocket.train score

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .coverage
