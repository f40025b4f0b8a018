"""The view's nodes find the parts and scales that `windows` finds."""

import numpy as np
import pytest

from glcic_hub.export.graph import Graph
from glcic_hub.export.view import LONGEST_SIDE, Sizes, corners, grow, scale_of, span_of
from glcic_hub.filling.completer import CONTEXT
from glcic_hub.filling.holes import find_holes, view_of
from tests.export.conftest import box, runner

SAMPLE_SIZE, LARGEST_SIZE = SIZES = Sizes(64, 36)


@pytest.fixture(scope="module")
def look():
    """A function of a mask, bool (H, W): (scale, view as slices)."""
    runs = []
    for wanted in ("scale", "view"):
        op = Graph()
        spans = [span_of(op, "hole", across=2), span_of(op, "hole", across=1)]
        photo_sides = [op.Shape("hole", start=1, end=2), op.Shape("hole", start=2)]
        scale = scale_of(op, "hole", spans, photo_sides, SIZES)
        view = corners(op, [grow(op, part, side, scale, SAMPLE_SIZE) for part, side in zip(spans, photo_sides)])
        result = scale if wanted == "scale" else op.cast(op.Concat(*view, axis=0), "float64")
        inputs = {"hole": ("uint8", (1, "height", "width"))}
        model = op.model(wanted, inputs, (wanted, op.cast(result, "float32")), ("float32", (None,)), {})
        runs.append(runner(model.SerializeToString()))

    def look(mask: np.ndarray) -> tuple[float, tuple[slice, slice]]:
        scale, (top, left, bottom, right) = (run(hole=mask[None].astype(np.uint8)) for run in runs)
        return float(scale[0]), (slice(int(top), int(bottom)), slice(int(left), int(right)))

    return look


MASKS = {
    "small": box((200, 300), slice(80, 90), slice(100, 117)),
    "square": box((200, 300), slice(50, 150), slice(90, 190)),
    "flat": box((200, 300), slice(60, 85), slice(100, 251)),
    "just small enough": box((200, 300), slice(50, 85), slice(90, 126)),
    "just too large": box((200, 300), slice(50, 87), slice(90, 127)),
    "corner": box((200, 300), slice(0, 40), slice(0, 71)),
    "bottom": box((200, 300), slice(150, 200), slice(120, 180)),
    "right half": box((90, 120), slice(0, 90), slice(60, 120)),
    "pixel": box((7, 5), slice(6, 7), slice(4, 5)),
    "all but one": ~box((30, 41), slice(0, 1), slice(0, 1)),
}


@pytest.mark.parametrize("name", MASKS)
def test_one_hole_is_seen_as_windows_sees_it(look, name):
    mask = MASKS[name]
    (hole,) = find_holes(mask, SAMPLE_SIZE, LARGEST_SIZE)
    scale, view = look(mask)
    assert scale == pytest.approx(hole.scale, rel=1e-5)
    assert view == view_of(hole.box, mask.shape, CONTEXT * SAMPLE_SIZE / hole.scale, SAMPLE_SIZE / hole.scale)


LARGE = {
    "disc": np.add.outer(np.arange(-250, 250) ** 2, np.arange(-250, 250) ** 2) < 150**2,
    "square": box((700, 900), slice(60, 560), slice(100, 601)),
    "flat": box((300, 900), slice(100, 131), slice(200, 600)),
    "corner": box((700, 900), slice(0, 200), slice(0, 301)),
    "grid's size": box((300, 300), slice(50, 206), slice(50, 205)),
}


@pytest.mark.parametrize("name", LARGE)
def test_the_thickness_of_a_large_hole_is_nearly_right(look, name):
    (hole,) = find_holes(LARGE[name], SAMPLE_SIZE, LARGEST_SIZE)
    assert look(LARGE[name])[0] == pytest.approx(hole.scale, rel=0.02)


def test_the_view_is_bounded(look):
    scale, view = look(box((60, 3000), slice(30, 31), slice(10, 2990)))
    assert max(part.stop - part.start for part in view) * scale <= LONGEST_SIDE + 1
    assert look(box((60, 3000), slice(30, 31), slice(10, 300)))[0] == 1


def test_an_empty_mask_costs_one_small_view(look):
    scale, view = look(np.zeros((500, 400), bool))
    assert scale == 1 and view == (slice(0, SAMPLE_SIZE), slice(0, SAMPLE_SIZE))
