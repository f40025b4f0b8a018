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
SECONDS_TO_START = 120


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
