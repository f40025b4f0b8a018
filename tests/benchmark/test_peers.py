"""What others' programs are given, and what is said when they are not there."""

import numpy as np

from tests.benchmark.peers import MIGAN_FILE, migan_inputs, migan_is_missing
from tests.benchmark.scenes import hole_in, photo_of

PHOTO, MASK = photo_of(96, 128), hole_in(96, 128, 16)


def test_without_migan_a_sentence_says_how_to_get_it(tmp_path):
    assert migan_is_missing(tmp_path) == f"there is no {MIGAN_FILE}: fetch it with `make bench-peers`"


def test_migan_gets_neither_the_truth_nor_a_blank():
    image, keep = migan_inputs(PHOTO, MASK)
    assert image.shape == (1, 3, 96, 128) and keep.shape == (1, 1, 96, 128) and image.dtype == keep.dtype == np.uint8
    assert np.array_equal(keep[0, 0] == 255, ~MASK) and np.array_equal(keep[0, 0] == 0, MASK)
    given = image[0].transpose(1, 2, 0)
    assert np.array_equal(given[~MASK], PHOTO[~MASK])
    other = np.where(MASK[..., None], 255 - PHOTO, PHOTO)
    assert np.array_equal(migan_inputs(other, MASK)[0], image)
    assert given[MASK].min() > 0
