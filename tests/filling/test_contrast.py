"""What the network is shown of pictures of more than 8 bits."""

import numpy as np
import pytest

from glcic_hub.filling.contrast import AS_IT_IS, HEADROOM, LARGEST, LEAST, contrast_of
from glcic_hub.filling.holes import Frame


def frame_of(values: np.ndarray, hole_share: float = 0.2) -> Frame:
    values = np.repeat(values[..., None], 3, axis=2).astype(np.float32)
    hole = np.random.default_rng(5).random(values.shape[:2]) < hole_share
    return Frame(values, hole, ~hole)


def ramp(low: float, high: float, size: int = 50) -> np.ndarray:
    return np.linspace(low, high, size * size).reshape(size, size)


@pytest.mark.parametrize(("low", "high"), [(0.015, 0.017), (0, 0.05), (0.999, 1), (0.4, 0.59), (0.1, 0.1001)])
def test_a_small_range_is_spread_and_comes_back(low, high):
    frame = frame_of(ramp(low, high))
    before = frame.values.copy()
    contrast = contrast_of(frame)
    contrast.stretch(frame)
    shown = frame.values[frame.known]
    assert shown.min() >= 0 and shown.max() <= 1
    spread = 1 / (1 + 2 * HEADROOM)
    assert np.ptp(np.quantile(shown, [0.005, 0.995])) == pytest.approx(spread, rel=1e-2)
    assert np.median(shown) == pytest.approx(0.5, abs=0.05)
    back = contrast.restored(frame.values)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[frame.known], before[frame.known], atol=max(1e-7, 1e-3 * (high - low)))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.62), (0.1, 0.1 + LARGEST)])
def test_a_large_range_is_shown_as_it_is(low, high):
    frame = frame_of(ramp(low, high))
    before = frame.values.copy()
    assert contrast_of(frame) == AS_IT_IS
    AS_IT_IS.stretch(frame)
    np.testing.assert_array_equal(frame.values, before)
    assert AS_IT_IS.restored(before) is before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_levels_of_8_bits_in_floats_are_shown_as_those_of_8_bits(dtype):
    levels = np.random.default_rng(0).integers(100, 110, (40, 40))
    assert contrast_of(frame_of(levels.astype(dtype) / 255)) == AS_IT_IS
    between = contrast_of(frame_of((levels + 0.5) / 255))
    assert between != AS_IT_IS and between.range < 0.1


def test_a_few_outliers_do_not_take_the_contrast_away():
    values = ramp(0.2, 0.21)
    values[0, :5], values[-1, -5:] = 1, 0
    contrast = contrast_of(frame_of(values, hole_share=0))
    assert contrast.range == pytest.approx(0.012, rel=0.02)
    assert contrast.black == pytest.approx(0.2 - 0.001, abs=2e-4)
    values[:5] = 1
    assert contrast_of(frame_of(values, hole_share=0)) == AS_IT_IS


def test_what_is_not_known_does_not_count():
    frame = frame_of(ramp(0.2, 0.21))
    contrast = contrast_of(frame)
    frame.values[~frame.known] = np.random.default_rng(0).random(((~frame.known).sum(), 3))
    assert contrast_of(frame) == contrast


@pytest.mark.parametrize("value", [0.3, 1e-30, 1, 0])
def test_one_constant_stays_that_constant(value):
    frame = frame_of(np.full((20, 20), value))
    contrast = contrast_of(frame)
    contrast.stretch(frame)
    np.testing.assert_array_equal(contrast.restored(frame.values), np.float32(value))


def test_noise_of_less_than_16_bits_is_not_blown_up():
    frame = frame_of(ramp(0.3, 0.3 + LEAST / 100))
    contrast = contrast_of(frame)
    contrast.stretch(frame)
    assert contrast.range == pytest.approx(LEAST) and np.ptp(frame.values[frame.known]) < 0.1


@pytest.mark.parametrize(("black", "white"), [(0.0, 0.1), (0.95, 1.0)])
def test_restored_values_are_colours(black, white):
    contrast = contrast_of(frame_of(ramp(black, white)))
    ends = contrast.restored(np.array([0, 1], np.float32))
    assert ends.min() >= 0 and ends.max() <= 1 and ends[0] < ends[1]


def test_with_nothing_known_there_is_no_contrast():
    frame = frame_of(ramp(0.2, 0.21))
    frame.known[:] = False
    assert contrast_of(frame) == AS_IT_IS
