"""Some crops lose colours, as old photos, prints, drawings and screenshots have few: grey, toned or plain ones.

What is done to a crop is an affine map of its colours, which CPUs and GPUs apply alike.
"""

import numpy as np
import torch

from train.crops import recolouring_rng

LUMA = np.array([0.299, 0.587, 0.114])
DARKEST, BRIGHTEST = (0.0, 0.25), (0.6, 1.0)
"""Ranges that each channel of a tone's two ends is drawn from."""

BEYOND = 0.2
"""Plain colours are drawn from so much more than [0, 1] and cut off: pure black, white and primaries are common."""

UNCHANGED = np.eye(3, 4)


def draw_recolouring(share: float, seed: int, sample: int) -> np.ndarray:
    """Draw what is done to the colours of a sample: float64 (3, 4), what R, G, B and 1 are multiplied with.

    A share of all samples is recoloured, a third of these in each way: grey by its luma; toned, from a dark to a bright
    colour (sepia, duotones); one plain colour.
    """
    rng = recolouring_rng(seed, sample)
    if rng.random() >= share:
        return UNCHANGED
    kind = rng.integers(3)
    if kind == 0:
        return _between(np.zeros(3), np.ones(3))
    if kind == 1:
        return _between(rng.uniform(*DARKEST, 3), rng.uniform(*BRIGHTEST, 3))
    plain = rng.uniform(-BEYOND, 1 + BEYOND, 3).clip(0, 1)
    return _between(plain, plain)


def recoloured(crops: torch.Tensor, recolourings: torch.Tensor) -> torch.Tensor:
    """Crops (B, 3, H, W), RGB in [0, 1], with their colours mapped; a crop with `UNCHANGED` stays the same to the bit.

    recolourings: (B, 3, 4), of `draw_recolouring`, on the device of the crops.
    """
    factors, offsets = recolourings.to(crops.dtype)[..., None, None].split((3, 1), dim=2)
    return ((factors * crops[:, None]).sum(dim=2) + offsets[:, :, 0]).clamp(0, 1)


def _between(dark: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Black becomes `dark`, white `bright`, all else what its luma says."""
    return np.column_stack([np.outer(bright - dark, LUMA), dark])
