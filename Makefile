PYTHON  ?= python3
WORKERS ?= 2

VENV  := .venv
BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip install -qq -c constraints.txt
# Tests run side by side, so each keeps to one core.
SOLO  := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint format types floors check bench bench-trust bench-simulation bench-rootcause bench-mispredictions record-redis clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing causalsys and its tools into $(VENV): about a minute, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	@$(PIP) -e '.[dev,bench]'
	@touch $@

install: $(VENV)/.installed ## a virtual environment with the package and its tools

demo: install ## the Redis persistence incident, end to end
	@$(BIN)/python -m case_studies.redis_persistence

test: install ## the suite, less what is slow
	$(SOLO) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-slow: install ## what `test` leaves out
	$(BIN)/python -m pytest -m slow

lint: install ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## repair what `lint` would report, where it can be
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install ## mypy, strict
	$(BIN)/mypy

floors: install ## no room imports from above its own floor
	$(BIN)/lint-imports

check: lint types floors test ## all of the above: what a change must pass

bench: $(VENV)/.installed-bench ## side by side with the peers
	@$(BIN)/python -m benchmarks

bench-trust: $(VENV)/.installed-bench ## verdicts, intervals and bounds against known truth (hours)
	@$(SOLO) $(BIN)/python -m benchmarks.trust

bench-simulation: $(VENV)/.installed-bench ## simulated traces against the systems that made them (hours)
	@$(SOLO) $(BIN)/python -m benchmarks.simulation

bench-rootcause: $(VENV)/.installed-bench ## root cause of simulated incidents, and PetShop's where its data are (hours)
	@$(SOLO) $(BIN)/python -m benchmarks.rootcause

bench-mispredictions: $(VENV)/.installed-bench ## generated mispredictions, and a real one where its data are (half an hour)
	@$(SOLO) $(BIN)/python -m benchmarks.mispredictions

record-redis: install ## record the Redis case study again (needs redis-server)
	@$(BIN)/python -m case_studies.redis_persistence.record

clean: ## remove the environment, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
