"""The colours of a picture: a fill keeps to them where they are less than all colours.

The colours of grey, sepia and duotone pictures lie on a curve, those of other toned ones in a plane. The network knows
colour photos only and leaves such curves and planes by a few levels, which the eye sees at once.
"""

from collections.abc import Callable, Sequence

import numpy as np

from glcic_hub.filling.holes import Box, Frame

OUTLIERS = 0.01
"""Share of the known pixels that may lie anywhere."""

CURVE_TOLERANCE = 15 / 255
"""How far from the curve the others may lie, in any channel: what JPEG of quality 75 does to a strong sepia tone. Of
crops of colour photos one in twenty is as near to a curve, and loses at most this in colour."""

FLAT_TOLERANCE = 2 / 255
"""Likewise from greys, and from the plane."""

PIECES = 64
"""The curve is made of so many straight pieces at most."""

LEAST_PIXELS = 16
"""Known pixels for each of them, at least."""

MOST_PIXELS = 2**16
"""Looked at of a large frame, evenly spread."""

FIRST_STEP = 17
"""Of many pixels each so-many-th is looked at first: most photos have all colours, which these show. No common width is
a multiple of it."""

FIRST_FROM = 2**14
"""Known pixels from which on that is done; fewer take no time."""

BRIGHTNESS = (1 / 3, 1 / 3, 1 / 3)


def keep_colours(frame: Frame, box: Box) -> None:
    """Bring the fill to the colours of its surroundings, in place, where these lie on a curve or in a plane.

    Args:
        frame: with the fill in it.
        box: the hole's box in the frame.
    """
    known = frame.values[frame.known]
    known = known[:: -(-len(known) // MOST_PIXELS)] if len(known) > MOST_PIXELS else known
    if len(known) < LEAST_PIXELS:
        return
    own, values = frame.hole[box], frame.values[box]
    fill = values[own]
    middle = known.mean(0, dtype=np.float64)
    normal, _, longest = np.linalg.eigh((known - middle).T @ (known - middle))[1].T
    for brought in (
        lambda: _to_grey(known, fill),
        lambda: _to_curve(known, fill, BRIGHTNESS),
        lambda: _to_curve(known, fill, longest),
        lambda: _to_plane(known, fill, middle, normal),
    ):
        result = brought()
        if result is not None:
            values[own] = result
            return


def _to_grey(known: np.ndarray, fill: np.ndarray) -> np.ndarray | None:
    """The fill without colour, if the known pixels have none; else None."""
    greys = known.mean(1, keepdims=True)
    if not _is_near(known - greys, FLAT_TOLERANCE):
        return None
    return np.clip(fill.mean(1, keepdims=True), greys.min(), greys.max())


def _to_curve(known: np.ndarray, fill: np.ndarray, direction: Sequence[float]) -> np.ndarray | None:
    """The fill in the known pixels' colours, if these have one colour for each length along a direction; else None."""
    for some, slack in _looks(known):
        off = np.abs(some - _on_curve(some, direction, some, np.median)).max(1)  # which a few others do not tint
        if not _are_small(off, CURVE_TOLERANCE, slack):
            return None
    return _on_curve(known[off <= CURVE_TOLERANCE], direction, fill, np.mean)


def _on_curve(known: np.ndarray, direction: Sequence[float], colours: np.ndarray, middle: Callable) -> np.ndarray:
    """Colours replaced by the middle one of the known pixels at their length along a direction."""
    along = known @ np.asarray(direction)
    edges = np.linspace(along.min(), along.max(), max(1, min(PIECES, len(known) // LEAST_PIXELS)) + 1)
    piece = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, len(edges) - 2)
    ends = np.cumsum(np.bincount(piece))[:-1]
    parts = np.split(np.column_stack([along, known])[np.argsort(piece, kind="stable")], ends)
    nodes, *curve = np.stack([middle(part, axis=0) for part in parts if len(part)], axis=1)
    return np.stack([np.interp(colours @ np.asarray(direction), nodes, channel) for channel in curve], axis=-1)


def _to_plane(known: np.ndarray, fill: np.ndarray, middle: np.ndarray, normal: np.ndarray) -> np.ndarray | None:
    """The fill projected onto the plane through a colour and across a normal, if the known pixels lie in it."""
    if not _is_near(np.outer((known - middle) @ normal, normal), FLAT_TOLERANCE):
        return None
    return np.clip(fill - np.outer((fill - middle) @ normal, normal), 0, 1)


def _is_near(differences: np.ndarray, tolerance: float) -> bool:
    return all(_are_small(np.abs(some).max(1), tolerance, slack) for some, slack in _looks(differences))


def _looks(values: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """What is looked at, and how many times the limits hold for it: a part, where there are many, and all."""
    return [(values[::FIRST_STEP], 3)] * (len(values) >= FIRST_FROM) + [(values, 1)]


def _are_small(off: np.ndarray, tolerance: float, slack: int) -> bool:
    return np.quantile(off, 1 - slack * OUTLIERS) <= slack * tolerance
