"""Figures of the layout against independent computations."""

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos
from skimage.metrics import peak_signal_noise_ratio

from train.evaluate import layout_figures
from train.feature_distance import feature_distance, picture_maps
from train.layout import Layout

SQUARE = (slice(15, 60), slice(39, 84))


def square_hole(size: tuple[int, int] = (96, 129)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[SQUARE] = True
    return mask


def weights(length: int, target: int) -> np.ndarray:
    """(target, length): what each pixel adds to each of fewer ones by a triangle of twice their width."""
    scale = length / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    triangle = np.clip(1 - np.abs(np.arange(length) + 0.5 - centres) / scale, 0, None)
    return triangle / triangle.sum(axis=1, keepdims=True)


def by_hand(array: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = weights(array.shape[0], height), weights(array.shape[1], width)
    return np.einsum("yr,rc...,xc->yx...", rows, array.astype(float), columns)


def test_a_square_hole_is_reduced_to_the_size_that_the_network_sees():
    """45 px to 15: a third of the sides."""
    truth = photos.chelsea()[:96, :129]
    mask, small = Layout(64, 15).reduced(square_hole(), truth)
    assert small.shape == (32, 43, 3)
    assert np.abs(small - by_hand(truth, 32, 43)).max() < 1.1  # Pillow rounds after each of its two passes
    expected = np.zeros((32, 43), bool)
    expected[5:20, 13:28] = True
    assert np.array_equal(mask, expected)


def test_figures_equal_independent_computations():
    truth, mask = photos.chelsea()[:96, :129], square_hole()
    result = truth.copy()
    noise = np.random.default_rng(0).normal(20, 40, truth.shape)
    result[mask] = np.clip(truth + noise, 0, 255).astype(np.uint8)[mask]
    values = layout_figures(truth, result, mask, Layout(64, 30), features=True)
    small_truth, small_result = (by_hand(picture, 64, 86) for picture in (truth, result))
    inside = np.zeros((64, 86), bool)
    inside[10:40, 26:56] = True
    l1 = 100 / 255 * np.abs(small_result - small_truth)[inside].mean()
    assert values["layout_l1_x100"] == pytest.approx(l1, abs=0.1)
    psnr = peak_signal_noise_ratio(small_truth, small_result, data_range=255)
    assert values["layout_psnr"] == pytest.approx(psnr, abs=0.05)
    maps = [picture_maps(picture.round().astype(np.uint8)) for picture in (small_result, small_truth)]
    distance = feature_distance(*maps, inside)
    assert values["layout_feature_distance"] == pytest.approx(distance, abs=5e-3)
    assert distance > 0.05
    without = layout_figures(truth, result, mask, Layout(64, 30), features=False)
    assert without == {name: value for name, value in values.items() if name != "layout_feature_distance"}


def test_texture_counts_for_little_and_a_wrong_colour_in_full():
    truth, mask = np.full((96, 129, 3), 100, np.uint8), square_hole()
    checked, brighter = truth.copy(), truth.copy()
    checked[mask] = np.where(np.indices(mask.shape).sum(axis=0) % 2, 140, 60)[mask][:, None]
    brighter[mask] = 140
    errors = [
        layout_figures(truth, result, mask, Layout(64, 15), features=False)["layout_l1_x100"]
        for result in (checked, brighter)
    ]
    assert errors[0] < 0.05 * errors[1]
    assert 0.85 * 40 / 255 * 100 < errors[1] < 40 / 255 * 100  # a little of the rim is mixed in


def test_a_hole_that_is_not_reduced_has_the_figures_of_the_picture():
    truth = np.asarray(Image.fromarray(photos.astronaut()).resize((129, 96)))
    mask, small = Layout(64, 45).reduced(square_hole(), truth)
    assert np.array_equal(small, truth) and np.array_equal(mask, square_hole())


def test_of_several_holes_the_largest_decides():
    mask = square_hole((96, 258))
    mask[42:45, 240:243] = True
    small, _ = Layout(64, 15).reduced(mask, np.zeros((96, 258, 3), np.uint8))
    assert small.shape == (32, 86)
    assert small[14, 80] and small[:, 28:].sum() == 1


def test_a_hole_too_thin_for_the_small_grid_counts_where_it_mostly_is():
    mask = np.zeros((96, 258), bool)
    mask[48, 10:250] = True
    small, _ = Layout(64, 1).reduced(mask, np.zeros((96, 258, 3), np.uint8))
    assert 0 < small.sum() < small.size
