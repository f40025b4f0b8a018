"""How the completion network's weights start. Biases start at zero, batch normalisation as PyTorch leaves it."""

from collections.abc import Callable

import torch
from torch import nn

from glcic_hub.network import CompletionNetwork

IDENTITY_NOISE = 0.1
"""Share of Kaiming noise on the identity; 0.3 measured alike (one seed)."""


def initialise(network: CompletionNetwork, name: str) -> None:
    """Draw the weights of all convolutions anew, in place, from torch's global generator.

    Args:
        network: the completion network.
        name: one of `INITIALISATIONS`; "pytorch" leaves everything as PyTorch's constructors made it.
    """
    if name == "pytorch":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            INITIALISATIONS[name](module.weight)
            nn.init.zeros_(module.bias)


def identity(weight: torch.Tensor) -> None:
    """The identity where input and output channels agree, plus little Kaiming noise; Kaiming normal elsewhere.

    The signal then crosses the network from the first step on.
    """
    nn.init.kaiming_normal_(weight)
    out_channels, in_channels, height, width = weight.shape
    if out_channels == in_channels and height % 2 and width % 2:
        noise = IDENTITY_NOISE * weight.data
        nn.init.dirac_(weight)
        weight.data += noise


INITIALISATIONS: dict[str, Callable[[torch.Tensor], object] | None] = {
    "pytorch": None,
    "normal": lambda weight: nn.init.normal_(weight, std=0.02),
    "xavier": nn.init.xavier_normal_,
    "kaiming": nn.init.kaiming_normal_,
    "orthogonal": nn.init.orthogonal_,
    "identity": identity,
}
