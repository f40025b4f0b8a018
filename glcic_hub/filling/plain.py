"""Holes in one plain colour, as of paper, screenshots and speech bubbles: they need neither network nor patches."""

import numpy as np
from scipy import ndimage

from glcic_hub.filling.holes import Box, Frame, grown

SURROUNDINGS = 8
"""Pixels around the hole that are looked at."""

TOLERANCE = 4 / 255
"""Between the darkest and the brightest of them, in each channel."""


def fill_plain(frame: Frame, box: Box) -> bool:
    """Give a hole the mean colour of its surroundings, if they have one colour; whether they do."""
    near = frame.part(grown(box, SURROUNDINGS, frame.hole.shape))
    around = near.known & ndimage.maximum_filter(near.hole, 2 * SURROUNDINGS + 1)
    if not around.any():
        return False
    colours = near.values[around]
    is_plain = bool((np.ptp(colours, axis=0) <= TOLERANCE).all())
    if is_plain:
        near.values[near.hole] = colours.mean(0, dtype=np.float64)
    return is_plain
