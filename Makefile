# Two commands for a newcomer: make demo, make test. Everything lives in .venv and .demo.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export DAGSTER_DISABLE_TELEMETRY := 1
# Modules are compiled when first imported, and once: every process of ours would do it again.
unexport PYTHONDONTWRITEBYTECODE

LONG_TESTS := tests/test_demo.py tests/setup/test_under_the_policies.py tests/test_end_to_end.py tests/test_benchmarks.py tests/work tests/core/test_resolution_laws.py tests/demo \
	tests/test_cli.py tests/test_sql_command.py tests/test_analysts_guide.py tests/assets tests/lake tests/aws

.PHONY: demo dev test lint types unit test-setup test-deploy test-ui browser bench soak lock clean

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "kentik_dagster needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; some seconds with uv, one or two minutes where only pip reaches the packages)"
	@$(PIP) install --quiet -c constraints.txt uv \
		&& $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[dev]' \
		|| $(PIP) install --quiet --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/kentik-dagster demo

dev: $(VENV)/installed
	@$(BIN)/kentik-dagster dev

# Types and tests at the same time: the tests wait for processes that they start.
test: lint
	@$(MAKE) --no-print-directory --output-sync=target -j2 types unit

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

unit: $(VENV)/installed
	@# The longest files first; a file stays on one worker, as its tests share an emulator. Frames are small: one thread.
	POLARS_MAX_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(LONG_TESTS) tests

# Terraform's own judgement of every file that `kentik-dagster setup` writes; the suite asks it for the widest.
test-setup: $(VENV)/installed
	SETUP_ALL=1 $(BIN)/pytest tests/setup

# Past one machine: PostgreSQL, Redis, a web server, a daemon and two workers as processes of their own on loopback.
test-deploy: $(VENV)/installed
	DEPLOY_ALL=1 $(BIN)/pytest tests/deploy

# The Dagster UI on the demo's organization, in Chromium, headless. UI_PICTURES=docs renews the pictures of the docs.
test-ui: $(VENV)/installed
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[ui]' \
		|| $(PIP) install --quiet -c constraints.txt -e '.[ui]'
	@browser=$$(tests/ui/install_browser) && set -x && UI_TEST=$$browser \
		$(if $(UI_PICTURES),KENTIK_DAGSTER_PICTURES=$(UI_PICTURES)) $(BIN)/pytest tests/ui

# Whether test-ui has a browser; installs one where that is possible.
browser:
	@tests/ui/install_browser

# What it costs, beside what people would use instead: writes benchmarks/RESULTS.md. Options: make bench BENCH="--long".
bench: $(VENV)/installed
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[bench]' \
		|| $(PIP) install --quiet -c constraints.txt -e '.[bench]'
	@$(BIN)/python -m benchmarks $(BENCH)

# An hour of five exports while AWS fails and processes die: writes benchmarks/SOAK.md. Needs what test-deploy needs.
# Options: make soak SOAK="--scale 1".
soak: $(VENV)/installed
	@$(BIN)/python -m benchmarks.soak $(SOAK)

# The versions that CI tests; run after a change of the dependencies, and commit what it writes.
lock:
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv -e '.[dev,ui]'
	$(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude kentik-dagster | LC_ALL=C sort -f > constraints.txt
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
