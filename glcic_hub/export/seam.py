"""The seam between fill and known pixels as ONNX nodes: `filling.seam.correct_seam` with a fixed number of steps."""

import numpy as np

from glcic_hub.export.graph import Graph, sides

SWEEPS = 10
"""Jacobi sweeps on each level. More bring the solution nearer to Laplace's, and cost as much each."""

LEVELS = 9
"""How often the image is halved: a correction reaches across 2**LEVELS pixels and a few times the sweeps more."""

_CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)


def add_seam_correction(op: Graph, fill: str, picture: str, hole: str) -> str:
    """Append what `filling.seam.correct_seam` does where every pixel outside the hole is known.

    Laplace's equation is solved from coarse to fine: what is wanted is halved until little is left of it; on the way
    back each level starts from the coarser one's solution and is smoothed by Jacobi's method.

    Args:
        op: the graph.
        fill, picture: names of float32 (1, 3, H, W), RGB in [0, 1]. `picture` is used where it is known.
        hole: name of a float32 (1, 1, H, W), 1 in the hole and 0 elsewhere.

    Returns:
        The name of a float32 (1, 3, H, W) in [0, 1]: the corrected fill in the hole, anything elsewhere.
    """
    known = op.Sub(1.0, hole)
    count = _how_many(op, known)
    total = _neighbours(op, op.Mul(picture, known))
    rim = op.Mul(hole, op.Min(count, 1.0))
    difference = op.Mul(rim, op.Sub(op.Div(total, op.Max(count, 1.0)), fill))
    correction = _continued(op, difference, rim, op.Sub(hole, rim), LEVELS)
    return op.Clip(op.Add(fill, correction), 0.0, 1.0)


def _continued(op: Graph, values: str, given: str, wanted: str, levels: int) -> str:
    """`filling.seam.continue_harmonically` for maps (1, 1, H, W) of zeros and ones; `values` is 0 outside `given`."""
    if levels:
        share = _halved(op, given)
        coarse_given = op.Ceil(share)
        coarse_wanted = op.Mul(op.Ceil(_halved(op, wanted)), op.Sub(1.0, coarse_given))
        coarse_values = op.Div(_halved(op, values), op.Max(share, 1e-6))
        coarse = _continued(op, coarse_values, coarse_given, coarse_wanted, levels - 1)
        doubled = op.Resize(
            coarse,
            "",
            [1.0, 1.0, 2.0, 2.0],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        first_guess = op.Slice(doubled, [0, 0], sides(op, values), [2, 3])
        values = op.Add(values, op.Mul(wanted, first_guess))
    is_wanted = op.cast(wanted, "bool")
    count = op.Max(_how_many(op, op.Add(given, wanted)), 1.0)
    for _ in range(SWEEPS):
        values = op.Where(is_wanted, op.Div(_neighbours(op, values), count), values)
    return values


def _halved(op: Graph, value: str) -> str:
    return op.AveragePool(value, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)


def _neighbours(op: Graph, values: str) -> str:
    """The sum of each pixel's four neighbours in a (1, 3, H, W); nothing lies beyond the border."""
    return op.Conv(values, np.tile(_CROSS, (3, 1, 1, 1)), group=3, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _how_many(op: Graph, ones: str) -> str:
    """The number of each pixel's four neighbours that are 1 in a (1, 1, H, W) of zeros and ones."""
    # As three equal channels: ONNX Runtime pads the result of a convolution that has one to sixteen.
    return op.Slice(_neighbours(op, op.Concat(ones, ones, ones, axis=1)), [0], [1], [1])
