"""Holes in one plain colour."""

import numpy as np
import pytest
from scipy import ndimage

from glcic_hub.filling.holes import Frame
from glcic_hub.filling.plain import SURROUNDINGS, fill_plain

PAPER = np.array([250, 240, 210]) / 255


def page(height: int = 60, width: int = 70, noise: int = 0) -> np.ndarray:
    """Paper whose levels differ by up to `noise`."""
    levels = np.rint(PAPER * 255) - np.random.default_rng(0).integers(0, noise + 1, (height, width, 3))
    return (levels / 255).astype(np.float32)


def frame_with_hole(values: np.ndarray, rows: slice, columns: slice) -> tuple[Frame, tuple[slice, slice]]:
    hole = np.zeros(values.shape[:2], bool)
    hole[rows, columns] = True
    return Frame(np.where(hole[..., None], 0, values).astype(np.float32), hole, ~hole), (rows, columns)


INSIDE = slice(20, 35), slice(25, 45)
CORNER = slice(0, 9), slice(60, 70)


@pytest.mark.parametrize("box", [INSIDE, CORNER])
@pytest.mark.parametrize("noise", [0, 1, 4])
def test_the_hole_gets_the_mean_colour_of_what_is_near(box, noise):
    values = page(noise=noise)
    frame, box = frame_with_hole(values, *box)
    assert fill_plain(frame, box)
    near = ndimage.distance_transform_cdt(~frame.hole) <= SURROUNDINGS
    wanted = values[near & ~frame.hole].mean(0, dtype=np.float64)
    np.testing.assert_allclose(frame.values[frame.hole], np.tile(wanted, (frame.hole.sum(), 1)), atol=1e-6)
    np.testing.assert_array_equal(frame.values[frame.known], values[frame.known])


def test_it_does_not_change_what_is_not_plain():
    for values in (page(noise=5), np.random.default_rng(0).random((60, 70, 3), dtype=np.float32)):
        frame, box = frame_with_hole(values, *INSIDE)
        before = frame.values.copy()
        assert not fill_plain(frame, box)
        np.testing.assert_array_equal(frame.values, before)


@pytest.mark.parametrize(("distance", "is_plain"), [(1, False), (SURROUNDINGS, False), (SURROUNDINGS + 1, True)])
def test_a_letter_counts_only_near_the_hole(distance, is_plain):
    values = page()
    values[34 + distance, 30] = 0
    frame, box = frame_with_hole(values, *INSIDE)
    assert fill_plain(frame, box) == is_plain


def test_one_channel_may_not_differ_either():
    values = page()
    values[18, 30, 2] -= 6 / 255
    frame, box = frame_with_hole(values, *INSIDE)
    assert not fill_plain(frame, box)


def test_other_holes_are_not_looked_at():
    frame, box = frame_with_hole(page(), *INSIDE)
    frame.known[36:40, 25:45] = False
    frame.values[36:40, 25:45] = 0.5
    assert fill_plain(frame, box)
    np.testing.assert_allclose(frame.values[frame.hole], np.tile(PAPER, (frame.hole.sum(), 1)), atol=1e-6)
    np.testing.assert_array_equal(frame.values[36:40, 25:45], np.float32(0.5))


def test_with_nothing_known_near_there_is_no_colour():
    frame, box = frame_with_hole(page(), *INSIDE)
    frame.known[:] = False
    assert not fill_plain(frame, box)


def test_the_mean_of_very_many_is_exact():
    values = np.full((40, 6000, 3), 0.1, np.float32)
    frame, box = frame_with_hole(values, slice(18, 22), slice(10, 5990))
    assert fill_plain(frame, box)
    np.testing.assert_allclose(frame.values[20, 50], 0.1, atol=1e-7)
