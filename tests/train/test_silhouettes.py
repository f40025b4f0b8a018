"""The shapes of `--silhouette_share`."""

import numpy as np
import pytest
from scipy import ndimage

from train.silhouettes import random_silhouette


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (24, 54), (96, 128)])
def test_a_silhouette_is_one_piece_and_touches_all_sides_of_its_box(size):
    for seed in range(50):
        inside = random_silhouette(*size, seed)
        assert inside.shape == size and inside.dtype == bool
        assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
        assert ndimage.label(inside, np.ones((3, 3)))[1] == 1


def test_silhouettes_have_bulges_and_bays_and_hardly_thin_parts():
    shapes = [random_silhouette(60, 60, seed) for seed in range(200)]
    shares = [shape.mean() for shape in shapes]
    assert 0.5 < np.mean(shares) < 0.8 and np.std(shares) > 0.05
    without_thin_parts = [ndimage.binary_opening(shape, iterations=2).sum() / shape.sum() for shape in shapes]
    assert np.mean(without_thin_parts) > 0.95
    assert len({shape.tobytes() for shape in shapes}) == 200
    assert np.array_equal(shapes[3], random_silhouette(60, 60, 3))
