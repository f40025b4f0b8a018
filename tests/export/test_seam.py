"""The seam's nodes come near to the exact solution of `correct_seam`."""

import numpy as np
import pytest
from scipy import ndimage

from glcic_hub.export.graph import Graph
from glcic_hub.export.seam import add_seam_correction
from glcic_hub.filling.seam import correct_seam
from glcic_hub.masks import random_strokes
from tests.export.conftest import box, runner

HOLES = {
    "square": box((64, 64), slice(16, 48), slice(16, 48)),
    "border": box((150, 210), slice(0, 75), slice(0, 100)),
    "strokes": random_strokes((151, 211), (4, 16), (3, 6), [1, 2]),
    "right half": box((45, 80), slice(0, 45), slice(40, 80)),
    "row": box((1, 9), slice(0, 1), slice(3, 7)),
    "pixel": box((5, 4), slice(0, 1), slice(0, 1)),
}


@pytest.fixture(scope="module")
def correct():
    op = Graph()
    picture = ("float32", (1, 3, "height", "width"))
    inputs = {"fill": picture, "picture": picture, "hole": ("float32", (1, 1, "height", "width"))}
    result = add_seam_correction(op, "fill", "picture", "hole")
    run = runner(op.model("seam", inputs, ("corrected", result), picture, {}).SerializeToString())

    def correct(fill: np.ndarray, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        as_batch = [array.transpose(2, 0, 1)[None] for array in (fill, picture)]
        corrected = run(fill=as_batch[0], picture=as_batch[1], hole=hole[None, None].astype(np.float32))
        return corrected[0].transpose(1, 2, 0)

    return correct


def pictures(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A fill and a picture of another brightness, with patterns of strong contrast."""
    rng = np.random.default_rng(0)
    patterns = [ndimage.gaussian_filter(rng.random((*shape, 3)), (2, 2, 0)).astype(np.float32) for _ in range(2)]
    fill, picture = ((pattern - pattern.min()) / np.ptp(pattern) for pattern in patterns)
    return 0.1 + 0.4 * fill, 0.4 + 0.6 * picture


@pytest.mark.parametrize("name", HOLES)
def test_it_comes_near_to_the_exact_solution(correct, name):
    hole = HOLES[name]
    fill, picture = pictures(hole.shape)
    wanted = correct_seam(np.where(hole[..., None], fill, picture), hole, ~hole)
    found = correct(fill, picture, hole)
    assert np.abs(wanted - fill)[hole].mean() > 0.1, "there is something to correct"
    difference = np.abs(found - wanted)[hole]
    assert difference.mean() < 0.004 and difference.max() < 0.04


def test_a_constant_offset_goes_away_deep_inside_a_large_hole(correct):
    """The correction reaches the middle although few sweeps do not."""
    hole = box((400, 400), slice(20, 380), slice(20, 380))
    fill, picture = np.full((400, 400, 3), 0.3, np.float32), np.full((400, 400, 3), 0.5, np.float32)
    assert np.allclose(correct(fill, picture, hole)[hole], 0.5, atol=1e-4)


def test_without_known_pixels_nothing_is_corrected(correct):
    fill, picture = pictures((12, 17))
    assert np.array_equal(correct(fill, picture, np.ones((12, 17), bool)), fill)


def test_the_result_stays_in_range(correct):
    hole = HOLES["square"]
    fill, picture = np.full((64, 64, 3), 0.2, np.float32), np.full((64, 64, 3), 0.7, np.float32)
    fill[30:34, 30:34] = 0.9  # and 0.5 for the seam
    assert correct(fill, picture, hole).max() == 1
    assert correct(1 - fill, 1 - picture, hole).min() == 0
