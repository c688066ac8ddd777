# `make demo` and `make test` need only python3 and a C++ compiler; everything else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Versions this tree is tested with; `make CONSTRAINTS=` takes the newest instead.
CONSTRAINTS ?= -c .ci/constraints.txt

.PHONY: demo test install develop check browser node-cases clean

demo: install
	$(BIN)/onnxray demo

test: install check browser node-cases
	$(BIN)/python -m pytest

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

# The report's tests open it in a real browser. Without one they are skipped, except where CI is set.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no Chromium on PATH: the report's browser tests are skipped (apt install chromium)"

# The node tests of three older onnx releases, which lie in their wheels: data for tests, never installed.
node-cases: .venv/node_cases/1.8.1 .venv/node_cases/1.12.0 .venv/node_cases/1.15.0
.venv/node_cases/%: | .venv/installed
	mkdir -p $@.partial
	$(BIN)/pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version 3.8 --abi cp38 \
		--platform manylinux2010_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 -d $@.partial onnx==$*
	$(BIN)/python -m zipfile -e $@.partial/onnx-*.whl $@.partial
	mv $@.partial $@

clean:
	rm -rf .venv build dist
