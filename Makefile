# Every target sets up all that it needs; nothing else has to be installed or activated.

PYTHON ?= python3
BIN := .venv/bin
# The results folder of the demo.
DEMO := results/demo
SNAKEMAKE := $(BIN)/snakemake
DEMO_RUN := $(SNAKEMAKE) --configfile config/demo.yaml
# Its jobs are so small that two beside each other with a core each take less time than one after the other with two.
SIDE_BY_SIDE := --resources gpu=2 --set-threads train=1 fit_baseline=1 embed_images=1 project_fmri=1 simulate_clip=1 \
	embed_tokens=1 decode_tokens=1 draw_linear=1 compare_pictures=1
# Images of containers often set it: each of a run's hundred processes would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo notebooks test tested linted test-fast lint lint-workflow test-runs test-faults test-gpu test-cluster \
	pins docs setup clean
.DEFAULT_GOAL := demo

demo: setup
	@$(DEMO_RUN) --logger brain2image --cores all $(SIDE_BY_SIDE)
	@$(BIN)/brain2image summary $(DEMO)/summary.csv
	@echo "Report: $(DEMO)/report/index.html"

# Every cell of the notebooks, in a kernel of its own, on the demo's results; what they print and draw is not kept.
notebooks: setup
	BRAIN2IMAGE_RESULTS=$(abspath $(DEMO)) OMP_NUM_THREADS=1 $(BIN)/pytest --nbmake notebooks

# The linters run beside the tests, as before them they leave a core idle; what they say comes last.
test: setup
	@said=$$(mktemp); $(MAKE) --no-print-directory --jobs=2 --keep-going tested linted SAID=$$said; status=$$?; \
	cat $$said; rm $$said; exit $$status

tested: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs --numprocesses auto --dist loadfile --no-loadscope-reorder

linted: setup
	@$(MAKE) --no-print-directory lint lint-workflow > $(SAID) 2>&1

# While one works on one room: all but what takes seconds (tests/conftest.py).
test-fast: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy

lint-workflow: setup
	$(SNAKEMAKE) --lint
	$(SNAKEMAKE) --lint --configfile config/demo.yaml

# What takes longest: workflows of another kind than the one that the tests share or in other places, whole plans after
# changes, training at the real size, on two devices, and killed.
test-runs: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/runs

# Kills, full disks and the like, minutes each; docs/reliability.md says what they prove.
test-faults: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs -s tests/faults

# The same on a GPU: each use of one, the tiny run, and the faults.
test-gpu: setup
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; \
	then OMP_NUM_THREADS=1 $(BIN)/pytest -rs -s tests/gpu tests/faults; \
	else echo "make test-gpu: PyTorch finds no CUDA device here, so nothing was tested"; fi

# A real SLURM on this machine, and the workflow on it. Its files stay in .slurm; its daemons end with the tests.
test-cluster: setup .slurm/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/cluster

SLURM := slurmctld slurmd slurm-client slurm-wlm-basic-plugins

# The packages and what they need beyond this system, unpacked and not installed: no root, no service. The links are
# what Debian's alternatives would be; SLURM's programs look at the name by which they are called.
.slurm/installed:
	@command -v apt-get > /dev/null && command -v dpkg > /dev/null || \
		{ echo "make test-cluster takes SLURM from Debian's packages: apt-get and dpkg were not found"; exit 1; }
	@apt-cache show slurmctld > /dev/null 2>&1 || apt-get --quiet update || \
		{ echo "no list of Debian's packages: run apt-get update as root"; exit 1; }
	rm -rf $(@D)
	mkdir -p $(@D)/packages
	cd $(@D)/packages && apt-get --quiet download $(SLURM) $$(apt-get install --simulate --no-install-recommends \
		$(SLURM) | sed -n 's/^Inst \([^ ]*\).*/\1/p')
	for package in $(@D)/packages/*.deb; do dpkg --extract $$package $(@D) || exit 1; done
	for name in slurmctld slurmd slurmstepd; do ln -s $$name-wlm $(@D)/usr/sbin/$$name || exit 1; done
	@touch $@

# Exact versions of the conda environments: files beside envs/*.yaml, which --sdm conda takes from then on. It needs
# conda, which is not set up here, and its channel.
pins: setup
	@command -v conda > /dev/null || { echo "make pins: conda solves the environments, and was not found"; exit 1; }
	$(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet 'snakedeploy>=0.12'
	.venv/pins/bin/snakedeploy pin-conda-envs envs/*.yaml

# The reference of the Python package, docs/html/index.html, from its docstrings.
docs: setup
	$(BIN)/pdoc --docformat numpy --no-show-source --output-directory docs/html brain2image

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
