"""Models, photos and masks to export and to run in ONNX Runtime; the static page in a browser."""

import functools
import http.server
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage import data

from glcic_hub.export import export_onnx
from glcic_hub.model import GLCICModel
from tests.random_models import random_model

WEB = Path(__file__).parents[2] / "integrations" / "web"


@pytest.fixture(scope="session")
def model() -> GLCICModel:
    return random_model()


@pytest.fixture(scope="session")
def embedded() -> GLCICModel:
    return GLCICModel.from_pretrained(dtype=torch.float32)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photo (Rachel Michetti, CC0), 199 x 301."""
    return np.asarray(Image.fromarray(data.coffee()).resize((301, 199)))


@pytest.fixture(scope="session")
def graph(embedded) -> bytes:
    return export_onnx(embedded, "pipeline", "int8")


@pytest.fixture(scope="session")
def site(graph, tmp_path_factory) -> str:
    """The address of the page, with a model beside it."""
    assert (WEB / "onnxruntime").is_dir(), "onnxruntime-web is not there: run `npm ci` once in integrations/web"
    folder = tmp_path_factory.mktemp("web") / "site"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules", "*.onnx"))
    (folder / "model.onnx").write_bytes(graph)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def session(file: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime with the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def runner(file: bytes) -> Callable[..., np.ndarray]:
    """A function that runs the file: its inputs by name, its only output."""
    started = session(file)
    return lambda **inputs: started.run(None, inputs)[0]


def completer(file: bytes) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A pipeline's file as a function: photo, uint8 (H, W, 3), and mask, bool (H, W), to uint8 (H, W, 3)."""
    run = runner(file)
    return lambda photo, mask: run(photo=photo[None], mask=np.where(mask, 255, 0).astype(np.uint8)[None])[0]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Of values up to 255, dB."""
    error = np.square(one.astype(float) - other).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def box(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """A mask with one upright rectangle: bool of this shape."""
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask
