"""The photos and holes that the contestants complete."""

import numpy as np
from skimage import data

GROWTH_HOLE = 128
"""Side in pixels of the hole at which the growth with the photo is looked at."""


def grid(photo_sizes: tuple[int, ...], hole_sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """The pairs (photo, hole), sides in pixels, in which the photo is at least twice as wide as the hole."""
    return [(photo, hole) for photo in photo_sizes for hole in hole_sizes if 2 * hole <= photo]


def photo_of(height: int, width: int) -> np.ndarray:
    """A photo, uint8 (height, width, 3): `skimage.data.astronaut`, continued by its mirror images where it ends."""
    part = data.astronaut()[:height, :width]
    return np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)), "symmetric")


def hole_in(height: int, width: int, side: int) -> np.ndarray:
    """A mask, bool (height, width): True in a square of `side` pixels in the centre."""
    mask = np.zeros((height, width), bool)
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = True
    return mask
