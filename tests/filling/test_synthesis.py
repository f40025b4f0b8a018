"""Patches of the photo under the network's guidance: what goes on, what stays, and what must have no influence."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from glcic_hub.filling import synthesis as synthesis_module
from glcic_hub.filling.holes import Frame, Hole
from glcic_hub.filling.patches import PATCH
from glcic_hub.filling.synthesis import (
    LEAST_THICKNESS,
    WAYS,
    assembled,
    context,
    synthesise,
    synthesise_frame,
)
from glcic_hub.filling.synthesis import _scales as scales

SIZE = (120, 136)
SCALE = 0.6


def hole_at(top: int, left: int, height: int = 40, width: int = 44) -> np.ndarray:
    hole = np.zeros(SIZE, bool)
    hole[top : top + height, left : left + width] = True
    return hole


HOLE = hole_at(40, 46)


def blurred(picture: np.ndarray, sigma: float = 6) -> np.ndarray:
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0))


def guided(truth: np.ndarray, hole: np.ndarray = HOLE) -> np.ndarray:
    """The truth, with what a network knows of it in the hole: less and less from the rim on, only a blur in the end."""
    share = np.exp(-ndimage.distance_transform_edt(np.pad(hole, 1, "edge"))[1:-1, 1:-1] / 4)[..., None]
    return np.where(hole[..., None], share * truth + (1 - share) * blurred(truth), truth).astype(np.float32)


def stripes() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * (x + 0.5 * y) / 8)
    return np.stack([wave, 0.8 * wave + 0.1, 1 - wave], axis=2).astype(np.float32)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((*SIZE, 3), dtype=np.float32)


def leaves(seed: int = 0) -> np.ndarray:
    """A texture without a period, between two colours."""
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SIZE), 1.5)
    return (0.5 + 1.2 * grain[..., None] * np.array([1, 0.8, 0.4])).clip(0, 1).astype(np.float32)


def error(result: np.ndarray, truth: np.ndarray, hole: np.ndarray = HOLE) -> float:
    return float(np.abs(result - truth)[hole].mean())


@pytest.mark.parametrize("scale", [0.3, SCALE])
def test_stripes_go_on_where_the_guide_is_grey(scale):
    truth = stripes()
    picture = guided(truth)
    assert error(synthesise(picture, HOLE, ~HOLE, scale), truth) < 0.45 * error(picture, truth)


def test_two_textures_meet_where_the_guide_says():
    """Left and right halves differ in colour; the border's place comes from the guide alone."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    right = (x > 68 + np.where(HOLE, 10, 0))[..., None]
    truth = np.where(right, leaves() * [1, 0.5, 0.3], leaves() * [0.3, 0.5, 1] + [0, 0, 0.2]).clip(0, 1)
    result = synthesise(guided(truth.astype(np.float32)), HOLE, ~HOLE, SCALE)
    red = (result[..., 0] > result[..., 2])[HOLE]
    assert (red == right[..., 0][HOLE]).mean() > 0.9


def test_a_texture_keeps_its_strength():
    truth = leaves()
    inner = ndimage.binary_erosion(HOLE, iterations=6)
    result = synthesise(guided(truth), HOLE, ~HOLE, SCALE)
    steps = [np.abs(np.diff(picture, axis=1))[inner[:, 1:]].mean() for picture in (truth, guided(truth), result)]
    assert steps[1] < 0.2 * steps[0]
    assert 0.55 * steps[0] < steps[2] < 1.2 * steps[0]


def test_the_fill_lies_in_the_hole_alone_and_in_the_range_of_colours():
    picture = guided(noise())
    before = picture.copy()
    result = synthesise(picture, HOLE, ~HOLE, SCALE)
    assert result.dtype == np.float32
    assert result.shape == picture.shape
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[~HOLE], picture[~HOLE])
    assert result.min() >= 0
    assert result.max() <= 1
    assert np.abs(result - picture)[HOLE].mean() > 0.01


ELSEWHERE = {
    "beside": hole_at(40, 90, 30, 20),
    "up to the border": hole_at(0, 0, 120, 40),
    "specks": np.random.default_rng(1).random(SIZE) < 0.02,
}


@pytest.mark.parametrize("scale", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_not_known_has_no_influence(scale, elsewhere):
    hole = HOLE & ~elsewhere
    known = ~(hole | elsewhere)
    one = guided(leaves(), hole)
    other = one.copy()
    other[~(hole | known)] = np.random.default_rng(2).random((np.count_nonzero(~(hole | known)), 3))
    results = [synthesise(picture, hole, known, scale)[hole] for picture in (one, other)]
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0] - one[hole]).mean() > 0.01


def test_the_same_comes_out_again_and_a_generator_decides():
    picture = guided(leaves())
    one, again = (synthesise(picture, HOLE, ~HOLE, SCALE) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    seeded = [synthesise(picture, HOLE, ~HOLE, SCALE, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(seeded[0], seeded[1])
    assert not np.array_equal(seeded[0], seeded[2])


def test_the_callers_settings_of_torch_have_no_influence():
    picture = guided(leaves())
    wanted = synthesise(picture, HOLE, ~HOLE, SCALE)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(synthesise(picture, HOLE, ~HOLE, SCALE), wanted)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(synthesise(picture, HOLE, ~HOLE, SCALE), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


def test_grey_stays_grey():
    """Also where the network's completion has a tint."""
    truth = np.repeat(leaves()[..., :1], 3, axis=2)
    picture = guided(truth)
    picture[HOLE] = np.clip(picture[HOLE] * [1.1, 1, 0.9], 0, 1)
    result = synthesise(picture, HOLE, ~HOLE, SCALE)
    np.testing.assert_array_equal(np.ptp(result[HOLE], axis=1), 0)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 60), (80, 92), (40, 0), (80, 50)])
@pytest.mark.parametrize("scale", [0.3, SCALE])
def test_holes_at_borders_and_in_corners(top, left, scale):
    hole, truth = hole_at(top, left), stripes()
    result = synthesise(guided(truth, hole), hole, ~hole, scale)
    assert error(result, truth, hole) < 0.6 * error(guided(truth, hole), truth, hole)


@pytest.mark.parametrize("known", ["nothing", "a line", "specks", "too small a picture"])
def test_with_too_little_known_the_network_has_the_word(known):
    where = np.zeros(SIZE, bool)
    if known == "a line":
        where[: PATCH - 1] = True
    if known == "specks":
        where[::4, ::4] = True
    picture, hole = noise(), ~where
    if known == "too small a picture":
        picture, hole, where = (array[: PATCH + 1] for array in (picture, HOLE, ~HOLE))
    np.testing.assert_array_equal(synthesise(picture, hole, where, SCALE), picture)


def test_a_hole_that_is_empty_changes_nothing():
    picture = noise()
    nothing = np.zeros(SIZE, bool)
    np.testing.assert_array_equal(synthesise(picture, nothing, ~nothing, SCALE), picture)


def test_progress_sees_every_round_at_every_scale():
    shares = []
    synthesise(guided(leaves()), HOLE, ~HOLE, 0.25, progress=shares.append)
    assert shares == sorted(set(shares)) and shares[-1] == 1
    assert len(shares) == 3 + 4 * 2 + 5 + 1, "4 times 1.4 is nearly 4; the montage; the end"
    assert 0 < shares[0] < 0.1 and max(np.diff(shares)) < 1 / 3


def test_where_the_picture_is_too_large_to_search_patches_are_still_copied(monkeypatch):
    from glcic_hub.filling import synthesis

    monkeypatch.setattr(synthesis, "LARGEST_SEARCHED", SIZE[0] * SIZE[1] // 2)
    truth = stripes()
    assert error(synthesise(guided(truth), HOLE, ~HOLE, SCALE), truth) < 0.6 * error(guided(truth), truth)


def test_the_surroundings_follow_the_hole():
    assert context(1) == context(40**2) == 48
    assert context(200**2) == 200
    assert context(200**2) == context(100 * 400)


# Frames: holes of any shape, however large


def framed(mask: np.ndarray, truth: np.ndarray, scale: float = SCALE) -> tuple[Frame, tuple, Hole]:
    """The whole picture as the frame of one hole, completed by a blur of the truth."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    thickness = 2 * ndimage.distance_transform_edt(np.pad(mask, 1)).max() - 1
    return Frame(guided(truth, mask), mask, ~mask), box, Hole(box, mask[box], scale, thickness)


def test_a_compact_hole_is_filled_in_one_piece():
    truth = leaves()
    frame, box, hole = framed(HOLE, truth)
    before = frame.values.copy()
    synthesise_frame(frame, box, hole)
    np.testing.assert_array_equal(frame.values, synthesise(before, HOLE, ~HOLE, SCALE))


def test_a_thin_hole_is_left_to_the_network():
    mask = np.zeros(SIZE, bool)
    mask[20, 10:60] = True
    frame, box, hole = framed(mask, leaves())
    before = frame.values.copy()
    synthesise_frame(frame, box, hole)
    np.testing.assert_array_equal(frame.values, before)


def test_a_long_hole_is_filled_tile_by_tile_and_each_goes_on_from_the_former(monkeypatch):
    monkeypatch.setattr(synthesis_module, "LEAST_TILE", 24)
    truth, mask = leaves(), np.zeros(SIZE, bool)
    mask[30:38, 4:-4] = True
    given = []

    def watched(picture, hole, known, *others):
        given.append((hole.copy(), known.copy()))
        return synthesise(picture, hole, known, *others)

    monkeypatch.setattr(synthesis_module, "synthesise", watched)
    frame, box, hole = framed(mask, truth, scale=1.0)
    before, shares = frame.values.copy(), []
    synthesise_frame(frame, box, hole, progress=shares.append)
    assert len(given) >= 3 and shares == sorted(shares) and shares[-1] == 1
    assert given[0][0].sum() > given[-1][0].sum(), "what is filled is wanted no more"
    assert given[-1][1][:, :10].any(axis=1).sum() == given[-1][1].shape[0], "but known"
    np.testing.assert_array_equal(frame.values[~mask], before[~mask])
    assert (frame.values != before).any(axis=2)[mask].mean() > 0.9


# Attempts


def attempted(attempt: int, mask: np.ndarray = HOLE, scale: float = SCALE) -> np.ndarray:
    frame, box, hole = framed(mask, leaves(), scale)
    synthesise_frame(frame, box, hole, attempt=attempt)
    return frame.values


def test_each_attempt_is_another_fill_of_the_hole_alone():
    results = [attempted(attempt) for attempt in range(len(WAYS) + 1)]
    for number, result in enumerate(results):
        np.testing.assert_array_equal(result[~HOLE], leaves()[~HOLE])
        np.testing.assert_array_equal(result, attempted(number))
        for other in results[:number]:
            assert np.abs(result - other)[HOLE].mean() > 0.02


@pytest.mark.parametrize("attempt", range(len(WAYS)))
def test_no_attempt_leaves_a_narrow_hole_to_the_network(attempt):
    """Much reduced it would be lost among known pixels."""
    mask = hole_at(50, 20, LEAST_THICKNESS, 80)
    assert np.abs(attempted(attempt, mask, scale=1) - guided(leaves(), mask))[mask].mean() > 0.01


def test_the_second_way_copies_from_nearer_and_the_third_begins_at_a_coarser_scale(monkeypatch):
    begun, distances = [], []

    def scales_noted(first):
        begun.append(first)
        return scales(first)

    def assembled_noted(level, hole, sources, progress):
        moves = [there - here for there, here in zip(level.split(sources), level.split(level.targets))]
        distances.append(torch.stack(moves).float().norm(dim=0).mean())
        return assembled(level, hole, sources, progress)

    monkeypatch.setattr(synthesis_module, "_scales", scales_noted)
    monkeypatch.setattr(synthesis_module, "assembled", assembled_noted)
    for attempt in range(3):
        attempted(attempt)
    assert begun == [SCALE, SCALE, WAYS[2].first_scale]
    assert distances[1] < 0.9 * distances[0]
