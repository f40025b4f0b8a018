"""Holes, cells and views: what the network is shown, against brute force on small masks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glcic_hub.filling.holes import DUST, SMALL, SPECK, THIN, Hole, find_holes, inside, joined, tiles, view_of

OFTEN = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def masks(draw, longest: int = 40) -> np.ndarray:
    """Rectangles and single pixels; at least one pixel is known."""
    height, width = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 5))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, height)), left : left + draw(st.integers(1, width))] = True
    noise = np.random.default_rng(draw(st.integers(0, 99))).random(mask.shape)
    mask ^= noise < draw(st.sampled_from([0, 0.02, 0.2]))
    mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = False
    return mask


def rectangle_mask(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


def only_hole(mask: np.ndarray, sample_size: int = 800, shown_size: int = 1) -> Hole:
    (hole,) = find_holes(mask, sample_size, shown_size)
    return hole


def brute_force_thickness(mask: np.ndarray) -> float:
    masked, known = np.argwhere(mask), np.argwhere(~mask)
    nearest = [min(math.hypot(*(pixel - other)) for other in known) for pixel in masked]
    return 2 * max(nearest) - 1


# Holes


@OFTEN
@given(masks(), st.sampled_from([1, 8, 16, 32, 64]), st.integers(1, 16))
def test_holes_part_the_masked_pixels_and_their_boxes_are_tight(mask, sample_size, shown_size):
    owners = np.zeros(mask.shape, int)
    for hole in find_holes(mask, sample_size, shown_size):
        assert hole.mask.dtype == bool and hole.mask.shape == mask[hole.box].shape
        for axis in (0, 1):
            touched = hole.mask.any(axis=1 - axis)
            assert touched[0] and touched[-1]
        assert 0 < hole.scale <= 1
        owners[hole.box] += hole.mask
    np.testing.assert_array_equal(owners, mask.astype(int))


@OFTEN
@given(masks(), st.sampled_from([8, 16, 32]))
def test_holes_lie_apart_from_one_another(mask, sample_size):
    pixels = [np.argwhere(hole.mask) + [s.start for s in hole.box] for hole in find_holes(mask, sample_size, 8)]
    for index, one in enumerate(pixels):
        for other in pixels[index + 1 :]:
            distances = np.abs(one[:, None] - other[None]).max(axis=2)
            assert distances.min() > sample_size // 8


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1)])
@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize(("distance", "count"), [(1, 1), (8, 1), (16, 2), (25, 2)])
def test_pieces_are_one_hole_up_to_about_a_quarter_of_the_sample_size(direction, offset, distance, count):
    mask = np.zeros((80, 80), bool)
    first = np.array([24 + offset, 40 - offset])
    for pixel in (first, first + distance * np.array(direction)):
        mask[tuple(pixel)] = True
    assert len(list(find_holes(mask, 64, 32))) == count


def test_an_empty_mask_has_no_hole():
    assert list(find_holes(np.zeros((9, 11), bool), 32, 16)) == []


# Scale: shown_size=1 makes it one over the size


@pytest.mark.parametrize("side", [1, 2, 3, 8, 15, 24])
def test_a_square_is_as_thick_as_its_side(side):
    hole = only_hole(rectangle_mask((40, 50), slice(5, 5 + side), slice(9, 9 + side)))
    assert 1 / hole.scale == pytest.approx(side, abs=1)


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_long_line_counts_between_its_width_and_its_area(width, transposed):
    mask = rectangle_mask((30, 200), slice(12, 12 + width), slice(10, 190))
    size = 1 / only_hole(mask.T if transposed else mask).scale
    assert size == pytest.approx(math.sqrt(width * math.sqrt(180 * width)))


@pytest.mark.parametrize(
    ("rows", "columns", "thickness"),
    [
        (slice(0, 7), slice(0, 60), 13),  # a band along the upper border
        (slice(33, 40), slice(10, 50), 13),  # touches the lower one
        (slice(0, 6), slice(0, 6), 11),  # a corner
        (slice(0, 40), slice(20, 29), 9),  # from top to bottom: known on both sides
        (slice(0, 40), slice(0, 59), 117),  # all but one column
    ],
)
def test_the_border_of_the_picture_is_no_known_pixel(rows, columns, thickness):
    mask = rectangle_mask((40, 60), rows, columns)
    assert 1 / only_hole(mask).scale == pytest.approx(math.sqrt(thickness * math.sqrt(mask.sum())))


@OFTEN
@given(masks(longest=16), st.integers(1, 6))
def test_the_scale_follows_the_brute_force_thickness_and_the_area(mask, shown_size):
    holes = list(find_holes(mask, 800, shown_size))  # so large a sample_size makes it one hole
    assert len(holes) == mask.any()
    for hole in holes:
        size = math.sqrt(brute_force_thickness(mask) * math.sqrt(mask.sum()))
        assert hole.scale == pytest.approx(min(1, shown_size / size))


def test_large_holes_are_reduced_and_scratches_are_not():
    assert only_hole(rectangle_mask((90, 90), slice(10, 73), slice(10, 73)), 32, 16).scale == pytest.approx(16 / 63)
    assert only_hole(rectangle_mask((90, 90), slice(10, 25), slice(10, 25)), 32, 16).scale == 1
    assert only_hole(rectangle_mask((90, 300), slice(10, 12), slice(5, 290)), 32, 16).scale == 1


# Specks that are completed together


def specks(size: tuple[int, int], step: int, side: int, height: int | None = None) -> np.ndarray:
    """Squares (or rectangles) on a grid."""
    mask = np.zeros(size, bool)
    for top in range(2, size[0] - side, step):
        for left in range(2, size[1] - side, step):
            mask[top : top + (height or side), left : left + side] = True
    return mask


def joined_of(mask: np.ndarray, sample_size: int = 64) -> tuple[list[Hole], list[Hole]]:
    """The holes before and after; every masked pixel is still in one of them."""
    before = list(find_holes(mask, sample_size, 32))
    after = joined(before, sample_size)
    owners = np.zeros(mask.shape, int)
    for hole in after:
        assert hole.mask.shape == tuple(s.stop - s.start for s in hole.box)
        owners[hole.box] += hole.mask
    np.testing.assert_array_equal(owners, mask.astype(int))
    return before, after


def pixels_shown(holes: list[Hole], sample_size: int) -> int:
    """Dust is not shown."""
    holes = [hole for hole in holes if not hole.is_dust]
    return sum(math.prod(s.stop - s.start + sample_size for s in hole.box) for hole in holes)


def test_dust_is_one_hole():
    mask = specks((200, 300), 30, 4)
    before, after = joined_of(mask)
    assert len(before) > 50 and len(after) == 1
    assert after[0].scale == 1 and after[0].thickness == before[0].thickness
    rows, columns = np.nonzero(mask)
    assert after[0].box == (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))


@pytest.mark.parametrize("side", [1, SPECK, SPECK + 1])
def test_many_specks_are_dust_and_larger_holes_are_not(side):
    _, after = joined_of(specks((200, 300), 30, side))
    assert [hole.is_dust for hole in after] == [side <= SPECK]


@pytest.mark.parametrize("count", [1, DUST - 1, DUST, DUST + 1])
def test_from_so_many_specks_on_they_are_dust_however_near_to_one_another_they_are(count):
    for step in (10, 45):
        mask = np.zeros((250, 250), bool)
        for row, column in list(np.ndindex(5, 5))[:count]:
            mask[9 + step * row :, 9 + step * column :][:3, :3] = True
        _, after = joined_of(mask)
        assert [hole.is_dust for hole in after if hole.is_dust] == [True] * (count >= DUST)


def _covers(hole: Hole, row: int, column: int) -> bool:
    return (row, column) in {tuple(at) for at in np.argwhere(hole.mask) + [s.start for s in hole.box]}


def test_a_scratch_is_no_dust():
    mask = specks((200, 300), 30, 4)
    mask[100:102, 20:60] = True
    _, after = joined_of(mask)
    (scratched,) = (hole for hole in after if _covers(hole, 100, 40))
    assert not scratched.is_dust and sum(hole.is_dust for hole in after) == 1


def test_a_few_specks_far_from_one_another_stay_by_themselves():
    mask = np.zeros((500, 500), bool)
    mask[10:13, 10:13] = mask[10:13, 400:403] = mask[400:403, 10:13] = True
    before, after = joined_of(mask)
    assert len(before) == 3 and after == before


@OFTEN
@given(masks(), st.sampled_from([8, 16, 64]))
def test_joining_keeps_all_pixels_and_shows_the_network_no_more_of_them(mask, sample_size):
    before, after = joined_of(mask, sample_size)
    assert len(after) <= len(before) and pixels_shown(after, sample_size) <= pixels_shown(before, sample_size)


@pytest.mark.parametrize("side", [SMALL + 1, 50])
def test_large_holes_among_dust_stay_by_themselves(side):
    mask = specks((200, 300), 30, 4)
    mask[80:150, 80:150] = False
    mask[90 : 90 + side, 90 : 90 + side] = True
    _, after = joined_of(mask)
    assert sorted(hole.mask.sum() == side**2 for hole in after) == [False, True]


def test_thin_specks_and_thick_ones_are_not_mixed():
    mask = specks((200, 300), 40, 5, height=1)
    mask[:, 270:] = False
    thick = np.roll(specks((200, 300), 40, 5), 20, axis=1)
    thick &= np.arange(300) >= 20
    _, after = joined_of(mask | thick)
    assert sorted(hole.thickness >= THIN for hole in after) == [False, True]
    assert {int(hole.mask.sum()) for hole in after} == {int(mask.sum()), int(thick.sum())}


def test_on_a_large_scan_no_joined_hole_is_larger_than_what_is_completed_at_once():
    _, after = joined_of(specks((700, 1300), 40, 4))
    assert 2 <= len(after) <= 6
    assert all(s.stop - s.start <= 512 + SMALL for hole in after for s in hole.box)


# Tiles


@OFTEN
@given(masks(), st.integers(1, 12))
def test_tiles_cover_the_box_without_overlap(mask, side):
    for hole in find_holes(mask, 32, 8):
        covered = np.zeros(mask.shape, int)
        for tile in tiles(hole.box, side):
            sides = [part.stop - part.start for part in tile]
            assert min(sides) > 0 and max(sides) <= side
            covered[tile] += 1
        assert (covered[hole.box] == 1).all()
        assert covered.sum() == hole.mask.size


def test_a_box_is_one_tile_up_to_its_side():
    box = slice(20, 532), slice(30, 542)
    assert list(tiles(box, 512)) == [box]
    wider = slice(20, 532), slice(30, 543)
    assert list(tiles(wider, 512)) == [box, (slice(20, 532), slice(542, 543))]


# Views


@st.composite
def parts_of_pictures(draw) -> tuple[tuple[slice, slice], tuple[int, int]]:
    size = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    starts = [draw(st.integers(0, side - 1)) for side in size]
    return tuple(slice(start, draw(st.integers(start + 1, side))) for start, side in zip(starts, size)), size


@settings(OFTEN, max_examples=200)
@given(parts_of_pictures(), st.floats(0, 40), st.floats(0, 90))
def test_a_view_contains_the_cell_with_its_surroundings_and_stays_inside(part_and_size, context, least):
    cell, size = part_and_size
    for part, side, view in zip(cell, size, view_of(cell, size, context, least)):
        assert 0 <= view.start <= part.start < part.stop <= view.stop <= side
        length = part.stop - part.start
        assert view.stop - view.start == min(side, math.ceil(max(length + 2 * context, least)))
        before, after = part.start - view.start, view.stop - part.stop
        if view.start > 0 and view.stop < side:
            assert abs(before - after) <= 1
        # context may be missing on a side only where the picture ends there (or by the rounding of the middle)
        assert view.start == 0 or before > context - 1
        assert view.stop == side or after > context - 1


@pytest.mark.parametrize(
    ("cell", "context", "least", "view"),
    [
        ((slice(40, 50), slice(40, 52)), 0, 0, (slice(40, 50), slice(40, 52))),
        ((slice(40, 50), slice(40, 52)), 3, 0, (slice(37, 53), slice(37, 55))),
        ((slice(40, 50), slice(40, 52)), 3, 32, (slice(29, 61), slice(30, 62))),
        ((slice(0, 10), slice(88, 100)), 3, 32, (slice(0, 32), slice(68, 100))),
        ((slice(0, 10), slice(88, 100)), 3, 999, (slice(0, 100), slice(0, 100))),
    ],
)
def test_views_of_a_picture_of_100_by_100(cell, context, least, view):
    assert view_of(cell, (100, 100), context, least) == view


@OFTEN
@given(parts_of_pictures(), st.integers(0, 20))
def test_inside_are_the_coordinates_in_the_view(part_and_size, context):
    part, size = part_and_size
    picture = np.arange(size[0] * size[1]).reshape(size)
    view = view_of(part, size, context, 0)
    np.testing.assert_array_equal(picture[view][inside(part, view)], picture[part])
