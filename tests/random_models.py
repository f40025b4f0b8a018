"""Small models with random weights that behave like trained ones: every layer matters, the output has contrast."""

import torch

from glcic_hub.model import GLCICModel

SAMPLE_SIZE, MAX_HOLE_SIZE = 32, 16
MEAN = (0.4, 0.5, 0.6)


def random_model(
    seed: int = 0, sample_size: int = SAMPLE_SIZE, blend: str | None = "poisson", texture: str | None = None
) -> GLCICModel:
    """Random weights; the batch normalisations have the statistics of random pictures, the output has contrast.

    Without `texture` fills are the network's own, which tests can work out by hand.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = {"sample_size": sample_size, "max_hole_size": min(MAX_HOLE_SIZE, sample_size)}
    model = GLCICModel(base_channels=4, mean=MEAN, blend=blend, texture=texture, **sizes)
    for name, parameter in model.network.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            low, high = (0.5, 1.5) if name.endswith("1.weight") else (-0.3, 0.3)
            torch.nn.init.uniform_(parameter, low, high, generator=generator)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    pictures = torch.rand(8, 3, SAMPLE_SIZE, SAMPLE_SIZE, generator=generator)
    holes = torch.zeros(8, 1, SAMPLE_SIZE, SAMPLE_SIZE)
    holes[..., 8:20, 8:20] = 1
    with torch.no_grad():
        model.train()(pictures, holes)
    return model.eval().requires_grad_(False)
