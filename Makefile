# Everything sets itself up in .venv from python3, make and a C compiler. Without make: see README, "Without make".
#   make demo   boot, flash and run a simulated pack; leaves out/demo/report.html
#   make test   all tests         make sanitise   the kernels' tests on builds with ASan and UBSan (make test: fewer cases)
#   make check   format, lint, types, import arrows, generated pages
#   make natmod MPY_DIR=…   the estimator as a native module for boards; MPY_DIR is a MicroPython source tree
#   make clean  forget .venv and everything that was built
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && exit; \
	done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
KERNELS := $(wildcard cffi_kernels/include/*.h cffi_kernels/src/*.h cffi_kernels/src/*.c cffi_kernels/assb_kernels/build_kernels.py)
C_FILES := $(wildcard host_tools/checks/proof/fuzz/*.[ch] cffi_kernels/include/*.h cffi_kernels/src/*.h cffi_kernels/src/*.c cffi_kernels/natmod/*.c)

.PHONY: demo test sanitise cover mutate fuzz hammer natmod check format clean

demo: $(VENV)/.installed
	$(BIN)/assb demo $(ARGS)

test: $(VENV)/.test-tools
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

sanitise: $(VENV)/.test-tools
	$(BIN)/python -m pytest cffi_kernels/tests/test_sanitised.py --all-cuts $(ARGS)

cover: $(VENV)/.test-tools
	$(BIN)/python host_tools/checks/proof/cover.py $(ARGS)

mutate: $(VENV)/.test-tools
	$(BIN)/python host_tools/checks/proof/mutate.py $(ARGS)

fuzz: $(VENV)/.test-tools
	$(BIN)/python host_tools/checks/proof/fuzz.py $(ARGS)

hammer: $(VENV)/.installed
	$(BIN)/assb hil hammer $(ARGS)

natmod: $(VENV)/.natmod-tools
	@$(MAKE) --no-print-directory -C cffi_kernels/natmod PYTHON=$(abspath $(BIN)/python)

check: $(VENV)/.check-tools
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/basedpyright --project firmware/pyrightconfig.json
	$(BIN)/basedpyright
	$(BIN)/python host_tools/checks/import_arrows.py
	$(BIN)/python host_tools/checks/generated_pages.py
	$(BIN)/python host_tools/checks/requirements_page.py
	@echo "make check: all held"

format: $(VENV)/.check-tools
	$(BIN)/ruff format --quiet
	$(BIN)/clang-format -i $(C_FILES)
	$(BIN)/python host_tools/checks/generated_pages.py --write

clean:
	rm -rf $(VENV) firmware/typings cffi_kernels/natmod/build build dist out *.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -f cffi_kernels/assb_kernels/_*.c cffi_kernels/assb_kernels/_*.so cffi_kernels/assb_kernels/_*.o

# Each stamp stands for one pip run; it is made again when what it installs has changed.
$(VENV)/bin/python:
	@$(PYTHON) host_tools/checks/preflight.py
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml setup.py $(KERNELS) | $(VENV)/bin/python
	@$(PYTHON) host_tools/checks/preflight.py
	@echo "installing assb-bms and what it needs"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test-tools: $(VENV)/.installed
	@echo "installing what the tests need"
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.natmod-tools: $(VENV)/.installed
	@echo "installing what MicroPython's linker needs"
	@$(PIP) --editable '.[natmod]'
	@touch $@

$(VENV)/.check-tools: $(VENV)/.test-tools
	@echo "installing what the checks need"
	@$(PIP) --editable '.[check]'
	@rm -rf firmware/typings
	@$(PIP) --no-user --target firmware/typings micropython-rp2-rpi-pico-stubs==1.29.0.post1
	@touch $@
