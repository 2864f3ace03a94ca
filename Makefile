# Needs Python 3.11 or newer and make, nothing else. Which Python: make PYTHON=python3.13 VENV=.venv-3.13 test
PYTHON ?= python3
# Which SQLAlchemy, instead of the one in constraints.txt: make SQLALCHEMY=2.0.58 test
SQLALCHEMY ?=
VENV ?= .venv$(SQLALCHEMY:%=-sqlalchemy-%)
# What is installed: `tests` is enough for tests of all but commands, pages and the example.
EXTRA ?= dev
# More arguments for the command that a target runs: make test ARGS='-k races'
ARGS ?=
# How many tests run at once; more than two cores, since many of them wait. 0: one after the other, in this process.
WORKERS ?= 4
# One test of so many of each file, those of tests/unit all. The commit chooses them; 1: every test.
SAMPLE ?= 3
# Which half of the tests that depend on the server: 1/2 or 2/2, or all. The commit divides them.
SHARE ?= all

export SQLALCHEMY
# A test run starts hundreds of processes: modules are compiled once for all, also where the shell forbids it.
unexport PYTHONDONTWRITEBYTECODE
# Material for MkDocs would print that it has a successor.
export NO_MKDOCS_2_WARNING := 1
READY := $(VENV)/.ready
CONSTRAINTS := $(if $(SQLALCHEMY),$(VENV)/constraints.txt,constraints.txt)
READY_DOCS := $(VENV)/.ready-docs
RUN := $(VENV)/bin/python -m
INSTALL = PIP_CONSTRAINT=$(CONSTRAINTS) PIP_BUILD_CONSTRAINT=$(CONSTRAINTS) \
	$(RUN) pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)
# A soak is long on purpose; on a slow machine it may take an hour.
LONG := -o slow_timeout=3600 -o faulthandler_timeout=7200

.DEFAULT_GOAL := help
.PHONY: help demo test check check-code check-format check-lint check-types check-imports check-docker check-migrations \
	migrations sync docs serve-docs format story-generator soak mutants bench constraints clean

help: ## Show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Watch many players write one world at once, into an embedded PostgreSQL
	$(VENV)/bin/livingworld demo $(ARGS)

test: $(READY) ## Run one test of three of each file (SAMPLE=1: all), on an embedded PostgreSQL or the one that LIVINGWORLD_PG_BIN names
	LIVINGWORLD_TEST_SAMPLE=$(SAMPLE) LIVINGWORLD_TEST_SHARE=$(SHARE) $(RUN) pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: check-code check-migrations ## Check format, lint, types, imports, docker files and migrations

check-code: check-format check-lint check-types check-imports check-docker

check-format: $(READY)
	$(RUN) ruff format --check

check-lint: $(READY)
	$(RUN) ruff check

check-types: $(READY)
	$(RUN) mypy

check-imports: $(READY)
	$(VENV)/bin/lint-imports --no-cache --no-logo

check-docker: $(READY)
	$(RUN) yamllint --strict docker .pre-commit-config.yaml .yamllint.yaml
	$(VENV)/bin/hadolint docker/Dockerfile

# An empty database is migrated and compared with the tables; nothing of it stays.
check-migrations: $(READY)
	$(RUN) pytest --quiet -m 'not slow' tests/migrations

migrations: $(READY) ## Write the SQL of the unreleased revisions from the tables and functions
	$(VENV)/bin/python alembic/render_sql.py

sync: $(READY) ## Write the blocking API, livingworld/sync/generated, from the asynchronous one
	PYTHONPATH=. $(RUN) sync_generator

docs: $(READY_DOCS) ## Build the documentation into site/; a warning is an error
	$(RUN) mkdocs build --strict $(ARGS)

serve-docs: $(READY_DOCS) ## Show the documentation in the browser, built again at each change
	$(RUN) mkdocs serve $(ARGS)

format: $(READY) ## Put the code into its form and mend what can be mended
	$(RUN) ruff check --fix
	$(RUN) ruff format

story-generator: $(READY) ## Tell stories in the browser; ARGS='--help' shows what can be chosen
	$(VENV)/bin/livingworld db upgrade
	PYTHONPATH=examples/story_generator $(RUN) story_generator $(ARGS)

soak: $(READY) ## Do everything at once for a minute, try all of what a test run tries a part of, and every test with one world
	LIVINGWORLD_SOAK_SECONDS=60 $(RUN) pytest $(LONG) tests/acceptance/test_soak.py $(ARGS)
	LIVINGWORLD_TEST_PART=all $(RUN) pytest -n $(WORKERS) --dist loadgroup $(LONG) -m 'rotates or hypothesis' $(ARGS)
	LIVINGWORLD_TEST_ROLE=isolated LIVINGWORLD_TEST_SAMPLE=1 $(RUN) pytest -n $(WORKERS) --dist loadgroup $(LONG) \
		-m 'not any_server' $(ARGS)

mutants: $(READY) ## Take out each guard of tests/mutants/guards.toml in turn and see that a test fails (an hour)
	$(RUN) tests.mutants.run_mutants $(ARGS)

bench: $(READY) ## Measure speed, each beside hand-written asyncpg or another library in the same run
	for measured in append turns reads live overload large open_worlds world_state actions isolation; do \
		$(VENV)/bin/python benchmarks/$$measured.py $(ARGS) || exit 1; done

# -c reaches what is installed; the variables reach the build backend (the first in pip before 25.3, the second since).
# Their value is a relative path because pip splits it at spaces.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("livingworld needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(if $(SQLALCHEMY),sed 's/^sqlalchemy==.*/sqlalchemy==$(SQLALCHEMY)/' constraints.txt > $(CONSTRAINTS))
	$(INSTALL) -e '.[$(EXTRA)]'
	@touch $(READY)

$(READY_DOCS): $(READY)
	$(INSTALL) -e '.[docs]'
	@touch $(READY_DOCS)

# uv resolves once for every Python and platform. Pins stay where they can; ARGS=--upgrade raises them all.
constraints: ## Write constraints.txt anew from pyproject.toml
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(PYTHON) -m venv "$$scratch" && "$$scratch/bin/pip" install --quiet --disable-pip-version-check uv && \
	"$$scratch/bin/uv" pip compile --quiet --no-cache --universal --python-version 3.11 --extra bench --extra dev --extra docs \
		--no-annotate --no-emit-package livingworld --custom-compile-command 'make constraints' \
		--output-file constraints.txt $(ARGS) pyproject.toml

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) build dist site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +
