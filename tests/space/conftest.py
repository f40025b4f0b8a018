"""The Space in a process of its own, with a small random model, and photos to give it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.random_models import random_model

SPACE = Path(__file__).parents[2] / "spaces_app"
SECONDS_TO_START = 300


def assert_completed_alike(found, expected, hole: np.ndarray, unlike) -> None:
    """That two processes made the same of a photo: known pixels bit for bit, fills but for rounding.

    Sums depend on their order, and so on how many threads there are for them: by a thousandth of a level here, which
    moves a value to the next level now and then. Any other fill is off by tens of levels.

    Args:
        found, expected: completed photos (H, W, ...), 8 bits a channel.
        hole: what was filled, bool (H, W).
        unlike: a photo with something else in the hole; `found` has to be ten times nearer to what is expected.
    """
    found, expected, unlike = (np.asarray(photo).astype(int) for photo in (found, expected, unlike))
    assert np.array_equal(found[~hole], expected[~hole])
    error, difference = (np.abs(photo - expected)[hole].mean() for photo in (found, unlike))
    assert error < difference / 10, f"it is {error:.2f} levels off; what it is not to be, {difference:.2f}"


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "model"
    random_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def space(model_folder, tmp_path_factory) -> str:
    """The address of the running Space."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("space") / "log.txt"
    settings = {
        "GLCIC_MODEL": str(model_folder),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(log.parent / "uploads"),
        "TMPDIR": str(log.parent),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # completions are small; more would wait for one another beside other work
    }
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=SPACE, env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not _answers(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A real photo (Rachel Michetti, CC0), 301x199."""
    path = tmp_path_factory.mktemp("photo") / "coffee.png"
    Image.fromarray(data.coffee()).resize((301, 199)).save(path)
    return path


@pytest.fixture(scope="session")
def bool_mask() -> np.ndarray:
    mask = np.zeros((199, 301), bool)
    mask[60:90, 120:170] = True
    return mask


@pytest.fixture(scope="session")
def mask(bool_mask, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    Image.fromarray(bool_mask).save(path)
    return path
