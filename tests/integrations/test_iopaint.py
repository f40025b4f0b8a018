"""glcic_hub.integrations.iopaint in IOPaint itself: its model manager, its batch command, its server."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from glcic_hub.model import embedded_models
from tests.integrations.tools import ROOT, assert_completed, environment, run_with

MODULE = "glcic_hub.integrations.iopaint"

# What other programs do, then the batch command in the same process, because IOPaint takes seconds to import. That the
# command line registers the models by itself is seen where the server is started.
CODE = """
import json
import runpy
import numpy as np
import torch
from glcic_hub.integrations.iopaint import register

register()
report = {"registered": register()}  # again

from iopaint.const import AVAILABLE_MODELS
from iopaint.model_manager import ModelManager
from iopaint.schema import InpaintRequest

manager = ModelManager("glcic-scenes", torch.device("cpu"))
report["listed"] = [name for name in manager.available_models if name.startswith("glcic")]
report["in the help"] = [name for name in AVAILABLE_MODELS if name.startswith("glcic")]
image, bool_mask = np.load("picture.npy"), np.load("mask.npy")
mask = bool_mask.astype(np.uint8) * 255
given = image.copy(), mask.copy()

def complete(name, mask, **request):
    result = manager(image, mask, InpaintRequest(**request))
    now = image, mask.reshape(bool_mask.shape)
    assert all(np.array_equal(one, before) for one, before in zip(now, given)), "changed"
    np.save(name, result)

complete("plain", mask)
complete("column", mask[..., None])
complete("cropped", mask, hd_strategy="Crop", hd_strategy_crop_trigger_size=64, hd_strategy_crop_margin=4)
complete("reduced", mask, hd_strategy="Resize", hd_strategy_resize_limit=32)
manager.switch("glcic-faces-64")
complete("faces", mask)
with open("report.json", "w") as file:
    json.dump(report, file)
runpy.run_module("glcic_hub.integrations.iopaint", run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, picture, bool_mask):
    folder = tmp_path_factory.mktemp("iopaint")
    np.save(folder / "picture", picture)
    np.save(folder / "mask", bool_mask)
    Image.fromarray(picture).save(folder / "photo.png")
    Image.fromarray(bool_mask).save(folder / "mask.png")
    return folder


@pytest.fixture(scope="module")
def completed(folder):
    """The folder with what the model manager and the batch command have made of the picture."""
    files = ["--image=photo.png", "--mask=mask.png", "--output=done", f"--model-dir={folder}"]
    run_with("iopaint", folder, "-c", CODE, "run", "--model=glcic-scenes", *files)
    return folder


def test_the_model_manager_knows_and_runs_the_models(completed, picture, bool_mask, expected):
    """Strategies for large pictures change nothing: the completer has its own."""
    report = json.loads((completed / "report.json").read_text())
    assert report["registered"] == report["listed"] == report["in the help"] == embedded_models()
    for name in ("plain", "column", "cropped", "reduced", "faces"):
        result = np.load(completed / f"{name}.npy")[..., ::-1]  # IOPaint's BGR
        model = "glcic-faces-64" if name == "faces" else "glcic-scenes"
        assert_completed(result, picture, bool_mask, expected(model))


def test_the_batch_command(completed, picture, bool_mask, expected):
    result = np.asarray(Image.open(completed / "done" / "photo.png"))
    assert_completed(result, picture, bool_mask, expected("glcic-scenes"))


@pytest.fixture
def server(folder):
    """The address of IOPaint's server, with our model."""
    arguments = ["--model=glcic-scenes", "--port=0", f"--model-dir={folder}", "--local-files-only"]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "start", *arguments],
            env=environment("iopaint", folder),
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        yield f"{address_of(process, folder / 'output')}/api/v1"
    finally:
        process.terminate()
        process.wait(20)


def address_of(process, output):
    """Where the server listens, at a port that the system has chosen: it says so when it is ready."""
    for _ in range(3000):
        if said := re.search(r"Uvicorn running on (http://127\.0\.0\.1:\d+)", output.read_text()):
            return said[1]
        assert process.poll() is None, output.read_text()
        time.sleep(0.1)
    pytest.fail(f"no word from the server: {output.read_text()}")


def get(url, body=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with opener.open(request, timeout=300) as answer:
        return answer.read()


def test_the_server(server, folder, picture, bool_mask, expected):
    """What its page asks for: the list of models, and a completed picture."""
    assert json.loads(get(f"{server}/model"))["name"] == "glcic-scenes"
    names = [info["name"] for info in json.loads(get(f"{server}/server-config"))["modelInfos"]]
    assert set(embedded_models()) <= set(names)
    image, mask = (base64.b64encode((folder / file).read_bytes()).decode() for file in ("photo.png", "mask.png"))
    result = np.asarray(Image.open(io.BytesIO(get(f"{server}/inpaint", {"image": image, "mask": mask}))))
    assert_completed(result, picture, bool_mask, expected("glcic-scenes"))


def test_without_iopaint_the_command_says_so_in_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "start"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("IOPaint cannot be imported (No module named 'iopaint'): ")
    assert len(done.stderr.splitlines()) == 1
