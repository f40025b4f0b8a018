"""Bicubic enlarging as ONNX nodes, as `torch.nn.functional.interpolate` does it, for a part of the result.

Two products with matrices of weights take a tenth of the time of ONNX Runtime's `Resize`.
"""

from glcic_hub.export.graph import Graph, sides

_A = -0.75  # of the cubic kernel
_REACH = 2  # pixels to each side that it weighs


def add_enlarging(op: Graph, picture: str, size: str, start: str, end: str) -> str:
    """Append the enlarging of an image.

    Args:
        op: the graph.
        picture: name of a float32 (1, C, h, w).
        size: name of an int64 (2,): what the image is enlarged to, from its own size up.
        start, end: names of int64 (2,): the part of the enlarged image that is wanted.

    Returns:
        The name of the part, float32 (1, C, *(end - start)); values may lie a little out of the image's range.
    """
    padded = op.Pad(picture, [0, 0, _REACH, _REACH] * 2, mode="edge")
    scale = op.Div(op.cast(sides(op, picture), "float32"), op.cast(size, "float32"))
    rows, columns = (_weights(op, sides(op, padded), scale, start, end, axis) for axis in (0, 1))
    return op.MatMul(op.MatMul(rows, padded), op.Transpose(columns, perm=[1, 0]))


def _weights(op: Graph, padded_sides: str, scale: str, start: str, end: str, axis: int) -> str:
    """How much each padded input pixel counts for each wanted output pixel, along one axis."""
    side, first, last, ratio = (op.Gather(value, axis, axis=0) for value in (padded_sides, start, end, scale))
    centres = op.Add(op.cast(op.Range(first, last, 1), "float32"), 0.5)
    positions = op.Sub(op.Mul(centres, ratio), 0.5 - _REACH)
    pixels = op.cast(op.Range(0, side, 1), "float32")
    d = op.Abs(op.Sub(op.Unsqueeze(positions, [1]), op.Unsqueeze(pixels, [0])))
    near = op.Add(op.Mul(op.Mul(op.Sub(op.Mul(d, _A + 2), _A + 3), d), d), 1.0)
    far = op.Mul(op.Sub(op.Mul(op.Add(op.Mul(op.Sub(d, 5.0), d), 8.0), d), 4.0), _A)
    return op.Where(op.Less(d, 1.0), near, op.Where(op.Less(d, 2.0), far, 0.0))
