"""The FLOPs of each phase against those of the layer tables, the rates made of them, and the table."""

import pytest
import torch
from accelerate.state import AcceleratorState

from glcic_hub.network import COMPLETION_LAYERS
from tests.benchmark import training

RESOLUTION, BATCH, CHANNELS = 32, 2, 4


def completion_flops() -> tuple[int, int]:
    """One picture through C by Table 1: all layers, and the first of them alone."""
    flops, channels, side = [], 4, RESOLUTION
    for layer in COMPLETION_LAYERS:
        width, before = int(layer.width * CHANNELS), side
        side = side * layer.stride if layer.kind == "deconv" else side // layer.stride
        # a transposed convolution multiplies at each pixel of its input
        pixels = before**2 if layer.kind == "deconv" else side**2
        flops.append(2 * layer.kernel**2 * channels * width * pixels)
        channels = width
    return sum(flops) + 2 * 9 * channels * 3 * side**2, flops[0]


def discriminator_flops() -> tuple[int, int]:
    """One picture and its patch through D by Table 2: all layers, and the first of both branches."""
    flops, first = 2 * (2 * 16 * CHANNELS), 0
    for size in (RESOLUTION, RESOLUTION // 2):
        channels, side = 3, size
        while side > 4:
            width = CHANNELS * size // side
            side //= 2
            layer = 2 * 25 * channels * width * side**2
            first += layer if channels == 3 else 0
            flops, channels = flops + layer, width
        flops += 2 * channels * side**2 * 16 * CHANNELS
    return flops, first


@pytest.fixture(scope="module")
def record() -> dict:
    AcceleratorState._reset_state(True)  # accelerate keeps it for the life of the process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PRODUCT_SIDES", {"cpu": 64, "cuda": 64})
        sizes = {"--resolution": RESOLUTION, "--batch": BATCH, "--base_channels": CHANNELS, "--steps": 1}
        return training.measure(training.parse_args([str(word) for pair in sizes.items() for word in pair]))


def test_flops_are_those_of_the_layer_tables(record):
    """Backward costs twice the forward pass: gradients of weights and of inputs. Pictures need no gradient."""
    c, first_of_c = completion_flops()
    d, first_of_d = discriminator_flops()
    update_of_c, update_of_d = 3 * c - first_of_c, 2 * (3 * d - first_of_d)
    judgement = 2 * d  # its weights have no gradient, the pictures do
    assert [row["phase"] for row in record["phases"]] == [1, 2, 3]
    found = [row["flops_per_picture"] for row in record["phases"]]
    assert found == [update_of_c, c + update_of_d, update_of_c + update_of_d + judgement]


def test_rates_belong_together(record):
    for row in record["phases"]:
        assert row["pictures_per_second"] == pytest.approx(BATCH / row["step_seconds"], rel=2e-3)
        assert row["tflops"] == pytest.approx(row["flops_per_picture"] * row["pictures_per_second"] / 1e12, rel=2e-3)
        assert row["share_of_product"] == pytest.approx(row["tflops"] / record["product_tflops"], rel=2e-3)
        shares = [operator["share"] for operator in row["operators"]]
        assert len(shares) == training.LISTED_OPERATORS and shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1


def test_the_device_is_waited_for_around_the_block_alone(monkeypatch):
    done = []
    monkeypatch.setattr(training, "_wait_for", lambda device: done.append("wait"))
    training.block_seconds(lambda: done.append("work"), 3, 2, torch.device("cpu"))
    assert done == ["work"] * 2 + ["wait"] + ["work"] * 3 + ["wait"]


def test_the_most_costly_operator_comes_first():
    big, small = torch.rand(400, 400), torch.rand(4, 4)
    rows = training.costly_operators(lambda: (big @ big, small + small), torch.device("cpu"))
    assert rows[0]["operator"] == "aten::mm" and rows[0]["share"] > 0.5


def test_the_table_shows_the_record():
    row = {"phase": 2, "pictures_per_second": 12.34, "flops_per_picture": 5.6e9, "tflops": 0.069}
    row |= {"share_of_product": 0.34, "operators": [{"operator": "aten::some", "share": 0.251}]}
    record = {"device": "CPU", "resolution": 32, "batch": 4, "base_channels": 8, "mixed_precision": "bf16"}
    record |= {"compile": True, "product_side": 2048, "product_tflops": 0.203, "phases": [row]}
    lines = training.table(record).splitlines()
    assert lines[0] == "Training on CPU: 32 px, batch 4, 8 channels, bf16, compiled"
    assert lines[1].endswith("2048: 0.203 TFLOP/s")
    assert lines[3].split() == ["2:", "D", "12.3", "5.6", "0.069", "34%"]
    assert lines[-1].split() == ["25.1%", "aten::some"]


def test_what_the_trainer_refuses_is_refused():
    with pytest.raises(SystemExit):
        training.training_settings(training.parse_args(["--resolution", "30"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="GPUs compute in fp16")
def test_fp16_needs_a_gpu():
    AcceleratorState._reset_state(True)
    with pytest.raises(ValueError, match="take --mixed_precision bf16 or no"):
        training.measure(training.parse_args(["--mixed_precision", "fp16", "--resolution", "16"]))
