"""Known pixels that a mask left of an object: found along the rim and inside, while the photo's own are believed."""

import numpy as np
import pytest
from scipy import ndimage

from glcic_hub.filling import rim
from glcic_hub.filling.holes import Frame
from glcic_hub.filling.rim import DEPTH, REACH, doubt_rim, doubtful

GREEN, RED = np.array([70, 130, 60]) / 255, np.array([220, 30, 30]) / 255
SIZE = 120


def distance_from_the_middle(height: int = SIZE, width: int = SIZE) -> np.ndarray:
    return np.hypot(*np.ogrid[-height // 2 : height - height // 2, -width // 2 : width - width // 2])


distance = distance_from_the_middle()


def lawn(height: int = SIZE, width: int = SIZE, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 4 / 255, (height, width, 3))
    return np.clip(GREEN + noise, 0, 1).astype(np.float32)


def with_ball(radius: float, softness: float = 0.0) -> np.ndarray:
    """A red ball on a lawn; its edge is as many pixels wide as `softness` says."""
    share = np.clip((radius - distance) / softness + 0.5, 0, 1) if softness else distance < radius
    share = share[..., None]
    return ((1 - share) * lawn() + share * RED).astype(np.float32)


def frame_of(values: np.ndarray, hole: np.ndarray) -> Frame:
    return Frame(np.where(hole[..., None], 0, values).astype(np.float32), hole.copy(), ~hole)


def box_of(hole: np.ndarray) -> tuple[slice, slice]:
    return ndimage.find_objects(hole.astype(np.uint8))[0]


def doubted(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    frame = frame_of(values, hole)
    doubt_rim(frame, box_of(hole))
    assert (frame.hole | frame.known).all() and not (frame.hole & frame.known).any()
    return frame.hole & ~hole


# Along the rim


@pytest.mark.parametrize("left", [1, 2, 3])
def test_what_a_tight_mask_leaves_of_an_object_is_doubted_and_nothing_else(left):
    object_, hole = distance < 30, distance < 30 - left
    found = doubted(with_ball(30), hole)
    np.testing.assert_array_equal(found, object_ & ~hole)


def test_a_soft_edge_is_doubted_as_far_as_it_can_be_seen():
    values, hole = with_ball(30, softness=4), distance < 30
    found = doubted(values, hole)
    off = np.abs(values - GREEN).max(2)
    near = ~hole & (distance < 30 + DEPTH)
    assert found[near & (off > 0.15)].all()
    assert not found[off < 0.03].any()


def test_an_object_that_lies_along_a_part_of_the_rim_alone_is_doubted_there():
    values, hole = lawn(), np.zeros((SIZE, SIZE), bool)
    hole[40:80, 40:80] = True
    values[45:75, 80:82] = RED  # its right edge was forgotten
    found = doubted(values, hole)
    assert found[47:73, 80:82].all() and not found[:, :80].any() and not found[:, 82:].any()


def test_a_generous_mask_leaves_the_rim_as_it_is():
    assert not doubted(with_ball(30), distance < 33).any()


@pytest.mark.parametrize("seed", range(5))
def test_lawn_is_believed(seed):
    assert not doubted(lawn(seed=seed), distance < 30).any()


@pytest.mark.parametrize("width", [2, 8, 20])
def test_what_crosses_the_edge_of_the_hole_belongs_to_the_photo(width):
    values, hole = lawn(), distance < 25
    values[60 : 60 + width] = RED  # a beam behind what is removed
    assert not doubted(values, hole).any()


def test_flowers_at_the_edge_of_the_hole_are_believed():
    """Now and then one that has a colour of its own; an object would be left all along."""
    values, hole = lawn(), distance < 25
    beside = (distance >= 25) & (distance < 27)
    angle = np.arctan2(*np.mgrid[-60:60, -60:60])
    flowers = beside & (np.abs(angle * 25 % 20 - 10) < 1)
    values[flowers] = RED
    assert flowers.sum() > 10 and not doubted(values, hole).any()


def test_an_edge_of_the_photo_beside_the_hole_is_believed():
    """A wall that begins there and goes on is no remainder."""
    values, hole = lawn(), np.zeros((SIZE, SIZE), bool)
    values[:, 70:] = RED
    hole[40:80, 30:70] = True
    assert not doubted(values, hole).any()


def test_with_little_to_compare_with_the_rim_is_believed():
    values = np.broadcast_to(RED, (30, 30, 3)).astype(np.float32)
    hole = np.ones((30, 30), bool)
    hole[:, -6:] = False
    values = values.copy()
    values[:, -1:] = GREEN
    assert not doubted(values, hole).any()


# Inside


@pytest.mark.parametrize("side", [1, 2])
def test_islands_of_a_few_pixels_are_doubted(side):
    values, hole = with_ball(30), distance < 35
    missing = np.zeros_like(hole)
    for row, column in np.random.default_rng(0).integers(42, 78, (8, 2)):
        missing[row : row + side, column : column + side] = True
    np.testing.assert_array_equal(doubted(values, hole & ~missing), missing)


@pytest.mark.parametrize("width", [1, 2])
def test_slits_are_doubted_where_they_show_the_object(width):
    values, hole = with_ball(30), distance < 35
    slit = np.zeros_like(hole)
    slit[60 : 60 + width, 30:90] = hole[60 : 60 + width, 30:90]
    found = doubted(values, hole & ~slit)
    assert found[slit & (distance < 29)].all() and not found[~slit].any()


def test_an_island_in_the_colours_of_the_surroundings_is_believed():
    """The fill may rest on it: it is lawn."""
    hole = distance < 6
    hole[60, 60] = False
    values = lawn()
    values[60, 60] = GREEN
    assert not doubted(values, hole).any()
    values[60, 60] = RED
    assert doubted(values, hole).sum() == 1


def test_an_island_of_three_pixels_side_is_no_mistake():
    hole = distance < 35
    hole[59:62, 59:62] = False
    assert not doubted(with_ball(30), hole).any()


def test_an_island_with_nothing_of_the_surroundings_near_is_doubted():
    hole = distance < 35
    hole[60, 60] = False
    assert doubted(lawn(), hole).sum() == 1


def test_a_picture_full_of_holes_keeps_what_is_left_of_it():
    known = np.random.default_rng(0).random((SIZE, SIZE)) < 0.3
    values = np.random.default_rng(1).random((SIZE, SIZE, 3), dtype=np.float32)
    assert not doubted(values, ~known).any()


# Frames and boxes


def test_the_box_is_that_of_the_hole_as_it_is_now():
    hole = distance < 28
    frame = frame_of(with_ball(30), hole)
    box = doubt_rim(frame, box_of(hole))
    assert box == box_of(frame.hole) == box_of(distance < 30)
    untouched = frame_of(lawn(), hole)
    assert doubt_rim(untouched, box_of(hole)) == box_of(hole)


def test_pixels_of_other_holes_are_neither_looked_at_nor_doubted():
    values, hole = with_ball(30), distance < 28
    other = (distance >= 34) & (distance < 37)
    frame = frame_of(values, hole)
    frame.known[other] = False
    doubt_rim(frame, box_of(hole))
    assert not frame.hole[other].any()
    spoilt = frame_of(np.where(other[..., None], 1, values), hole)
    spoilt.known[other] = False
    doubt_rim(spoilt, box_of(hole))
    np.testing.assert_array_equal(spoilt.hole, frame.hole)


def test_nothing_under_the_hole_has_influence():
    hole = distance < 28
    values = with_ball(30)
    found = doubtful(values, hole, ~hole)
    for other in (0, 1):
        np.testing.assert_array_equal(doubtful(np.where(hole[..., None], other, values), hole, ~hole), found)
    assert found.any()


def test_nothing_beyond_the_reach_has_influence():
    hole = distance < 20
    values, far = with_ball(22), np.abs(np.mgrid[:SIZE, :SIZE] - SIZE // 2).max(0) > 20 + REACH
    assert far.any()
    found = doubted(values, hole)
    np.testing.assert_array_equal(doubted(np.where(far[..., None], 1, values), hole), found)
    near = slice(SIZE // 2 - 20 - REACH, SIZE // 2 + 20 + REACH)
    np.testing.assert_array_equal(doubted(values[near, near], hole[near, near]), found[near, near])


def test_a_large_hole_is_looked_at_in_tiles_as_in_one_piece(monkeypatch):
    values, hole = with_ball(45), distance < 43
    hole[60, 50] = hole[40, 71] = False
    found = doubted(values, hole)
    assert found[60, 50] and found[40, 71] and found.sum() > 300
    monkeypatch.setattr(rim, "TILE", 32)
    np.testing.assert_array_equal(doubted(values, hole), found)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 40)])
def test_small_frames_of_any_kind_keep_something_known(size):
    random = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        for _ in range(10):
            hole = random.random(size) < share
            if hole.any() and not hole.all():
                frame = frame_of(random.random((*size, 3), dtype=np.float32), hole)
                doubt_rim(frame, box_of(hole))
                assert frame.known.any() and frame.hole[hole].all()
