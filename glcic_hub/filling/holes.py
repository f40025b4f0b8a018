"""The holes of a mask, and which part of the picture each is completed from, at which scale.

A network trained on small crops knows holes up to a certain size with a certain amount of surroundings. Larger holes
are shown to it reduced, small ones as they are; far pixels are not shown at all, so that the cost follows the hole and
not the photo.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

Box = tuple[slice, slice]
"""Rows and columns of a part of the picture."""

LARGEST_CELL = 512
"""Longest side, in pixels that the network sees, of what is completed at once; it bounds the memory."""

SMALL = 32
"""Holes of at most this side, in pixels, are completed together where that is less work, as with dust on a scan."""

THIN = 3
"""Those thinner than this are not mixed with others: they may be treated otherwise."""

SPECK = 8
"""Dust are pieces of at most this side, in pixels. Without the network their L1 is 1 % (3 px) to 3 % (8 px) higher
where patches of the photo follow; without patches it is the same up to 5 px and 3 % higher at 8 px."""

DUST = 16
"""So many of them in a part of `LARGEST_CELL` are filled without the network, which would cost more than on the whole
picture once patches follow."""


class Hole(NamedTuple):
    """Masked pixels that lie together.

    Attributes:
        box: the bounding box.
        mask: bool, of the box's shape, True on the pixels of this hole.
        scale: at most 1: by how much the hole is reduced for the network.
        thickness: side, in pixels, of the largest square in which nothing is known.
        is_dust: it is many specks, which need no network.
    """

    box: Box
    mask: np.ndarray
    scale: float
    thickness: float
    is_dust: bool = False

    def mask_in(self, view: Box) -> np.ndarray:
        """The part of the hole that lies in a view which the box meets: bool, of the view's shape."""
        part = common(self.box, view)
        result = np.zeros([side.stop - side.start for side in view], bool)
        result[inside(part, view)] = self.mask[inside(part, self.box)]
        return result


def find_holes(mask: np.ndarray, sample_size: int, working_size: float) -> Iterator[Hole]:
    """Split a mask into holes; pieces nearer than about a quarter of `sample_size` are one hole.

    A hole up to `working_size` is shown as it is, a larger one reduced to that. Its size lies (as a geometric mean)
    between the side of the largest square in it and the side of a square of its area: a long thin scratch stays nearly
    as it is, a large square does not. Of the rules tried, this one measured best on squares and on brush strokes
    (`train/LOG.md`).

    Args:
        mask: bool (H, W), True = fill; at least one pixel is False.
        sample_size: side of the network's training crops, pixels.
        working_size: the largest size at which the network is to see a hole, pixels.
    """
    block = max(1, sample_size // 8)
    labels, _ = ndimage.label(_any_in_blocks(mask, block), structure=np.ones((3, 3)))
    for label, coarse_box in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = (slice(s.start * block, min(s.stop * block, side)) for s, side in zip(coarse_box, mask.shape))
        own = np.kron(labels[coarse_box] == label, np.ones((block, block), bool))
        own = own[: rows.stop - rows.start, : columns.stop - columns.start] & mask[rows, columns]
        tight = ndimage.find_objects(own.astype(np.uint8))[0]
        box = outside(tight, (rows, columns))
        thickness = _thickness(mask, box)
        size = math.sqrt(thickness * math.sqrt(np.count_nonzero(own)))
        yield Hole(box, own[tight], min(1.0, working_size / size), thickness)


def joined(holes: Iterable[Hole], sample_size: int) -> list[Hole]:
    """Make one hole of small ones that lie near each other: of many specks, and where the network sees less by that.

    Args:
        holes: of one mask.
        sample_size: side of the network's training crops, pixels; each hole is shown with so much around it.
    """
    result: list[Hole] = []
    small: dict[tuple[int, ...], list[Hole]] = {}
    dust: dict[tuple[int, ...], list[tuple[Hole, int]]] = {}
    for hole in holes:
        sides = [s.stop - s.start for s in hole.box]
        place = *(s.start // LARGEST_CELL for s in hole.box), hole.thickness < THIN
        if hole.scale == 1 and max(sides) <= LARGEST_CELL and (specks := _specks(hole)):
            dust.setdefault(place, []).append((hole, specks))
        elif hole.scale == 1 and max(sides) <= SMALL:
            small.setdefault(place, []).append(hole)
        else:
            result.append(hole)
    for place, with_specks in dust.items():
        found = [hole for hole, _ in with_specks]
        if sum(specks for _, specks in with_specks) >= DUST:
            result.append(_one_of(found)._replace(is_dust=True))
        else:
            small.setdefault(place, []).extend(found)
    for group in small.values():
        box = hull(*(hole.box for hole in group))
        is_less = math.prod(s.stop - s.start + sample_size for s in box) <= len(group) * sample_size**2
        result += [_one_of(group)] if is_less else group
    return result


def _specks(hole: Hole) -> int:
    """How many pieces a hole has, 0 if one of them is larger than a speck."""
    boxes = ndimage.find_objects(ndimage.label(hole.mask, np.ones((3, 3)))[0])
    return len(boxes) if all(s.stop - s.start <= SPECK for box in boxes for s in box) else 0


def _one_of(group: list[Hole]) -> Hole:
    box = hull(*(hole.box for hole in group))
    mask = np.zeros([s.stop - s.start for s in box], bool)
    for hole in group:
        mask[inside(hole.box, box)] |= hole.mask
    return Hole(box, mask, 1.0, max(hole.thickness for hole in group))


class Frame(NamedTuple):
    """A hole with its surroundings, cut out of the picture once; every step of the filling works on it.

    Attributes:
        values: float32 (h, w, 3), RGB in [0, 1]: the picture's where it is known, under the hole what it has been
            filled with so far. Steps change it in place.
        hole: bool (h, w), True on the pixels of this hole.
        known: bool (h, w), disjoint from `hole`; pixels that are neither belong to other holes, and what `values` has
            there means nothing.
    """

    values: np.ndarray
    hole: np.ndarray
    known: np.ndarray

    def part(self, view: Box) -> "Frame":
        """A part of the frame, in its coordinates; it shares the memory."""
        return Frame(*(array[view] for array in self))


def cut_out(picture: np.ndarray, mask: np.ndarray, hole: Hole, view: Box) -> Frame:
    """The frame of a hole: what a view shows of the picture, black under the whole mask.

    Args:
        picture: (H, W, 3), uint8 or float32 in [0, 1].
        mask: bool (H, W), True where the picture is not known: under all holes, and where it is hidden.
        hole: one of them.
        view: a part of the picture that the hole's box meets.
    """
    own = hole.mask_in(view)
    known = ~(mask[view] | own)
    values = np.where(known[..., None], picture[view], 0)
    if values.dtype == np.uint8:
        values = np.divide(values, 255, dtype=np.float32)
    return Frame(values, own, known)


def tiles(box: Box, step: int) -> Iterator[Box]:
    """Cut a box into parts of at most `step` x `step` pixels."""
    rows, columns = box
    for top in range(rows.start, rows.stop, step):
        for left in range(columns.start, columns.stop, step):
            yield slice(top, min(top + step, rows.stop)), slice(left, min(left + step, columns.stop))


def change_in_tiles(frame: Frame, box: Box, side: int, margin: int, changed: Callable[[Frame], np.ndarray]) -> None:
    """Change the values under a frame's hole, tile by tile, which bounds time and memory.

    Args:
        frame: changed in place.
        box: the hole's box in the frame.
        side: longest side of a tile, pixels.
        margin: pixels around each tile that `changed` is shown, too.
        changed: takes a part of the frame, gives the new values of all of it, float32 (h, w, 3).
    """
    results = []
    for tile in tiles(box, side):
        own = frame.hole[tile]
        if own.any():
            view = grown(tile, margin, frame.hole.shape)
            results.append((tile, own, changed(frame.part(view))[inside(tile, view)][own]))
    for tile, own, result in results:  # only now: every tile is to see what was there before
        frame.values[tile][own] = result


def grown(box: Box, margin: int, size: tuple[int, int]) -> Box:
    """A box with a margin around it, as far as there are pixels; `size` is (height, width)."""
    rows, columns = (slice(max(0, s.start - margin), min(side, s.stop + margin)) for s, side in zip(box, size))
    return rows, columns


def view_of(cell: Box, size: tuple[int, int], context: float, least: float) -> Box:
    """Grow a box by the surroundings that the network is shown.

    Args:
        cell: what is to be completed.
        size: (height, width) of the picture.
        context: pixels added on each side.
        least: least side of the view; a small cell gets more context.

    Returns:
        The view, moved inside the picture where it would stick out, and cut where the picture is too small.
    """
    rows, columns = (_grow(part, side, context, least) for part, side in zip(cell, size))
    return rows, columns


def hull(*parts: Box) -> Box:
    """The smallest box around some."""
    rows, columns = (slice(min(s.start for s in sides), max(s.stop for s in sides)) for sides in zip(*parts))
    return rows, columns


def common(part: Box, other: Box) -> Box:
    """What two boxes that meet have in common."""
    rows, columns = (slice(max(p.start, o.start), min(p.stop, o.stop)) for p, o in zip(part, other))
    return rows, columns


def inside(part: Box, view: Box) -> Box:
    """The part in the coordinates of the view that contains it."""
    rows, columns = (slice(p.start - v.start, p.stop - v.start) for p, v in zip(part, view))
    return rows, columns


def outside(part: Box, view: Box) -> Box:
    """A part that is in the coordinates of a view, in those that the view is in."""
    rows, columns = (slice(v.start + p.start, v.start + p.stop) for p, v in zip(part, view))
    return rows, columns


def _grow(part: slice, side: int, context: float, least: float) -> slice:
    length = min(side, math.ceil(max(part.stop - part.start + 2 * context, least)))
    start = (part.start + part.stop - length) // 2
    start = min(max(start, 0), side - length)
    return slice(start, start + length)


def _any_in_blocks(mask: np.ndarray, block: int) -> np.ndarray:
    rows = np.logical_or.reduceat(mask, np.arange(0, mask.shape[0], block), axis=0)
    return np.logical_or.reduceat(rows, np.arange(0, mask.shape[1], block), axis=1)


def _thickness(mask: np.ndarray, box: Box) -> float:
    """Side, in pixels, of the largest square of the box in which no pixel is known.

    At the picture's border nothing is known, so that a hole there counts double.
    """
    around = mask[view_of(box, mask.shape, context=1, least=0)]
    return 2 * float(ndimage.distance_transform_edt(around).max()) - 1
