"""The door: whoever wants the holes of a picture filled calls `fill`."""

import numpy as np

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.holes import Hole, cells, cut_out, find_holes, grown, hull, inside
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.filling.seam import blend_frame
from glcic_hub.filling.texture import add_to_frame as add_texture
from glcic_hub.filling.texture import reach as texture_reach


def fill(completer: Completer, picture: np.ndarray, mask: np.ndarray, options: FillOptions = DEFAULTS) -> np.ndarray:
    """Fill the holes of one picture: hole by hole, each from its own surroundings.

    Args:
        completer: the model, made ready.
        picture: uint8 (H, W, 3), RGB. What lies under the mask has no influence on the result.
        mask: bool (H, W), True = fill.
        options: how.

    Returns:
        float32 (H, W, 3), RGB in [0, 1], 0 outside the mask; `images.paste` puts it into the picture.

    Raises:
        ValueError: the mask covers the whole picture.
    """
    if mask.all():
        raise ValueError(
            "the mask covers the whole picture: nothing is left to complete it from; leave some of it black"
        )
    result = np.zeros(picture.shape, np.float32)
    for hole in find_holes(mask, completer.sample_size, options.working_size or completer.max_hole_size):
        _fill_hole(result, completer, picture, mask, hole, options)
    return result


def _fill_hole(
    result: np.ndarray, completer: Completer, picture: np.ndarray, mask: np.ndarray, hole: Hole, options: FillOptions
) -> None:
    used_cells = [cell for cell in cells(hole) if hole.mask_in(cell).any()]  # of a diagonal scratch most are empty
    views = [completer.view_of(cell, mask.shape, hole.scale, options.padding_mask_crop) for cell in used_cells]
    around = hull(*views, grown(hole.box, 1, mask.shape))
    if options.texture:
        around = hull(around, grown(hole.box, texture_reach(hole.scale), mask.shape))
    frame, box = cut_out(picture, mask, hole, around), inside(hole.box, around)
    for cell, view in zip(used_cells, views):
        own = frame.part(inside(cell, around))
        completed = completer.complete(frame.part(inside(view, around)), hole.scale, options.blend)
        own.values[own.hole] = completed[inside(cell, view)][own.hole]
    blend_frame(frame, box, hole.thickness, options.blend)
    if options.texture == "photo":
        add_texture(frame, box, hole.scale)
    result[hole.box][hole.mask] = frame.values[box][hole.mask]
