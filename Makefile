# Everything runs in .venv, made from pinned and hashed requirements on first use.
# `make lock` is the only target that needs more: it resolves anew with uv.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo dev test lint sam bench lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/local ## the whole story on a laptop, against a stub Clerk and an embedded Postgres
	@$(BIN)/clerksync demo

dev: $(VENV)/local ## the same stack, kept up for development
	@$(BIN)/clerksync dev

test: $(VENV)/dev ## unit and integration tests on the embedded Postgres
	@$(BIN)/python -m pytest

lint: $(VENV)/dev ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock: ## resolve the pinned requirements anew
	$(VENV)/bin/uv pip compile pyproject.toml $(UV) -o layers/clerksync/requirements.txt
