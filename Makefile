# Two commands for everybody: make demo, make test. The rest is a developer's day.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find csrc tests bench -name '*.cpp' -o -name '*.h' -o -name '*.c')
BUILD_INPUTS := pyproject.toml setup.py $(shell find csrc -name '*.cpp' -o -name '*.h')

.PHONY: help demo test frameworks dev lint format bench scoreboard sanitize sanitize-python fuzz \
	soak wheel docs clean

# Lists these commands.
help:
	@awk '/^# /{text = text substr($$0, 2)} !/^#/{if (text && /^[a-z-]+:/) { \
	    split($$1, name, ":"); split(text, said, "[.] |[.]$$"); \
	    printf "make %-15s%s\n", name[1], said[1]} text = ""}' Makefile

# Streams a class folder and shows what it does. DATA=folder takes your own.
demo: $(VENV)/built
	$(BIN)/python examples/demo.py $(if $(DATA),--data "$(DATA)")

# The whole suite, against the real Keras and Pillow. With the other frameworks after make frameworks.
# Two files of tests run at a time; make test ARGS="-n 0 --pdb -k name" has one process.
test: $(VENV)/with-test
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

# PyTorch, TensorFlow, JAX and Ray beside Keras (about 3 GB), for the tests in tests/frameworks.
frameworks: $(VENV)/with-frameworks

# An editable install with every tool; again after C++ edits.
dev: $(VENV)/with-dev

# Style and types.
lint: $(VENV)/with-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pyloader
	$(BIN)/clang-format --dry-run --Werror $(SOURCES)

# Lays out Python and C++ as lint wants them.
format: $(VENV)/with-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(SOURCES)

# Throughput against peers on your pictures: make bench DATA=folder. The peers go into .bench-envs
# (about 6 GB); make bench DATA=folder ARGS="--peers pyloader,simplejpeg,pillow" is a quick one.
bench: $(VENV)/with-bench
	@[ -n "$(DATA)" ] || { echo "Say which pictures: make bench DATA=folder"; exit 1; }
	$(BIN)/python -m bench --data "$(DATA)" --chart $(ARGS)

# The same, with its chart and tables written into bench/RESULTS.md.
scoreboard: $(VENV)/with-bench
	@[ -n "$(DATA)" ] || { echo "Say which pictures: make scoreboard DATA=folder"; exit 1; }
	$(BIN)/python -m bench --data "$(DATA)" --report bench/RESULTS.md \
	    --chart bench/results/scoreboard.png $(ARGS)

# The C++ rooms without Python, under address, undefined-behavior and thread sanitizers. And a short
# run of the fuzz targets, the same every time.
sanitize:
	tools/system_packages.sh $(PYTHON)
	$(MAKE) -C tests/cpp
	$(MAKE) -C tests/fuzz

# The Python suite on an extension under the address and undefined-behavior sanitizers.
sanitize-python: $(VENV)/with-test
	tools/sanitize_python.sh $(BIN)/python $(ARGS)

TIME ?= 60
# Runs the fuzz targets for TIME seconds in all: make fuzz TIME=600 TARGET=decode (header, decode,
# entropy, resize, cache). tests/fuzz/Makefile has more settings.
fuzz:
	tools/system_packages.sh $(PYTHON) $(if $(filter driver,$(ENGINE)),,clang)
	$(MAKE) -C tests/fuzz fuzz TIME=$(TIME)

MINUTES ?= 5
# Random iterators, users and accidents for MINUTES: every batch is right, and memory, threads and
# open files do not grow. ARGS="--seed 7" repeats a soak.
soak: $(VENV)/with-test
	$(BIN)/python tests/soak.py --minutes $(MINUTES) $(ARGS)

# The source distribution and a wheel that carries libjpeg-turbo, tried out in an empty environment.
wheel: $(VENV)/with-dev
	tools/make_wheel.sh $(BIN)/python

# The documentation as web pages, in docs/_build/index.html. A dead link or reference is an error.
docs: $(VENV)/with-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/.doctrees docs docs/_build

# Removes everything that these commands made.
clean:
	rm -rf build dist docs/_build *.egg-info demo-data $(VENV) .bench-envs pyloader/*.so
	$(MAKE) -C tests/cpp clean
	$(MAKE) -C tests/fuzz clean

$(VENV)/ready: tools/system_packages.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "pyloader needs Python 3.11 or later; say make PYTHON=/path/to/python"; exit 1; }
	tools/system_packages.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	@touch $@

$(VENV)/built: $(VENV)/ready $(BUILD_INPUTS)
	$(PIP) install -e .
	@touch $@

# What an extra requires, without building pyloader again.
define INSTALL
$(BIN)/python tools/extras.py $(1) > $(VENV)/requirements-$(1).txt
$(PIP) install -r $(VENV)/requirements-$(1).txt
@touch $@
endef

$(VENV)/with-bench: $(VENV)/built
	$(call INSTALL,bench)

$(VENV)/with-test: $(VENV)/built
	$(call INSTALL,test)

# PyTorch first and by its version: an index that has a build without CUDA (2.13.0+cpu) installs that,
# where another package's wish would bring the newest one and gigabytes with it.
# tf_keras asks for the tensorflow package, where tensorflow-cpu does.
$(VENV)/with-frameworks: $(VENV)/with-test
	$(PIP) install torch==2.13.0
	$(PIP) install --no-deps tf_keras
	$(call INSTALL,frameworks)

$(VENV)/with-docs: $(VENV)/built
	$(call INSTALL,docs)

$(VENV)/with-dev: $(VENV)/built
	$(call INSTALL,dev)
