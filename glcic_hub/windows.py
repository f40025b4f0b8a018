"""Which part of a picture the network sees for each hole, and at which scale.

A network trained on small crops knows holes up to a certain size with a certain amount of surroundings. Larger holes
are shown to it reduced, small ones as they are; far pixels are not shown at all, so that the cost follows the hole and
not the photo.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

Box = tuple[slice, slice]
"""Rows and columns of a part of the picture."""

LARGEST_CELL = 512
"""Longest side, in pixels that the network sees, of what is completed at once; it bounds the memory."""


class Hole(NamedTuple):
    """Masked pixels that lie together.

    Attributes:
        box: the bounding box.
        mask: bool, of the box's shape, True on the pixels of this hole.
        scale: at most 1: by how much the hole is reduced for the network.
        thickness: side, in pixels, of the largest square in which nothing is known.
    """

    box: Box
    mask: np.ndarray
    scale: float
    thickness: float

    def mask_in(self, view: Box) -> np.ndarray:
        """The part of the hole that lies in a view which the box meets: bool, of the view's shape."""
        part = tuple(slice(max(b.start, v.start), min(b.stop, v.stop)) for b, v in zip(self.box, view))
        result = np.zeros([side.stop - side.start for side in view], bool)
        result[inside(part, view)] = self.mask[inside(part, self.box)]
        return result


def find_holes(mask: np.ndarray, sample_size: int, largest_size: float) -> Iterator[Hole]:
    """Split a mask into holes; pieces nearer than about a quarter of `sample_size` are one hole.

    A hole up to `largest_size` is shown as it is, a larger one reduced to that. Its size lies (as a geometric mean)
    between the side of the largest square in it and the side of a square of its area: a long thin scratch stays nearly
    as it is, a large square does not. Of the rules tried, this one measured best on squares and on brush strokes
    (`train/LOG.md`).

    Args:
        mask: bool (H, W), True = fill; at least one pixel is False.
        sample_size: side of the network's training crops, pixels.
        largest_size: the largest size at which the network is to see a hole, pixels.
    """
    block = max(1, sample_size // 8)
    labels, _ = ndimage.label(_any_in_blocks(mask, block), structure=np.ones((3, 3)))
    for label, coarse_box in enumerate(ndimage.find_objects(labels), start=1):
        area = tuple(slice(s.start * block, min(s.stop * block, side)) for s, side in zip(coarse_box, mask.shape))
        own = np.kron(labels[coarse_box] == label, np.ones((block, block), bool))
        own = own[: area[0].stop - area[0].start, : area[1].stop - area[1].start] & mask[area]
        tight = ndimage.find_objects(own.astype(np.uint8))[0]
        box = tuple(slice(a.start + t.start, a.start + t.stop) for a, t in zip(area, tight))
        thickness = _thickness(mask, box)
        size = math.sqrt(thickness * math.sqrt(np.count_nonzero(own)))
        yield Hole(box, own[tight], min(1.0, largest_size / size), thickness)


def cells(hole: Hole) -> Iterator[Box]:
    """Cut a hole's box into parts that are completed one after the other; nearly always it is one part."""
    return tiles(hole.box, math.ceil(LARGEST_CELL / hole.scale))


def tiles(box: Box, step: int) -> Iterator[Box]:
    """Cut a box into parts of at most `step` x `step` pixels."""
    rows, columns = box
    for top in range(rows.start, rows.stop, step):
        for left in range(columns.start, columns.stop, step):
            yield slice(top, min(top + step, rows.stop)), slice(left, min(left + step, columns.stop))


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
    return tuple(_grow(part, side, context, least) for part, side in zip(cell, size))


def inside(part: Box, view: Box) -> Box:
    """The part in the coordinates of the view that contains it."""
    return tuple(slice(p.start - v.start, p.stop - v.start) for p, v in zip(part, view))


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
