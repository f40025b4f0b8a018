"""Holes as people make them around objects: rounded silhouettes with bulges and bays."""

import numpy as np
from PIL import Image, ImageDraw

WAVES = 6
"""Bulges around a silhouette, at most; each finer wave is lower, so that the outline is smooth."""

DEPTH = 0.45
"""Standard deviation of the coarsest wave, in radii."""

LEAST_RADIUS = 0.25
CORNERS = 90


def random_silhouette(height: int, width: int, seed: int) -> np.ndarray:
    """A silhouette that touches all four sides of its box: bool (height, width), True inside; connected.

    Its outline is a circle whose radius waves, stretched to the box.
    """
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    waves = np.arange(1, WAVES + 1)
    heights = rng.normal(0, DEPTH / waves)
    radius = 1 + heights @ np.cos(waves[:, None] * angles + rng.uniform(0, 2 * np.pi, WAVES)[:, None])
    radius = radius.clip(min=LEAST_RADIUS)
    outline = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    outline -= outline.min(axis=0)
    outline *= (width - 1, height - 1) / outline.max(axis=0)
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in outline.round().tolist()], fill=1, outline=1)
    return np.array(canvas)
