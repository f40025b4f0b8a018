"""The way of one image as ONNX nodes: photo and mask of any size in, completed photo out.

It follows `filling.fill` with `texture=None`, with these differences, which keep to what ONNX operators can do:

- **One hole.** The mask is not split: everything is completed at once, in one view around the bounding box of the mask
  and at one scale. Holes far apart in a large photo are therefore shown smaller than the Python pipeline shows them.
- **Thickness.** The scale follows the same rule; the thickness of holes above `view.THICKNESS_GRID` pixels is measured
  on a grid of that many cells a side.
- **A bound.** The network's input has at most `view.LONGEST_SIDE` pixels a side. The Python pipeline cuts large holes
  into cells instead.
- **The seam.** It is that of `blend="poisson"`, whatever the model's choice is, and Laplace's equation is solved by a
  fixed number of multigrid steps (`seam.py`) instead of exactly.
- **What is known is believed.** Neither a tight mask's rim nor the colours of a grey photo are looked at, and a plain
  surface is completed like any other; all of that lies in `rim.py`, `colours.py` and `plain.py`.
- **Masks that leave nothing.** A mask without a hole gives the photo as it is. A mask that covers everything, which the
  Python pipeline refuses, gives what the network makes of no surroundings at all: always the same for one size.
"""

import numpy as np

from glcic_hub.export.enlarge import add_enlarging
from glcic_hub.export.graph import Graph, resized, scalar, sides
from glcic_hub.export.network_graph import add_completion
from glcic_hub.export.seam import add_seam_correction
from glcic_hub.export.view import Sizes, corners, grow, scale_of, span_of, with_rim
from glcic_hub.model import GLCICModel
from glcic_hub.network import SIZE_MULTIPLE

_BITS_BELOW_HALF = 7  # a mask's byte without them: 1 from 128 up, else 0


def add_pipeline(op: Graph, model: GLCICModel, photo: str, mask: str, precision: str) -> str:
    """Append the completion of one photo.

    Args:
        op: the graph.
        model: the model; it stays as it is.
        photo: name of a uint8 (1, H, W, 3), RGB.
        mask: name of a uint8 (1, H, W), 128 or more = fill.
        precision: of the network, one of `PRECISIONS`.

    Returns:
        The name of a uint8 (1, H, W, 3): the completed photo.
    """
    sizes = Sizes(model.sample_size, working_size=model.max_hole_size)
    hole = op.BitShift(mask, _uint8(op, _BITS_BELOW_HALF), direction="RIGHT")  # (1, H, W)
    box = [span_of(op, hole, across=2), span_of(op, hole, across=1)]  # rows, columns
    photo_sides = [op.Shape(mask, start=1, end=2), op.Shape(mask, start=2)]  # height, width
    scale = scale_of(op, hole, box, photo_sides, sizes)
    view = corners(op, [grow(op, part, side, scale, sizes.sample_size) for part, side in zip(box, photo_sides)])
    picture, hole_in_view = _cut(op, photo, hole, *view)
    completed_view = _completed_view(op, model, picture, hole_in_view, scale, precision)

    start, end = corners(op, with_rim(op, box, photo_sides))
    fill = add_enlarging(op, completed_view, sides(op, picture), op.Sub(start, view[0]), op.Sub(end, view[0]))
    fill = add_seam_correction(op, op.Clip(fill, 0.0, 1.0), *_cut(op, photo, hole, start, end))
    fill = op.cast(op.Round(op.Mul(fill, 255.0)), "uint8")
    pads = op.Concat([0], start, [0, 0], op.Sub(op.Concat(*photo_sides, axis=0), end), [0], axis=0)
    fill = op.Pad(op.Transpose(fill, perm=[0, 2, 3, 1]), pads, _uint8(op, 0))
    return op.Where(op.cast(op.Unsqueeze(hole, [3]), "bool"), fill, photo)


def _cut(op: Graph, photo: str, hole: str, start: str, end: str) -> tuple[str, str]:
    """A part of the photo, float32 (1, 3, h, w) in [0, 1] and 0 in the hole, and of the hole, float32 (1, 1, h, w)."""
    part = op.Unsqueeze(op.Slice(hole, start, end, [1, 2]), [1])
    picture = op.Transpose(op.Slice(photo, start, end, [1, 2]), perm=[0, 3, 1, 2])
    known_picture = op.Where(op.cast(part, "bool"), _uint8(op, 0), picture)
    return op.Div(op.cast(known_picture, "float32"), 255.0), op.cast(part, "float32")


def _completed_view(op: Graph, model: GLCICModel, picture: str, hole: str, scale: str, precision: str) -> str:
    """`Completer._complete_view` without the enlarging: float32 (1, 3, h, w) in [0, 1]; `picture` is 0 in the hole."""
    size = sides(op, picture)
    unit = op.cast(op.Where(op.Less(scale, scalar(op, 1)), scalar(op, SIZE_MULTIPLE), scalar(op, 1)), "int64")
    units = op.Round(op.Div(op.Mul(op.cast(size, "float64"), scale), op.cast(unit, "float64")))
    small = op.Mul(op.Max(op.cast(units, "int64"), 1), unit)

    known = op.Sub(1.0, hole)
    weight, total = (resized(op, x, small, mode="linear", antialias=1) for x in (known, picture))
    small_picture = op.Div(total, op.Max(weight, 1e-6))
    small_hole = op.cast(op.Less(weight, 0.5), "float32")
    raw = add_completion(op, model.network, model.mean, small_picture, small_hole, precision)
    # Also here, as enlarging mixes the rim with known pixels. Outside the hole it takes the known pixels themselves.
    fill = add_seam_correction(op, raw, small_picture, small_hole)
    return op.Where(op.cast(small_hole, "bool"), fill, small_picture)


def _uint8(op: Graph, value: int) -> str:
    return op.constant(np.array(value, np.uint8))
