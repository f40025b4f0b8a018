"""The contestants complete the hole, and the two ways to run the network give the same."""

import numpy as np
import torch

from tests.benchmark.contestants import ExactWindow, FullFrame, OpenCV, cv2
from tests.benchmark.scenes import hole_in, photo_of

PHOTO, MASK = photo_of(96, 128), hole_in(96, 128, 16)


def test_the_exact_window_gives_the_values_of_the_full_frame():
    full, window = FullFrame(), ExactWindow(torch.float32)
    completed = full(*full.prepare(PHOTO, MASK))
    fill = window(*window.prepare(PHOTO, MASK))[0].permute(1, 2, 0).numpy()
    assert np.array_equal(completed[~MASK], PHOTO[~MASK])
    assert np.abs(completed[MASK].reshape(16, 16, 3) - 255 * fill).max() < 0.51
    assert np.abs(completed[MASK] - PHOTO[MASK].astype(float)).max() > 20


def test_opencv_fills_the_hole_alone():
    contestant = OpenCV(cv2.INPAINT_TELEA)
    completed = contestant(*contestant.prepare(PHOTO, MASK))
    assert np.array_equal(completed[~MASK], PHOTO[~MASK]) and (completed != PHOTO).any(axis=2)[MASK].mean() > 0.9
