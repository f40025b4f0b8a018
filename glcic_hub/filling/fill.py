"""The door: whoever wants the holes of a picture filled calls `fill`."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.holes import Hole, cells, cut_out, find_holes, grown, hull, inside, view_of
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.filling.seam import blend_frame
from glcic_hub.filling.synthesis import reach, synthesise_frame, unseen


def fill(
    completer: Completer,
    picture: np.ndarray,
    mask: np.ndarray,
    options: FillOptions = DEFAULTS,
    generator: torch.Generator | None = None,
    progress: Callable[[float], object] | None = None,
) -> np.ndarray:
    """Fill the holes of one picture: hole by hole, each from its own surroundings.

    Args:
        completer: the model, made ready.
        picture: uint8 (H, W, 3), RGB. What lies under the mask has no influence on the result.
        mask: bool (H, W), True = fill.
        options: how.
        generator: decides the random search for patches of the photo; without it, it is always the same.
        progress: called with the share of the work that is done, from 0 to 1; what it raises ends the work.

    Returns:
        float32 (H, W, 3), RGB in [0, 1], 0 outside the mask; `images.paste` puts it into the picture.

    Raises:
        ValueError: picture or mask are of another shape or type, or the mask covers the whole picture.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"the picture must be uint8 (H, W, 3); got {picture.dtype} {picture.shape}")
    if mask.dtype != bool or mask.shape != picture.shape[:2]:
        raise ValueError(f"the mask must be bool {picture.shape[:2]}; got {mask.dtype} {mask.shape}")
    if mask.all():
        raise ValueError(
            "the mask covers the whole picture: nothing is left to complete it from; leave some of it black"
        )
    result = np.zeros(picture.shape, np.float32)
    holes = list(find_holes(mask, completer.sample_size, options.working_size or completer.max_hole_size))
    whole, done = sum(np.count_nonzero(hole.mask) for hole in holes), 0
    for hole in holes:
        own = np.count_nonzero(hole.mask)
        shown = functools.partial(_show, progress or unseen, done / whole, own / whole)
        _fill_hole(result, completer, picture, mask, hole, options, generator, shown)
        done += own
    return result


def _show(progress: Callable[[float], object], before: float, own: float, share: float) -> None:
    progress(before + own * share)


def _fill_hole(
    result: np.ndarray,
    completer: Completer,
    picture: np.ndarray,
    mask: np.ndarray,
    hole: Hole,
    options: FillOptions,
    generator: torch.Generator | None,
    progress: Callable[[float], object],
) -> None:
    used_cells = [cell for cell in cells(hole) if hole.mask_in(cell).any()]  # of a diagonal scratch most are empty
    views = [completer.view_of(cell, mask.shape, hole.scale, options.padding_mask_crop) for cell in used_cells]
    around = hull(*views, view_of(hole.box, mask.shape, context=1, least=0))
    from_photo = (completer.texture if options.texture == "auto" else options.texture) == "photo"
    if from_photo:
        around = hull(around, grown(hole.box, reach(hole), mask.shape))
    frame, box = cut_out(picture, mask, hole, around), inside(hole.box, around)
    for cell, view in zip(used_cells, views):
        own = frame.part(inside(cell, around))
        completed = completer.complete(frame.part(inside(view, around)), hole.scale, options.blend)
        own.values[own.hole] = completed[inside(cell, view)][own.hole]
    blend_frame(frame, box, hole.thickness, options.blend)
    if from_photo:
        synthesise_frame(frame, box, hole, generator, progress, completer.device)
    progress(1)
    result[hole.box][hole.mask] = frame.values[box][hole.mask]
