"""The network's ONNX file computes what the PyTorch network computes."""

import numpy as np
import pytest
import torch
from torch import nn

from glcic_hub.export import PRECISIONS, export_onnx
from glcic_hub.network import complete_batch, fold_batchnorm
from tests.export.conftest import runner

# Largest and mean differences of a value in [0, 1]; the random model's output has strong contrast, which enlarges them.
TOLERANCES = {"fp32": (1e-4, 1e-5), "fp16": (0.03, 0.002), "int8": (1e-4, 1e-5)}


@pytest.fixture(scope="module", params=PRECISIONS)
def precision(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(model, precision):
    return runner(export_onnx(model, "network", precision))


def inputs(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([batch, height, width])
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[0, :, height // 3 :, : width // 2] = 1  # reaches two borders
    mask[-1, :, height // 4 : height // 2 + 1, width // 4 :] = 1
    return {"image": rng.random((batch, 3, height, width), np.float32), "mask": mask}


def expected(model, image: np.ndarray, mask: np.ndarray, precision: str = "fp32") -> np.ndarray:
    """PyTorch's result, with weights that PyTorch has rounded to 8 bits if they are so in the file."""
    network = fold_batchnorm(model.network)
    if precision == "int8":
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                axis = int(isinstance(module, nn.ConvTranspose2d))
                scale = module.weight.abs().amax([i for i in range(4) if i != axis]) / 127
                zero = torch.zeros(len(scale), dtype=torch.int32)
                rounded = torch.fake_quantize_per_channel_affine(module.weight, scale, zero, axis, -127, 127)
                module.weight = nn.Parameter(rounded)
    with torch.inference_mode():
        return complete_batch(network, torch.from_numpy(image), torch.from_numpy(mask), model.mean).numpy()


@pytest.mark.parametrize("size", [(1, 64, 64), (2, 33, 50), (1, 1, 1), (1, 5, 3), (3, 20, 71)], ids=str)
def test_the_file_computes_what_pytorch_computes(model, precision, run, size):
    given = inputs(*size)
    wanted = expected(model, **given, precision=precision)
    found = run(**given)
    assert found.shape == wanted.shape and found.dtype == np.float32
    largest, mean = TOLERANCES[precision]
    assert np.abs(found - wanted).max() < largest and np.abs(found - wanted).mean() < mean
    assert wanted.std() > 0.05 or size[1:] == (1, 1), "there is something to compare"


def test_what_lies_under_the_mask_has_no_influence(run):
    given = inputs(2, 30, 41)
    before = run(**given)
    hidden = np.where(given["mask"] > 0, np.float32("nan"), given["image"])
    after = run(image=hidden, mask=given["mask"])
    assert np.array_equal(before, after)
    assert not np.array_equal(before, run(image=1 - given["image"], mask=given["mask"]))


def test_a_batch_is_its_pictures(run):
    given = inputs(2, 24, 37)
    together = run(**given)
    for index in range(2):
        alone = run(**{key: value[index : index + 1] for key, value in given.items()})
        assert np.allclose(alone[0], together[index], atol=1e-5)


def test_the_embedded_weights(embedded):
    given = inputs(1, 66, 90)
    wanted = expected(embedded, **given)
    for precision, tolerance in (("fp32", 1e-4), ("fp16", 0.005), ("int8", 0.05)):
        found = runner(export_onnx(embedded, "network", precision))(**given)
        assert np.abs(found - wanted).max() < tolerance, precision


def test_the_model_stays_as_it_is(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for precision in PRECISIONS:
        export_onnx(model, "network", precision)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_of_another_type_are_exported(model):
    rounded = type(model)(base_channels=4, mean=(0.4, 0.5, 0.6), sample_size=32, max_hole_size=16)
    rounded.load_state_dict(model.state_dict())
    given = inputs(1, 16, 16)
    found = runner(export_onnx(rounded.eval().half(), "network"))(**given)
    assert np.abs(found - expected(model, **given)).max() < 0.02
