# Everything runs in .venv, made from pinned and hashed requirements on first use.
# `make lock` is the only target that needs more: it resolves anew with uv.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
DLT := .venv-dlt
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo dev test browser mutants chaos load lint client sign-in sam sam-validate e2e bench bench-cold lock
.DEFAULT_GOAL := demo

demo: $(VENV)/local ## the whole story on a laptop, against a stub Clerk and an embedded Postgres
	@$(BIN)/clerksync demo

dev: $(VENV)/local sign-in ## the same stack, kept up for development, with a page to watch it
	@$(BIN)/clerksync dev

# Each worker has its own Postgres. Files stay whole, so that what a module sets up is
# set up once, and keep their order: the longest ones come first.
TESTS ?= tests
test: $(VENV)/dev sign-in ## all tests, on all cores; make test TESTS=tests/unit for some of them
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 16 --dist loadfile --no-loadscope-reorder $(TESTS)

browser: $(VENV)/dev sign-in ## only the tests of the page, in headless chromium
	@$(BIN)/python -m pytest tests/browser $(BROWSER)

# The page signs in with React and the real hook. Without Node.js it does without.
SIGN_IN := local/page/build/signin.js
NPM := $(firstword $(wildcard $(addsuffix /npm,$(subst :, ,$(PATH)))))
sign-in:
ifneq ($(NPM),)
	@$(MAKE) --no-print-directory --silent $(SIGN_IN) || echo "The page goes without the React hook: see above."
endif

$(SIGN_IN): $(wildcard local/page/signin/*.js clients/react/src/*.ts) clients/react/node_modules/.package-lock.json
	@NODE_PATH=clients/react/node_modules clients/react/node_modules/.bin/esbuild local/page/signin/signin.js \
		--bundle --minify --format=esm --target=es2022 --log-level=warning --outfile=$@ \
		--define:process.env.NODE_ENV='"production"' --external:/page/session.js \
		--alias:clerksync-react=./clients/react/src/index.ts --alias:@clerk/react=./local/page/signin/clerk.js

mutants: $(VENV)/dev ## faults put into the rules of truth, one by one: each must be caught
	@$(BIN)/python -m tests.convergence.mutants $(MUTANTS)

lint: $(VENV)/dev ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# npm's own record of what it installed is also the proof that it did.
CLIENT := clients/react
NODE_18 := node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1
client: $(CLIENT)/node_modules/.package-lock.json ## the browser's hook: types, tests, build, size
	@cd $(CLIENT) && npm run --silent lint && npm test --silent && npm run --silent build && npm run --silent size

$(CLIENT)/node_modules/.package-lock.json: $(CLIENT)/package.json $(CLIENT)/package-lock.json
	@$(NODE_18) || { echo "make client needs Node 18 or newer, with npm. On Debian and Ubuntu: apt-get install nodejs npm"; exit 1; }
	@echo "installing $(CLIENT)/package-lock.json into $(CLIENT)/node_modules"
	@cd $(CLIENT) && npm ci --silent
	@touch $@

bench: $(VENV)/bench $(DLT)/ready ## all numbers, measured anew; see make bench BENCH=--help
	@$(BIN)/python -m benchmarks $(BENCH)

chaos: $(VENV)/dev ## faults of every kind, and what they cost; see make chaos CHAOS=--help
	@$(BIN)/python -m tests.chaos $(CHAOS)

load: $(VENV)/dev ## the webhook door from 1, 4 and 16 environments; see make load LOAD=--help
	@$(BIN)/python -m tests.chaos.load $(LOAD)

$(VENV)/local: requirements/local.txt pyproject.toml
	@$(call install,$<)
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/local
	@$(call install,$<)
	@touch $@

$(VENV)/bench: requirements/bench.txt $(VENV)/dev
	@$(call install,$<)
	@touch $@

# Hashes are checked by pip; the project itself is linked, not copied.
define install
test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3"; exit 1; }; \
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
echo "installing $(1) into $(VENV)"; \
$(PIP) install --require-hashes --requirement $(1); \
$(PIP) install --no-deps --no-build-isolation --editable .
endef

# What clerksync is measured against: out of reach of our code, and on the same Python.
$(DLT)/ready: requirements/dlt.txt | $(VENV)/bench
	@$(BIN)/python -m venv --clear $(DLT)
	@echo "installing $< into $(DLT)"
	@$(DLT)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes --requirement $<
	@touch $@

# aws-sam-cli's pins clash with ours: it has an environment of its own. Made with the
# runtime's Python, that also holds the python3.13 and the pip that `sam build` looks for.
# The list is complete: --no-deps keeps older pips from stumbling over extras.
SAM := .venv-sam
PYTHON313 ?= $(firstword $(foreach p,python3.13 \
	$(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13*/bin/python3.13) \
	$(wildcard $(HOME)/.local/share/uv/python/cpython-3.13*/bin/python3.13) \
	,$(shell $(p) -c 'import ensurepip, venv' 2>/dev/null && echo $(p))))
sam sam-validate e2e: export SAM_CLI_TELEMETRY := 0

$(SAM)/ready: requirements/sam.txt
	@python="$(or $(PYTHON313),$(PYTHON))"; "$$python" -m venv --clear $(SAM)
	@echo "installing $< into $(SAM)"
	@$(SAM)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes --requirement $<
	@touch $@

sam-validate: $(SAM)/ready ## check the template, with cfn-lint
	@$(SAM)/bin/sam validate --lint

sam: sam-validate ## check the template and build what is deployed, with bytecode, without Docker
	@test -x $(SAM)/bin/python3.13 || { echo "sam build needs a Python 3.13 with venv, as Lambda's runtime has it. Install one, or name it: rm -r $(SAM) && make sam PYTHON313=/path/to/python3.13"; exit 1; }
	@PATH="$(CURDIR)/$(SAM)/bin:$$PATH" sam build $(BUILD)
	@$(COMPILE) .aws-sam/build

# What sam leaves out: without bytecode, and nowhere to write it, a cold start compiles
# all it imports. SAM's archives have no dates, so that of the source must not count.
COMPILE := $(SAM)/bin/python3.13 -m compileall -q --invalidation-mode unchecked-hash

# ministack runs functions with its own Python, whose packages they see: it has an
# environment of the runtime's Python and nothing else in it.
MINISTACK := .venv-ministack
$(MINISTACK)/ready: requirements/e2e.txt
	@test -n "$(PYTHON313)" || { echo "make e2e needs a Python 3.13 with venv, as Lambda's runtime has it. Install one, or name it: make e2e PYTHON313=/path/to/python3.13"; exit 1; }
	@$(PYTHON313) -m venv --clear $(MINISTACK)
	@echo "installing $< into $(MINISTACK)"
	@$(MINISTACK)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes --requirement $<
	@touch $@

# Functions run on this machine: the layer is built for it.
FOR_HERE := --parameter-overrides Architecture=$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
E2E_BUILD := --build-dir .aws-sam/e2e $(FOR_HERE)
e2e: $(MINISTACK)/ready $(SAM)/ready $(VENV)/dev ## deploy to an AWS on this machine, and see it work
	@echo "sam build"
	@test -x $(SAM)/bin/python3.13 || { echo "$(SAM) was made with another Python: rm -r $(SAM)"; exit 1; }
	@PATH="$(CURDIR)/$(SAM)/bin:$$PATH" sam build $(E2E_BUILD) >$(MINISTACK)/build.log 2>&1 || { cat $(MINISTACK)/build.log; exit 1; }
	@$(COMPILE) .aws-sam/e2e
	@$(BIN)/python -m pytest --verbose --capture=no --durations=3 tests/e2e $(E2E)

# Lambda's runtime: its Python, its client and its boto3, with bytecode. Beside it what
# the naive function ships, without, as `sam build` leaves it. botocore, which an SDK
# there asks for, is the runtime's: it has bytecode, and the naive function is faster.
RIC := .venv-ric
$(RIC)/ready: requirements/ric.txt requirements/naive.txt | $(SAM)/ready
	@test -x $(SAM)/bin/python3.13 || { echo "Lambda's own Python 3.13 is needed, see make sam"; exit 1; }
	@$(SAM)/bin/python3.13 -m venv --clear $(RIC)
	@echo "installing $^ into $(RIC)"
	@$(RIC)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes --requirement requirements/ric.txt
	@$(RIC)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile --target $(RIC)/naive --no-deps --require-hashes --requirement requirements/naive.txt
	@rm -r $(RIC)/naive/botocore
	@touch $@

bench-cold: export SAM_CLI_TELEMETRY := 0
bench-cold: $(VENV)/bench $(RIC)/ready ## first requests under AWS's emulator; make bench-cold COLD=--help
	@mkdir -p .aws-sam
	@PATH="$(CURDIR)/$(SAM)/bin:$$PATH" sam build --build-dir .aws-sam/cold $(FOR_HERE) >/dev/null 2>.aws-sam/cold.log || { cat .aws-sam/cold.log; exit 1; }
	@$(BIN)/python -m benchmarks.cold_start $(COLD)

# Keeps the versions that are pinned and still allowed: make lock UPGRADE=--upgrade
UV = .venv-lock/bin/uv pip compile --quiet --universal --python-version $(or $(1),3.11) \
	--generate-hashes --no-annotate --custom-compile-command "make lock"
lock: ## bring the pinned requirements in line with pyproject.toml
	@$(PYTHON) -m venv --clear .venv-lock
	@.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	$(call UV) $(UPGRADE) pyproject.toml -o layers/clerksync/requirements.txt
	$(call UV) $(UPGRADE) pyproject.toml --extra local -c layers/clerksync/requirements.txt -o requirements/local.txt
	$(call UV) $(UPGRADE) pyproject.toml --extra dev -c layers/clerksync/requirements.txt -o requirements/dev.txt
	$(call UV) $(UPGRADE) pyproject.toml --extra bench -c requirements/dev.txt -o requirements/bench.txt
	$(call UV) $(UPGRADE) requirements/sam.in -o requirements/sam.txt
	$(call UV) $(UPGRADE) requirements/dlt.in -o requirements/dlt.txt
	$(call UV,3.13) $(UPGRADE) requirements/e2e.in -o requirements/e2e.txt
	$(call UV) $(UPGRADE) requirements/ric.in -o requirements/ric.txt
	$(call UV) $(UPGRADE) -c layers/clerksync/requirements.txt requirements/naive.in -o requirements/naive.txt
	@rm -r .venv-lock
