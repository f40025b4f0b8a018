"""The visibility of a seam, on pictures in which it is known."""

import numpy as np
import pytest

from tests.benchmark.scenes import hole_in
from tests.benchmark.seam import HOLE_MARGIN, HOLE_SIDES, scenes, seam_visibility

HOLE = hole_in(12, 14, 4)


def flat(value: float) -> np.ndarray:
    return np.full((12, 14, 3), value)


def test_a_flat_fill_in_a_flat_picture_is_seen_by_its_difference():
    assert seam_visibility(np.where(HOLE[..., None], flat(130), flat(100)), HOLE) == 30
    assert seam_visibility(np.where(HOLE[..., None], flat(70), flat(100)), HOLE) == 30
    assert seam_visibility(flat(100), HOLE) == 0


def test_a_slope_that_goes_on_is_no_seam():
    y, x = np.mgrid[:12, :14].astype(float)
    slope = np.stack([3 * x, 2 * y, x + y], axis=2)
    assert seam_visibility(slope, HOLE) == pytest.approx(0, abs=1e-12)
    assert seam_visibility(slope + 60 * HOLE[..., None], HOLE) > 50


def test_a_smooth_fill_in_a_texture_is_below_zero():
    """A chessboard of 0 and 20: outside everything jumps by 20, across the edge by 10."""
    board = np.indices((12, 14)).sum(axis=0) % 2 * 20.0
    picture = np.where(HOLE, 10.0, board)[..., None].repeat(3, axis=2)
    assert seam_visibility(picture, HOLE) == -10


def test_channels_count_as_their_mean():
    picture = np.where(HOLE[..., None], flat(100) + np.array([30.0, 0, 0]), flat(100))
    assert seam_visibility(picture, HOLE) == pytest.approx(10)


def test_it_is_that_of_the_definition_written_out():
    rng = np.random.default_rng(0)
    picture, hole = rng.random((9, 11, 3)), rng.random((9, 11)) < 0.3
    pairs = []
    for y, x in np.argwhere(hole):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            (v, u), (w, t) = (y + dy, x + dx), (y + 2 * dy, x + 2 * dx)
            if 0 <= w < 9 and 0 <= t < 11 and not hole[v, u] and not hole[w, t]:
                across = np.abs(picture[y, x] - picture[v, u]).mean()
                pairs.append(across - np.abs(picture[v, u] - picture[w, t]).mean())
    assert len(pairs) > 20
    assert seam_visibility(picture, hole) == pytest.approx(np.mean(pairs))


def test_uint8_does_not_wrap_around():
    picture = np.where(HOLE[..., None], 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert seam_visibility(picture, HOLE) == 255


def test_pixels_beyond_the_border_and_in_other_holes_do_not_count():
    """The hole touches the upper border, and to its right one known pixel is left before the next hole."""
    hole = np.zeros((8, 12), bool)
    hole[0:4, 4:6] = hole[0:4, 7:9] = True
    picture = np.where(hole[..., None], 50.0, 40.0).repeat(3, axis=2)
    picture[:, 6] = 1000  # only this pixel and known ones behind it would see that
    picture[4:, 6] = 40
    assert seam_visibility(picture, hole) == 10


def test_a_hole_without_known_pixels_around_is_an_error():
    with pytest.raises(ValueError, match="two known pixels"):
        seam_visibility(np.zeros((2, 2, 3)), np.array([[True, False], [True, False]]))


def test_the_scenes_are_always_the_same():
    first, second = scenes(("astronaut",), 3), scenes(("astronaut", "coffee"), 3)
    assert len(first) == 3 and len(second) == 6
    for (picture, hole), (other_picture, other_hole) in zip(first, second):
        assert np.array_equal(picture, other_picture) and np.array_equal(hole, other_hole)
    for _, hole in second:
        rows, columns = np.nonzero(hole)
        for ends in (rows, columns):
            assert HOLE_SIDES[0] <= ends.max() - ends.min() + 1 <= HOLE_SIDES[1]
            assert ends.min() >= HOLE_MARGIN and ends.max() < 256 - HOLE_MARGIN
