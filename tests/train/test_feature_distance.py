"""The feature distance on real photos: what it says of equal, blurred and unlike pictures, and where it looks."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data as photos

from train.feature_distance import BLOCKS, FEATURES, feature_distance, kernel_distance, picture_maps

PHOTO = photos.astronaut()[100:228, 150:278]
MASK = np.zeros(PHOTO.shape[:2], bool)
MASK[32:96, 32:96] = True
MAPS = picture_maps(PHOTO)


def blurred(sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(PHOTO, (sigma, sigma, 0))


def distance_to_photo(picture: np.ndarray, mask: np.ndarray = MASK) -> float:
    return feature_distance(picture_maps(picture), MAPS, mask)


def test_maps_get_coarser_and_end_with_the_features():
    assert [tuple(level.shape[2:]) for level in MAPS] == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert len(MAPS) == len(BLOCKS)
    assert MAPS[-1].shape[1] == FEATURES


def test_a_picture_has_no_distance_to_itself_and_a_stronger_blur_a_larger_one():
    distances = [distance_to_photo(PHOTO), distance_to_photo(blurred(1)), distance_to_photo(blurred(4))]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert 0.01 < distances[1] < distances[2] < 2


def test_cells_count_by_the_share_of_the_hole_in_them():
    """Against the mean written out cell by cell."""
    maps = picture_maps(blurred(3))
    expected = []
    for of_result, of_truth in zip(maps, MAPS):
        side = MASK.shape[0] // of_truth.shape[2]
        total = weight_sum = 0.0
        for y in range(of_truth.shape[2]):
            for x in range(of_truth.shape[3]):
                weight = MASK[y * side : (y + 1) * side, x * side : (x + 1) * side].mean()
                a, b = of_result[0, :, y, x].double(), of_truth[0, :, y, x].double()
                total += weight * (1 - float(a @ b / (a.norm() * b.norm())))
                weight_sum += weight
        expected.append(total / weight_sum)
    assert feature_distance(maps, MAPS, MASK) == pytest.approx(np.mean(expected), abs=1e-5)


def test_kernel_distance_against_the_sum_written_out():
    generator = torch.Generator().manual_seed(0)
    results, truths = torch.rand(12, FEATURES, generator=generator), torch.rand(12, FEATURES, generator=generator)
    x, y = (z.double().numpy() for z in (truths[1::2], results[::2]))
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) * np.sqrt(FEATURES) for z in (x, y))

    def mean(a, b, without_diagonal):
        kernel = (a @ b.T / FEATURES + 1) ** 3
        if not without_diagonal:
            return kernel.mean()
        return (kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1))

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert kernel_distance(results, truths) == pytest.approx(1000 * expected, abs=0.5)


def test_kernel_distance_tells_two_kinds_of_features_apart():
    generator = torch.Generator().manual_seed(1)
    same = torch.rand(40, FEATURES, generator=generator), torch.rand(40, FEATURES, generator=generator)
    shifted = same[0] + torch.linspace(0, 2, FEATURES)
    assert kernel_distance(shifted, same[1]) > 10 * abs(kernel_distance(*same))
