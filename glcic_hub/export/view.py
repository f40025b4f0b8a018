"""Which part of the photo the network sees and at which scale, as ONNX nodes: what `windows` does, for one hole.

Lengths are in pixels of the photo, sides are (height, width). `hole` is the name of a uint8 (1, H, W) of zeros and
ones.
"""

from typing import NamedTuple

from glcic_hub.export.graph import Graph, resized, scalar, sides
from glcic_hub.filling.completer import CONTEXT

LONGEST_SIDE = 512
"""Of what the network is shown, pixels (or twice the model's `sample_size`); it bounds time and memory."""

THICKNESS_GRID = 160
"""Cells a side, at most, of the map on which the distance to known pixels is measured."""


class Sizes(NamedTuple):
    """What the model was trained for, in pixels.

    Attributes:
        sample_size: side of its crops.
        working_size: size of a hole, as `holes.find_holes` defines it, to which larger ones are reduced.
    """

    sample_size: float
    working_size: float


Span = tuple[str, str]
"""Names of two int64 (1,): the first row or column of a part of the photo, and the one after its last."""

_BEYOND = 1e10  # squared pixels; farther than any known pixel


def span_of(op: Graph, hole: str, across: int) -> Span:
    """First row (or column) with a hole and the one after the last, int64 (1,); 0 and 1 when there is no hole."""
    used = op.ReduceMax(hole, [0, across], keepdims=0)
    any_used = op.cast(op.ReduceMax(used, [0]), "int64")
    last = op.Mul(op.ArgMax(used, axis=0, select_last_index=1), any_used)
    return op.ArgMax(used, axis=0), op.Add(last, 1)


def with_rim(op: Graph, box: list[Span], photo_sides: list[str]) -> list[Span]:
    """The box with the pixels right around it, as far as the photo has them."""
    return _widened(op, box, [op.constant([1])] * 2, photo_sides)


def scale_of(op: Graph, hole: str, box: list[Span], photo_sides: list[str], sizes: Sizes) -> str:
    """By how much the view is reduced, float64 (1,), at most 1: the rule of `holes.find_holes` for one hole."""
    starts, ends = corners(op, box)
    # Row by row: one sum of float32 cannot count more than 2**24 pixels.
    rows = op.ReduceSum(op.cast(op.Slice(hole, starts, ends, [1, 2]), "float32"), [0, 2], keepdims=0)
    area = op.Max(op.ReduceSum(op.cast(rows, "float64"), [0]), scalar(op, 1))
    hole_size = op.Sqrt(op.Mul(_thickness(op, hole, box, photo_sides), op.Sqrt(area)))
    by_rule = op.Min(scalar(op, 1), op.Div(scalar(op, sizes.working_size), hole_size))
    longest = op.ReduceMax(op.cast(op.Sub(ends, starts), "float64"), [0])
    longest_view = max(LONGEST_SIDE, 2 * sizes.sample_size)
    by_bound = op.Div(scalar(op, longest_view - 2 * CONTEXT * sizes.sample_size), longest)
    return op.Min(by_rule, by_bound)


def _thickness(op: Graph, hole: str, box: list[Span], photo_sides: list[str]) -> str:
    """`holes._thickness` in pixels, float64 (1,): twice the largest distance to a known pixel, less 1."""
    # A rim around the box that is a cell wide, so that none of it is lost on the grid.
    rims = [op.Add(op.Div(op.Sub(end, start), THICKNESS_GRID - 4), 1) for start, end in box]
    around = _widened(op, box, rims, photo_sides)
    known = op.Sub(1.0, op.Unsqueeze(op.cast(op.Slice(hole, *corners(op, around), [1, 2]), "float32"), [1]))
    size = sides(op, known)
    grid = op.Min(size, THICKNESS_GRID)
    cell = op.Div(op.cast(size, "float32"), op.cast(grid, "float32"))
    share = resized(op, known, grid, mode="linear", antialias=1)
    squared = op.Where(op.GreaterOrEqual(share, 0.5), 0.0, _BEYOND)
    # Squared distances come apart into rows and columns: the least over x of what is least over y.
    for axis in (1, 0):
        side = op.Gather(grid, axis, axis=0)
        at = op.Mul(op.cast(op.Range(0, side, 1), "float32"), op.Gather(cell, axis, axis=0))
        apart = op.Sub(op.Unsqueeze(at, [0]), op.Unsqueeze(at, [1]))
        least = op.ReduceMin(op.Add(op.Unsqueeze(squared, [3]), op.Mul(apart, apart)), [4], keepdims=0)
        squared = op.Transpose(least, perm=[0, 1, 3, 2])
    widest = op.Mul(op.Sqrt(op.ReduceMax(squared, keepdims=0)), 2.0)
    return op.cast(op.Max(op.Sub(widest, op.ReduceMin(cell, [0])), 1.0), "float64")


def _widened(op: Graph, box: list[Span], rims: list[str], photo_sides: list[str]) -> list[Span]:
    return [
        (op.Max(op.Sub(start, rim), 0), op.Min(op.Add(end, rim), side))
        for (start, end), rim, side in zip(box, rims, photo_sides)
    ]


def grow(op: Graph, span: Span, side: str, scale: str, sample_size: float) -> Span:
    """`holes.view_of` along one side: start and end of the view, int64 (1,)."""
    start, end = span
    least = op.Div(scalar(op, sample_size), scale)
    length = op.Add(op.cast(op.Sub(end, start), "float64"), op.Mul(least, scalar(op, 2 * CONTEXT)))
    length = op.Min(op.cast(op.Ceil(op.Max(length, least)), "int64"), side)
    first = op.Sub(op.Add(start, end), length)
    first = op.Div(op.Sub(first, op.Mod(first, 2)), 2)  # rounded down, also below 0
    first = op.Min(op.Max(first, 0), op.Sub(side, length))
    return first, op.Add(first, length)


def corners(op: Graph, box: list[Span]) -> list[str]:
    """Rows and columns as first corner and the one after the last, int64 (2,) each."""
    return [op.Concat(*edges, axis=0) for edges in zip(*box)]
