# On a fresh machine, `make demo` is enough; `make help` lists the rest.
# PYTHON=/path/to/python3 chooses the interpreter, ARGS="..." is passed on to the command.
# VULKAN=--cached keeps `make test-llama-server` from building for Vulkan, which takes long.

PYTHON ?=
ARGS ?=
VULKAN ?=
PY := .venv/bin/python
SOURCES := pyproject.toml constraints.txt scripts/setup.sh

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-llama-server check ready clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/ready ## a virtual phone, a real model, one task before your eyes
	@$(PY) -m app demo $(ARGS)

serve: .venv/ready ## the service and its dashboard
	@$(PY) -m app serve $(ARGS)

test: ready ## all tests, end to end included, and the lines of app/ that none of them reaches
	@$(PY) -m pytest -p tests.reached $(ARGS)

test-llama-server: .venv/ready-dev ## the engine's and the converter's tests with real binaries, built once
	@python="$(CURDIR)/$(PY)" && server=$$(PYTHON="$$python" scripts/llama_server.sh) && \
		vulkan=$$(PYTHON="$$python" scripts/llama_server_vulkan.sh $(VULKAN)) && \
		tools=$$(PYTHON="$$python" scripts/convert_tools.sh) && \
		env $$tools PHONEPILOT_TEST_LLAMA_SERVER="$$server" \
		PHONEPILOT_TEST_VULKAN_SERVER="$$vulkan" $(PY) -m pytest \
		tests/llm tests/agent/dialects/test_grammar.py $(ARGS)

check: .venv/ready-dev ## format, lint and types, as in CI
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@scripts/node_tools.sh --check

ready: .venv/ready-dev ## install all that the tests need, and run nothing
	@scripts/test_tools.sh

clean: ## remove the virtual environment and every cache
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find app tests training -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: $(SOURCES)
	@PYTHON="$(PYTHON)" scripts/setup.sh .

.venv/ready-dev: $(SOURCES)
	@PYTHON="$(PYTHON)" scripts/setup.sh ".[dev]"
