"""The contrast of pictures of more than 8 bits: the network is shown that of the surroundings, not of the range.

A scan of 12 bits in a picture of 16, a depth map or an X-ray may have all its detail in a hundredth of the range, where
a network that knows 8-bit photos sees one grey.
"""

from typing import NamedTuple

import numpy as np

from glcic_hub.filling.holes import Frame

LARGEST = 0.25
"""A frame whose known pixels have more than this share of the range is shown as it is."""

OUTLIERS = 0.005
"""Share of them, at each end, that does not count."""

HEADROOM = 0.1
"""The range is widened by this share at each end, as a fill may be a little brighter than its surroundings."""

LEAST = 1e-6
"""Least contrast that is stretched, a fifteenth of a step of 16 bits; it keeps constant pictures constant."""


class Contrast(NamedTuple):
    """What is shown as black, and how far above it white lies."""

    black: float
    range: float

    def stretch(self, frame: Frame) -> None:
        """Change a frame's values to what the network is shown, in [0, 1]."""
        if self != AS_IT_IS:
            frame.values[...] = np.clip((frame.values - np.float32(self.black)) / np.float32(self.range), 0, 1)

    def restored(self, values: np.ndarray) -> np.ndarray:
        """Values in the picture's own range again."""
        return values if self == AS_IT_IS else np.clip(values * np.float32(self.range) + np.float32(self.black), 0, 1)


AS_IT_IS = Contrast(0, 1)


def contrast_of(frame: Frame) -> Contrast:
    """The contrast of a frame's known pixels; that of pictures of 8 bits, in floats too, is left as it is."""
    known = frame.values[frame.known]
    if not len(known) or np.abs(known * 255 - np.rint(known * 255)).max() < 1e-3:
        return AS_IT_IS
    darkest, brightest = np.quantile(known, [OUTLIERS, 1 - OUTLIERS])
    headroom = HEADROOM * (brightest - darkest)
    shown = Contrast(float(darkest - headroom), float(max(brightest - darkest + 2 * headroom, LEAST)))
    return shown if shown.range <= LARGEST else AS_IT_IS
