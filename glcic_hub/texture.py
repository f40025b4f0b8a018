"""Fine detail for a fill, taken from the same photo: the completion says what goes where, the photo how it looks.

A large hole is shown to the network reduced, so that nothing finer than a pixel of that scale can come back, and a
network trained on squared errors leaves out what it cannot foresee. Both are missing as grain, grass, waves, leaves.
What the known parts of the photo lose when they are reduced to that scale and enlarged again is such detail. For each
block of the fill, the known block whose colours are the most alike lends its detail.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional as F

AMOUNT = 0.6
"""Share of the detail that is added: what is added to the wrong place costs more than what is left out."""

LIMIT = 1.2
"""Detail is limited to this many times its root mean square around there: edges are not grain."""

BLOCK = 6
"""Side of the blocks, in pixels of the reduced photo. They overlap by half."""

NEARNESS = 0.03
"""Distance in colour (each channel from 0 to 1) that counts as much as one block's distance in the photo."""

FINEST_SCALE = 0.5
"""A hole that was shown larger gets the detail that is lost at this scale."""

SEARCHED = 24
"""How far around a hole blocks are looked for, in pixels of the reduced photo: the cost follows the hole."""


def context(scale: float) -> float:
    """How many pixels of surroundings on each side of a hole `add_detail` is to be given."""
    return SEARCHED / min(scale, FINEST_SCALE)


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
    pairs = zip(targets, _nearest(guide, targets, torch.nonzero(sources[0, 0])))
    return np.where(hole[..., None], np.clip(fill + AMOUNT * _patched(detail, pairs, size), 0, 1), fill)


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


def _nearest(guide: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """For each target block the source block that is most alike: corners, int64 (N, 2) of (M, 2)."""
    thirds = F.unfold(F.avg_pool2d(guide, BLOCK // 3, stride=1), kernel_size=3, dilation=BLOCK // 3)[0]  # 9 means each
    columns = guide.shape[3] - BLOCK + 1
    place = NEARNESS / BLOCK * thirds.shape[0] ** 0.5
    described = [
        torch.cat([thirds[:, corners[:, 0] * columns + corners[:, 1]].T, place * corners.float()], dim=1)
        for corners in (targets, sources)
    ]
    wanted, offered = described
    return sources[(offered.square().sum(dim=1) - 2 * wanted @ offered.T).argmin(dim=1)]


def _patched(detail: np.ndarray, pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], size: list[int]) -> np.ndarray:
    """Put blocks of detail together; where they overlap, the windows keep its strength instead of averaging it away."""
    sides = [min(length, round(BLOCK * length / reduced)) for length, reduced in zip(detail.shape, size)]
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in sides))[..., None].astype(np.float32)
    total, power = np.zeros_like(detail), np.zeros((*detail.shape[:2], 1), np.float32)
    for pair in pairs:
        to, at = (_enlarged_block(corner.tolist(), sides, detail.shape, size) for corner in pair)
        total[to] += window * detail[at]
        power[to] += window**2
    return total / np.sqrt(np.maximum(power, 1e-6))


def _enlarged_block(
    corner: list[int], sides: list[int], shape: tuple[int, ...], size: list[int]
) -> tuple[slice, slice]:
    starts = (
        min(round(start * length / reduced), length - side)
        for start, side, length, reduced in zip(corner, sides, shape, size)
    )
    return tuple(slice(start, start + side) for start, side in zip(starts, sides))
