"""From a picture to a training crop: where it is cut, how it is resampled, and which picture sample `n` shows.

All sources of pictures (`dataset.py`, `streaming.py`, `device_crops.py`) draw by these functions, so that a crop
depends on the picture, the seed and the sample number alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

MOST_TRIES = 100
"""Pictures tried for one sample before the run is stopped."""

# The second number of every seed, so that no two draws share their random numbers; 3 is that of streams.
_EPOCH_ORDER, _CROP, _REPLACEMENT, _RECOLOURING = 0, 1, 2, 4


@dataclass(frozen=True)
class CropBox:
    """A crop in pixels of its picture (fractions count), and whether it is mirrored left to right."""

    left: float
    top: float
    right: float
    bottom: float
    flipped: bool


def crop_rng(seed: int, sample: int) -> np.random.Generator:
    """The random numbers that decide the crop of sample `sample` of a run."""
    return np.random.default_rng([seed, _CROP, sample])


def recolouring_rng(seed: int, sample: int) -> np.random.Generator:
    """The random numbers that decide what happens to the colours of sample `sample` of a run."""
    return np.random.default_rng([seed, _RECOLOURING, sample])


def check_resize_range(resize_range: tuple[float, float]) -> None:
    """Check that these are two rising numbers from 1 up.

    Raises:
        ValueError: they are not.
    """
    low, high = resize_range
    if not 1.0 <= low <= high < math.inf:
        raise ValueError(f"resize_range must be two rising numbers from 1.0 up; got {low} {high}")


def draw_crop(
    size: tuple[int, int], resolution: int, resize_range: tuple[float, float], rng: np.random.Generator
) -> CropBox:
    """Draw a crop: shorter side resized, random place, random flip (paper, section 4).

    Args:
        size: (width, height) of the picture.
        resolution: side of the square crop, pixels.
        resize_range: the shorter side is resized to `resolution` times a number drawn from this range; the paper's 256
            to 384 px for 256 px crops is (1.0, 1.5). A picture that is too small is enlarged.
        rng: gives four numbers: the scale, the place across, the place down, the flip.
    """
    shorter_side = round(resolution * rng.uniform(*resize_range))
    crop_side = resolution / (shorter_side / min(size))  # in the picture's own pixels: one resampling does both
    left, top = (rng.uniform(0, max(0, side - crop_side)) for side in size)
    right, bottom = min(left + crop_side, size[0]), min(top + crop_side, size[1])
    return CropBox(left, top, right, bottom, bool(rng.random() < 0.5))


def crop(
    picture: Image.Image, resolution: int, resize_range: tuple[float, float], rng: np.random.Generator
) -> torch.Tensor:
    """A crop by `draw_crop` of an RGB picture, as float32 (3, resolution, resolution) in [0, 1].

    It is cut from the picture at its `reduced_size`, so that it does not depend on whether that is kept in memory.
    """
    picture = at_reduced_size(picture, resolution, resize_range)
    box = draw_crop(picture.size, resolution, resize_range, rng)
    edges = (box.left, box.top, box.right, box.bottom)
    array = np.asarray(picture.resize((resolution, resolution), Image.Resampling.BICUBIC, edges))
    if box.flipped:
        array = array[:, ::-1]
    return torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32) / 255)


def reduced_size(size: tuple[int, int], resolution: int, resize_range: tuple[float, float]) -> tuple[int, int]:
    """(width, height) that a picture has when crops are cut from it: the largest that one needs, at most its own."""
    scale = min(1.0, round(resolution * resize_range[1]) / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def at_reduced_size(picture: Image.Image, resolution: int, resize_range: tuple[float, float]) -> Image.Image:
    """The picture at its `reduced_size`; one that has it already stays as it is."""
    return picture.resize(reduced_size(picture.size, resolution, resize_range), Image.Resampling.LANCZOS)


class SampleOrder:
    """Which of `count` pictures sample `n` of a run shows: every one once per epoch, shuffled by (seed, epoch)."""

    def __init__(self, count: int, seed: int):
        self.count = count
        self.seed = seed
        self._shuffle: tuple[int, np.ndarray] | None = None

    def candidates(self, sample: int) -> Iterator[int]:
        """The picture of the sample, then those that replace it, should it be damaged: drawn from (seed, sample)."""
        epoch, position = divmod(sample, self.count)
        if self._shuffle is None or self._shuffle[0] != epoch:
            order = np.random.default_rng([self.seed, _EPOCH_ORDER, epoch]).permutation(self.count)
            self._shuffle = epoch, order
        yield int(self._shuffle[1][position])
        rng = np.random.default_rng([self.seed, _REPLACEMENT, sample])
        for _ in range(MOST_TRIES - 1):
            yield int(rng.integers(self.count))
