# make demo   sets up everything and runs the main job
# make test   sets up everything and passes the tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find native -type f -not -name '*.md')
READY := $(VENV)/.ready

# The arm64 build keeps its C library here between runs; making it takes two minutes.
export ZIG_GLOBAL_CACHE_DIR ?= $(CURDIR)/build/zig-cache

# Of the versions that distributions have, the newest.
CLANG := $(firstword $(foreach v,-22 -21 -20 -19,$(shell command -v clang++$(v))) $(shell command -v clang++))
FUZZ_RUNS ?= 200000

.PHONY: setup peers demo test test-native test-sanitize test-fuzz test-arm64 test-wasm test-python lint docs bench clean

setup: $(READY)

$(VENV)/.tools: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Expected Python 3.11 or newer, found " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	    cmake ninja pybind11 scikit-build-core jaxlib
	@touch $@

$(READY): $(VENV)/.tools $(NATIVE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt \
	    -e '.[dev,docs]'
	@touch $@

# Engines to compare with: `sparsenas bench networks` and `sparsenas bench training`. DeepSparse is no longer
# made and wants an older numpy; PyTorch brings much that nothing else needs.
peers: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt \
	    -e '.[dev,peers]'
	$(PYTHON) -m venv .venv-deepsparse
	.venv-deepsparse/bin/python -m pip install --quiet --disable-pip-version-check \
	    deepsparse==1.8.0 numpy==1.26.4 onnx==1.14.1
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy

demo: setup
	$(BIN)/sparsenas search

test: setup test-native test-arm64 test-python

# Every kernel of every instruction set that this machine has, the reader and the runtime.
test-native: setup
	$(BIN)/cmake -S native -B build/native -G Ninja -DSPARSENAS_WERROR=ON -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	$(BIN)/cmake --build build/native
	$(BIN)/ctest --test-dir build/native --output-on-failure

# The same, where every access out of bounds and every undefined operation ends the test.
test-sanitize: setup
	$(BIN)/cmake -S native -B build/sanitize -G Ninja -DSPARSENAS_WERROR=ON -DSPARSENAS_SANITIZE=ON -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	$(BIN)/cmake --build build/sanitize
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure --parallel 2

# The model reader fed with arbitrary bytes by libFuzzer, which comes with clang.
test-fuzz: setup
ifneq ($(CLANG),)
	$(BIN)/cmake -S native -B build/fuzz -G Ninja -DSPARSENAS_FUZZ=ON -DCMAKE_CXX_COMPILER=$(CLANG) -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	$(BIN)/cmake --build build/fuzz --target sparsenas-fuzz-model
	$(BIN)/python native/fuzz/corpus.py build/fuzz/seeds
	mkdir -p build/fuzz/corpus
	build/fuzz/fuzz/sparsenas-fuzz-model -runs=$(FUZZ_RUNS) -max_len=160000 -timeout=10 \
	    -artifact_prefix=build/fuzz/ build/fuzz/corpus build/fuzz/seeds
else
	@echo "The model reader is not fuzzed: clang is not installed (Debian: apt install clang-19 libclang-rt-19-dev)."
endif

# The same for arm64, cross-compiled and emulated. CI has the emulator; elsewhere it may be missing.
test-arm64: setup
ifneq ($(shell command -v qemu-aarch64),)
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake -S native -B build/arm64 -G Ninja -DSPARSENAS_WERROR=ON \
	    -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/native/cmake/zig-aarch64.cmake -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake --build build/arm64
	$(BIN)/ctest --test-dir build/arm64 --output-on-failure --parallel 2
else ifdef CI
	@echo "Expected qemu-aarch64 to test the NEON kernels, found none; install qemu-user." >&2; exit 1
else
	@echo "NEON kernels not tested: qemu-aarch64 is not installed (Debian: apt install qemu-user)."
endif

# The same for WebAssembly, with SIMD and with relaxed SIMD, which node 20 has behind a flag.
test-wasm: setup
ifneq ($(shell command -v node),)
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake -S native -B build/wasm -G Ninja -DSPARSENAS_WERROR=ON \
	    -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/native/cmake/zig-wasm32.cmake -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake --build build/wasm
	$(BIN)/ctest --test-dir build/wasm --output-on-failure
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake -S native -B build/wasm_relaxed -G Ninja -DSPARSENAS_WERROR=ON \
	    -DSPARSENAS_WASM_RELAXED=ON \
	    -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/native/cmake/zig-wasm32.cmake -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	PYTHON=$(abspath $(BIN))/python $(BIN)/cmake --build build/wasm_relaxed
	$(BIN)/ctest --test-dir build/wasm_relaxed --output-on-failure
else ifdef CI
	@echo "Expected node to test the WebAssembly kernels, found none; install node 20 or newer." >&2; exit 1
else
	@echo "WebAssembly kernels not tested: node 20 or newer is not installed (https://nodejs.org)."
endif

# A file's tests stay together, as they share what is slow to make.
test-python: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(shell find native -name '*.cc' -o -name '*.h')

# The site, in build/site; a warning is an error. The theme's own notice is about a successor.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: setup
	$(BIN)/sparsenas bench kernels

clean:
	rm -rf $(VENV) .venv-deepsparse .venv-torch build dist .pytest_cache .ruff_cache .hypothesis
