"""The photos and holes of the grid."""

import numpy as np

from tests.benchmark.scenes import grid, hole_in, photo_of


def test_the_grid_leaves_room_around_the_holes():
    assert grid((64, 128), (32, 64)) == [(64, 32), (128, 32), (128, 64)]


def test_photos_are_whole_and_holes_in_their_centre():
    photo, mask = photo_of(600, 1200), hole_in(600, 1200, 100)
    assert photo.shape == (600, 1200, 3) and photo.dtype == np.uint8
    assert np.array_equal(photo[512:], photo[424:512][::-1]) and np.array_equal(photo[:, 1024:], photo[:, :176])
    assert mask.sum() == 100**2 and mask[250:350, 550:650].all()
