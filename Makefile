# Everything runs in .venv, which is made once; without new requirements no target touches the network again.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10,$(shell \
	$(name) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $(name))))
HOST ?= 127.0.0.1
PORT ?= 7860
RUN = .venv/bin/python
PIP = $(RUN) -m pip install --disable-pip-version-check -q
TORCH = $(shell grep '^torch[<>=]' requirements.txt)
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
UMAP = tests/test_maps.py tests/test_atlas.py
# A test that hangs says where and ends the run, before CI ends it without a word (to end it takes pytest 9).
# Not in pyproject.toml: a lesson at full budget, under nbval, may train for hours in a cell.
HANGS = -o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true
QUICK = DEMO_BUDGET=quick GRADIO_ANALYTICS_ENABLED=False HF_HUB_OFFLINE=1 MPLBACKEND=agg

.PHONY: help setup app test lint notebooks bench judge soak
.DEFAULT_GOAL := help

help:  ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup: .venv/.app  ## make .venv and install what the app and the lessons need

app: .venv/.app  ## serve the app on http://127.0.0.1:7860 (HOST and PORT change that)
	GRADIO_ANALYTICS_ENABLED=False GRADIO_SERVER_NAME=$(HOST) GRADIO_SERVER_PORT=$(PORT) $(RUN) app.py

test: lint  ## lint, layers, tests, then every notebook under nbval
	$(QUICK) OMP_NUM_THREADS=1 $(RUN) -m pytest $(HANGS) tests $(UMAP:%=--ignore=%)  # one thread: runs compare to the bit
	$(QUICK) $(RUN) -m pytest $(HANGS) $(UMAP)  # apart: umap changes the number of threads of its process
	@test -n "$(NOTEBOOKS)" || echo "no notebooks built yet: nothing for nbval to run"
	@test -z "$(NOTEBOOKS)" || { set -x; $(QUICK) OMP_NUM_THREADS=1 $(RUN) -m pytest $(HANGS) --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=180 --nbval-kernel-startup-timeout=120 $(NOTEBOOKS); }

lint: .venv/.dev  ## ruff and import-linter
	$(RUN) -m ruff check .
	.venv/bin/lint-imports

notebooks: .venv/.dev  ## build notebooks/*.ipynb from notebooks/src (DEMO_BUDGET=full for what is shipped)
	$(RUN) notebooks/build.py

bench: .venv/.app  ## our decoder, speak(), extract() and convert() beside HiFi-GAN
	$(RUN) bench.py

judge: .venv/.app  ## speak for strangers, have it judged (TASK=speak, extract, attractor, convert, enhance, tune, filling, satts, situations; SET=plan, studio; MODEL)
	$(RUN) tests/judge_plan.py $(or $(TASK),speak) $(or $(SHARED),../shared) --set $(or $(SET),plan) \
		$(if $(MODEL),--model $(MODEL))

soak: .venv/.dev  ## a thousand calls of the running app by four visitors, and the memory meanwhile (half an hour; not in CI)
	$(RUN) tests/load.py --soak 1000

# Torch comes first and from its CPU index where there is no GPU: PyPI's default wheel would bring gigabytes of CUDA.
.venv/.app: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.13 is needed and was not found; make PYTHON=/path/to/python ..."; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "no venv module: apt install python3-venv"; exit 1; }
	command -v nvidia-smi >/dev/null || $(PIP) --timeout 15 --retries 1 --no-deps \
		--index-url https://download.pytorch.org/whl/cpu "$(TORCH)" || $(PIP) "$(TORCH)"
	$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: .venv/.app requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	@touch $@
