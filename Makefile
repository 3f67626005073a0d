# The verbs of this repository. `make` alone lists them.
#   ARGS      more arguments for ansible-playbook, for deploy and verify: make deploy ARGS="-e key=value"
#   SCENARIO  one Molecule scenario: make molecule SCENARIO=default
#   CONFIG    the clearml.conf of a user of the server that `make acceptance` tests (default: a lab stack of its own)
#   IMAGES    official or lab: which images the demo uses (default: official when their registry answers)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
CLIENTS := .cache/acceptance
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
ARGS ?=
SCENARIO ?= default alternative debian12 agents
IMAGES ?= auto
CONFIG ?=

.PHONY: help demo deploy verify images test test-full lint unit stack contract acceptance package mutants molecule bench clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## boot a throw-away host, deploy the platform on it, verify it, say what to try next
	@python3 lab/demo.py --images "$(IMAGES)"

deploy: $(VENV)/.ready ## run playbooks/deploy.yml on the demo host (ARGS="-e key=value")
	@python3 lab/demo.py --check-host
	@ansible-playbook -i inventory/demo playbooks/deploy.yml $(ARGS)

verify: $(VENV)/.ready ## run playbooks/verify.yml on the demo host (ARGS="-e key=value")
	@python3 lab/demo.py --check-host
	@ansible-playbook -i inventory/demo playbooks/verify.yml $(ARGS)

images: ## print every image of every release, for mirroring
	@for file in compose/releases/*.env; do echo "# $$(basename "$$file" .env)"; sed -n 's/^[A-Z_]*_IMAGE=//p' "$$file"; done

test: lint unit stack acceptance ## lint, unit tests, the plain Compose stack, the SDK, some mutants, Molecule: what .ci/run calls
	@$(MAKE) --no-print-directory mutants ARGS="--sample 6"
	@$(MAKE) --no-print-directory molecule

test-full: test ## the same, and the long forms of the tests: slow ones, every mutant, deploys killed twenty times
	@python3 lab/lab.py images --release all
	@pytest tests/stack -m slow
	@$(MAKE) --no-print-directory acceptance ARGS="-m long"
	@$(MAKE) --no-print-directory mutants
	@for round in 1 2 3 4; do \
	  KILLS=5 SEED=$$(($${SEED:-0} + round)) $(MAKE) --no-print-directory molecule SCENARIO=interrupted; done

lint: $(VENV)/.ready ## ansible-lint, yamllint, shellcheck, ruff, mypy, generated documentation
	@shellcheck .ci/run lab/images/redis/redis-server $$(git ls-files '*.sh')
	@yamllint --strict .
	@ruff check .
	@ruff format --check .
	@mypy
	@python3 docs/generate.py --check
	@ansible-lint --offline

unit: $(VENV)/.ready ## unit tests
	@pytest tests/unit

stack: $(VENV)/.ready # the Compose files without Ansible, on this machine's own engine
	@python3 lab/lab.py engine
	@python3 lab/lab.py images
	@pytest tests/stack -m 'not slow'
	@pytest tests/contract

contract: $(VENV)/.ready ## replay recorded calls of the official server on a lab server (FILES="a.jsonl b.jsonl", ARGS="--show 20")
	@python3 lab/lab.py engine
	@python3 lab/lab.py images
	@python3 -m tests.contract --from "$(CURDIR)" --from "$(PWD)" $(ARGS) $(FILES)

acceptance: $(VENV)/.ready $(CLIENTS)/.ready ## the official SDK and agent against a server (CONFIG=clearml.conf, ARGS="-k agent")
ifeq ($(CONFIG),)
	@python3 lab/lab.py engine
	@python3 lab/lab.py images
endif
	@python3 -m tests.acceptance $(if $(CONFIG),--config "$(CONFIG)") $(or $(ARGS),-m 'not long')

# Not part of `make test` yet: these tests take longer than their share, and some fail on a busy machine.
package: $(VENV)/.ready $(CLIENTS)/.package # the tests of python/ against a lab stack (ARGS="-k models")
	@python3 lab/lab.py engine
	@python3 lab/lab.py images
	@python3 -m tests.acceptance python/tests $(or $(ARGS),-m 'not long')

mutants: $(VENV)/.ready $(CLIENTS)/.ready ## put faults in one by one, and show which test catches each (ARGS="--list")
	@python3 lab/lab.py engine
	@python3 lab/lab.py images
	@python3 -m tests.mutants $(ARGS)

molecule: $(VENV)/.ready $(CLIENTS)/.ready ## Molecule scenarios (SCENARIO=name for one)
	@python3 lab/lab.py engine
	@for scenario in $(SCENARIO); do molecule test --scenario-name "$$scenario"; done

bench: $(VENV)/.ready $(CLIENTS)/.ready ## measure times and memory, as ratios against plain Compose and one client (ARGS="--only load")
	@python3 lab/bench.py $(ARGS)

clean: ## remove the demo host, the lab's containers and .demo
	@python3 lab/demo.py --remove

# The Python environment. The file .ready is written last, so an interrupted installation starts again.
$(VENV)/.ready: requirements.txt requirements-dev.txt
	@start=$$SECONDS; echo "Installing the Python environment ($(VENV)) ..."; \
	python3 -m venv $(VENV) 2>/dev/null || { \
	  echo "This machine's Python has no venv module: installing python3-venv"; \
	  apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && python3 -m venv $(VENV); }; \
	$(VENV)/bin/pip install -q --disable-pip-version-check $(foreach file,$^,-r $(file)); \
	touch $@; echo "... done in $$((SECONDS - start)) s"

# The official clients, whose requirements are not those of the tools above.
$(CLIENTS)/.ready: tests/acceptance/requirements.txt
	@echo "Installing the official clients ($(CLIENTS)) ..."; \
	mkdir -p $(CLIENTS) && python3 -m venv --clear $(CLIENTS) && \
	$(CLIENTS)/bin/pip install -q --disable-pip-version-check -r $< && touch $@

# The package of python/ beside them.
$(CLIENTS)/.package: $(CLIENTS)/.ready python/pyproject.toml
	@echo "Installing the package clearml_platform ($(CLIENTS)) ..."; \
	$(CLIENTS)/bin/pip install -q --disable-pip-version-check -e ./python && touch $@
