"""The seam's correction against dense solutions of the same equations, built pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data as photos

from glcic_hub.filling import seam
from glcic_hub.filling.holes import Frame
from glcic_hub.filling.seam import (
    BLENDS,
    FADING,
    FURTHEST,
    blend_frame,
    continue_harmonically,
    correct_seam,
    fade_seam,
)

OFTEN = settings(max_examples=60, deadline=None, derandomize=True)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def corrected(fill: np.ndarray, picture: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The fill, corrected in a picture; everything outside the hole has come back as it was."""
    values = np.where(known[..., None], picture, fill)
    result = correct_seam(values, hole, known)
    np.testing.assert_array_equal(result[~hole], values[~hole])
    return np.where(hole[..., None], result, fill)


def box_mask(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


def neighbours(pixel: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    y, x = pixel
    around = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
    return [(v, u) for v, u in around if 0 <= v < size[0] and 0 <= u < size[1]]


def dense_solution(values: np.ndarray, given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Every wanted pixel is the mean of its given and wanted neighbours: one dense equation for each."""
    pixels = [tuple(pixel) for pixel in np.argwhere(wanted)]
    number = {pixel: index for index, pixel in enumerate(pixels)}
    matrix, right = np.zeros((len(pixels), len(pixels))), np.zeros((len(pixels), values.shape[2]))
    for index, pixel in enumerate(pixels):
        for other in neighbours(pixel, wanted.shape):
            if given[other]:
                matrix[index, index] += 1
                right[index] += values[other]
            elif wanted[other]:
                matrix[index, index] += 1
                matrix[index, number[other]] -= 1
    result = np.where(given[..., None], values.astype(np.float64), 0)
    if pixels:
        result[tuple(np.array(pixels).T)] = np.linalg.solve(matrix, right)
    return result


def corrected_by_hand(fill: np.ndarray, picture: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    difference, rim = np.zeros(fill.shape), np.zeros(hole.shape, bool)
    for pixel in map(tuple, np.argwhere(hole)):
        beside = [picture[other].astype(np.float64) for other in neighbours(pixel, hole.shape) if known[other]]
        if beside:
            rim[pixel] = True
            difference[pixel] = np.mean(beside, axis=0) - fill[pixel]
    result = fill.astype(np.float64)
    result[hole] = np.clip(fill + dense_solution(difference, rim, hole & ~rim), 0, 1)[hole]
    return result


def only_parts_that_touch(given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(wanted)
    touched = np.unique(labels[ndimage.binary_dilation(given)])
    return wanted & np.isin(labels, touched)


@st.composite
def problems(draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """values, given, wanted; each part that is wanted touches a given pixel."""
    height, width, seed = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, (height, width), p=draw(st.sampled_from([(0.1, 0.2, 0.7), (0.4, 0.2, 0.4), (0.0, 0.1, 0.9)])))
    given = kinds == 1
    return noise(height, width, 3, seed=seed) - 0.5, given, only_parts_that_touch(given, kinds == 2)


# Laplace's equation


@OFTEN
@given(problems())
def test_the_solution_is_that_of_a_dense_solver(problem):
    values, is_given, wanted = problem
    result = continue_harmonically(values, is_given, wanted)
    assert result.dtype == np.float32 and result.shape == values.shape
    np.testing.assert_allclose(result, dense_solution(values, is_given, wanted), atol=2e-6)
    np.testing.assert_array_equal(result[is_given], values[is_given])
    assert (result[~is_given & ~wanted] == 0).all()


@OFTEN
@given(problems())
def test_the_solution_stays_between_the_given_values(problem):
    values, is_given, wanted = problem
    result = continue_harmonically(values, is_given, wanted)[wanted]
    if wanted.any():
        assert (result >= values[is_given].min(axis=0) - 1e-6).all()
        assert (result <= values[is_given].max(axis=0) + 1e-6).all()


def test_linear_functions_are_reproduced():
    y, x = np.mgrid[:30, :40].astype(np.float32)
    values = np.stack([0.01 * x + 0.02 * y, 1 - 0.015 * x, 0.3 + 0 * x], axis=2)
    wanted = box_mask((30, 40), slice(3, 27), slice(5, 36)) & ~box_mask((30, 40), slice(10, 14), slice(20, 24))
    result = continue_harmonically(np.where(wanted[..., None], 9, values), ~wanted, wanted)
    np.testing.assert_allclose(result, values, atol=1e-6)


def test_only_given_values_are_used():
    is_given, wanted = box_mask((9, 9), slice(1, 8), slice(1, 8)), box_mask((9, 9), slice(2, 7), slice(2, 7))
    is_given &= ~wanted
    values = noise(9, 9, 3)
    spoilt = np.where(is_given[..., None], values, np.nan)
    result = continue_harmonically(spoilt, is_given, wanted)
    np.testing.assert_array_equal(result, continue_harmonically(values, is_given, wanted))
    assert np.isfinite(result).all() and result[wanted].std() > 0.01


# Half the resolution


@pytest.mark.parametrize("largest", [500, 150])  # solved at a half and at a quarter
def test_half_the_resolution_gives_nearly_the_same(monkeypatch, largest):
    y, x = np.mgrid[:45, :51]
    wanted = (y - 22) ** 2 + (x - 25) ** 2 < 20**2
    assert 1200 < np.count_nonzero(wanted) < 4 * 500
    is_given = ndimage.binary_dilation(wanted) & ~wanted
    values = np.stack([np.sin(x / 9), np.cos(y / 7), x / 51 + y / 45], axis=2).astype(np.float32)
    direct = continue_harmonically(values, is_given, wanted)
    monkeypatch.setattr(seam, "LARGEST_SYSTEM", largest)
    result = continue_harmonically(values, is_given, wanted)
    difference = result - direct
    error = np.abs(difference)[wanted]
    assert 0 < error.mean() < 0.01 and error.max() < 0.04
    # and it leaves no steps where the coarse pixels meet
    steps = [np.abs(np.diff(difference, axis=axis)[np.diff(wanted, axis=axis) == 0]).max() for axis in (0, 1)]
    assert max(steps) < 0.02
    np.testing.assert_array_equal(result[is_given], values[is_given])
    assert (result[~is_given & ~wanted] == 0).all()


def test_half_the_resolution_is_as_near_as_its_comment_says(monkeypatch):
    picture = photos.astronaut().astype(np.float32) / 255
    hole = box_mask((512, 512), slice(106, 406), slice(106, 406))
    fill = np.full_like(picture, 0.5)
    assert np.count_nonzero(hole) > 4 * seam.LARGEST_SYSTEM
    result = corrected(fill, picture, hole, ~hole)
    monkeypatch.setattr(seam, "LARGEST_SYSTEM", 2**20)
    levels = 255 * np.abs(result - corrected(fill, picture, hole, ~hole))
    assert 0 < levels[hole].mean() < 0.2 and levels.max() < 4
    assert max(np.abs(np.diff(levels, axis=axis)).max() for axis in (0, 1)) < 2


@OFTEN
@given(problems())
def test_every_mask_can_be_solved_at_lower_resolutions(problem):
    values, is_given, wanted = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seam, "LARGEST_SYSTEM", 1)
        result = continue_harmonically(values, is_given, wanted)
        constant = continue_harmonically(np.full_like(values, 0.25), is_given, wanted)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[is_given], values[is_given])
    np.testing.assert_allclose(constant[is_given | wanted], 0.25, atol=1e-6)
    if wanted.any():
        assert (result[wanted] >= values[is_given].min() - 1e-6).all()
        assert (result[wanted] <= values[is_given].max() + 1e-6).all()


# The seam


@OFTEN
@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_correction_is_that_of_the_equations_written_out(height, width, seed, share):
    hole = np.random.default_rng(seed).random((height, width)) < share
    hole[height // 2, width // 2] = False
    fill, picture = 0.4 + 0.2 * noise(height, width, 3, seed=seed), 0.4 + 0.2 * noise(height, width, 3, seed=seed + 1)
    result = corrected(fill, picture, hole, ~hole)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, corrected_by_hand(fill, picture, hole, ~hole), atol=2e-6)


HOLES = {
    "inside": box_mask((20, 24), slice(4, 15), slice(6, 19)),
    "at the border": box_mask((20, 24), slice(0, 12), slice(13, 24)),
    "one pixel": box_mask((20, 24), slice(7, 8), slice(9, 10)),
    "one pixel in the corner": box_mask((20, 24), slice(0, 1), slice(0, 1)),
    "a line": box_mask((20, 24), slice(3, 18), slice(5, 6)),
    "a line across": box_mask((20, 24), slice(6, 7), slice(0, 24)),
    "two pieces": box_mask((20, 24), slice(2, 8), slice(2, 8)) | box_mask((20, 24), slice(9, 19), slice(9, 22)),
    "all but one pixel": ~box_mask((20, 24), slice(5, 6), slice(8, 9)),
}
each_hole = pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES.keys())


@each_hole
@pytest.mark.parametrize("offset", [-0.3, 0.2])
def test_a_constant_difference_is_removed(hole, offset):
    picture = np.broadcast_to(np.float32([0.5, 0.4, 0.6]), (*hole.shape, 3)).copy()
    fill = np.where(hole[..., None], picture + np.float32(offset), 0)
    result = corrected(fill, picture, hole, ~hole)
    np.testing.assert_allclose(result[hole], picture[hole], atol=1e-6)
    assert (result[~hole] == 0).all()


@each_hole
def test_a_constant_added_to_the_fill_changes_nothing(hole):
    fill, picture = (0.4 + 0.1 * noise(*hole.shape, 3, seed=seed) for seed in (0, 1))
    shifted = corrected(fill + np.float32(0.3), picture, hole, ~hole)
    result = corrected(fill, picture, hole, ~hole)
    np.testing.assert_allclose(shifted[hole], result[hole], atol=1e-6)
    assert np.abs(result - fill)[hole].max() > 1e-3  # there was something to correct


@pytest.mark.parametrize("name", ["inside", "at the border", "two pieces"])
def test_a_fill_that_continues_the_picture_linearly_stays_nearly_as_it_is(name):
    hole = HOLES[name]
    y, x = np.mgrid[: hole.shape[0], : hole.shape[1]].astype(np.float32)
    picture = np.stack([0.2 + 0.02 * x, 0.3 + 0.01 * y, 0.2 + 0.01 * (x + y)], axis=2)
    # the neighbours' mean is off the rim's own value by at most one step of the slope
    for offset in (0, 0.15):
        result = corrected(picture + np.float32(offset), picture, hole, ~hole)
        assert np.abs(result - picture)[hole].max() <= 0.0201


@each_hole
def test_the_seam_is_met_on_the_rim_and_other_pixels_stay(hole):
    fill, picture = (0.3 + 0.4 * noise(*hole.shape, 3, seed=seed) for seed in (0, 1))
    result = corrected(fill, picture, hole, ~hole)
    rim = 0
    for pixel in map(tuple, np.argwhere(hole)):
        beside = [picture[other] for other in neighbours(pixel, hole.shape) if not hole[other]]
        if beside:
            rim += 1
            np.testing.assert_allclose(result[pixel], np.mean(beside, axis=0), atol=1e-6)
    assert rim
    np.testing.assert_array_equal(result[~hole], fill[~hole])


def test_the_correction_runs_out_flat_at_the_border_of_the_picture():
    fill, picture = 0.4 + 0.1 * noise(1, 8, 3), 0.4 + 0.1 * noise(1, 8, 3, seed=1)
    hole = box_mask((1, 8), slice(0, 1), slice(0, 5))
    result = corrected(fill, picture, hole, ~hole)
    difference = picture[0, 5] - fill[0, 4]
    np.testing.assert_allclose(result[0, :5], fill[0, :5] + difference, atol=1e-6)


def test_the_result_is_clipped_in_the_hole_only():
    hole = HOLES["inside"]
    fill = np.where(hole[..., None], noise(*hole.shape, 3), np.float32(-3))
    picture = np.ones_like(fill)
    result = corrected(fill, picture, hole, ~hole)
    assert result[hole].min() >= 0 and result[hole].max() == 1
    assert (result[~hole] == -3).all()


@pytest.mark.parametrize("known", [box_mask((20, 24), slice(0, 0), slice(0, 0)), HOLES["one pixel in the corner"]])
def test_without_a_known_pixel_beside_it_the_fill_stays(known):
    fill, picture = noise(20, 24, 3), noise(20, 24, 3, seed=1)
    hole = HOLES["inside"]
    np.testing.assert_array_equal(corrected(fill, picture, hole, known), fill)


def test_pixels_of_other_holes_and_under_the_hole_are_not_looked_at():
    hole, other = box_mask((20, 24), slice(5, 15), slice(5, 12)), box_mask((20, 24), slice(8, 12), slice(12, 20))
    known = ~hole & ~other
    fill, picture = (0.4 + 0.2 * noise(20, 24, 3, seed=seed) for seed in (0, 1))
    result = corrected(fill, picture, hole, known)
    spoilt_picture = np.where(known[..., None], picture, np.nan)
    spoilt_fill = np.where(hole[..., None], fill, np.nan)
    spoilt = corrected(spoilt_fill, spoilt_picture, hole, known)
    np.testing.assert_array_equal(spoilt[hole], result[hole])
    np.testing.assert_allclose(result, corrected_by_hand(fill, picture, hole, known), atol=2e-6)


@pytest.mark.parametrize("largest", [2**18, 20])
def test_the_arguments_are_not_modified(monkeypatch, largest):
    monkeypatch.setattr(seam, "LARGEST_SYSTEM", largest)
    hole = HOLES["inside"].copy()
    arguments = [0.4 + 0.2 * noise(20, 24, 3), hole, ~hole]
    for array in arguments:
        array.flags.writeable = False
    correct_seam(*arguments)
    is_given = ndimage.binary_dilation(hole) & ~hole
    arguments = [noise(20, 24, 3), is_given, hole]
    for array in arguments:
        array.flags.writeable = False
    continue_harmonically(*arguments)


# A seam that fades


def faded_by_hand(
    values: np.ndarray, part: np.ndarray, known: np.ndarray, alike: int
) -> dict[tuple[int, int], np.ndarray]:
    """What the pixels of a connected part may become, (n, 3): one for each pixel of its rim that is nearest."""
    at, differences = [], []
    for pixel in map(tuple, np.argwhere(part)):
        beside = [values[one].astype(np.float64) for one in neighbours(pixel, part.shape) if known[one]]
        if beside:
            at.append(pixel)
            differences.append(np.mean(beside, axis=0) - values[pixel])
    at, (red, green, blue) = np.array(at, np.float64), np.array(differences).T
    colours = [red + green + blue, red - blue, red - 2 * green + blue]  # orthogonal, so that they can be told apart
    differences = np.stack(colours, axis=1)
    # mean and slopes along the rim's two main directions, in which they do not depend on each other
    middle, pixels = at.mean(axis=0), np.argwhere(part)
    terms = [(np.ones(len(at)), np.ones(len(pixels)))]
    if len(at) >= 3 * alike:
        for direction in np.linalg.eigh((at - middle).T @ (at - middle))[1].T:
            there, here = (at - middle) @ direction, (pixels - middle) @ direction
            if there @ there > 1e-6 and np.abs(here).max() <= FURTHEST * np.sqrt(np.mean(there**2)):
                terms.append((there, here))
    slopes = [there @ differences / (there @ there) for there, _ in terms]
    squares = sum((differences - sum(np.outer(t, slope) for (t, _), slope in zip(terms, slopes))) ** 2)
    freedom = len(at) - len(terms)
    sure = []
    for group in (slice(0, 1), slice(1, 3)):  # the mean, and the slopes together: how much is noise, how much is there
        noise = sum(alike * squares / freedom if freedom else np.inf for _ in terms[group])
        there_is = sum(slope**2 * (there @ there) for (there, _), slope in zip(terms[group], slopes[group]))
        sure += [slope * np.clip(1 - noise / np.maximum(there_is, 1e-30), 0, 1) for slope in slopes[group]]
    rest = differences - sum(np.outer(there, slope) for (there, _), slope in zip(terms, sure))
    planes = sum(np.outer(here, slope) for (_, here), slope in zip(terms, sure))
    result = {}
    for pixel, plane in zip(map(tuple, pixels), planes):
        distance = np.hypot(*(at - pixel).T)
        light, warm, green = (plane + rest[distance == distance.min()] * np.exp(-distance.min() / FADING)).T
        shift = [light / 3 + warm / 2 + green / 6, light / 3 - green / 3, light / 3 - warm / 2 + green / 6]
        result[pixel] = np.clip(values[pixel] + np.stack(shift, axis=1), 0, 1)
    return result


@pytest.mark.parametrize("alike", [4, 16])
@each_hole
def test_a_fading_seam_is_a_common_plane_and_a_rest_that_fades(monkeypatch, hole, alike):
    monkeypatch.setattr(seam, "ALIKE", alike)
    known = ~hole
    tilt = np.linspace(0.1, 0.3, 24, dtype=np.float32)[:, None]  # a plane that is there, among noise
    values = np.where(hole[..., None], 0.2 + 0.2 * noise(20, 24, 3), 0.3 + tilt + 0.2 * noise(20, 24, 3, seed=1))
    result = fade_seam(values, hole, known)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[known], values[known])
    labels, count = ndimage.label(hole)
    for number in range(1, count + 1):
        for pixel, possible in faded_by_hand(values, labels == number, known, alike).items():
            assert np.abs(result[pixel] - possible).max(axis=1).min() < 1e-5


def test_what_the_rim_agrees_on_is_right_inside_as_well():
    y, x = np.mgrid[:40, :50].astype(np.float32)
    shift = np.stack([0 * x + 0.1, 0.004 * x - 0.1, 0.002 * y + 0.001 * x], axis=2)
    hole = box_mask((40, 50), slice(8, 33), slice(9, 44))
    smooth = np.broadcast_to(np.float32(0.5), (40, 50, 3))
    result = fade_seam(np.where(hole[..., None], smooth - shift, smooth), hole, ~hole)
    np.testing.assert_allclose(result[hole], smooth[hole], atol=1e-3)


def test_what_the_rim_does_not_agree_on_stays_at_the_rim():
    hole = box_mask((60, 60), slice(10, 50), slice(10, 50))
    fill, picture = np.full((60, 60, 3), 0.5, np.float32), np.full((60, 60, 3), 0.5, np.float32)
    picture += 0.3 * (1 - 2 * (np.indices((60, 60)).sum(0) % 2))[..., None].astype(np.float32)  # a chessboard
    values = np.where(hole[..., None], fill, picture)
    result = fade_seam(values, hole, ~hole)
    depth = ndimage.distance_transform_cdt(hole)
    np.testing.assert_allclose(result[10, 12:48], picture[9, 12:48], atol=1e-3)  # it meets what is beside it
    assert np.abs(result - fill)[depth > 8].max() < 0.01 < np.abs(result - fill)[depth == 2].max()


def test_a_square_has_no_main_directions(monkeypatch):
    """Its rim is as long in all: which two a processor's library finds must not show."""
    hole, turn = box_mask((40, 40), slice(8, 32), slice(8, 32)), np.array([[0.8, -0.6], [0.6, 0.8]])
    tilt = np.linspace(0.1, 0.3, 40, dtype=np.float32)[:, None]
    values = np.where(hole[..., None], np.float32(0.5), 0.3 + tilt + 0.3 * noise(40, 40, 3))
    result, found = fade_seam(values, hole, ~hole), np.linalg.svd

    def turned(places: np.ndarray, full_matrices: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        along, lengths, directions = found(places, full_matrices=full_matrices)
        assert lengths[0] == pytest.approx(lengths[1])
        return along @ turn, lengths, turn.T @ directions

    monkeypatch.setattr(np.linalg, "svd", turned)
    np.testing.assert_allclose(fade_seam(values, hole, ~hole), result, atol=1e-6)


def test_an_edge_with_a_jog_says_nothing_of_what_lies_far_from_it():
    """The hole reaches to the border; its rim is a line but for a few pixels, where the photo is darker."""
    hole = box_mask((60, 120), slice(0, 60), slice(20, 120))
    hole[25:35, 20] = False
    picture = 0.5 + 0.02 * (noise(60, 120, 3) - 0.5)
    picture[25:35, 20] -= 0.2
    result = fade_seam(np.where(hole[..., None], np.float32(0.5), picture), hole, ~hole)
    assert np.abs(result - 0.5)[:, 30:].max() < 0.05


def test_few_known_pixels_are_not_believed():
    hole = box_mask((30, 30), slice(5, 25), slice(5, 25))
    for places in ([(4, 10)], [(4, 10), (4, 12)], [(4, 10), (4, 12), (10, 4)]):
        known = np.zeros_like(hole)
        values = np.full((30, 30, 3), 0.5, np.float32)
        for at, place in enumerate(places):
            known[place], values[place] = True, 0.6 if at % 2 else 0.4
        result = fade_seam(values, hole, known)
        assert np.abs(result - 0.5)[10:, 10:].max() < 0.005
        np.testing.assert_allclose(result[5, 10], 0.4, atol=1e-3)


def test_parts_of_a_hole_have_their_own_planes():
    one, other = box_mask((40, 90), slice(8, 32), slice(8, 38)), box_mask((40, 90), slice(8, 32), slice(50, 80))
    picture = 0.5 + 0.02 * (noise(40, 90, 3) - 0.5)
    values = picture + np.where(one, np.float32(0.2), np.float32(0))[..., None] - 0.2 * other[..., None]
    result = fade_seam(values.astype(np.float32), one | other, ~(one | other))
    np.testing.assert_allclose(result, picture, atol=0.03)
    alone = fade_seam(values.astype(np.float32), one, ~(one | other))
    np.testing.assert_array_equal(result[one], alone[one])


def test_a_long_strip_has_no_step_between_tiles(monkeypatch):
    monkeypatch.setattr(seam, "LEAST_TILE", 50)
    hole = box_mask((26, 600), slice(10, 16), slice(10, 590))
    tone = (0.2 * np.sin(np.arange(600) / 60)).astype(np.float32)[None, :, None]
    values = np.where(hole[..., None], np.float32(0.5), np.broadcast_to(0.5 + tone, (26, 600, 3)))
    frame = Frame(values.copy(), hole, ~hole)
    blend_frame(frame, (slice(10, 16), slice(10, 590)), 6, "fading")
    assert np.abs(np.diff(frame.values[10:16, 12:588], axis=1)).max() < 0.01
    np.testing.assert_array_equal(frame.values[hole], fade_seam(values, hole, ~hole)[hole])


def test_parts_that_touch_nothing_known_do_not_change():
    hole = box_mask((20, 30), slice(4, 16), slice(3, 12)) | box_mask((20, 30), slice(6, 12), slice(18, 26))
    known = box_mask((20, 30), slice(0, 20), slice(0, 3))
    values = np.where(known[..., None], 0.9, 0.3 + 0.2 * noise(20, 30, 3)).astype(np.float32)
    result = fade_seam(values, hole, known)
    np.testing.assert_array_equal(result[:, 12:], values[:, 12:])
    assert (result[4:16, 3:6] > values[4:16, 3:6]).all()
    np.testing.assert_array_equal(fade_seam(values, hole, np.zeros_like(known)), values)


@pytest.mark.parametrize("blend", sorted(BLENDS, key=str))
def test_no_blend_looks_under_the_hole_or_changes_its_arguments(blend):
    hole = box_mask((20, 20), slice(4, 15), slice(3, 12))
    known = ~box_mask((20, 20), slice(3, 16), slice(3, 13)) | box_mask((20, 20), slice(3, 4), slice(3, 10))
    values = noise(20, 20, 3)
    before = values.copy()
    result = BLENDS[blend](values, hole, known)
    np.testing.assert_array_equal(values, before)
    other = BLENDS[blend](np.where((hole | known)[..., None], values, 1 - values), hole, known)
    np.testing.assert_array_equal(other[hole], result[hole])
    assert result[hole].min() >= 0 and result[hole].max() <= 1
    assert (result is values) == (blend is None)
