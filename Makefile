# Nothing but Python 3.11+ is needed: every target first builds .venv, once.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
FILES ?=
NAMES ?=
PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')

.DELETE_ON_ERROR:
.PHONY: demo test up lint docs spec bench chaos clean

demo: $(STAMP)
	@$(BIN)/finora demo $(FILES)

# Quiet like -q, which would take the rules off the closing line. One set of servers a process, a
# file's tests in one of them, and one process more than cores, for tests of kills mostly wait. Files
# begin in the order of tests/conftest.py, not as xdist would have it: the fewer tests, the later.
# Bytecode is kept, or every process would compile each test's assertions anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP)
	@$(BIN)/python -m pytest --no-header -o verbosity_test_cases=-1 \
	    -n $(PROCESSES) --dist=loadfile --no-loadscope-reorder

# The dashboard and the API on this machine, with a worker.
up: $(STAMP)
	@$(BIN)/finora up

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(STAMP)
	@$(BIN)/python tools/docs.py

spec: $(STAMP)
	@$(BIN)/python tools/spec.py

bench: $(STAMP)
	@$(BIN)/python benchmarks $(NAMES)

# Kills, cuts and lost answers under load: make chaos SEED=7 SECONDS=600, or KILLS=200; over the API
# with TARGET=http.
chaos: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m chaos --seed "$(SEED)" --seconds "$(SECONDS)" --kills "$(KILLS)" \
	    --target "$(TARGET)"

clean:
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv that lacks pip, or whose Python is gone, is made anew; one that works is kept.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "Finora needs Python 3.11 or newer; say which: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@echo 'installing into .venv, once ...' >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[laptop]" --group test --group dev
	@touch $@
