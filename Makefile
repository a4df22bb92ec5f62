# make repro   run the pipeline of params.yaml (what changed since the last time) and print the comparison;
#              so many stages side by side: make repro JOBS=4, by default the cores over compute.threads
# make ui      browse all runs in MLflow
# make test    run the tests
# make check   lint, formatting and types
# make bench   run the benchmarks of the models: half an hour; docs/performance.md has those beside other software
# make audit   ask for known vulnerabilities of the packages of requirements/lock.txt
#
# Each target sets up .venv first, once. Another Python: make repro PYTHON=python3.12

PYTHON ?= python3
JOBS ?=
BIN = .venv/bin
INSTALLED = .venv/installed

# pip leaves the packages uncompiled (below): each is compiled when it is first imported, and that has to be kept.
export PYTHONDONTWRITEBYTECODE =

.PHONY: repro ui test check bench audit

repro: $(INSTALLED)
	@$(BIN)/unroll repro $(if $(JOBS),--jobs $(JOBS))
	@$(BIN)/unroll compare
	@echo "All runs, with their curves and samples: report/comparison.html, or in MLflow: make ui"

ui: $(INSTALLED)
	@$(BIN)/unroll ui

test: $(INSTALLED)
	@$(BIN)/python -m pytest -n 2

check: $(INSTALLED)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(INSTALLED)
	@for name in core output language_model seq2seq decoding generation; do $(BIN)/python -m bench.$$name || exit 1; done

# pip-audit has an environment of its own: it is no part of the project, and what it needs is not audited.
AUDIT = .venv-audit/bin/pip-audit

audit: $(AUDIT)
	@$(PYTHON) requirements/audit.py $(AUDIT)

$(AUDIT):
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check "pip-audit>=2.7,<3"

# Installs again only when what is asked for has changed. What is used is compiled then; all of it would take a minute.
$(INSTALLED): pyproject.toml requirements/lock.txt
	@test -x $(BIN)/pip || { $(PYTHON) -c 'import sys; v = sys.version_info; \
	    sys.exit(0 if (3, 11) <= v < (3, 14) else "error: $(PYTHON) is Python %d.%d; unroll needs 3.11 to 3.13:" \
	    " make PYTHON=python3.12" % v[:2])' && $(PYTHON) -m venv .venv; }
	@echo "Installing into .venv (some minutes the first time) ..."
	@$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c requirements/lock.txt -e ".[dev,corpus]"
	@touch $@
