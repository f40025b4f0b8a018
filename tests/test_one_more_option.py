"""An option exists once: two more are written into `FillOptions`, and every door has them.

They are written into a copy of the package, whose `fill` does what they say. No other line of it differs.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integrations.tools import environment

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, ROWS = 48, 40, 20
PHOTO = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8)
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[10:30, 12:24] = True
WHITE = HOLE & (np.arange(HEIGHT)[:, None] < ROWS)

FIELDS = """
    paint: str | None = _choice(None, "white", help="white paints each hole instead of completing it")
    paint_rows: int | None = _pixels(1, 9999, help="down to which row of the picture it is painted; without it all")
"""
WORK = """
    if options.paint == "white":
        rows = slice(options.paint_rows)
        result[rows][mask[rows]] = 1
"""

READ = """
import numpy as np
from PIL import Image

photo, mask = Image.open("photo.png"), Image.open("mask.png")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The folder in which the changed package lies."""
    folder = tmp_path_factory.mktemp("package")
    leave_out = shutil.ignore_patterns("pretrained", "__pycache__")
    copy = shutil.copytree(ROOT / "glcic_hub", folder / "glcic_hub", ignore=leave_out)
    (copy / "pretrained").symlink_to(ROOT / "glcic_hub" / "pretrained")
    insert(
        copy / "filling" / "options.py", FIELDS, before="\n    def __post_init__(self):\n        for option in fields"
    )
    insert(copy / "filling" / "fill.py", WORK, before="    return Filled(result, mask)\n")
    return folder


def insert(path: Path, text: str, before: str) -> None:
    source = path.read_text()
    assert source.count(before) == 1
    path.write_text(source.replace(before, text + before))


@pytest.fixture
def run(package, tmp_path):
    """`run(*arguments, tool=None)`: Python with the changed package, beside photo.png and mask.png; what it prints."""
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    Image.fromarray(HOLE).save(tmp_path / "mask.png")

    def run_python(*arguments: str, tool: str | None = None) -> str:
        tools = environment(tool, tmp_path)["PYTHONPATH"].split(os.pathsep)[:1] if tool else []
        variables = {"PYTHONPATH": os.pathsep.join([*tools, str(package), str(ROOT)]), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | variables | {"OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_python


def assert_painted(path: Path) -> None:
    """Both options have come to `fill`: the hole is white down to a row, and completed below."""
    with Image.open(path) as image:
        result = np.asarray(image)
    assert np.array_equal(result[~HOLE], PHOTO[~HOLE])
    assert (result[WHITE] == 255).all()
    assert (result[HOLE & ~WHITE] < 255).any()


def test_the_pipeline(run, tmp_path):
    code = """
import inspect
from glcic_hub import GLCICPipeline

call = GLCICPipeline.__call__
parameters = inspect.signature(call).parameters
assert all(parameters[name].default is None for name in ("paint", "paint_rows")), parameters
assert "  paint: white paints each hole" in call.__doc__ and "  paint_rows: down to which" in call.__doc__
pipe = GLCICPipeline.from_pretrained()
pipe(photo, mask, paint="white", paint_rows=20).images[0].save("out.png")
for wrong in ({"paint": "red"}, {"paint_rows": 0}):
    try:
        pipe(photo, mask, **wrong)
    except ValueError as error:
        print(error)
"""
    said = run("-c", READ + code).splitlines()
    assert said == [
        "paint must be one of None, 'white'; got 'red'",
        "paint_rows must be a whole number of pixels from 1 to 9999; got 0",
    ]
    assert_painted(tmp_path / "out.png")


FLAGS = ["--paint", "white", "--paint-rows", str(ROWS)]


@pytest.mark.parametrize("command", ["inpaint", "batch"])
def test_the_command_line(run, tmp_path, command):
    arguments = {
        "inpaint": ["photo.png", "mask.png", "-o", "out.png"],
        "batch": ["photos", "--masks", "mask.png", "-o", "."],  # its processes get the options, too
    }
    (tmp_path / "photos").mkdir()
    shutil.copy(tmp_path / "photo.png", tmp_path / "photos" / "out.png")
    run("-m", "glcic_hub", command, *arguments[command], *FLAGS)
    assert_painted(tmp_path / "out.png")
    text = run("-m", "glcic_hub", command, "--help")
    assert "--paint {none,white}" in text and "--paint-rows N" in text and "down to which row" in text


def test_comfyui(run, tmp_path):
    code = """
import torch
from glcic_hub.integrations.comfyui import GLCICInpaint

inputs = GLCICInpaint.INPUT_TYPES()["required"]
choices, settings = inputs["paint"]
assert choices == ["none", "white"] and settings["default"] == "none", inputs
kind, settings = inputs["paint_rows"]
assert kind == "INT" and (settings["default"], settings["max"]) == (-1, 9999), inputs
image = torch.from_numpy(np.asarray(photo) / np.float32(255))[None]
fill = torch.from_numpy(np.asarray(mask).astype(np.float32))[None]
values = {name: kind[1]["default"] for name, kind in inputs.items() if "default" in kind[-1]}
values |= {"paint": "white", "paint_rows": 20}
(completed,) = GLCICInpaint().complete(image, fill, **values)
Image.fromarray((completed[0] * 255).round().byte().numpy()).save("out.png")
"""
    run("-c", READ + code)
    assert_painted(tmp_path / "out.png")


def test_iopaint(run, tmp_path):
    files = ["--image=photo.png", "--mask=mask.png", "--output=out", "--model-dir=."]
    run("-m", "glcic_hub.integrations.iopaint", "run", "--model=glcic-scenes", *files, *FLAGS, tool="iopaint")
    assert_painted(tmp_path / "out" / "photo.png")


def test_spandrel(run, tmp_path):
    code = """
import torch
from glcic_hub.integrations import spandrel
from glcic_hub.model import PRETRAINED_DIR
from spandrel import ModelLoader

spandrel.register(paint="white", paint_rows=20)
model = ModelLoader().load_from_file(PRETRAINED_DIR / "glcic-scenes" / "model.safetensors")
image = torch.from_numpy(np.asarray(photo) / np.float32(255)).permute(2, 0, 1)[None]
fill = torch.from_numpy(np.asarray(mask).astype(np.float32))[None, None]
completed = model(image, fill)[0].permute(1, 2, 0)
Image.fromarray((completed * 255).round().byte().numpy()).save("out.png")
"""
    run("-c", READ + code, tool="spandrel")
    assert_painted(tmp_path / "out.png")


def test_ray(run, tmp_path):
    """The command's flags, and the class for pipelines. No cluster is started."""
    code = """
import sys
from pathlib import Path
from glcic_hub.filling.options import FillOptions
from glcic_hub.integrations.ray import Complete, main
from glcic_hub.workflow import Settings

step = Complete(Settings(options=FillOptions(paint="white", paint_rows=20)))
photos, masks = ([Path(name).read_bytes()] for name in ("photo.png", "mask.png"))
Path("out.png").write_bytes(step({"photo": photos, "mask": masks})["completed"][0])
main(["--help"])
"""
    text = run("-c", code, tool="ray")
    assert "--paint {none,white}" in text and "--paint-rows N" in text
    assert_painted(tmp_path / "out.png")


def test_the_endpoint(run, tmp_path):
    """The handler, with the pipeline's code as `model_card.build` writes it."""
    code = """
import base64
from pathlib import Path
from glcic_hub import GLCICModel
from model_card.build import PIPELINE_CODE, standalone
from model_card.handler import EndpointHandler

Path("pipeline.py").write_text(standalone("The pipeline.", *PIPELINE_CODE))
GLCICModel.from_pretrained().save_pretrained("completion_network")
handler = EndpointHandler(".")
inputs = {"image": photo, "mask": mask}
answer = handler({"inputs": inputs, "parameters": {"paint": "white", "paint_rows": 20}})
Path("out.png").write_bytes(base64.b64decode(answer["image"]))
print(handler({"inputs": inputs, "parameters": {"paint": "red"}})["error"])
"""
    assert run("-c", READ + code) == "paint must be one of None, 'white'; got 'red'\n"
    assert_painted(tmp_path / "out.png")


def test_the_page(run, tmp_path):
    """Its settings, and what its server makes of them."""
    code = """
import io, json
from starlette.applications import Starlette
from starlette.testclient import TestClient
from glcic_hub.ui.photos import Photos
from glcic_hub.ui.routes import Host, page_routes
from glcic_hub.ui.turns import Turns
from glcic_hub.workflow import Settings, fill_holes, load_completer

def fill(model, *given):
    return fill_holes(load_completer(Settings()), *given)

host = Host(Photos(10**6), Turns(), fill, ["glcic-scenes"])
client = TestClient(Starlette(routes=page_routes(host)))
settings = {setting["name"]: setting for setting in client.get("/host.json").json()["settings"]}
choice, number = settings["paint"], settings["paint_rows"]
assert choice["label"] == "Paint" and choice["help"] == "White paints each hole instead of completing it.", choice
assert choice["choices"] == [{"value": "none", "label": "None"}, {"value": "white", "label": "White"}], choice
assert choice["value"] == "none" and number["value"] is None and number["range"] == [1, 9999], number
path = "/photos/" + client.post("/photos?name=a.png", content=open("photo.png", "rb").read()).json()["id"]
query = {"left": 0, "top": 0, "width": photo.width, "height": photo.height}
query |= {"grow": 0, "paint": "white", "paint_rows": "20"}
answer = client.post(f"{path}/versions", params=query, content=open("mask.png", "rb").read())
version = json.loads(answer.text.splitlines()[-1])["version"]
open("out.png", "wb").write(client.get(f"{path}/versions/{version}/file?format=png").content)
print(client.post(f"{path}/versions", params=query | {"paint_rows": 0}).json()["error"])
"""
    said = run("-c", READ + code)
    assert said == "paint_rows must be a whole number of pixels from 1 to 9999; got 0\n"
    assert_painted(tmp_path / "out.png")


def test_the_space(run, tmp_path):
    code = f"""
import inspect, shutil, sys
sys.path.insert(0, {str(ROOT / "spaces_app")!r})
import app

for endpoint in (app.inpaint, app.inpaint_batch):
    parameters = inspect.signature(endpoint).parameters
    assert (parameters["paint"].default, parameters["paint_rows"].default) == ("none", None), parameters
given = [{{"path": "photo.png"}}, {{"path": "mask.png"}}, None]
values = [None, None, 0, "poisson", "auto", 0, "white"]
try:
    app.inpaint(*given, *values, 0)
except app.gr.Error as error:
    assert str(error.message) == "paint_rows must be a whole number of pixels from 1 to 9999; got 0", error
else:
    raise AssertionError("0 rows were taken")
shutil.copy(app.inpaint(*given, *values, "20")["path"], "out.png")
"""
    run("-c", code)
    assert_painted(tmp_path / "out.png")


def test_the_evaluation(run, tmp_path):
    """White in grey is half of the range off; painted above all holes it changes nothing."""
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(tmp_path / "pictures" / "grey.png")
    variants = ["paint=white", "paint=white,paint_rows=1"]
    lengths = ["--size", "64", "--hole_margin", "5"]
    run("-m", "train.evaluate", "--data", "pictures", *lengths, "--variant", *variants, "--output", "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    white, above = (record["variants"][variant]["figures"]["glcic-scenes"] for variant in variants)
    assert white["l1_x100"] == pytest.approx(100 * (255 - 128) / 255, abs=1e-4)
    assert above == record["figures"]["glcic-scenes"]
