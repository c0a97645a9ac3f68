# make train [BACKEND=auto] [EPOCHS=10] [ARGS="--seed 1"]   set up with numba, fetch MNIST where needed, train
# make test [ARGS="tests/dnn -x"]                           set up, run the tests, but for the long forms of some
#           [PROCESSOR=plain]                                 avx2, sse42: as on a processor with these instructions
# make docs                                                 set up, write the site to build/docs/index.html
PYTHON  ?= python3
VENV    ?= .venv
BACKEND ?= auto
EPOCHS  ?= 10
PROCESSOR ?= plain
ARGS    ?=
# Where there is an NVIDIA card, CuPy and torch for it come along: the extra cuda12 or cuda13.
CUDA    ?= $(shell $(PYTHON) -I backends/nvidia.py)
COMMA   := ,
EXTRAS  := fast$(if $(filter auto cupy torch,$(BACKEND)),$(addprefix $(COMMA),$(CUDA)))
# pip before 24.0 cannot resolve every extra. Without --quiet, pip shows the progress of a download of minutes.
INSTALL := $(VENV)/bin/python -m pip install --quiet 'pip>=24' && $(VENV)/bin/python -m pip install
# On Linux the ordinary index has only the CUDA build of torch, which takes several GB more.
CPU_TORCH = $(VENV)/bin/python -m pip install --timeout 10 --retries 1 \
	--index-url https://download.pytorch.org/whl/cpu torch torchvision || \
	echo "This index cannot be reached, so torch comes from the ordinary one."

.PHONY: train test docs clean

train: $(VENV)/.train-$(EXTRAS)
	$(VENV)/bin/python scripts/train.py --backend $(BACKEND) --epochs $(EPOCHS) $(ARGS)

# A process for each core, up to four. More threads, at work or waiting, would only be in their way.
test: $(VENV)/.test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive \
	$(VENV)/bin/python tests/processors.py $(PROCESSOR) -m pytest -n auto --maxprocesses 4 --dist worksteal -m 'not slow' $(ARGS)

docs: $(VENV)/.docs
	$(VENV)/bin/python -m sphinx -W --keep-going -q docs build/docs

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(if $(CUDA)$(filter-out Linux,$(shell uname)),,$(CPU_TORCH))

$(VENV)/.train-$(EXTRAS): pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.test: pyproject.toml array-agreement/pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable '.[test]' --editable './array-agreement[test]'
	touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
