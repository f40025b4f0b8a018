"""All pictures of a training in the memory of one device, and its crops made there, so that no GPU waits for CPUs.

`DeviceCrops` shows the crops of `TrainingCrops`: sample `n` is the same picture, reduced alike, the same box and the
same flip. Only the crop's own resampling is done on the device, by Pillow's bicubic filter (its support grows with the
reduction, so that nothing is aliased) without Pillow's rounding to 8 bits on the way: a value differs by about 1/255.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from glcic_hub.picture_files import PictureFile
from train.crops import SampleOrder, at_reduced_size, check_resize_range, crop_rng, draw_crop, reduced_size
from train.dataset import step_samples
from train.loading import Damaged, check_damaged_share
from train.memory import check_fits_in_memory
from train.recolouring import draw_recolouring, recoloured

CUBIC = -0.5  # the parameter of Pillow's bicubic filter
DECODED_AHEAD = 64  # pictures, so that those waiting to be stored take little memory


class DeviceCrops:
    """Training crops from pictures that lie decoded and reduced on a device, side by side in one uint8 tensor.

    Args:
        pictures: from `find_pictures`. They are decoded once, here.
        resolution, resize_range, seed, recoloured_share: as of `TrainingCrops`.
        device: where the pictures are kept and the crops made.

    Attributes:
        damaged: the pictures that could not be read. Samples that would show them show others, as in `TrainingCrops`.

    Raises:
        MemoryError: the pictures would take more than half of the device's free memory.
        OSError: more than half of the pictures are damaged.
    """

    def __init__(
        self,
        pictures: list[PictureFile],
        resolution: int,
        resize_range: tuple[float, float],
        seed: int,
        device: torch.device | str,
        recoloured_share: float = 0.0,
    ):
        check_resize_range(resize_range)
        self.resolution = resolution
        self.resize_range = resize_range
        self.seed = seed
        self.recoloured_share = recoloured_share
        self.device = torch.device(device)
        self.order = SampleOrder(len(pictures), seed)
        self.damaged: list[Damaged] = []
        self.sizes = np.zeros((len(pictures), 2), np.int64)  # (width, height); 0 where a picture is damaged
        self.starts = np.zeros(len(pictures), np.int64)  # first pixel of each picture
        self.pixels = self._decoded(pictures)  # uint8 (all pixels, 3)
        self.support = self._largest_support()

    @property
    def picture_count(self) -> int:
        """Pictures in one epoch."""
        return len(self.sizes)

    def first(self, count: int) -> Iterator[torch.Tensor]:
        """The first `count` crops of the run, at most one per picture."""
        return (self.batch(sample, 1, 0, 1)[0] for sample in range(min(count, self.picture_count)))

    @torch.no_grad()
    def batch(self, step: int, count: int, rank: int, world: int) -> torch.Tensor:
        """The crops of a step for process `rank` of `world`: float32 (count, 3, resolution, resolution), RGB in [0, 1].

        It depends on the seed and the sample numbers alone. The device is not waited for.
        """
        drawn = [self._draw(sample) for sample in step_samples(step, count, rank, world)]
        numbers = torch.tensor(drawn, dtype=torch.float64)  # which holds pixel numbers exactly
        if self.device.type == "cuda":
            numbers = numbers.pin_memory()
        numbers = numbers.to(self.device, non_blocking=True)
        start, width, height, left, top, right, bottom, flipped = numbers[:, :8].unbind(1)
        rows, down = self._resampling(top, bottom, height, torch.zeros_like(flipped))
        columns, across = self._resampling(left, right, width, flipped)
        index = (start[:, None, None] + rows[:, :, None] * width[:, None, None] + columns[:, None, :]).long()
        sources = self.pixels[index].float() / 255  # (B, support, support, 3)
        with torch.autocast(self.device.type, enabled=False):
            # The filter overshoots at edges: like Pillow, cut that off after each of the two passes.
            narrow = torch.einsum("bkx,brxc->brkc", across, sources).clamp(0, 1)
            crops = torch.einsum("byr,brkc->bcyk", down, narrow).clamp(0, 1)
            return recoloured(crops, numbers[:, 8:].unflatten(1, (3, 4)))

    def _draw(self, sample: int) -> tuple[float, ...]:
        index = next((index for index in self.order.candidates(sample) if self.sizes[index, 0]), None)
        if index is None:
            raise OSError(f"none of the pictures tried for sample {sample} can be read; {self.damaged[0].message}")
        size = tuple(self.sizes[index].tolist())
        box = draw_crop(size, self.resolution, self.resize_range, crop_rng(self.seed, sample))
        recolouring = draw_recolouring(self.recoloured_share, self.seed, sample)
        place = (box.left, box.top, box.right, box.bottom, box.flipped)
        return (self.starts[index], *size, *place, *recolouring.flat)

    def _resampling(
        self, low: torch.Tensor, high: torch.Tensor, length: torch.Tensor, flipped: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Along one axis: the pixels (B, support) that the crops from `low` to `high` need, of pictures with `length`
        pixels, and what each of them adds to each pixel of the crop, float32 (B, resolution, support)."""
        scale = ((high - low) / self.resolution)[:, None, None]
        reach = scale.clamp(min=1)  # how far the filter is stretched
        places = (low - 2 * reach[:, 0, 0]).floor()[:, None] + torch.arange(self.support, device=self.device)
        positions = torch.arange(self.resolution, device=self.device, dtype=torch.float64)
        positions = torch.where(flipped[:, None].bool(), self.resolution - 1 - positions, positions)
        centres = low[:, None, None] + (positions[:, :, None] + 0.5) * scale
        weights = _bicubic((places[:, None, :] + 0.5 - centres) / reach)
        weights = weights * ((places >= 0) & (places < length[:, None]))[:, None, :]
        weights = weights / weights.sum(dim=2, keepdim=True)
        return places.clamp(min=0).minimum(length[:, None] - 1), weights.float()

    def _largest_support(self) -> int:
        """Pixels along one axis that a crop can need, the filter's reach on both sides included."""
        largest = 0
        for shorter in set(self.sizes.min(axis=1).tolist()) - {0}:
            side = self.resolution / (round(self.resolution * self.resize_range[0]) / shorter)
            largest = max(largest, side + 4 * max(1.0, side / self.resolution))
        return int(np.ceil(largest)) + 1

    def _decoded(self, pictures: list[PictureFile]) -> torch.Tensor:
        """Fill `sizes`, `starts` and `damaged`; return the pixels of all pictures on the device."""

        def measured(picture: PictureFile) -> int | Damaged:
            try:
                width, height = reduced_size(picture.size_in_pixels(), self.resolution, self.resize_range)
            except OSError as error:
                return Damaged(picture.public_name, str(error))
            return width * height

        def reduced(picture: PictureFile) -> np.ndarray | Damaged:
            try:
                return np.array(at_reduced_size(picture.decode(), self.resolution, self.resize_range))
            except OSError as error:
                return Damaged(picture.public_name, str(error))

        # Of a picture with transparent parts only a square is decoded, which takes less.
        counts = [0 if isinstance(found, Damaged) else found for found in _in_threads(measured, pictures)]
        check_fits_in_memory(3 * sum(counts), f"the {len(pictures)} decoded pictures", self.device)
        pixels = torch.zeros(sum(counts), 3, dtype=torch.uint8, device=self.device)
        self.starts[1:] = np.cumsum(counts)[:-1]
        for index, found in enumerate(_in_threads(reduced, pictures)):
            if isinstance(found, Damaged):
                self.damaged.append(found)
                continue
            height, width = found.shape[:2]
            self.sizes[index] = width, height
            place = slice(self.starts[index], self.starts[index] + width * height)
            pixels[place] = torch.from_numpy(found.reshape(-1, 3))
        check_damaged_share(len(self.damaged), len(pictures), [damaged.name for damaged in self.damaged])
        return pixels


def _in_threads(function, items: list) -> Iterable:
    """`function` of every item, in order; decoding lets other threads run."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for first in range(0, len(items), DECODED_AHEAD):
            yield from threads.map(function, items[first : first + DECODED_AHEAD])


def _bicubic(distance: torch.Tensor) -> torch.Tensor:
    """The cubic convolution filter (Keys 1981), 0 from a distance of 2 on."""
    x = distance.abs()
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * CUBIC - 4 * CUBIC
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))
