"""Fills keep to the colours of grey, sepia, duotone and other toned pictures, and others are left alone."""

import io

import numpy as np
import pytest
from PIL import Image

from glcic_hub.filling import colours as colours_module
from glcic_hub.filling.colours import CURVE_TOLERANCE, FLAT_TOLERANCE, keep_colours
from glcic_hub.filling.holes import Frame

SIZE = 72
HOLE = np.zeros((SIZE, SIZE), bool)
HOLE[20:50, 25:60] = True
BOX = slice(20, 50), slice(25, 60)

SEPIA = [(20, 10, 5), (112, 66, 20), (240, 220, 180)]
MILD = [(0, 0, 0), (120, 100, 80), (255, 245, 220)]
DUOTONE = [(30, 0, 80), (255, 200, 60)]
RED_TO_GREEN = [(200, 50, 80), (50, 200, 80)]
"""All of one brightness."""


def shades(seed: int = 0) -> np.ndarray:
    """Smooth (SIZE, SIZE) from 0 to 1, as a photo's brightness."""
    coarse = np.random.default_rng(seed).random((5, 5)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return (smooth - smooth.min()) / np.ptp(smooth)


def toned(colours: list[tuple[int, int, int]], share: np.ndarray | None = None) -> np.ndarray:
    """Shades between colours, 8 bits."""
    share = shades() if share is None else share
    at = np.linspace(0, 1, len(colours))
    channels = [np.interp(share, at, channel) for channel in zip(*colours)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def as_jpeg(rgb: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "jpeg", quality=75)
    return np.asarray(Image.open(file))


def kept(rgb: np.ndarray, colour_cast: float = 0.03, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """The fill before and after, (N, 3): that of a network which leaves the picture's colours by so much."""
    off = np.random.default_rng(seed).normal(0, colour_cast, (SIZE, SIZE, 3))
    values = np.where(HOLE[..., None], np.clip(toned_truth(rgb) + off, 0, 1), rgb / 255).astype(np.float32)
    frame = Frame(values.copy(), HOLE.copy(), ~HOLE)
    keep_colours(frame, BOX)
    np.testing.assert_array_equal(frame.values[~HOLE], values[~HOLE])
    assert frame.values.min() >= 0 and frame.values.max() <= 1
    return values[HOLE], frame.values[HOLE]


def toned_truth(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) / 255


def distance_to(colours: list[tuple[int, int, int]], fill: np.ndarray) -> np.ndarray:
    """Of each colour of a fill to the nearest on the curve, by brute force; in levels."""
    curve = toned(colours, np.linspace(0, 1, 400)).reshape(-1, 3) / 255
    return 255 * np.abs(fill[:, None] - curve[None]).max(2).min(1)


@pytest.mark.parametrize("colours", [SEPIA, DUOTONE, RED_TO_GREEN], ids=["sepia", "duotone", "of one brightness"])
def test_a_fill_comes_back_to_the_pictures_curve(colours):
    before, after = kept(toned(colours))
    assert np.quantile(distance_to(colours, before), 0.9) > 8
    assert distance_to(colours, after).max() < 2
    assert np.abs(after - before).mean() < 0.05


def test_grey_is_exactly_grey_and_as_bright_as_it_was():
    before, after = kept(toned([(0, 0, 0), (255, 255, 255)]))
    assert np.ptp(before, axis=1).max() > 0.05
    assert np.ptp(after, axis=1).max() == 0
    np.testing.assert_allclose(after[:, 0], before.mean(1), atol=0.02)


def test_black_and_white_alone_are_grey_too():
    before, after = kept(np.where(shades()[..., None] > 0.5, 255, 0).repeat(3, axis=2).astype(np.uint8))
    assert np.ptp(after, axis=1).max() == 0 and np.ptp(before, axis=1).max() > 0.05


@pytest.mark.parametrize("colours", [SEPIA, MILD, RED_TO_GREEN], ids=["sepia", "mild", "of one brightness"])
def test_a_curve_is_found_in_a_jpeg_file_too(colours):
    rgb = as_jpeg(toned(colours))
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) > 300
    before, after = kept(rgb)
    off = [distance_to(colours, fill) for fill in (before, after)]
    assert off[1].mean() < 0.4 * off[0].mean() and off[1].max() < 255 * CURVE_TOLERANCE


def test_colours_in_a_plane_stay_there():
    one, other = np.array([0.4, 0.1, 0.0]), np.array([0.0, 0.3, 0.5])
    flat = np.rint(255 * (0.05 + shades(1)[..., None] * one + shades(2)[..., None] * other)).astype(np.uint8)
    normal = np.cross(one, other) / np.linalg.norm(np.cross(one, other))
    before, after = kept(flat)
    off = [255 * np.abs((fill - 0.05) @ normal) for fill in (before, after)]
    assert off[0].mean() > 4 and off[1].max() < 1
    moved = after - before
    np.testing.assert_allclose(moved - np.outer(moved @ normal, normal), 0, atol=0.01)  # and no further


def test_the_missing_channel_stays_missing():
    rgb = np.dstack([255 * shades(1), 255 * shades(2), np.zeros((SIZE, SIZE))]).astype(np.uint8)
    before, after = kept(rgb)
    assert before[:, 2].max() > 0.05 and after[:, 2].max() < 1e-4


def test_photos_in_colour_are_left_as_they_are():
    rgb = np.dstack([255 * shades(seed) for seed in (1, 2, 3)]).astype(np.uint8)
    before, after = kept(rgb)
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("share", "is_grey"), [(0.001, True), (0.02, False)])
def test_few_coloured_pixels_do_not_matter_and_many_do(share, is_grey):
    rgb = toned([(0, 0, 0), (255, 255, 255)])
    coloured = np.random.default_rng(0).random((SIZE, SIZE)) < share
    rgb[coloured] = 200, 30, 90
    rgb[np.random.default_rng(1).random((SIZE, SIZE)) < share] = 20, 130, 90
    _, after = kept(rgb)
    assert (np.ptp(after, axis=1).max() == 0) == is_grey


def test_of_a_large_frame_pixels_from_everywhere_are_looked_at(monkeypatch):
    monkeypatch.setattr(colours_module, "MOST_PIXELS", 200)
    grey = toned([(0, 0, 0), (255, 255, 255)])
    _, after = kept(grey)
    assert np.ptp(after, axis=1).max() == 0
    grey[60:] = toned(DUOTONE)[60:]  # the last sixth
    before, after = kept(grey)
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("colours", [SEPIA, DUOTONE, [(0, 0, 0), (255, 255, 255)]], ids=["sepia", "duotone", "grey"])
@pytest.mark.parametrize("share", [0, 0.005, 0.008])
def test_the_first_look_refuses_nothing_that_all_pixels_say(monkeypatch, colours, share):
    """Many known pixels, among which coloured ones are just few enough; and the same with no first look."""
    seen = []
    for seed in range(5):
        rgb = np.repeat(np.repeat(toned(colours), 4, 0), 4, 1)
        rgb[np.random.default_rng(seed).random(rgb.shape[:2]) < share] = 0, 200, 250
        hole = np.repeat(np.repeat(HOLE, 4, 0), 4, 1)
        values = np.where(hole[..., None], 0.4, rgb / 255).astype(np.float32)
        results = []
        for first in (2**14, 2**30):
            monkeypatch.setattr(colours_module, "FIRST_FROM", first)
            frame = Frame(values.copy(), hole, ~hole)
            keep_colours(frame, (slice(80, 200), slice(100, 240)))
            results.append(frame.values)
        np.testing.assert_array_equal(*results)
        seen.append((results[0][hole] != values[hole]).any())
    assert all(seen) or colours[0] == (0, 0, 0)  # grey as it is stays


@pytest.mark.parametrize("colours", [SEPIA, DUOTONE], ids=["sepia", "duotone"])
def test_a_small_frame_says_enough(colours):
    values = (toned(colours) / 255).astype(np.float32)[:24, :24].copy()
    hole = np.zeros((24, 24), bool)
    hole[6:18, 6:18] = True
    values[hole] = 0.5
    frame = Frame(values.copy(), hole, ~hole)
    keep_colours(frame, (slice(6, 18), slice(6, 18)))
    assert distance_to(colours, values[hole]).max() > 10 > distance_to(colours, frame.values[hole]).max()


def test_a_few_coloured_pixels_do_not_tint_a_tone():
    rgb = toned(SEPIA)
    rgb[np.random.default_rng(0).random((SIZE, SIZE)) < 0.003] = 0, 200, 250
    _, after = kept(rgb)
    assert np.quantile(distance_to(SEPIA, after), 0.98) < 2


def test_a_coloured_logo_does_not_come_into_a_grey_page():
    rgb = np.where(shades()[..., None] > 0.5, 255, 0).repeat(3, axis=2).astype(np.uint8)
    rgb[2:7, 2:9] = 220, 30, 30  # all that has its brightness
    before, after = kept(rgb)
    assert np.ptp(after, axis=1).max() == 0 and np.ptp(before, axis=1).max() > 0.05


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_single_colour_is_kept(colour):
    _, after = kept(np.broadcast_to(np.uint8(colour), (SIZE, SIZE, 3)))
    np.testing.assert_allclose(255 * after, np.tile(colour, (len(after), 1)), atol=255 * FLAT_TOLERANCE)


@pytest.mark.parametrize("known", [0, 1, 15])
def test_too_few_known_pixels_say_nothing(known):
    values = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    hole = np.ones(64, bool)
    hole[:known] = False
    hole = hole.reshape(8, 8)
    frame = Frame(values.copy(), hole, ~hole)
    keep_colours(frame, (slice(0, 8), slice(0, 8)))
    np.testing.assert_array_equal(frame.values, values)


def test_other_holes_say_nothing_about_the_colours():
    rgb = toned([(0, 0, 0), (255, 255, 255)])
    values = (rgb / 255).astype(np.float32)
    other = np.zeros_like(HOLE)
    other[60:70, 5:60] = True
    values[other | HOLE] = np.random.default_rng(0).random(((other | HOLE).sum(), 3))
    frame = Frame(values.copy(), HOLE.copy(), ~(HOLE | other))
    keep_colours(frame, BOX)
    assert np.ptp(frame.values[HOLE], axis=1).max() == 0
    np.testing.assert_array_equal(frame.values[other], values[other])
