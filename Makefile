# `make demo` and `make test` need only python3 and a C++ compiler; everything else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Versions this tree is tested with; `make CONSTRAINTS=` takes the newest instead.
CONSTRAINTS ?= -c .ci/constraints.txt
SANITIZERS := address,undefined
TFJS := tfjs-layers tfjs-converter tfjs-backend-cpu

.PHONY: demo test install develop check sanitize browser node-cases tfjs mxnet clean

demo: install
	$(BIN)/onnxray demo

test: install
	$(MAKE) --no-print-directory -j3 --output-sync=target check sanitize browser node-cases tfjs mxnet
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist worksteal --durations=25

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find kernels -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh')
	mkdir -p build/typecheck && ln -sfn ../.. build/typecheck/onnxray # this tree under its import name, installed or not
	MYPYPATH=build/typecheck $(BIN)/mypy -m onnxray -p onnxray.engine -p onnxray.kernels -p onnxray.importers -p onnxray.cli

install: .venv/installed
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .

# An editable install: edits and new files are seen at once.
develop: .venv/installed
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .

# All dependencies, once, and again when pyproject.toml changes.
.venv/installed: pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(CONSTRAINTS) ".[demo,verify,zarr,graphviz,dev]"
	$(BIN)/pip install --quiet --no-deps grad-cam # its dependency opencv-python would overwrite the headless one
	touch $@

# The kernels once more, with checks compiled in: a write or read outside an array, an overflow or a wrong shift ends their
# battery, of arrays as they lie in memory (others are copied before a kernel sees them). The sanitizers' runtime must be
# loaded before Python's allocator is used; -S keeps an editable install away.
sanitize: .venv/installed
	@mkdir -p build
	@runtime=$$(echo 'int probe;' | $(CXX) -fsanitize=$(SANITIZERS) -fPIC -shared -x c++ - -o build/sanitizer_probe.so 2>/dev/null \
		&& ldd build/sanitizer_probe.so | awk '/libasan/ {print $$3}'); \
	if test -z "$$runtime"; then echo "$(CXX) has no sanitizers here: the kernels are not tested with them"; exit; fi; \
	set -ex; $(MAKE) --no-print-directory build/sanitized/installed; \
	OMP_NUM_THREADS=1 LD_PRELOAD=$$runtime ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
		PYTHONPATH=build/sanitized:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		$(BIN)/python -S -m pytest -q --capture=sys tests/kernels -k "not reference and not cuda and not 1t and not 31_elements and not channels-last and not every-other"

build/sanitized/installed: CMakeLists.txt $(shell find kernels -name '*.py' -o -name '*.[ch]pp')
	CXX=$(CXX) $(BIN)/pip install --quiet --no-deps --no-build-isolation --no-compile --upgrade --target build/sanitized \
		-C build-dir=build/sanitize -C cmake.build-type=Debug -C cmake.define.ONNXRAY_CUDA=OFF \
		-C cmake.define.ONNXRAY_SANITIZE=$(SANITIZERS) .
	touch $@

# The report's tests open it in a real browser. Without one they are skipped, except where CI is set.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no Chromium on PATH: the report's browser tests are skipped (apt install chromium)"

# TensorFlow.js, which layers-models and graph-models are compared with. Without Node, or npm's registry, that is skipped.
tfjs: | .venv/installed
	@test -d .venv/tfjs/node_modules || { command -v npm >/dev/null \
		&& npm install --silent --no-audit --no-fund --prefix .venv/tfjs $(TFJS:%=@tensorflow/%@4.22.0); } \
	|| echo "no TensorFlow.js (apt install nodejs npm): tests that run it are skipped"

# The node tests of three older onnx releases, which lie in their wheels: data for tests, never installed.
node-cases: .venv/node_cases/1.8.1 .venv/node_cases/1.12.0 .venv/node_cases/1.15.0
.venv/node_cases/%: | .venv/installed
	mkdir -p $@.partial
	$(BIN)/pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version 3.8 --abi cp38 \
		--platform manylinux2010_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 -d $@.partial onnx==$*
	$(BIN)/python -m zipfile -e $@.partial/onnx-*.whl $@.partial
	mv $@.partial $@

# MXNet's last version wants a NumPy that ours cannot be: a Python of its own, for tests alone.
mxnet: .venv/mxnet/installed
.venv/mxnet/installed: | .venv/installed
	@{ $(BIN)/python -m venv .venv/mxnet && .venv/mxnet/bin/pip install --quiet mxnet==1.9.1 "numpy<1.24" && touch $@; } \
	|| echo "no MXNet for this Python: the tests that ask it are skipped"

clean:
	rm -rf .venv build dist
