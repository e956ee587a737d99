# `make demo` and `make test` work on a fresh machine with Python 3.11+, make and a package index.

ifneq ($(shell command -v uv 2>/dev/null),)
UV := uv
else
UV := .tools/bin/uv
endif
PYTHON ?= python3
RUN := .venv/bin
SYNCED := .venv/.synced
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help sync lock gen lint type type-all test test-processors test-busy coverage demo up down images e2e bench bench-serving bench-apps parity fuzz release-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1mmake %-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv as a program of this folder, where the machine has none.
.tools/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv

$(SYNCED): pyproject.toml uv.lock VERSION $(wildcard libs/*/pyproject.toml services/*/pyproject.toml) $(filter .tools/%,$(UV))
	@echo "Installing the locked workspace into .venv (once)"
	UV_COMPILE_BYTECODE=1 $(UV) sync --locked --all-packages --quiet
	@touch $@

sync: $(SYNCED) ## Install the locked workspace into .venv

lock: ## Lock the dependencies anew: after a change of one, or of the registry of services
	$(RUN)/python -m tools.registry
	$(UV) lock

gen: $(SYNCED) ## Generate the code of protos/, what follows from the registry of services, and docs/reference
	UV=$(UV) $(RUN)/python -m tools.generate

lint: $(SYNCED) ## Check style, imports between packages, protos, and what is generated
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/lint-imports --no-cache
	$(RUN)/buf lint
	UV=$(UV) $(RUN)/python -m tools.generate --check

type: $(SYNCED) ## Check types
	$(RUN)/pyright

type-all: $(SYNCED) ## Check types against every Python that is supported, one after another
	for python in 3.11 3.12 3.13 3.14; do echo "Python $$python"; $(RUN)/pyright --pythonversion $$python || exit 1; done

test: $(SYNCED) ## Run all tests (TESTS="libs/client tests/docs" runs some)
	OMP_NUM_THREADS=1 $(RUN)/pytest -n $(WORKERS) --dist loadgroup $(TESTS)

test-processors: $(SYNCED) ## Run the tests of nodes as processors without AVX-512 and AVX2 would
	OMP_NUM_THREADS=1 $(RUN)/python -m tools.processors -q -n $(WORKERS)

test-busy: $(SYNCED) ## Run the tests of outages and rotation while every core is kept busy
	OMP_NUM_THREADS=1 $(RUN)/python -m tools.busy $(RUN)/pytest tests/split/test_rotation.py tests/chaos

coverage: $(SYNCED) ## Run the tests of libs and services and say how much of them they run (WRITE=1 keeps the figures)
	OMP_NUM_THREADS=1 $(RUN)/pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=json:build/coverage/report.json libs services
	$(RUN)/python -m tools.coverage_figures build/coverage/report.json $(if $(WRITE),--write)

demo: $(SYNCED) ## Train and serve a real scene (TARGET=HOST:PORT drives a server that runs already)
	$(RUN)/python examples/demo $(if $(TARGET),--target $(TARGET))

up: $(SYNCED) ## Start a whole suite on this machine: Postgres, S3, every service, Envoy
	$(RUN)/python -m swath_suite up

down: $(SYNCED) ## Stop it, and leave nothing behind
	$(RUN)/python -m swath_suite down

images: ## Build the container images, with docker or buildah (TAG, PREFIX, BUILDER: see services/images/build)
	services/images/build

e2e: $(SYNCED) ## Try the chart on the cluster of the current kubeconfig (kind, k3d and minikube make one)
	tests/cluster/run

bench: $(SYNCED) .parity/.synced ## Measure against floors and peers
	$(RUN)/python -m benchmarks

bench-serving: $(SYNCED) ## Compare with other servers, driven by ghz (PEERS="kserve triton", ROUNDS=3, ONLY="tiny rx@1", RESUME=1, WRITE=1)
	UV=$(UV) $(RUN)/python -m benchmarks.serving $(if $(PEERS),--peers $(PEERS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(RESUME),--resume) $(if $(WRITE),--write)

bench-apps: $(SYNCED) ## Compare applications with Ray Serve (SIDES="swath ray", SECONDS=4, WRITE=1)
	UV=$(UV) $(RUN)/python -m benchmarks.apps $(if $(SIDES),--sides $(SIDES)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(WRITE),--write)

.parity/.synced: tools/parity/requirements.txt $(filter .tools/%,$(UV))
	@echo "Installing the reference packages into .parity (once)"
	$(UV) venv --quiet --clear --python $(RUN)/python .parity
	$(UV) pip sync --quiet --require-hashes --python .parity tools/parity/requirements.txt
	@touch $@

parity: $(SYNCED) .parity/.synced ## Compare with the reference packages, number for number
	SWATH_REFERENCE=$$(echo $(CURDIR)/.parity/lib/python3*/site-packages) $(RUN)/pytest -q libs/engine/tests/plugins/test_reference.py
	$(RUN)/python -m tools.parity --write

# The million takes a quarter of an hour on two cores. What is sent follows from SWATH_FUZZ_SEED.
fuzz: $(SYNCED) ## Ask every method thousands of times for nonsense, and the protocols over models a million times
	SWATH_FUZZ_EXAMPLES=$${SWATH_FUZZ_EXAMPLES:-2000} SWATH_FUZZ_REQUESTS=$${SWATH_FUZZ_REQUESTS:-1000000} \
		$(RUN)/pytest -n 2 --dist loadgroup --timeout 3600 -o faulthandler_timeout=0 tests/fuzz

release-check: $(SYNCED) ## Build what is released, and try it in fresh environments
	UV=$(UV) $(RUN)/python -m tools.release_check

clean: ## Remove what was installed and made here
	rm -rf .venv .tools .parity .peers build/coverage dist outputs demo-output
