"""How the completion network's weights start."""

import math

import pytest
import torch
from torch import nn

from glcic_hub.network import CompletionNetwork
from train.initialisation import INITIALISATIONS, initialise


def initialised(name: str, seed: int = 0) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    torch.manual_seed(seed)
    network = CompletionNetwork(base_channels=32)
    torch.manual_seed(seed + 1)
    initialise(network, name)
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


@pytest.mark.parametrize("name", sorted(INITIALISATIONS.keys() - {"pytorch"}))
def test_biases_start_at_zero_and_the_seed_decides(name):
    convolutions, again, other = initialised(name), initialised(name), initialised(name, seed=5)
    assert not any(convolution.bias.any() for convolution in convolutions)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(convolutions, again))
    assert not any(torch.equal(a.weight, b.weight) for a, b in zip(convolutions, other))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("normal", lambda inputs, outputs: 0.02**2),
        ("xavier", lambda inputs, outputs: 2 / (inputs + outputs)),
        ("kaiming", lambda inputs, outputs: 2 / inputs),
    ],
)
def test_random_weights_have_the_textbook_variance(name, variance):
    for convolution in initialised(name):
        out_channels, in_channels, height, width = convolution.weight.shape  # deconvolutions count as PyTorch counts
        wanted = math.sqrt(variance(in_channels * height * width, out_channels * height * width))
        weights = convolution.weight
        assert weights.std().item() == pytest.approx(wanted, rel=4 / math.sqrt(2 * weights.numel()))
        assert abs(weights.mean().item()) < 5 * wanted / math.sqrt(weights.numel())


def test_orthogonal_weights_are_orthogonal():
    for convolution in initialised("orthogonal"):
        matrix = convolution.weight.flatten(1)
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        assert torch.allclose(product, torch.eye(len(product)), atol=1e-5)


def test_identity_passes_the_signal_on():
    square = [c for c in initialised("identity") if isinstance(c, nn.Conv2d) and c.in_channels == c.out_channels]
    assert len(square) > 5
    for convolution in square:
        x = torch.rand(1, convolution.in_channels, 20, 20) - 0.5
        error = (convolution(x) - x)[..., 5:-5, 5:-5].std() / x.std()
        assert 0.01 < error < 0.3


def test_pytorch_leaves_the_constructors_weights():
    torch.manual_seed(3)
    network = CompletionNetwork(base_channels=8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network, "pytorch")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
