# Every target sets up .venv by itself; nothing is written outside .venv*, runs/ and caches.
#
#   make demo ARGS="--config.seed=1 --workdir=runs/other"    further arguments of the command
#   make test ARGS="-k layout"
#   make figures MODE=:quick                                 the small version of each
#   make figures JOBS=1                                      one after the other
#   make test PYTHON=python3.12                              the interpreter .venv is made from
#   make test-newest PYTHON=python3.13                       the newest jax asks for a newer Python

PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed

# One test process per core: threads inside each would only wait for one another. Thousands of small
# programs take longer to optimise than to run; the README's commands run optimised ones.
ONE_THREAD := JAX_DISABLE_MOST_OPTIMIZATIONS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
  XLA_FLAGS="--xla_cpu_multi_thread_eigen=false $$XLA_FLAGS"
PYTEST = $(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=12
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check
LIST_VERSIONS = @$(BIN)/python -VV && $(BIN)/python -m pip freeze --exclude-editable | xargs
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade \
  --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# The experiments of `make figures` and its like; MODE=:quick runs their small versions.
# The longest come first: as many run side by side as there are cores, or as JOBS says.
ESTIMATION := attention_vs_h3 drift retrieval alignment depth low_rank lora
BLOCK := block_vs_attention prior_mean_gap gd_beta_flow mlp_ablation
MODE ?=

# Cheap tests of every room, which pass what its functions take; `make typed` checks annotations there.
TYPED ?= $(addprefix tests/, attention prompts test_metrics.py algorithms/test_in_context.py \
  base/test_checks.py base/test_precision.py compiler/test_calls.py \
  constructions/test_ridge_inputs.py exchange/test_writing.py heads/test_products.py \
  models/test_block_model.py models/test_one_step.py models/test_readout.py \
  models/test_registry.py nn/test_layers.py predictors/test_risks.py readback/test_gd_beta.py \
  report softmax_regression/test_problem.py tasks/test_contexts.py tasks/test_products.py \
  tasks/test_prompt.py tasks/test_registry.py tasks/test_table.py theory/test_drift.py \
  theory/test_iterations.py theory/test_lora.py theory/test_ridge.py theory/test_ridge_modes.py \
  theory/test_rounding.py theory/test_setting.py theory/test_worked_examples.py \
  training/test_settings.py training/test_sweep.py)

# What `make test` skips, as it needs packages that nothing else does; MLflow brings pandas, whose frames
# AttentionRidge takes.
TRACKERS := tests/training/test_outside_trackers.py tests/estimators
TORCH := tests/exchange/test_torch.py tests/exchange/test_torch_refusals.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo figures block-figures literature-figures test test-slow test-wheel test-browser \
  test-doors test-trackers test-torch test-slurm test-lowest test-newest docs docs-test typed lint bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

define CHECK_PYTHON
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: elsa needs Python 3.11 or newer; '$(PYTHON)' is missing or older." \
	    "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "make: '$(PYTHON)' cannot make virtual environments." \
	    "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
endef

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml setup.py
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --quiet -r requirements-dev.txt
	$(PIP_INSTALL) -qq --no-deps -e .
	@touch $@

demo: $(STAMP)  ## ridge regression in context on the diabetes data: table and figures
	$(BIN)/python -m experiments.run --config=configs/convergence.py $(ARGS)

figures: EXPERIMENTS := $(ESTIMATION)
figures: $(STAMP)  ## train and draw everything about in-context estimation: seven figures
block-figures: EXPERIMENTS := $(BLOCK)
block-figures: $(STAMP)  ## the same about the linear transformer block: four experiments
literature-figures: EXPERIMENTS := literature
literature-figures: $(STAMP)  ## linear transformers by depth and context length, held to theory
figures block-figures literature-figures:
	@$(BIN)/python scripts/side_by_side.py $(EXPERIMENTS) $(JOBS:%=--jobs=%) $(MODE:%=--mode=%) -- $(ARGS)

# Environments that hold what .venv lacks, and see the packages that it has.
BESIDE := .venv-browser .venv-docs .venv-torch .venv-trackers
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
$(BESIDE:=/.installed): .venv-%/.installed: requirements-%.txt $(STAMP)
	$(BIN)/python -m venv --clear $(@D)
	echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" >"$$($(@D)/bin/python $(PURELIB))/beside.pth"
	$(@D)/bin/python -m pip install --disable-pip-version-check --quiet -r $<
	@touch $@

test: $(STAMP)  ## every test but the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(STAMP)  ## the slow tests, and every property with 200 examples
	$(PYTEST) -m "slow or hypothesis" --hypothesis-profile=thorough $(ARGS)

test-wheel: $(STAMP)  ## the wheel alone: in a fresh environment and an empty folder
	$(BIN)/python -m pytest -m slow --durations=5 tests/installed $(ARGS)

test-browser: private BIN := .venv-browser/bin
test-browser: .venv-browser/.installed | build/docs/index.html  ## pages of runs and of the site, in Chromium
	@command -v chromium google-chrome >/dev/null || { echo "make: no chromium: pages are looked at" \
	  "in Debian's Chromium, or Google Chrome. On Debian and Ubuntu: apt install chromium" >&2; exit 1; }
	$(ONE_THREAD) $(BIN)/python -m pytest --durations=12 tests/browser $(ARGS)

test-doors: test-trackers test-torch  ## both of the next two

test-trackers: private BIN := .venv-trackers/bin
test-trackers: .venv-trackers/.installed  ## Weights & Biases, MLflow, and pandas with scikit-learn's own checks
	$(ONE_THREAD) $(BIN)/python -m pytest --durations=12 $(TRACKERS) $(ARGS)

test-torch: private BIN := .venv-torch/bin
test-torch: .venv-torch/.installed  ## exported stacks in PyTorch
	$(ONE_THREAD) $(BIN)/python -m pytest --durations=12 $(TORCH) $(ARGS)

test-slurm: $(STAMP)  ## sweeps on a real Slurm, whose jobs are killed and preempted; as root
	$(ONE_THREAD) $(BIN)/python -m pytest -o faulthandler_timeout=1500 --durations=6 tests/slurm $(ARGS)

test-lowest: private BIN := .venv-lowest/bin
test-lowest: PYTHON := python3.11
test-lowest:  ## `make test` on the lowest versions that pyproject.toml admits
	$(CHECK_PYTHON)
	$(PYTHON) -m venv --clear .venv-lowest
	$(BIN)/python scripts/lowest_versions.py >.venv-lowest/requirements.txt
	$(PIP_INSTALL) --quiet -r .venv-lowest/requirements.txt
	$(PIP_INSTALL) -qq --no-deps -e .
	$(LIST_VERSIONS)
	$(PYTEST) -m "not slow" $(ARGS)

test-newest: private BIN := .venv-newest/bin
test-newest:  ## `make test` on the newest versions that pip finds for PYTHON
	$(CHECK_PYTHON)
	$(PYTHON) -m venv --clear .venv-newest
	$(PIP_INSTALL) --quiet -e ".[dev]"
	$(LIST_VERSIONS)
	$(PYTEST) -m "not slow" $(ARGS)

SPHINX = .venv-docs/bin/python -m sphinx -W --keep-going -b html docs build/docs
# Pages whose blocks build on one another; tests/docs runs them. All others run block by block.
DOCS_TOGETHER := $(addprefix docs/, $(addsuffix .md, algorithms compiler diagnose export readback \
  softmax_regression theory training))
DOCS_PAGES := README.md $(filter-out $(DOCS_TOGETHER), $(wildcard docs/*.md docs/*/*.md))

docs: .venv-docs/.installed  ## the site, in build/docs/index.html: tutorials are executed as it is built
	$(SPHINX) --quiet $(ARGS)
	@echo "build/docs/index.html"

build/docs/index.html: | .venv-docs/.installed
	$(SPHINX) --quiet -D nb_execution_mode=off

docs-test: .venv-docs/.installed  ## the site anew, each tutorial executed, and every command of the pages
	$(SPHINX) --quiet --fresh-env $(ARGS)
	$(PYTEST) tests/docs tests/theory/test_docs.py
	$(BIN)/python scripts/readme_commands.py $(DOCS_PAGES) --done "make test"

typed: $(STAMP)  ## every room's annotations, held to what some of its tests pass
	$(PYTEST) -p tests.annotations -m "not slow" $(TYPED) $(ARGS)

lint: $(STAMP)  ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## times beside baselines, a table and figures; ARGS=--quick, ARGS=--compare=FILE
	@$(BIN)/python -m benchmarks.run $(ARGS)

lock: $(STAMP)  ## pin the newest versions that pyproject.toml admits
	$(COMPILE) --output-file=requirements.txt pyproject.toml
	$(COMPILE) --extra=dev --constraint=requirements.txt --output-file=requirements-dev.txt \
	  pyproject.toml
	$(COMPILE) --extra=wandb --extra=mlflow --constraint=requirements-dev.txt \
	  --output-file=requirements-trackers.txt pyproject.toml
	$(COMPILE) --extra=docs --constraint=requirements-dev.txt \
	  --output-file=requirements-docs.txt pyproject.toml
	$(COMPILE) --extra=browser --constraint=requirements-dev.txt \
	  --output-file=requirements-browser.txt pyproject.toml

clean:  ## remove the environments and the caches; runs/ stays
	rm -rf .venv $(BESIDE) .venv-lowest .venv-newest build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
