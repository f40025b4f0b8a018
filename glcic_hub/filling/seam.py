"""The seam: how a fill meets its surroundings.

The paper blends by Poisson editing after fast marching (section 3.4). Here Poisson's boundary is read from the known
pixels; the official script reads it from the picture that is already completed, and so changes next to nothing.
"""

import math

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from glcic_hub.filling.grids import shifted, sums_of_2x2
from glcic_hub.filling.holes import Box, Frame, change_in_tiles, inside, view_of

LARGEST_SYSTEM = 2**13
"""Unknowns above which the correction, which is smooth, is solved at half the resolution: it bounds time and memory."""

SWEEPS = 20
"""Steps of the iteration that brings a solution of half the resolution to the full one. For a grey fill of 300 px in a
photo the result is 0.2 levels of 255 off on average and 4 at worst; from one pixel to the next that changes by less
than 2."""

STEP_SHARE = 0.8
"""Share of each step of that iteration that is taken: what damps errors of all short wavelengths."""

TILE = 16
"""A hole's seam is corrected in tiles of this side, as a multiple of the hole's thickness at its thickest."""

TILE_MARGIN = 4
"""Margin around these tiles, likewise: what one end of a strip asks for falls to exp(-pi) with each thickness."""

LEAST_TILE = 1024
"""Side of tiles in pixels; smaller ones would only take time."""

ALIKE = 16
"""About so many pixels of a rim are off in the same way: `fade_seam` counts them as one observation. With 8 the hole
PSNR of faces is 0.05 dB lower."""

FURTHEST = 2.5
"""A slope may lead at most so many times as far in the hole as on the rim, there as a root mean square. Around a square
it is 1.2, along one side of a square 1.7."""

FADING = 1.0
"""In so many pixels from the rim inward what `fade_seam` carries there falls to 1/e. With 1.5 the hole PSNR of faces is
0.05 dB lower, and the feature distance 1 % higher."""

OPPONENTS = np.array([(1, 1, 1), (1, 0, -1), (1, -2, 1)]) / np.sqrt([[3], [2], [6]])
"""Lightness, red against blue, and both against green, as an orthogonal matrix. Edges differ in lightness most; a rim
across them can be sure of a colour cast all the same."""

NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def blend_frame(frame: Frame, box: Box, thickness: float, blend: str | None) -> None:
    """Treat the seam of a filled frame, in place.

    Args:
        frame: with the fill in it.
        box: the hole's box in the frame.
        thickness: that of the hole, in pixels; it bounds what is solved at once for "poisson".
        blend: one of `BLENDS`.
    """
    side, margin = max(LEAST_TILE, math.ceil(TILE * thickness)), math.ceil(TILE_MARGIN * thickness)
    # beyond the hole and its rim there is nothing to correct
    near = view_of(box, frame.hole.shape, context=1, least=0)
    if blend == "fading":  # all of a long hole has one plane
        side = max(frame.hole.shape)
    change_in_tiles(frame.part(near), inside(box, near), side, margin, lambda part: BLENDS[blend](*part))


def correct_seam(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Shift a filled hole smoothly so that it meets the known pixels around it.

    On the hole's rim, the difference between the known neighbours and the fill is what is wrong with the fill there.
    It is continued into the hole by Laplace's equation and added. This is Poisson blending (Perez et al., SIGGRAPH
    2003, equation 7) with the boundary read from the known pixels. Where the hole meets the picture's border nothing
    is known, and the correction runs out flat.

    Args:
        values: float32 (H, W, 3), RGB in [0, 1]: the fill in the hole, the picture where it is known.
        hole: bool (H, W), True where the fill is to be corrected.
        known: bool (H, W), disjoint from `hole`; pixels that are neither belong to other holes and are not looked at.

    Returns:
        float32 (H, W, 3) in [0, 1]; equal to `values` outside the hole, and in parts of it that touch no known pixel.
    """
    difference, rim = _difference_at_rim(values, hole, known)
    if not rim.any():
        return values
    correction = continue_harmonically(difference, rim, _reached(hole, rim) & ~rim)
    return np.where(hole[..., None], np.clip(values + correction, 0, 1), values)


def fade_seam(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Shift a filled hole so that it meets the known pixels around it, and its inside only as far as these agree.

    A network that sees surroundings on all sides may be right inside and wrong at the rim, as where it puts an edge a
    pixel off. What is wrong at the rim of each connected part is split into a plane, which is added to all of the part,
    and a rest, which fades from the rim inward. Arguments and result are those of `correct_seam`.
    """
    from scipy.spatial import KDTree  # here, because its import takes time, and few models want this seam

    difference, rim = _difference_at_rim(values, hole, known)
    labels, _ = ndimage.label(hole)
    result = values.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        part_rim = rim[box] & part
        if not part_rim.any():
            continue
        places, on_rim = np.argwhere(part), np.argwhere(part_rim)
        plane, shift = _common_plane(on_rim, difference[box][part_rim], places)
        rest = difference[box][part_rim] - plane
        depth, nearest = KDTree(on_rim).query(places, distance_upper_bound=12 * FADING)  # exp(-12): nothing is left
        near = np.isfinite(depth)
        shift[near] += np.exp(-depth[near] / FADING)[:, None] * rest[nearest[near]]
        result[box][part] = np.clip(values[box][part] + shift, 0, 1)
    return result


def _common_plane(rim: np.ndarray, differences: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A plane through differences on a rim, for each colour and as far as the rim's pixels agree on it.

    Its mean and its slope are each reduced by the share that their variance, by the residuals, has in their square: an
    empirical Wiener factor.

    Args:
        rim, wanted: places, int (n, 2) and (m, 2), pixels.
        differences: (n, 3), RGB.

    Returns:
        The plane at the rim, (n, 3), and where it is wanted, (m, 3).
    """
    opponents = differences @ OPPONENTS.T
    mean = opponents.mean(axis=0, keepdims=True)
    along, there = _directions(rim - rim.mean(axis=0), wanted - rim.mean(axis=0))
    slopes = along.T @ opponents  # of unit columns, whose sums are 0: neither depends on the mean
    freedom = len(rim) - 1 - len(slopes)
    if freedom == 0:  # one pixel
        return np.zeros_like(differences), np.zeros((len(wanted), 3))
    variance = ALIKE * np.square(opponents - mean - along @ slopes).sum(axis=0) / freedom

    def sure(found: np.ndarray, weight: int) -> np.ndarray:
        """Both slopes by one factor: around a square their directions are any two, and must not matter."""
        square = weight * np.square(found).sum(axis=0)
        return found * np.clip(1 - len(found) * variance / np.maximum(square, 1e-12), 0, 1)

    mean, slopes = sure(mean, len(rim)) @ OPPONENTS, sure(slopes, 1) @ OPPONENTS
    return mean + along @ slopes, mean + there @ slopes


def _directions(rim: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far places lie along those main directions of a rim, 0 to 2, in which it tells a slope; orthonormal there."""
    if len(rim) < 3 * ALIKE:
        return rim[:, :0].astype(float), wanted[:, :0].astype(float)
    along, lengths, directions = np.linalg.svd(rim, full_matrices=False)
    there = wanted @ directions.T
    # a slope must not be carried much further than the rim reaches, as across a rim that is straight but for a pixel
    seen = (lengths > 1e-6) & (np.abs(there).max(axis=0) <= FURTHEST * lengths / math.sqrt(len(rim)))
    return along[:, seen], there[:, seen] / lengths[seen]


def leave_seam(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The fill as it is."""
    return values


BLENDS = {"poisson": correct_seam, "fading": fade_seam, None: leave_seam}
"""The ways to treat the seam, by name."""


def _difference_at_rim(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean known neighbour minus fill, float32 (H, W, 3), and bool (H, W), where there is one: on the hole's rim."""
    total = np.zeros_like(values)
    count = np.zeros(hole.shape, np.float32)
    for step in NEIGHBOURS:
        neighbour = shifted(known, step)
        count += neighbour
        total += np.where(neighbour[..., None], shifted(values, step), 0)
    rim = hole & (count > 0)
    difference = np.zeros_like(values)
    difference[rim] = total[rim] / count[rim, None] - values[rim]
    return difference, rim


def _reached(hole: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """The connected parts of the hole that have a rim; others lie between pixels that are not known either."""
    labels, count = ndimage.label(hole)
    has_rim = np.zeros(count + 1, bool)
    has_rim[labels[rim]] = True
    return has_rim[labels]


def continue_harmonically(values: np.ndarray, given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Solve Laplace's equation on the wanted pixels with the given ones as boundary values.

    Args:
        values: float32 (H, W, C), used at `given`.
        given: bool (H, W).
        wanted: bool (H, W), disjoint from `given`; each connected part touches a given pixel. Towards pixels that
            are neither, and towards the border of the array, the solution is flat.

    Returns:
        float32 (H, W, C): `values` at `given`, the solution at `wanted`, 0 elsewhere.
    """
    if np.count_nonzero(wanted) > LARGEST_SYSTEM:
        return _continue_at_half_resolution(values, given, wanted)
    result = np.where(given[..., None], values, 0)
    count = np.count_nonzero(wanted)
    if not count:
        return result
    index = np.full(wanted.shape, -1)
    index[wanted] = np.arange(count)
    degree = np.zeros(count)
    right = np.zeros((count, values.shape[2]))
    rows, columns = [], []
    for step in NEIGHBOURS:
        beside_wanted = shifted(index, step, outside=-1)[wanted]
        beside_given = shifted(given, step)[wanted]
        degree += (beside_wanted >= 0) | beside_given
        right += shifted(result, step)[wanted]
        (row,) = np.nonzero(beside_wanted >= 0)
        rows.append(row)
        columns.append(beside_wanted[row])
    places = np.concatenate(rows), np.concatenate(columns)
    beside = sparse.csc_matrix((np.ones(len(places[0])), places), shape=(count, count))
    laplacian = sparse.diags(degree) - beside
    # symmetric and positive definite: the ordering for that, and no pivoting
    options = {"SymmetricMode": True}
    solver = splu(laplacian.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    result[wanted] = solver.solve(right)
    return result


def _continue_at_half_resolution(values: np.ndarray, given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    weight = sums_of_2x2(given[..., None].astype(np.float32))
    coarse_given = weight[..., 0] > 0
    coarse_values = sums_of_2x2(np.where(given[..., None], values, 0)) / np.maximum(weight, 1)
    coarse_wanted = (sums_of_2x2(wanted[..., None].astype(np.float32))[..., 0] > 0) & ~coarse_given
    coarse = continue_harmonically(coarse_values, coarse_given, coarse_wanted)
    solution = coarse.repeat(2, axis=0).repeat(2, axis=1)[: values.shape[0], : values.shape[1]]
    start = np.where(wanted[..., None], solution, np.where(given[..., None], values, 0))
    return _brought_nearer(start, given | wanted, wanted)


def _brought_nearer(solution: np.ndarray, part: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Let each wanted pixel approach the mean of its neighbours that are `part` of the problem (damped Jacobi)."""
    neighbours = sum(shifted(part, step).astype(np.float32) for step in NEIGHBOURS)
    share = np.where(wanted, STEP_SHARE / np.maximum(neighbours, 1), 0)[..., None].astype(np.float32)
    rest = np.where(wanted, STEP_SHARE, 0)[..., None].astype(np.float32)
    padded = np.pad(solution.astype(np.float32), ((1, 1), (1, 1), (0, 0)))  # 0 wherever it is no part
    inner = padded[1:-1, 1:-1]
    for _ in range(SWEEPS):
        total = padded[:-2, 1:-1] + padded[2:, 1:-1]
        total += padded[1:-1, :-2]
        total += padded[1:-1, 2:]
        total *= share
        total -= rest * inner
        inner += total
    return inner.copy()
