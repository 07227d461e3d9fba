# Every target sets up what it needs in .venv, from nothing but a Python of 3.11 or later.

PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 $(HOME)/.pyenv/versions/3.1[1-9].*/bin/python3; do \
	if "$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$python"; break; fi; done)
BIN := .venv/bin
# Dependency groups need pip 25.1; the pip that comes with a Python may be older.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint coverage bench test-all compat test-downstream clean

demo: .venv/.ready-demo  ## record a session against a local server, then replay it offline
	@$(BIN)/cassette-http demo

test: .venv/.ready  ## run the tests, in parallel
	@$(BIN)/python -m pytest -q -n auto

lint: .venv/.ready  ## check style, format and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary

coverage: .venv/.ready  ## prove that the tests of the wire room cover it alone, branch by branch
	@$(BIN)/coverage run --branch --source=cassette_http/wire -m pytest -q tests/wire
	@$(BIN)/coverage report --fail-under=100

bench: .venv/.ready .venv/.ready-bench  ## compare speed, side by side with others
	@$(BIN)/python -m benchmarks

test-all: .venv/.ready-nox  ## run the tests on every supported Python that is found
	@$(BIN)/nox --session tests

compat: .venv/.ready .venv/.ready-compat  ## run the tests that need the recorders and plugins of others
	@$(BIN)/python -m pytest -q tests/compat tests/convert

test-downstream: .venv/.ready-nox  ## drive the libraries we serve, old and new, and run their own tests
	@$(BIN)/nox --session downstream || true
	@$(BIN)/python -m downstream

clean:  ## remove everything that the other targets made
	@rm -rf .venv .nox build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@test -n "$(PYTHON)" || { echo "no Python of 3.11 or later was found" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade "pip>=25.1"
	@touch $@

# What users have: the package, and TLS for the demo's server.
.venv/.ready-demo: pyproject.toml | .venv/.made
	@$(PIP) --editable ".[tls]"
	@touch $@

# What developers need besides.
.venv/.ready: pyproject.toml | .venv/.made
	@$(PIP) --group dev --editable ".[pytest,tls]"
	@touch $@ .venv/.ready-demo

# Others to compare with. One that cannot be installed here is left out of the tables.
.venv/.ready-bench: pyproject.toml | .venv/.made
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")' | \
	while read -r package; do $(PIP) "$$package" || echo "left out of the benchmarks: $$package" >&2; done
	@touch $@

# An environment of its own: their plugins would be loaded in ours.
.venv/.ready-compat: pyproject.toml | .venv/.made
	@$(BIN)/python -m venv .venv/compat
	@.venv/compat/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@.venv/compat/bin/python -m pip install --quiet --disable-pip-version-check --group compat
	@touch $@

.venv/.ready-nox: | .venv/.made
	@$(PIP) nox
	@touch $@
