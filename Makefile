# Every verb that a developer or CI needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PY := .venv/bin/python
SOURCES := operator planner profiler_job tests hack bench
UV_VERSION := 0.13.9
TEST_CLUSTER := test
DEMO_CLUSTER := demo
# Beside the other caches, so that a fresh clone checks the types of what has changed. By content.
export MYPY_CACHE_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dgdr/mypy

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.stamp: requirements/dev.txt pyproject.toml
	test -x $(PY) || python3 -m venv .venv
	.venv/bin/pip install --quiet uv==$(UV_VERSION)
	.venv/bin/uv pip sync --quiet --python $(PY) --require-hashes requirements/dev.txt
	.venv/bin/uv pip install --quiet --python $(PY) --no-deps --editable .
	touch $@

.PHONY: venv
venv: .venv/.stamp ## Make the virtual environment from the lock file

.PHONY: format
format: venv ## Format the code
	.venv/bin/ruff format $(SOURCES)
	.venv/bin/ruff check --fix --exit-zero --quiet $(SOURCES)

.PHONY: lint
lint: venv ## Format check, lint, types and import contracts
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: unit
unit: venv ## Unit tests: pure, no cluster
	.venv/bin/pytest -n 2 --dist loadfile tests/unit

.PHONY: check
check: lint unit verify ## What must pass before every commit (no cluster)

.PHONY: generate
generate: venv ## Regenerate CRDs and everything else that is derived
	$(PY) -m dgdr_api.generate crds helm/dgdr-operator/crd-files
	$(PY) -m hack.fields

.PHONY: verify
verify: venv ## Fail when a generated file is not what its source says
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(PY) -m dgdr_api.generate "$$scratch/crds" "$$scratch/crd-files" >/dev/null && \
	diff -ru crds "$$scratch/crds" && \
	diff -ru crds-beside "$$scratch/crds-beside" && \
	diff -ru helm/dgdr-operator/crd-files "$$scratch/crd-files" && \
	diff -ru helm/dgdr-operator/crd-files-beside "$$scratch/crd-files-beside" && \
	python3 -m hack.cluster verify-kind-config && \
	echo "verify: generated files are up to date"

.PHONY: integration
integration: venv ## Integration tests on a light cluster (etcd, kube-apiserver, KWOK)
	.venv/bin/pytest -n 2 --dist loadfile -m integration tests/integration

.PHONY: e2e
e2e: venv ## End-to-end tests on a full cluster with real pods
	.venv/bin/pytest -m e2e tests/e2e

.PHONY: test
test: ## Everything: check, integration and, beside them, e2e
	$(MAKE) venv images
	$(MAKE) --jobs=2 --output-sync=target e2e check-and-integration-aside

.PHONY: check-and-integration-aside
check-and-integration-aside: venv
	python3 -m hack.aside $(MAKE) check
	python3 -m hack.aside $(MAKE) integration

.PHONY: demo
demo: venv ## From nothing to a scaled deployment: cluster, images, chart, a DGDR, load
	$(PY) -m hack.demo --cluster $(DEMO_CLUSTER)

.PHONY: real-engine
real-engine: venv ## A request with a real vLLM on the CPU: profiled, deployed, checked (outside CI)
	$(PY) -m hack.real_engine

.PHONY: gitops
gitops: venv ## Requests and deployments in Git with a real Argo CD (outside CI)
	.venv/bin/pytest -m gitops tests/gitops

.PHONY: images
images: ## Build the container images (cached by content)
	python3 -m hack.images build

.PHONY: cluster-up
cluster-up: ## Boot the full development cluster and keep it
	python3 -m hack.cluster up --tier full --name $(DEMO_CLUSTER)

.PHONY: cluster-down
cluster-down: ## Remove the development cluster without a trace
	python3 -m hack.cluster down --name $(DEMO_CLUSTER)

.PHONY: bench
bench: venv ## Performance figures as JSON, each a ratio within the same run
	$(PY) -m bench

.PHONY: campaign
campaign: venv ## Fault campaign in memory: a seeded sample of every class, and the planted bugs
	$(PY) -m tests.campaign --jobs 2

.PHONY: lock
lock: venv ## Resolve the lock files again
	hack/lock.sh

.PHONY: clean
clean: ## Remove the virtual environment and caches of this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
