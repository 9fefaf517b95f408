# `make demo` and `make test` set up all that they need; nothing else has to be installed or activated.

PYTHON ?= python3
BIN := .venv/bin
# The results folder of the demo.
DEMO := results/demo
SNAKEMAKE := $(BIN)/snakemake
DEMO_RUN := $(SNAKEMAKE) --configfile config/demo.yaml

.PHONY: demo test setup clean
.DEFAULT_GOAL := demo

demo: setup
	@$(DEMO_RUN) --cores all
	@$(MAKE) --no-print-directory $(DEMO)/report.html
	@$(BIN)/brain2image summary $(DEMO)/summary.csv
	@echo "Report: $(DEMO)/report.html"

# The report is made again only after a table, a figure or a caption changed.
$(DEMO)/report.html: $(DEMO)/summary.csv $(wildcard $(DEMO)/figures/*.html $(DEMO)/figures/*/* workflow/report/* rules/*.smk)
	@$(DEMO_RUN) --quiet all --report $@

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(SNAKEMAKE) --lint
	$(SNAKEMAKE) --lint --configfile config/demo.yaml
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs --numprocesses auto --maxprocesses 4 --dist loadfile

setup: .venv/installed

# The mark is written last, so that an interrupted installation starts again.
.venv/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON): not found; name a Python: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

clean:
	rm -rf $(DEMO)
