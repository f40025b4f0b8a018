"""How different two pictures look to a network that was trained to recognise things.

The features are those of EfficientNet-lite0. L1 and PSNR prefer a blur to a texture that is not exactly the true one;
these figures do not.
"""

import numpy as np
import torch
from torch.nn import functional as F
from torchmetrics.image.kid import poly_mmd

from train.efficientnet import feature_maps, load_efficientnet

BLOCKS = (2, 4, 10, 15)
"""EfficientNet-lite0's blocks, from 0, whose output is compared: from edges to parts of objects."""

FEATURES = 320  # channels of the last block
LEAST_SIDE = 32  # pixels; of smaller pictures the last maps would be smaller than their kernels


def picture_maps(picture: np.ndarray) -> list[torch.Tensor]:
    """The maps after `BLOCKS` for a picture uint8 (H, W, 3): tensors (1, C, h, w), coarser and coarser.

    Raises:
        ValueError: a side is below `LEAST_SIDE`.
    """
    if min(picture.shape[:2]) < LEAST_SIDE:
        height, width = picture.shape[:2]
        raise ValueError(f"features of {width}x{height} pixels: both sides must be at least {LEAST_SIDE}")
    image = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    return feature_maps(load_efficientnet(0), image, BLOCKS)


def feature_distance(result: list[torch.Tensor], truth: list[torch.Tensor], mask: np.ndarray) -> float:
    """Mean over the maps of 1 - cosine similarity, each cell weighted by the share of the hole in it; 0 to 2.

    Args:
        result, truth: `picture_maps` of two pictures of one size.
        mask: bool (H, W), True in the hole.
    """
    in_hole = torch.from_numpy(mask.astype(np.float32))[None, None]
    distances = []
    for of_result, of_truth in zip(result, truth):
        weights = F.interpolate(in_hole, of_truth.shape[-2:], mode="area")[0, 0]
        different = 1 - F.cosine_similarity(of_result, of_truth, dim=1)[0]
        distances.append((different * weights).sum() / weights.sum())
    return float(torch.stack(distances).mean())


def kernel_distance(results: torch.Tensor, truths: torch.Tensor) -> float:
    """KID (Binkowski et al., ICLR 2018) x 1000 between completed and true pictures, by their mean features.

    Completed pictures of even number are compared with true ones of odd number: completed and true picture of one
    number are no independent samples. Features are brought to length sqrt(`FEATURES`), which bounds the kernel. All
    pictures count at once instead of random subsets, so that the figure does not depend on chance.

    Args:
        results, truths: (N, FEATURES), N at least 4, in the same order of pictures.
    """
    results, truths = (F.normalize(x) * FEATURES**0.5 for x in (results[::2], truths[1::2]))
    return 1000 * float(poly_mmd(truths, results))
