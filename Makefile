# The five verbs. Each is what the README says, so that CI, contributors and users do the same.
.PHONY: install test lint train docs
PYTHON ?= python3

install:  ## an environment to work in, in .venv
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -e '.[test,dev]'

test:
	.venv/bin/python -m pytest

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

train:  ## the shipped model and its card; CORPUS=../shared/corpus for the one in the wheel
	.venv/bin/python train.py $(CORPUS)

docs:  ## the documentation, into site/; a broken link or reference fails
	.venv/bin/pip install --quiet -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --site-dir site
