"""Pictures on grids: means over known pixels, and neighbours."""

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Down and across."""


def reduced(image: torch.Tensor, known: torch.Tensor, size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make an image and its map of known pixels smaller; each new pixel is the mean of the known ones that it covers.

    Args:
        image: float (B, C, H, W).
        known: float (B, 1, H, W), 1 = known.
        size: the new height and width.

    Returns:
        The image, and where it is known: 1 where at least half of what a pixel covers was.
    """
    weight = F.interpolate(known, size, mode="bilinear", antialias=True)
    total = F.interpolate(image * known, size, mode="bilinear", antialias=True)
    return total / weight.clamp(min=1e-6), (weight >= 0.5).float()


def sums_of_2x2(array: np.ndarray) -> np.ndarray:
    """Sums over squares of two by two pixels: (H, W, C) to half of height and width, rounded up."""
    height, width = (side + side % 2 for side in array.shape[:2])
    padded = np.zeros((height, width, array.shape[2]), array.dtype)
    padded[: array.shape[0], : array.shape[1]] = array
    return padded.reshape(height // 2, 2, width // 2, 2, -1).sum(axis=(1, 3))


def dilated(mask: np.ndarray, distance: int) -> np.ndarray:
    """A bool mask (H, W) together with every pixel that is at most so far from it (Euclidean distance, in pixels)."""
    if not (distance and mask.any()):
        return mask
    lines = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    near = tuple(slice(max(0, line[0] - distance), line[-1] + distance + 1) for line in lines)
    result = mask.copy()
    result[near] = ndimage.distance_transform_edt(~mask[near]) <= distance
    return result


def shifted(array: np.ndarray, step: tuple[int, int], outside: int = 0) -> np.ndarray:
    """The array's value at each pixel's neighbour in the direction of `step`; `outside` beyond the border."""
    result = np.full_like(array, outside)
    height, width = array.shape[:2]
    dy, dx = step
    target = (slice(max(-dy, 0), height - max(dy, 0)), slice(max(-dx, 0), width - max(dx, 0)))
    source = (slice(max(dy, 0), height - max(-dy, 0)), slice(max(dx, 0), width - max(-dx, 0)))
    result[target] = array[source]
    return result
