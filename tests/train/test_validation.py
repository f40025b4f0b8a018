"""The measurement during a training, against plain loops over its own crops and holes."""

import math

import pytest
import torch

from glcic_hub.network import CompletionNetwork
from tests.train.runs import TINY
from train.settings import parse_args
from train.validation import Validation, psnr


@pytest.fixture
def args(tiny_pictures):
    data = ["--train_data_dir", "a", "--output_dir", "b", "--validation_data_dir", str(tiny_pictures)]
    return parse_args([*TINY.split(), *data])


class Grey(torch.nn.Module):
    """Completes everything with one value; says whether it was in training mode when it was used."""

    def forward(self, x):
        assert not self.training
        return torch.full_like(x[:, :3], 0.5)


def test_figures_are_means_over_all_samples_in_holes(args):
    validation, network = Validation(args), Grey().train()
    found = validation.measure(network, torch.zeros(3))
    assert network.training  # as it was
    differences = []
    for image, mask in zip(validation._images, validation._masks, strict=True):
        differences += (image - 0.5)[:, mask[0] > 0].flatten().tolist()
    assert len(validation._images) == 3
    assert found["hole_l1_x100"] == pytest.approx(100 * sum(map(abs, differences)) / len(differences), rel=1e-5)
    squared = sum(difference**2 for difference in differences) / len(differences)
    assert found["hole_psnr"] == pytest.approx(10 * math.log10(1 / squared), rel=1e-5)


def test_crops_and_holes_are_fixed_whatever_the_seed_of_the_run_is(args):
    network = CompletionNetwork(4)
    found = Validation(args).measure(network, torch.zeros(3))
    args.seed, args.train_batch_size = 5, 3
    assert Validation(args).measure(network, torch.zeros(3)) == pytest.approx(found, rel=1e-5)


def test_psnr_of_an_exact_fill_is_bounded():
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0.0) == 100
