"""Learning from the photo: a copy of the network is trained for a moment on holes in the known part of one photo.

Where a photo repeats itself (windows of a facade, leaves, tiles) the copy completes it better than the network that
knows photos in general. Nothing but the photo is needed: what is known is hidden, completed, and compared. Others have
trained on the one picture at hand before: with a network that knows nothing else (Ulyanov, Vedaldi, Lempitsky: "Deep
image prior", CVPR 2018; Shocher, Cohen, Irani: "Zero-shot super-resolution using deep internal learning", CVPR 2018)
and, as here, with one that was trained (Sun et al.: "Test-time training with self-supervision for generalization under
distribution shifts", ICML 2020).

Batch normalisation is folded into the convolutions before, which freezes its statistics.
"""

import copy
import heapq
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from glcic_hub.completion import Completer, reduced
from glcic_hub.network import COMPLETION_LAYERS, SIZE_MULTIPLE, CompletionNetwork, fold_batchnorm, network_input
from glcic_hub.windows import Box, Hole, tiles, view_of

LEARNING_RATE = 2e-4
"""Of Adam, at the start; it falls to 0 along a half cosine."""

WARM_UP = 5
"""Steps in which the rate rises, because Adam's first steps are all of full length."""

FIRST_LEARNER = max(number for number, layer in enumerate(COMPLETION_LAYERS) if layer.dilation > 1) + 1
"""The layers after the dilated convolutions learn. Learning in all of them gains no more and takes twice as long."""

BATCH = 4
"""Crops a step, of the size of the network's training crops."""

SCALES = (1.0, 1.3, 1.7, 2.2, 2.8, 3.7)
"""At which the photo is learned from, as multiples of the scale at which the network is shown the hole; the photo's own
scale is the finest. Finer than the hole's there is more to see, and nearly as much to learn from."""

RECTANGLES = (0.6, 1.3)
"""Least and largest side of the rectangles among the new holes, as a multiple of the side of a square of the hole's
area. Holes of the hole's own shape alone measured worse."""

REACH = 1.0
"""How far around a hole the photo is learned from, as a multiple of the crops' side, at the hole's scale."""

LEAST_KNOWN = 0.25
"""Around a hole of which less is known than this share of a crop, nothing is learned."""

MOST_PLACES = 8
"""A photo with more holes, or larger ones, is learned from around those that have the most masked pixels."""


class TooLittleKnown(ValueError):
    """Too little of the photo is known for learning from it; it can be completed by the network as it is."""


class View(NamedTuple):
    """Surroundings of a hole at one scale.

    Attributes:
        image: float32 (1, 3, H, W), RGB in [0, 1] where it is known.
        known: float32 (1, 1, H, W), 1 = known, 0 = under the mask.
    """

    image: torch.Tensor
    known: torch.Tensor


class Place(NamedTuple):
    """A hole, or a part of a large one, with what it is surrounded by.

    Attributes:
        views: the surroundings, finer and finer.
        shape: bool (H, W), the hole as the network is shown it.
    """

    views: list[View]
    shape: np.ndarray


def adapted(
    completer: Completer,
    rgb: np.ndarray,
    mask: np.ndarray,
    steps: int,
    working_size: int | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Completer:
    """Make a completer for one photo, whose network has learned from what is known of it.

    Time and memory follow `steps` and the network, not the photo: it is learned from within a crop's side around the
    holes, at the scale at which the network is shown them.

    Args:
        completer: it and its model stay as they are.
        rgb: uint8 (H, W, 3). What lies under the mask has no influence.
        mask: bool (H, W), True = fill.
        steps: how long to learn; each step sees `BATCH` crops.
        working_size: that of the completion that is to follow.
        generator: decides the crops and their holes; one number is drawn from it. Without it, they are always the same.
        progress: wraps the steps, for example `tqdm`.

    Returns:
        The new completer; the one that came in, if nothing or everything is masked or `steps` is 0.

    Raises:
        TooLittleKnown: there is not enough known around any hole.
    """
    if not steps or not mask.any() or mask.all():
        return completer
    places = _places(completer, rgb, mask, working_size)
    if not places:
        raise TooLittleKnown(
            "too little of the photo is known around the mask for learning from it: "
            "it is completed by the network as it is"
        )
    rng = np.random.default_rng(_seed(generator))
    with torch.inference_mode(False), torch.enable_grad():
        network = fold_batchnorm(copy.deepcopy(completer.model.network).float())
        network = network.to(completer.device, memory_format=torch.channels_last)
        _learn(network, completer, places, progress(range(steps)), steps, rng)
    return completer.with_network(network.requires_grad_(False))


def _learn(
    network: CompletionNetwork,
    completer: Completer,
    places: list[Place],
    numbers: Iterable[int],
    steps: int,
    rng: np.random.Generator,
) -> None:
    learners = network.requires_grad_(False).blocks[FIRST_LEARNER:].append(network.output).requires_grad_(True)
    optimizer = torch.optim.Adam(learners.parameters())
    is_short = completer.dtype == torch.bfloat16
    for number in numbers:
        image, known, hole = (x.to(completer.device) for x in _batch(places, completer.sample_size, rng))
        x = network_input(image, torch.maximum(hole, 1 - known), completer.mean)
        with torch.autocast(completer.device.type, torch.bfloat16, enabled=is_short):
            completed = network(x.to(memory_format=torch.channels_last)).float()
        counted = hole * known  # what lies in the photo's own hole is shown as hole, and nobody knows it
        loss = ((completed - image).abs() * counted).sum() / (3 * counted.sum().clamp(min=1))
        optimizer.param_groups[0]["lr"] = _rate(number, steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _rate(number: int, steps: int) -> float:
    return LEARNING_RATE * min(1, (number + 1) / WARM_UP) * (1 + math.cos(math.pi * number / steps)) / 2


def _batch(places: list[Place], crop_size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Crops of one view: image (B, 3, h, w), known (B, 1, h, w), and new holes (B, 1, h, w), 1 inside them."""
    place = places[rng.integers(len(places))]
    view = place.views[rng.integers(len(place.views))]
    crops = [_crop(view, place.shape, crop_size, rng) for _ in range(BATCH)]
    return tuple(torch.cat(parts) for parts in zip(*crops))


def _crop(view: View, shape: np.ndarray, crop_size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """A crop with a new hole in it, which reaches into what is known; mirrored half of the time."""
    size = view.known.shape[2:]
    sides = [max(SIZE_MULTIPLE, min(crop_size, side) // SIZE_MULTIPLE * SIZE_MULTIPLE) for side in size]
    shape = _other_shape(shape, rng)[: sides[0], : sides[1]]
    pixels = np.argwhere(view.known[0, 0].numpy())
    hole_box, crop_box = [], []
    for at, whole, side, length in zip(pixels[rng.integers(len(pixels))], size, sides, shape.shape):
        start = rng.integers(max(0, at - length + 1), min(at, whole - length) + 1)
        corner = rng.integers(max(0, start + length - side), min(start, whole - side) + 1)
        hole_box.append(slice(start - corner, start - corner + length))
        crop_box.append(slice(corner, corner + side))
    hole = torch.zeros(1, 1, *sides)
    hole[0, 0, *hole_box] = torch.from_numpy(shape.astype(np.float32))
    flip = [3] if rng.integers(2) else []
    return tuple(x.flip(flip) for x in (view.image[..., *crop_box], view.known[..., *crop_box], hole))


def _other_shape(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The shape mirrored and turned by right angles, or, half of the time, a rectangle about as large."""
    if rng.integers(2):
        turned = np.rot90(shape, rng.integers(4))
        return (turned[:, ::-1] if rng.integers(2) else turned).copy()
    sides = shape.sum() ** 0.5 * rng.uniform(*RECTANGLES, size=2)
    return np.ones(np.maximum(1, np.rint(sides).astype(int)), bool)


def _places(completer: Completer, rgb: np.ndarray, mask: np.ndarray, working_size: int | None) -> list[Place]:
    """The holes, large ones in parts, around which enough is known; at most `MOST_PLACES`, largest first."""
    crop_size = completer.sample_size

    def masked_pixels(part: tuple[Box, Hole]) -> float:
        tile, hole = part
        return hole.mask_in(tile).sum() * hole.scale**2

    parts = (
        (tile, hole)
        for hole in completer.holes(mask, working_size)
        for tile in tiles(hole.box, math.ceil(crop_size / hole.scale))
        if hole.mask_in(tile).any()
    )
    found = [_place(rgb, mask, *part, crop_size) for part in heapq.nlargest(MOST_PLACES, parts, key=masked_pixels)]
    return [place for place in found if place.views[0].known.sum() >= LEAST_KNOWN * crop_size**2]


def _place(rgb: np.ndarray, mask: np.ndarray, tile: Box, hole: Hole, crop_size: int) -> Place:
    area = view_of(tile, mask.shape, REACH * crop_size / hole.scale, least=0)
    scales = sorted({min(1.0, hole.scale * factor) for factor in SCALES})
    image, known = _means(rgb[area], mask[area], max(1, int(0.5 / scales[-1])))
    sides = [side.stop - side.start for side in area]
    views = [View(*reduced(image, known, _size(sides, scale))) for scale in scales]
    own = torch.from_numpy(hole.mask_in(tile).astype(np.float32))[None, None]
    share = F.interpolate(own, [max(1, round(side * hole.scale)) for side in own.shape[2:]], mode="area")[0, 0].numpy()
    return Place(views, share >= min(0.5, share.max()))


def _size(sides: list[int], scale: float) -> list[int]:
    return [max(SIZE_MULTIPLE, round(side * scale)) for side in sides]


def _means(rgb: np.ndarray, mask: np.ndarray, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of the known pixels of each block, float32 (1, 3, h, w), and the share of them, (1, 1, h, w).

    Strip by strip: of a large photo no floats are made.
    """
    columns = np.arange(0, mask.shape[1], block)
    image, share = [], []
    for top in range(0, mask.shape[0], block):
        known = ~mask[top : top + block]
        colours = np.where(known[..., None], rgb[top : top + block], 0).sum(axis=0, dtype=np.int64)
        count = np.add.reduceat(known.sum(axis=0), columns)
        image.append(np.add.reduceat(colours, columns) / (255 * np.maximum(count, 1)[:, None]))
        share.append(count / (len(known) * np.add.reduceat(np.ones(mask.shape[1]), columns)))
    image, share = np.stack(image).astype(np.float32), np.stack(share).astype(np.float32)
    return torch.from_numpy(image).permute(2, 0, 1)[None], torch.from_numpy(share)[None, None]


def _seed(generator: torch.Generator | None) -> int:
    if generator is None:
        return 0
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))
