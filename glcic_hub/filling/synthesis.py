"""Fills that look like the photo: the network says what goes where, patches of the photo say how it looks.

A hole is put together from patches of what is known around it, from coarse to fine (Wexler, Shechtman, Irani:
"Space-time completion of video", PAMI 2007). The network's completion starts it and stays in every comparison, blurred,
so that a patch must fit its place as well as its neighbours. It is smooth itself and would attract smooth patches;
so each place also has a texture to be expected there: how strongly neighbouring pixels differ where the surroundings
have its colour (an idea of Newson et al.: "Video inpainting of complex scenes", SIAM J. Imaging Sci. 2014).

At the image's own scale the patches say from where to copy, and `montage.py` makes the hole of large pieces.

`synthesise_frame` does that for a hole of any shape, however large, and leaves those to the network that are thinner
than `LEAST_THICKNESS`.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from glcic_hub.filling.holes import Box, Frame, Hole, grown, inside, tiles
from glcic_hub.filling.montage import assembled
from glcic_hub.filling.patches import HELD, PATCH, Level
from glcic_hub.filling.progress import Progress, part_of, unseen

LEAST_THICKNESS = 3
"""Thinner holes (`holes.Hole.thickness`, pixels) are better left to the network alone: on strokes of 1 px its L1 is 9 %
lower than that of patches. From 3 px on patches are better in every figure (measured with votes)."""

MARGIN = 1.0
"""Surroundings, on each side, in sides of a square of the hole's area. 0.7 measured the same, 1.5 no better."""

LEAST_MARGIN = 48
"""Surroundings at least, in pixels."""

RATIO = 1.4
"""From one scale to the next. 1.25 measured the same in more time, 1.7 was 1 % worse in feature distance."""

ROUNDS = (3, 1)
"""Rounds of search at the first scale and, after what is carried over, at each further one. (3, 2) measured
the same, (2, 2) 1 % worse on brush strokes."""

FIRST_STRIDE = 2
"""Every so many patches, down and across, are wanted at the first scale."""

STRIDE = 3
"""Likewise at the others, where fewer patches are sharper together and found faster. On brush strokes 3 and 3 is 1 %
worse in L1, 4 and 4 is 3 % worse, measured with votes."""

KNOWN_SHARE = 0.5
"""A pixel of a coarse scale is known if this share of it is: so the hole's rim stays near. 0.99 was 1 % worse."""

LEAST_SOURCES = 64
"""With fewer known patches there is too little to copy from."""

LARGEST_SEARCHED = 2_400_000
"""Pixels, with surroundings, up to which patches are searched for; at finer scales those found are only carried over,
which bounds the memory."""

GUIDE_BLUR = 1.5
"""Blur of the network's completion in the comparison, as a standard deviation in pixels of the first scale."""

FIRST_BLUR = 1.0
"""Likewise, of the picture in the first search: the completion is to be compared with what is as smooth."""

TEXTURE_WEIGHT = 1.3
"""How much a difference in texture, between neighbours in the photo, counts against one in colour. Without texture the
feature distance is 1.5 % higher; at four times as much, too."""

COARSE_TEXTURE_WEIGHT = 0.3
"""Likewise of what the first scale loses by the blurs below."""

TEXTURE_BLUR = 1.5
"""The texture around a pixel is a mean; the standard deviation of its weights in pixels of the first scale."""

COARSE_TEXTURES = (1.0, 3.0)
"""The blurs, likewise."""

ALIKE_COLOUR = 0.08
"""What texture is expected is learned from known pixels of this difference in colour (standard deviation; channels from
0 to 1)."""

ALIKE_PLACE = 20.0
"""And at this distance (standard deviation; pixels of the first scale)."""

LEARNED_FROM = 2**11
"""From so many known pixels, evenly spread. Twice as many measured the same, half as many 0.4 % worse."""

RETURN_BLUR = 0.5
"""At the end the fill goes back to the network's completion in what this blur keeps, in pixels of the first scale. Near
the rim the network knows best: without it L1 is 2 % higher. A blur of 0.4 takes texture away near the rim, which eyes
see before figures do."""

LEAST_RETURN_BLUR = 1.3
"""That blur at least, in pixels of the picture."""

RETURN_DEPTH = 6.4
"""The way back is less and less from the rim on; it has fallen to 1/e at this depth, in pixels of the first scale."""

WORK = 1.5
"""A scale takes as long as this power of it: more than its width, less than its area, because all have rounds alike."""

TILE = 4
"""Long holes are worked on in tiles of this side, as a multiple of the hole's thickness at its thickest, one after the
other: what is filled is known to the next."""

LEAST_TILE = 256
"""Side of tiles in pixels; smaller ones would take more time."""


class Way(NamedTuple):
    """How a fill is made.

    Attributes:
        guide_weight: how much a difference from the network's completion counts against one from the picture as filled
            so far.
        nearness: a patch from as far away as the hole is wide costs as much as this difference in colour.
        first_scale: the first scale at most. If the network saw the hole at a larger one, the surroundings say more
            about what goes where.
    """

    guide_weight: float
    nearness: float
    first_scale: float


WAYS = Way(0.5, 0.03, 1.0), Way(0.5, 0.15, 1.0), Way(0.1, 0.03, 0.35)
"""In which attempts take turns. The first is the best guess (guide weights between a quarter and 1 measured the same, 2
is 1 % worse in feature distance); in L1 the others are 1 % worse. On 27 and 28 of 40 photos two vision models liked one
of another way, or with another seed, better."""

LEAST_SEEN = 8
"""Pixels of a hole's thickness at the first scale, at least, if a way is to reduce it."""


def context(area: int) -> int:
    """How many pixels of surroundings on each side of a hole of `area` pixels `synthesise` is to be given."""
    return math.ceil(max(LEAST_MARGIN, MARGIN * math.sqrt(area)))


def reach(hole: Hole) -> int:
    """How many pixels of surroundings on each side of a hole `synthesise_frame` is to be given."""
    side = _tile_side(hole.thickness)
    return context(min(int(np.count_nonzero(hole.mask)), math.ceil(side * hole.thickness)))


def synthesise_frame(
    frame: Frame,
    box: Box,
    hole: Hole,
    generator: torch.Generator | None = None,
    progress: Progress = unseen,
    device: torch.device | str = "cpu",
    attempt: int = 0,
) -> None:
    """Fill the hole of a completed frame with what looks like its surroundings, in place.

    Args:
        frame: with the network's completion under the hole, and `reach(hole)` pixels of surroundings.
        box: the hole's box in the frame.
        hole: the hole; one thinner than `LEAST_THICKNESS` stays as it is.
        generator, progress, device, attempt: as in `synthesise`.
    """
    if hole.thickness < LEAST_THICKNESS:
        return
    scale = min(hole.scale, max(_way(attempt).first_scale, LEAST_SEEN / hole.thickness))
    wanted, known, margin = frame.hole.copy(), frame.known.copy(), reach(hole)
    parts = [tile for tile in tiles(box, _tile_side(hole.thickness)) if wanted[tile].any()]
    for number, tile in enumerate(parts):
        view, own = grown(tile, margin, wanted.shape), wanted[tile].copy()
        part = Frame(frame.values[view], wanted[view], known[view])
        shown = part_of(progress, number / len(parts), 1 / len(parts))
        values = synthesise(*part, scale, generator, shown, device, attempt)
        frame.values[tile][own] = values[inside(tile, view)][own]
        known[tile] |= own  # the next one goes on from it
        wanted[tile] = False


def _way(attempt: int) -> Way:
    return WAYS[attempt % len(WAYS)]


def _tile_side(thickness: float) -> int:
    return max(LEAST_TILE, math.ceil(TILE * thickness))


@torch.inference_mode()
def synthesise(
    picture: np.ndarray,
    hole: np.ndarray,
    known: np.ndarray,
    scale: float,
    generator: torch.Generator | None = None,
    progress: Progress = unseen,
    device: torch.device | str = "cpu",
    attempt: int = 0,
) -> np.ndarray:
    """Fill a hole with what looks like its surroundings.

    Time and memory grow with the number of pixels given, which is to follow the hole (`context`).

    Args:
        picture: float32 (H, W, 3), RGB in [0, 1]. In the hole it is the network's completion, made to meet the known
            pixels; elsewhere it is used where it is known.
        hole: bool (H, W), True = fill.
        known: bool (H, W), disjoint from `hole`; pixels that are neither belong to other holes and are not looked
            at.
        scale: at most 1: the first scale, in general the one at which the network saw the hole.
        generator: decides the random search; without it, `attempt` does.
        progress: called with the share of the work that is done, from 0 to 1.
        device: where to compute.
        attempt: which of many possible fills: `WAYS` take turns.

    Returns:
        float32 (H, W, 3) in [0, 1]; equal to `picture` outside the hole, and everywhere if too little is known.
    """
    if min(hole.shape) < PATCH + 2 or not hole.any() or not known.any():
        return picture
    if generator is None:
        generator = torch.Generator().manual_seed(attempt)
    # a caller's autocast must not round what is compared
    with torch.autocast(torch.device(device).type, enabled=False):
        filled = _synthesised(picture, hole, known, scale, generator, progress, device, _way(attempt))
    return picture if filled is None else np.where(hole[..., None], filled, picture)


def _synthesised(
    picture: np.ndarray,
    hole: np.ndarray,
    known: np.ndarray,
    scale: float,
    generator: torch.Generator,
    progress: Progress,
    device: torch.device | str,
    way: Way,
) -> np.ndarray | None:
    """The fill, float32 (H, W, 3), used in the hole alone; None where too little is known."""
    scales = _scales(min(scale, math.sqrt(LARGEST_SEARCHED / hole.size)))
    frame = _Frame(picture, hole, known, scales[0], device, way)
    former = None
    works = [at**WORK for at in scales]
    whole = sum(works) + works[-1]  # what is left to do after the last scale takes as long as it
    for number, at in enumerate(scales):
        shown = part_of(progress, sum(works[:number]) / whole, works[number] / whole)
        level = frame.level(at, FIRST_STRIDE if former is None else STRIDE, generator)
        if len(level.sources) < LEAST_SOURCES or not len(level.targets):
            return None
        if former is None:
            soft = level.described(_blurred(level.image, FIRST_BLUR))
            sources, costs = level.nearest(soft[level.targets], soft)
            current = level.voted(sources, costs)
            sources, costs = level.nearest(level.described_targets(current), level.features)
            rounds = ROUNDS[0] - 1
        else:
            sources, costs = _carried(*former, level)
            rounds = ROUNDS[1] if frame.may_search(at) else 0
        shown(1 / (rounds + 1))
        for turn in range(rounds):
            distances = (1,) if turn else (4, 2, 1)
            current = level.voted(sources, costs)
            sources, costs = level.improved(level.described_targets(current), sources, distances)
            shown((turn + 2) / (rounds + 1))
        former = level, sources, costs
    shown = part_of(progress, sum(works) / whole, works[-1] / whole)
    finished = frame.finished(assembled(level, frame.hole[0, 0] > 0, sources, shown))
    progress(1)
    return finished


def _scales(first: float) -> list[float]:
    steps = math.ceil(math.log(1 / first) / math.log(RATIO) - 0.5)
    return [first ** (1 - number / steps) for number in range(steps)] + [1.0] if steps else [1.0]


class _Frame:
    """A hole with its surroundings, at every scale.

    Args:
        picture, hole, known: as in `synthesise`.
        first: the first scale.
        device: where to compute.
        way: how the fill is made.
    """

    def __init__(
        self,
        picture: np.ndarray,
        hole: np.ndarray,
        known: np.ndarray,
        first: float,
        device: torch.device | str,
        way: Way,
    ):
        self.grey = not np.ptp(picture[known], axis=1).any()
        if self.grey:
            picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
        neither = ~(hole | known)
        if neither.any():  # a blur reaches there; it is to find what is nearby
            nearest = ndimage.distance_transform_edt(neither, return_distances=False, return_indices=True)
            picture = picture[tuple(nearest)]
        self.picture = torch.tensor(picture, dtype=torch.float32, device=device).permute(2, 0, 1)[None]
        self.hole, self.known = (torch.tensor(where, device=device)[None, None].float() for where in (hole, known))
        self.first = first
        image, first_hole, self.first_known = self._reduced(first)
        depth = ndimage.distance_transform_edt(~self.first_known.cpu().numpy())
        self.depth = torch.tensor(depth, dtype=torch.float32, device=device)[None, None]
        colours = _blurred(image, GUIDE_BLUR)
        side = math.sqrt(max(1, int(first_hole.sum())))
        places = _places(depth.shape, device)[None] * (way.nearness / side)  # make distant patches dearer
        texture = self._expected_texture(image, colours)
        self.hints = torch.cat([colours * math.sqrt(way.guide_weight / 3), texture, places], 1)

    def may_search(self, scale: float) -> bool:
        return self.picture[0, 0].numel() * scale**2 <= LARGEST_SEARCHED

    def level(self, scale: float, stride: int, generator: torch.Generator) -> Level:
        image, hole, known = self._reduced(scale)
        size = known.shape
        depth = _resized(self.depth, size)[0, 0] * (size[0] / self.depth.shape[2])
        hints = _resized(self.hints, size) if self.may_search(scale) else self.hints
        return Level(image, known, hole, depth, hints, stride, generator)

    def finished(self, current: torch.Tensor) -> np.ndarray:
        """The fill made to agree with the network's completion near the rim, float32 (H, W, 3)."""
        back = _blurred(self.picture - current, max(LEAST_RETURN_BLUR, RETURN_BLUR / self.first))
        share = torch.exp(-_resized(self.depth, current.shape[2:]) / RETURN_DEPTH)
        filled = (current + share * back).clamp(0, 1)[0].permute(1, 2, 0)
        return (filled[..., :1].expand(-1, -1, 3) if self.grey else filled).cpu().numpy()

    def _size(self, scale: float) -> list[int]:
        return [max(PATCH + 2, round(side * scale)) for side in self.picture.shape[2:]]

    def _reduced(self, scale: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image, (1, 3, h, w), and what is hole and known of it, bool (h, w)."""
        if scale == 1:
            return self.picture, self.hole[0, 0] > 0, self.known[0, 0] > 0
        size = self._size(scale)
        share = _resized(self.known, size)
        known = share >= KNOWN_SHARE
        image = _resized(self.picture * self.known, size) / share.clamp(min=1e-6)
        image = torch.where(known, image, _resized(self.picture, size))
        return image, ((_resized(self.hole, size) > 1 - KNOWN_SHARE) & ~known)[0, 0], known[0, 0]

    def _expected_texture(self, image: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
        """How strongly neighbouring pixels differ, (1, n, h, w) at the first scale, in the sense of the weights above.

        Where it cannot be seen it is the mean over known pixels, weighted by how near they are and how much alike in
        `colours`, the blurred completion.
        """
        known, size = self.first_known[None, None].float(), self.first_known.shape
        strengths, seen = self._differences(size)
        coarse = image.mean(1, keepdim=True)
        strengths += [(coarse - _blurred(coarse, sigma)).abs() for sigma in COARSE_TEXTURES]
        sums = _blurred(torch.cat(strengths, 1) * known, TEXTURE_BLUR)
        shares = _blurred(torch.cat([*seen, *[torch.ones_like(known)] * len(COARSE_TEXTURES)], 1) * known, TEXTURE_BLUR)
        texture = (sums / shares.clamp(min=1e-6))[0].flatten(1).T.clone()
        codes = torch.cat([colours[0] / ALIKE_COLOUR, _places(size, known.device) / ALIKE_PLACE]).flatten(1).T
        teachers = torch.nonzero(known.flatten())[:, 0]
        teachers = teachers[:: max(1, math.ceil(len(teachers) / LEARNED_FROM))]
        taught = torch.nonzero(known.flatten() == 0)[:, 0]
        for part in taught.split(HELD // max(1, len(teachers))):
            likeness = -torch.cdist(codes[part], codes[teachers]).square() / 2
            texture[part] = torch.softmax(likeness, 1) @ texture[teachers]
        weights = [TEXTURE_WEIGHT] * len(seen) + [COARSE_TEXTURE_WEIGHT] * len(COARSE_TEXTURES)
        return (texture * texture.new_tensor(weights).sqrt()).T.reshape(1, -1, *size)

    def _differences(self, size: torch.Size) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Differences of known neighbours, down and across, and where there are such, each (1, 1, h, w)."""
        grey = self.picture.mean(1, keepdim=True)
        strengths, seen = [], []
        for axis, kernel, pad in ((2, (2, 1), (0, 0, 0, 1)), (3, (1, 2), (0, 1))):
            both = 1 - F.max_pool2d(1 - self.known, kernel, stride=1)
            strengths.append(_resized(F.pad(grey.diff(dim=axis).abs() * both, pad), size))
            seen.append(_resized(F.pad(both, pad), size))
        return strengths, seen


def _carried(old: Level, sources: torch.Tensor, costs: torch.Tensor, level: Level) -> tuple[torch.Tensor, torch.Tensor]:
    """What was chosen at the scale before, for the patches that are wanted at this one; with the costs from there."""
    half, ratios = PATCH // 2, (level.height / old.height, level.width / old.width)
    corners = level.split(level.targets)
    before = [((at + half + 0.5) / ratio - 0.5).round().long() - half for at, ratio in zip(corners, ratios)]
    number = old.wanted_near(*before)
    theirs = old.split(sources[number.clamp(min=0)])
    own = old.split(old.targets[number.clamp(min=0)])
    limits = level.rows - 1, level.columns - 1
    moved = [
        (at + ((there - here) * ratio).round().long()).clamp(0, limit)
        for at, there, here, ratio, limit in zip(corners, theirs, own, ratios, limits)
    ]
    chosen, costs = moved[0] * level.columns + moved[1], costs[number.clamp(min=0)]
    lost = (number < 0) | ~level.usable[chosen]
    chosen[lost] = level.drawn(int(lost.sum()))
    return chosen, torch.where(lost, 10 * costs.mean(), costs)


def _places(size: Iterable[int], device: torch.device | str) -> torch.Tensor:
    """Rows and columns of a map, float32 (2, h, w)."""
    along = [torch.arange(side, dtype=torch.float32, device=device) for side in size]
    return torch.stack(torch.meshgrid(*along, indexing="ij"))


def _resized(x: torch.Tensor, size: Iterable[int]) -> torch.Tensor:
    size = list(size)
    return x if list(x.shape[2:]) == size else F.interpolate(x, size, mode="bilinear", antialias=True)


def _blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, int(3 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=torch.float32, device=x.device)
    kernel = torch.exp(-(at**2) / (2 * sigma * sigma))
    kernel, channels = kernel / kernel.sum(), x.shape[1]
    x = F.pad(x, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
