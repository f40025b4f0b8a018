"""Damaged model folders: a model that works, or a ValueError that names the file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from glcic_hub.model import MAX_SAMPLE_SIZE, GLCICModel
from tests.fills import filled
from tests.hostile.checkpoint_cases import CONFIG, small_weights
from tests.hostile.kinds import attempt


def test_damaged_model_folders_are_refused_by_name(model):
    """Now and then what is damaged does no harm."""
    assert {attempt("model folder", number, model) for number in range(120)} == {"loaded", "ValueError"}


def refused(folder, message: str, config: str | None = None, weights: dict | None = None) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG) if config is None else config)
    save_file(small_weights() | (weights or {}), folder / "model.safetensors")
    with pytest.raises(ValueError, match=message) as refusal:
        GLCICModel.from_pretrained(folder)
    assert str(folder) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(tmp_path, value):
    weight = small_weights()["network.output.bias"].clone()
    weight[1] = value
    refused(tmp_path, "network.output.bias has numbers that are not finite", weights={"network.output.bias": weight})


def test_negative_variances(tmp_path):
    key = "network.blocks.3.1.running_var"
    refused(tmp_path, f"{key} has numbers .* negative variances", weights={key: -small_weights()[key]})


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.complex64])
def test_weights_of_another_kind(tmp_path, dtype):
    refused(
        tmp_path, f"network.output.bias is .* of {dtype}", weights={"network.output.bias": torch.zeros(3, dtype=dtype)}
    )


@pytest.mark.parametrize("text", ["[" * 100_000, '{"mean":' * 100_000])
def test_settings_that_are_nested_without_end(tmp_path, text):
    refused(tmp_path, "is not a JSON object", config=text)


@pytest.mark.parametrize("size", [MAX_SAMPLE_SIZE + 1, 10**6, 10**400, 64.5])
def test_sizes_that_no_training_has(tmp_path, size):
    """Surroundings of the order of the sample size are looked at: a million would take gigabytes."""
    refused(tmp_path, "do not make a GLCICModel", config=json.dumps(CONFIG | {"sample_size": size}))


@pytest.mark.parametrize("number", ["1e999", "Infinity", "NaN", "9" * 4000])
@pytest.mark.parametrize("key", ["base_channels", "sample_size", "max_hole_size"])
def test_numbers_that_are_none(tmp_path, key, number):
    refused(tmp_path, "do not make a GLCICModel", config=json.dumps(CONFIG | {key: 0})[:-1] + f', "{key}": {number}}}')


def test_weights_that_are_too_large_to_compute_with():
    model = GLCICModel(**CONFIG).eval()
    with torch.no_grad():
        model.network.blocks[0][0].weight.mul_(1e38)
        model.network.blocks[1][0].weight.mul_(1e38)
    with pytest.raises(ValueError, match="the model's values are not finite"):
        filled(model, np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8), np.eye(16, 20, dtype=bool))
