# Everything a contributor runs. `make test` and `make test-long` are what CI runs.
#
#   make setup                          .venv with both backends, at the versions of constraints.txt
#   make check                          the shipped pair on the Old Faithful data; results in results/
#   make test                           lint, and the fast tests
#   make test-long                      the tests that CI runs beside these
#   make proofs                         the slow tests: NUTS against exact posteriors
#   make mutation                       how many wrong ports are caught, and where
#   make false-alarms                   how many right ones are called different
#   make bench                          limits, kernels and samplers of this machine, into results/bench.jsonl
#   make test-numpyro PYTHON=python3.12 the newest NumPyro alone, without torch, in a venv of its own
#
# PYTHON is the interpreter that makes the venv; PIP_FLAGS go to every pip install.

PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NUMPYRO_VENV := .venv-numpyro
PACKAGES := ppl_parity numpyro_impl pyro_impl benchmarks
SOURCES := $(PACKAGES) parity_tests gallery

.PHONY: setup check test test-long proofs mutation false-alarms bench lint test-numpyro clean

setup: $(STAMP)

# torch goes first and alone: if its wheel cannot be had, that is what should be seen to fail. The last line compiles
# the kernel's door to XLA, which needs the jax that was installed just now; else the first fit would.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[all,test,lint]'
	@$(BIN)/python -c 'import numpyro_impl.kernels as k; print("Kernel:", k.describe())'
	touch $@

check: setup
	$(BIN)/ppl-parity check --out results --force

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not long"

test-long: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long and not slow"

proofs: setup
	$(BIN)/python -m pytest -m slow

mutation: setup
	$(BIN)/python -m parity_tests.mutation --json results/mutation.json; status=$$?; \
	$(BIN)/python -m parity_tests.tables; exit $$status

false-alarms: setup
	$(BIN)/python -m parity_tests.false_alarms --jobs 2 --resume
	$(BIN)/python -m parity_tests.tables

# What an interrupted run has measured is kept; `make bench` again goes on. PEERS_PYTHON adds the peers.
bench: setup
	mkdir -p results
	$(BIN)/ppl-parity bench kernels --out results/bench.jsonl --resume
	$(BIN)/ppl-parity bench samplers --out results/bench.jsonl --resume
	$(if $(PEERS_PYTHON),$(BIN)/ppl-parity bench peers --peers-python $(PEERS_PYTHON) --out results/bench.jsonl --resume)
	$(BIN)/ppl-parity bench scaling --out results/bench.jsonl --resume --plots results

lint: setup
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/pyright $(PACKAGES)

test-numpyro:
	$(PYTHON) -m venv --clear $(NUMPYRO_VENV)
	$(NUMPYRO_VENV)/bin/python -m pip install $(PIP_FLAGS) -e '.[numpyro,test]'
	$(NUMPYRO_VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not pyro and not slow"

clean:
	rm -rf $(VENV) $(NUMPYRO_VENV) results build dist *.egg-info .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -exec rm -rf {} +
