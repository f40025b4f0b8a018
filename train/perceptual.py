"""The perceptual loss: completed and true picture compared as a network sees them that learned to recognise things.

Not in the paper. A squared error is smallest for the mean of all that could be in the hole, which is a blur; feature
maps of a blur differ from those of any texture. In the form of LPIPS (Zhang et al., CVPR 2018) without learned weights.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from train.efficientnet import feature_maps, load_efficientnet

BLOCKS = (0, 3, 6, 14)
"""EfficientNet-lite1's blocks, from 0: the last ones at a half, a quarter, an eighth and a sixteenth of the size."""

ENLARGEMENT = 2
"""Crops are enlarged so many times first: the pipeline enlarges what the network gives for a large hole."""


def load_judge(device: torch.device) -> nn.Module:
    """The network whose feature maps are compared.

    Raises:
        ValueError: the extra `features` is not installed.
    """
    return copy.deepcopy(load_efficientnet(1)).to(device, memory_format=torch.channels_last)


def perceptual_loss(
    judge: nn.Module,
    fake: torch.Tensor,
    image: torch.Tensor,
    mask: torch.Tensor,
    hole_pixels: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over the maps of 1 - cosine similarity, each cell weighted by the share of holes in it; 0 to 2.

    Args:
        judge: of `load_judge`.
        fake, image: (B, 3, H, W), completed and true pictures, RGB in [0, 1].
        mask: (B, 1, H, W), 1 in the holes.
        hole_pixels: take the mean over so many pixels instead of those of `mask`; see `losses.completion_loss`.
    """
    hole_pixels = mask.sum() if hole_pixels is None else hole_pixels

    def enlarged(images: torch.Tensor) -> torch.Tensor:
        return F.interpolate(images, scale_factor=ENLARGEMENT, mode="bilinear")

    with torch.no_grad():
        wanted = feature_maps(judge, enlarged(image), BLOCKS)
    losses = []
    for given, true in zip(feature_maps(judge, enlarged(fake), BLOCKS), wanted):
        weights = F.interpolate(mask, true.shape[-2:], mode="area")[:, 0]
        different = 1 - F.cosine_similarity(given.float(), true.float(), dim=1)
        cells_per_pixel = weights[0].numel() / mask[0].numel()
        losses.append((different * weights).sum() / (hole_pixels * cells_per_pixel))
    return torch.stack(losses).mean()
