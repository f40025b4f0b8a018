"""One picture for every tool, and what our pipeline makes of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glcic_hub import GLCICPipeline


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """uint8 (70, 101, 3): sky above a lawn, with a red thing to be removed."""
    rows = np.linspace(0, 1, 70)[:, None, None]
    colours = (1 - rows) * [90, 140, 230] + rows * [90, 160, 40]
    noise = np.random.default_rng(0).normal(0, 4, (70, 101, 1))
    picture = np.clip(colours + noise, 0, 255).astype(np.uint8)
    picture[20:50, 40:60] = [200, 20, 10]
    return picture


@pytest.fixture(scope="session")
def bool_mask() -> np.ndarray:
    """bool (70, 101): the red thing, larger than the models' largest hole, and a small one at the border."""
    mask = np.zeros((70, 101), bool)
    mask[10:56, 30:72] = True
    mask[64:70, 95:101] = True
    return mask


@pytest.fixture(scope="session")
def expected(picture, bool_mask):
    """`expected(model, variant=None, **options)`: what the pipeline makes of it, uint8 (70, 101, 3)."""

    def complete(model: str | Path, variant: str | None = None, **options) -> np.ndarray:
        pipe = GLCICPipeline.from_pretrained(model, variant=variant)
        return np.asarray(pipe(Image.fromarray(picture), Image.fromarray(bool_mask), **options).images[0])

    return complete
