"""Models, photos and masks to export and to run in ONNX Runtime; the static page in a browser."""

import base64
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage import data

from glcic_hub.export import export_onnx
from glcic_hub.filling import rim
from glcic_hub.filling.holes import Box, Frame, cut_out, find_holes
from glcic_hub.model import GLCICModel
from integrations.web.build import build
from tests.random_models import random_model

WEB = Path(__file__).parents[2] / "integrations" / "web"
STAGED = """async ([stage, rgb, mask, hidden, size, args]) => {
  const bytes = (text) => text && Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const text = (bytes) => bytes && btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const stages = await import(new URL("filling/stages.js", document.baseURI).href);
  const photo = { rgb: bytes(rgb), mask: bytes(mask), hidden: bytes(hidden), size };
  const shares = [];
  const result = stages[stage](photo, ...args, (share) => shares.push(share));
  return [text(photo.rgb), text(photo.mask), text(result), shares];
}"""


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
def site(graph, embedded, tmp_path_factory) -> Iterator[str]:
    """The address of the page, as `make web` puts it together."""
    folder = tmp_path_factory.mktemp("web") / "site"
    build(folder, embedded, graph)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Staged(NamedTuple):
    """What a stage of the page gives: its photo, uint8 (H, W, 3), its mask, and what is to change in the end, bool
    (H, W); its progress."""

    photo: np.ndarray
    mask: np.ndarray
    asked: np.ndarray | None
    shares: list[float]


@pytest.fixture(scope="module")
def staged(browser, site, embedded) -> Callable[..., Staged]:
    """A stage of the page by name: photo, uint8 (H, W, 3), mask and hidden, bool (H, W), to what it gives."""
    page = browser.new_page()
    page.goto(site)
    model = {"sampleSize": embedded.sample_size, "maxHoleSize": embedded.max_hole_size}

    def run(stage: str, photo: np.ndarray, mask: np.ndarray, hidden: np.ndarray | None = None, **options) -> Staged:
        of_stage = {
            "prepare": lambda grow=0: [grow, model],
            "finish": lambda textured=True, attempt=0: [model, textured, attempt],
        }
        args = of_stage[stage]
        given = [photo, mask * np.uint8(255), None if hidden is None else hidden.astype(np.uint8)]
        texts = [None if one is None else base64.b64encode(one.tobytes()).decode() for one in given]
        *texts, shares = page.evaluate(STAGED, [stage, *texts, mask.shape[::-1], args(**options)])
        rgb, mask, asked = (text and np.frombuffer(base64.b64decode(text), np.uint8) for text in texts)
        shape = photo.shape[:2]
        asked = None if asked is None else asked.reshape(shape) > 0
        return Staged(rgb.reshape(photo.shape), mask.reshape(shape) > 0, asked, shares)

    yield run
    page.close()


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


def frames_of(photo: np.ndarray, mask: np.ndarray, model: GLCICModel) -> Iterator[tuple[Frame, Box]]:
    """The frames, of the whole photo, of a mask's holes, with each hole's box."""
    view = tuple(slice(0, side) for side in mask.shape)
    for hole in find_holes(mask, model.sample_size, model.max_hole_size):
        yield cut_out(photo, mask, hole, view), hole.box


def with_doubted(photo: np.ndarray, mask: np.ndarray, model: GLCICModel) -> np.ndarray:
    """The mask together with the known pixels that Python does not believe: bool (H, W)."""
    result = mask.copy()
    for frame, hole_box in frames_of(photo, mask, model):
        rim.doubt_rim(frame, hole_box)
        result |= frame.hole
    return result
