"""The colours of a picture: a fill keeps to them where they are less than all colours.

The colours of grey, sepia and duotone pictures lie on a curve, those of other toned ones in a plane. The network knows
colour photos only and leaves such curves and planes by a few levels, which the eye sees at once.
"""

import numpy as np

from glcic_hub.filling.holes import Box, Frame

OUTLIERS = 0.001
"""Share of the known pixels that may lie anywhere."""

CURVE_TOLERANCE = 6 / 255
"""How far from the curve the others may lie, in any channel: what JPEG does to a sepia picture. It is at most what the
colours of a fill lose."""

PLANE_TOLERANCE = 2 / 255
"""Likewise from the plane."""

PIECES = 64
"""The curve is made of so many straight pieces at most."""

LEAST_PIXELS = 16
"""Known pixels for each of them, at least."""

MOST_PIXELS = 2**16
"""Looked at of a large frame, evenly spread."""


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
    for brought in (_to_curve, _to_plane):
        result = brought(known, values[own])
        if result is not None:
            values[own] = result
            return


def _to_curve(known: np.ndarray, fill: np.ndarray) -> np.ndarray | None:
    """The fill's brightness in the known pixels' colours, if each brightness has one colour there; else None."""
    brightness = known.mean(1)
    edges = np.linspace(brightness.min(), brightness.max(), min(PIECES, len(known) // LEAST_PIXELS) + 1)
    piece = np.clip(np.searchsorted(edges, brightness, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(piece)
    used = count > 0
    nodes, *curve = (np.bincount(piece, of)[used] / count[used] for of in (brightness, *known.T))

    def at(brightness: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(brightness, nodes, channel) for channel in curve], axis=-1)

    return at(fill.mean(1)) if _is_near(known - at(brightness), CURVE_TOLERANCE) else None


def _to_plane(known: np.ndarray, fill: np.ndarray) -> np.ndarray | None:
    """The fill projected onto the known pixels' plane of colours, if they have one; else None."""
    middle = known.mean(0, dtype=np.float64)
    centred = known - middle
    normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
    if not _is_near(np.outer(centred @ normal, normal), PLANE_TOLERANCE):
        return None
    return np.clip(fill - np.outer((fill - middle) @ normal, normal), 0, 1)


def _is_near(differences: np.ndarray, tolerance: float) -> bool:
    return np.quantile(np.abs(differences).max(1), 1 - OUTLIERS) <= tolerance
