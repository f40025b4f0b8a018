"""Truth and fill as small as a network saw the hole: compared there, they show what was put where, not how it looks."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from glcic_hub.filling.holes import find_holes


@dataclass(frozen=True)
class Layout:
    """How a network sees holes: the side of its training crops, and the size that larger holes are reduced to, pixels.

    Every method is compared at the scale of this one network, so that their figures can be, too.
    """

    sample_size: int
    max_hole_size: int

    def reduced(self, mask: np.ndarray, *pictures: np.ndarray) -> list[np.ndarray]:
        """Mask and pictures at the scale at which the network sees the mask's largest hole.

        Args:
            mask: bool (H, W), True in the holes; some pixel is, and some is not.
            *pictures: uint8 (H, W, 3).

        Returns:
            The mask, bool (h, w), True where at least half of what a pixel covers is hole; and the pictures, uint8
            (h, w, 3), by the filter that the network's input is reduced with.
        """
        scale = min(hole.scale for hole in find_holes(mask, self.sample_size, self.max_hole_size))
        size = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
        share, *small = (
            np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BILINEAR))
            for array in (mask.astype(np.uint8) * 255, *pictures)
        )
        return [share >= min(128, share.max()), *small]
