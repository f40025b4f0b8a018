"""The rim of a hole: which known pixels near it are not to be believed.

Masks that people and programs make end on an object's edge or just inside it, and have pixels missing. What is left of
the object there is known, and stays as it is, but it must not say what the hole looks like. So it is completed with the
hole, and in the end only what was asked for is used.
"""

import numpy as np
from scipy import ndimage

from glcic_hub.filling.holes import Box, Frame, grown, inside, tiles

DEPTH = 4
"""How far from the hole, in pixels, known ones are doubted."""

SURROUNDINGS = 8
"""They are compared with those of so many pixels behind them."""

REACH = 2 * (DEPTH + SURROUNDINGS)
"""What is doubted depends on nothing further away from the hole."""

TOLERANCE = 0.06
"""By how much a colour lies outside the range of the surroundings' (channels from 0 to 1) if it is doubted. At 0.12 the
error of tight masks is 8 % higher."""

LEAST_SURROUNDINGS = 165
"""With fewer pixels of surroundings in the window there is too little to compare with, as between brush strokes: at 60
their L1 is 1.5 % higher. A straight edge has 200."""

RUN = 25
"""Side of the window, in pixels, in which the hole's neighbours are looked at together."""

RUN_EXCESS = 0.03
RUN_SHARE = 0.15
"""On average they must lie outside the range by this much, and this share of the range: an object is left along its
edge, while what crosses the edge belongs to the photo."""

LARGEST_EXCESS = 0.3
"""More of a single pixel does not count."""

CONTACT = 0.2
"""Known pixels that the hole encloses may touch others with this share of their border, such as the ends of a slit."""

LARGEST_SHARE = 0.04
"""More of such pixels, as a share of the hole's, is no mistake, but all that is known of a picture full of holes."""

TILE = 512
"""Long holes are looked at in tiles of this side, in pixels, which bounds the memory."""


def doubt_rim(frame: Frame, box: Box) -> Box:
    """Make the known pixels that are not to be believed a part of the hole, in place.

    Args:
        frame: the hole with its surroundings.
        box: the hole's box in the frame.

    Returns:
        The box of the hole as it is now.
    """
    size = frame.hole.shape
    found = []
    for tile in tiles(grown(box, DEPTH, size), TILE):
        view = grown(tile, REACH, size)
        if frame.hole[view].any():
            found.append((tile, doubtful(*frame.part(view))[inside(tile, view)]))
    for tile, doubted in found:  # only now: every tile is to see what was there before
        frame.hole[tile] |= doubted
        frame.known[tile] &= ~doubted
    lines = [np.flatnonzero(frame.hole.any(axis)) for axis in (1, 0)]
    rows, columns = (slice(int(line[0]), int(line[-1]) + 1) for line in lines)
    return rows, columns


def doubtful(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which known pixels are not to be believed: bool (h, w).

    Those are meant whose colour does not occur in the surroundings behind them: pixels that the hole encloses (islands
    and slits of one or two pixels), and those along its rim.

    Args:
        values, hole, known: as in `holes.Frame`.
    """
    enclosed = _enclosed(hole, known)
    distance = ndimage.distance_transform_edt(~(hole | enclosed))
    behind = known & (distance > DEPTH) & (distance <= DEPTH + SURROUNDINGS)
    window = 2 * (DEPTH + SURROUNDINGS) + 1
    highest = ndimage.maximum_filter(np.where(behind[..., None], values, -1), (window, window, 1))
    lowest = ndimage.minimum_filter(np.where(behind[..., None], values, 2), (window, window, 1))
    excess = np.maximum(values - highest, lowest - values).max(2)
    foreign = excess > TOLERANCE  # also where nothing is behind
    first = known & ~enclosed & (distance <= 1)
    of_first = np.where(first, np.clip(excess, 0, LARGEST_EXCESS), 0)
    least = RUN_EXCESS + RUN_SHARE * (highest - lowest).max(2)
    is_run = _mean(of_first, RUN) > least * _mean(first, RUN)
    is_sure = _mean(behind, window) * window**2 >= LEAST_SURROUNDINGS
    along = known & (distance > 0) & (distance <= DEPTH) & is_run & is_sure
    return foreign & (enclosed | along)


def _enclosed(hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Known pixels in pieces of less than three pixels' width that have little but the hole around them."""
    padded = np.pad(known, 1, mode="edge")  # what goes on beyond the border is not narrow there
    wide = ndimage.binary_opening(padded, np.ones((3, 3)))[1:-1, 1:-1]
    pieces, count = ndimage.label(known & ~wide, np.ones((3, 3)))
    beside = ndimage.maximum_filter(pieces, 3)
    to_hole, to_wide = (np.bincount(beside[where], minlength=count + 1) for where in (hole, wide))
    is_enclosed = to_wide <= CONTACT * to_hole
    is_enclosed[0] = False  # what is no piece
    enclosed = is_enclosed[pieces]
    is_little = wide.any() and np.count_nonzero(enclosed) <= LARGEST_SHARE * np.count_nonzero(hole)
    return enclosed if is_little else np.zeros_like(known)


def _mean(where: np.ndarray, side: int) -> np.ndarray:
    return ndimage.uniform_filter(where.astype(np.float32), side, mode="constant")
