"""Fine detail for a fill, taken from the same photo: the completion says what goes where, the photo how it looks.

A large hole is shown to the network reduced, so that nothing finer than a pixel of that scale can come back, and a
network trained on squared errors leaves out what it cannot foresee. Both are missing as grain, grass, waves, leaves.
What the known parts of the photo lose when they are reduced to that scale and enlarged again is such detail. It is
copied from where the colours are alike, by few shifts for the whole hole, as in He and Sun ("Image completion
approaches using the statistics of similar patches", PAMI 2014), so that connected pieces stay connected.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

from glcic_hub.filling.holes import Box, Frame, change_in_tiles

AMOUNT = 0.6
"""Share of the detail that is added: what is added to the wrong place costs more than what is left out."""

LIMIT = 1.2
"""Detail is limited to this many times its root mean square around there: edges are not grain."""

BLOCK = 6
"""Side of the blocks, in pixels of the reduced photo. They overlap by half."""

NEARNESS = 0.02
"""Difference in colour (root mean square, channels from 0 to 1) that counts as much as a block's distance in place."""

UNLIKE = 0.1
"""Difference in colour from which on it does not matter how different two blocks are."""

SHIFTS = 8
"""From how many places at most a hole's detail is taken: few places give large connected pieces."""

SHIFTS_TRIED = 4096
"""Between how many, spread evenly, these are chosen."""

FINEST_SCALE = 0.5
"""A hole that was shown larger gets the detail that is lost at this scale."""

SEARCHED = 32
"""How far around a hole blocks are looked for, in pixels of the reduced photo: the cost follows the hole."""


LARGEST_TILE = 96
"""Longest side, in pixels of the reduced photo, of what gets its detail at once: time and memory grow with the number
of blocks in the hole times those around it."""


def reach(scale: float) -> int:
    """How many pixels of surroundings on each side of a hole are looked at."""
    return _overlap(scale) + math.ceil(SEARCHED / min(scale, FINEST_SCALE))


def add_to_frame(frame: Frame, box: Box, scale: float) -> None:
    """Add detail to a filled frame, in place.

    Args:
        frame: with the fill in it.
        box: the hole's box in the frame.
        scale: as in `add_detail`.
    """

    def detailed(part: Frame) -> np.ndarray:
        return add_detail(part.values, part.values, part.hole, part.known, scale)

    change_in_tiles(frame, box, round(LARGEST_TILE / min(scale, FINEST_SCALE)), reach(scale), detailed)


def _overlap(scale: float) -> int:
    """Pixels by which tiles overlap, so that blocks on their borders are compared as a whole."""
    return math.ceil(BLOCK / min(scale, FINEST_SCALE))


def add_detail(fill: np.ndarray, picture: np.ndarray, hole: np.ndarray, known: np.ndarray, scale: float) -> np.ndarray:
    """Add detail of the known pixels to a filled hole.

    Colours are compared at the reduced scale, so that the photo's own texture, or its absence, does not decide; the
    comparison is one matrix product, whose size follows the hole at that scale and the surroundings that are given.

    Args:
        fill: float32 (H, W, 3), RGB in [0, 1], used in the hole.
        picture: float32 (H, W, 3), RGB in [0, 1], used where it is known.
        hole: bool (H, W), True where detail is to be added.
        known: bool (H, W), disjoint from `hole`; pixels that are neither belong to other holes and are not looked at.
        scale: at most 1: the scale at which the network saw the hole.

    Returns:
        float32 (H, W, 3) in [0, 1]; equal to `fill` outside the hole, and everywhere if no known block is large enough.
    """
    scale = min(scale, FINEST_SCALE)
    size = [max(1, round(side * scale)) for side in hole.shape]
    coarse, coarse_known = _reduced(picture, known, size)
    sources = -F.max_pool2d(-coarse_known, BLOCK, stride=1) > 0.99 if min(size) >= BLOCK else torch.zeros(1)
    if not sources.any():
        return fill
    detail = _limited(np.where(known[..., None], picture - _enlarged(coarse, hole.shape), 0), known, size)
    guide, _ = _reduced(np.where(hole[..., None], fill, picture), hole | known, size)
    targets = _targets(_reduced(fill, hole, size)[1])
    shifts = _shifts(guide, targets, sources[0, 0])
    return np.where(hole[..., None], np.clip(fill + AMOUNT * _shifted(detail, targets, shifts, size), 0, 1), fill)


def _reduced(picture: np.ndarray, where: np.ndarray, size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over the pixels that are `where`, (1, 3, h, w), and the share of these in each new pixel, (1, 1, h, w)."""
    weight = torch.from_numpy(where.astype(np.float32))[None, None]
    image = torch.from_numpy(np.where(where[..., None], picture, 0).astype(np.float32)).permute(2, 0, 1)[None]
    share = F.interpolate(weight, size, mode="area")
    return F.interpolate(image, size, mode="area") / share.clamp(min=1e-6), share


def _enlarged(coarse: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    return F.interpolate(coarse, size, mode="bilinear")[0].permute(1, 2, 0).numpy()


def _limited(detail: np.ndarray, known: np.ndarray, size: list[int]) -> np.ndarray:
    power, share = _reduced(detail**2, known, size)
    near = 2 * BLOCK + 1
    total = F.avg_pool2d(power * share, near, stride=1, padding=near // 2)
    power = total / F.avg_pool2d(share, near, stride=1, padding=near // 2).clamp(min=1e-6)
    largest = LIMIT * _enlarged(power.mean(dim=1, keepdim=True).sqrt(), known.shape)
    return detail * np.minimum(1, largest / np.maximum(np.abs(detail).max(axis=2, keepdims=True), 1e-6))


def _targets(share: torch.Tensor) -> torch.Tensor:
    """Upper left corners, int64 (N, 2), of overlapping blocks that cover all reduced pixels with a part of the hole."""
    starts = [torch.tensor(sorted({*range(0, side - BLOCK, BLOCK // 2), side - BLOCK})) for side in share.shape[2:]]
    filled = F.max_pool2d(share, BLOCK, stride=1)[0, 0] > 0
    return torch.cartesian_prod(*starts)[filled[starts[0]][:, starts[1]].flatten()]


def _shifts(guide: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """For each target block the shift to a source block, int64 (N, 2); `sources` is bool, by upper left corners."""
    corners = torch.nonzero(sources)
    costs = _costs(guide, targets, corners)
    numbers = torch.full(sources.shape, -1)
    numbers[sources] = torch.arange(len(corners))
    offered = _lattice(sources.shape)
    places = targets[:, None] + offered
    inside = ((places >= 0) & (places < torch.tensor(sources.shape))).all(dim=2)
    number = numbers[tuple(places.where(inside[..., None], torch.tensor(0)).unbind(dim=2))].where(
        inside, torch.tensor(-1)
    )
    by_shift = costs.gather(1, number.clamp(min=0)).where(number >= 0, torch.tensor(UNLIKE**2)).clamp(max=UNLIKE**2)

    # Greedily: each next shift is the one that makes the sum of the blocks' least costs smallest.
    least = torch.full((len(targets),), UNLIKE**2)
    chosen = corners[costs.argmin(dim=1)] - targets  # where no shift comes upon a block that is alike
    for _ in range(SHIFTS):
        best = torch.minimum(by_shift, least[:, None]).sum(dim=0).argmin()
        better = by_shift[:, best] < least
        chosen[better] = offered[best]
        least = torch.minimum(least, by_shift[:, best])
    return chosen


def _lattice(size: torch.Size) -> torch.Tensor:
    """Shifts over a map of this size, int64 (N, 2), evenly spread."""
    step = max(1, round((4 * size[0] * size[1] / SHIFTS_TRIED) ** 0.5))
    return torch.cartesian_prod(*(torch.arange(-(side // step) * step, side, step) for side in size))


def _costs(guide: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """How unlike each target block is to each source block, (N, M), from the mean colours of a block's nine parts."""
    thirds = F.unfold(F.avg_pool2d(guide, BLOCK // 3, stride=1), kernel_size=3, dilation=BLOCK // 3)[0]
    columns = guide.shape[3] - BLOCK + 1
    wanted, offered = (
        torch.cat(
            [thirds[:, c[:, 0] * columns + c[:, 1]].T / thirds.shape[0] ** 0.5, NEARNESS / BLOCK * c.float()], dim=1
        )
        for c in (targets, sources)
    )
    return wanted.square().sum(1)[:, None] + offered.square().sum(1) - 2 * wanted @ offered.T


def _shifted(detail: np.ndarray, targets: torch.Tensor, shifts: torch.Tensor, size: list[int]) -> np.ndarray:
    """Put blocks of detail together. Where pieces overlap they keep their strength, which a mean would take away."""
    sides = [min(length, round(BLOCK * length / reduced)) for length, reduced in zip(detail.shape, size)]
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in sides)).astype(np.float32)
    total, power = np.zeros_like(detail), np.zeros(detail.shape[:2], np.float32)
    last = [length - side for length, side in zip(detail.shape, sides)]
    for shift in torch.unique(shifts, dim=0):
        weight = np.zeros_like(power)
        for corner in targets[(shifts == shift).all(dim=1)]:
            top, left = map(min, _enlarged_corner(corner, detail.shape, size), last)
            weight[top : top + sides[0], left : left + sides[1]] += window
        moved = np.roll(detail, [-step for step in _enlarged_corner(shift, detail.shape, size)], axis=(0, 1))
        total += weight[..., None] * moved
        power += weight**2
    return total / np.sqrt(np.maximum(power, 1e-6))[..., None]


def _enlarged_corner(corner: torch.Tensor, shape: tuple[int, ...], size: list[int]) -> list[int]:
    return [round(start * length / reduced) for start, length, reduced in zip(corner.tolist(), shape, size)]
