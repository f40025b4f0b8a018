"""glcic_hub.integrations.spandrel in spandrel itself."""

import json

import numpy as np
import pytest

from glcic_hub.model import PRETRAINED_DIR, embedded_models
from tests.integrations.tools import assert_completed, run_with
from tests.random_models import random_model

CODE = """
import json, sys
import numpy as np
import torch
from glcic_hub.integrations import spandrel as ours
from spandrel import MAIN_REGISTRY, ArchRegistry, MaskedImageModelDescriptor, ModelLoader, UnsupportedModelError

pretrained, own = sys.argv[1:]
report = {}
before = list(MAIN_REGISTRY)
ours.register()
image, bool_mask = np.load("picture.npy"), np.load("mask.npy")
image = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
mask = torch.from_numpy(bool_mask)[None, None].float()

def complete(model, name, dtype=torch.float32):
    seen = image.to(dtype)
    given = seen.clone()
    result = model(seen, mask.to(dtype))
    assert isinstance(model, MaskedImageModelDescriptor) and result.dtype == dtype and result.shape == image.shape
    assert torch.equal(seen, given), "the input was changed"
    assert torch.equal(result.where(mask == 0, 0), seen.where(mask == 0, 0)), "known samples were changed"
    np.save(name, (result[0].permute(1, 2, 0).float() * 255).round().byte().numpy())

for name in ("glcic-faces-64", "glcic-scenes"):
    path = f"{pretrained}/{name}/model.safetensors"
    model = ModelLoader().load_from_file(path)
    complete(model, name)
    report[name] = [model.architecture.id, model.purpose, model.tags, model.scale, model.input_channels]
    state = ModelLoader().load_state_dict_from_file(path)
    report[name].append([arch.architecture.id for arch in before if arch.detect(state)])
alone = ArchRegistry()  # of patches, which a rounding chooses differently, one would see nothing
ours.register(registry=alone, texture=None)
model = ModelLoader(registry=alone).load_from_file(path)
complete(model.half(), "half", torch.float16)
complete(model.bfloat16(), "bfloat16", torch.bfloat16)
deep = 0.3 + 0.002 * image
result = ModelLoader(registry=alone).load_from_file(path)(deep, mask)
assert torch.equal(result.where(mask == 0, 0), deep.where(mask == 0, 0))
report["deep"] = [result.min().item(), result.max().item(), result[mask.expand_as(result) > 0].std().item()]

def error_of(function, *args):
    try:
        function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

report["unknown"] = error_of(ModelLoader().load_from_file, own + "/model.safetensors")
state.pop("network.output.bias")
report["incomplete"] = error_of(ModelLoader().load_from_state_dict, state)
report["twice"] = error_of(ours.register)
registry = ArchRegistry()
report["not ours"] = error_of(ModelLoader(registry=registry).load_from_file, own + "/model.safetensors")
ours.register(own, registry=registry)
complete(ModelLoader(registry=registry).load_from_file(own + "/model.safetensors"), "own")
complete(ModelLoader(registry=registry).load_from_file(own + "/model.fp16.safetensors"), "own-half")
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spandrel")


@pytest.fixture(scope="module")
def own(folder):
    """A model of one's own, of another width and mean colour, with a half variant beside it."""
    random_model().save_pretrained(folder / "own")
    random_model().half().save_pretrained(folder / "own", variant="fp16")
    return folder / "own"


@pytest.fixture(scope="module")
def report(folder, own, picture, bool_mask):
    np.save(folder / "picture", picture)
    np.save(folder / "mask", bool_mask)
    return json.loads(run_with("spandrel", folder, "-c", CODE, str(PRETRAINED_DIR), str(own)))


def test_embedded_weights_are_known_and_complete_as_the_pipeline_does(report, folder, picture, bool_mask, expected):
    for name in embedded_models():
        assert report[name] == ["GLCIC", "Inpainting", ["64 channels"], 1, 3, []]
        assert_completed(np.load(folder / f"{name}.npy"), picture, bool_mask, expected(name))


def test_other_weights_need_the_folder_with_their_settings(report, folder, own, picture, bool_mask, expected):
    for error in (report["unknown"], report["incomplete"]):
        assert error.startswith("ValueError: these are not the weights of glcic-faces-64, glcic-scenes, and")
        assert "register(folder)" in error
    assert report["twice"].startswith("DuplicateArchitectureError")
    assert report["not ours"].startswith("UnsupportedModelError")
    for name, variant in (("own", None), ("own-half", "fp16")):
        assert_completed(np.load(folder / f"{name}.npy"), picture, bool_mask, expected(own, variant=variant))


def test_floats_of_little_contrast_are_filled_with_as_little(report):
    darkest, brightest, spread = report["deep"]
    assert darkest > 0.3 - 0.001 and brightest < 0.302 + 0.001 and spread > 0.05 * 0.002


def test_half_precision(report, folder, picture, bool_mask, expected):
    """bfloat16 has 8 bits for the fill as for the samples around it."""
    for name, levels in (("half", 3), ("bfloat16", 6)):
        difference = np.load(folder / f"{name}.npy").astype(int) - expected("glcic-scenes", texture=None)
        assert np.abs(difference[bool_mask]).max() <= levels
