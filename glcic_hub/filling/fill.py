"""The door: whoever wants the holes of a picture filled calls `fill`."""

import functools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from glcic_hub.filling.colours import keep_colours
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.contrast import AS_IT_IS, contrast_of
from glcic_hub.filling.grids import dilated
from glcic_hub.filling.holes import (
    LARGEST_CELL,
    Hole,
    common,
    cut_out,
    find_holes,
    grown,
    hull,
    inside,
    joined,
    outside,
    tiles,
)
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.filling.plain import fill_plain
from glcic_hub.filling.progress import Progress, part_of, unseen
from glcic_hub.filling.rim import REACH, doubt_rim
from glcic_hub.filling.seam import blend_frame
from glcic_hub.filling.synthesis import reach, synthesise_frame

BEFORE_PATCHES = 0.3
"""About the share of the time that network and seam take where patches of the photo follow."""


class Filled(NamedTuple):
    """What `fill` makes of a picture; `images.paste(picture, *filled)` and `Picture.completed(*filled)` put it there.

    Attributes:
        values: float32 (H, W, 3), RGB in [0, 1], 0 outside the mask.
        mask: bool (H, W), True where the picture is filled: the mask that was given, grown as the options say.
    """

    values: np.ndarray
    mask: np.ndarray


def fill(
    completer: Completer,
    picture: np.ndarray,
    mask: np.ndarray,
    options: FillOptions = DEFAULTS,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    hidden: np.ndarray | None = None,
) -> Filled:
    """Fill the holes of one picture: hole by hole, each from its own surroundings.

    Args:
        completer: the model, made ready.
        picture: (H, W, 3), RGB: uint8, or float32 in [0, 1] where there are more than 8 bits. What lies under the mask
            has no influence on the result.
        mask: bool (H, W), True = fill.
        options: how.
        generator: decides the random search for patches of the photo; without it, `options.attempt` does.
        progress: called with the share of the work that is done, from 0 to 1; what it raises ends the work.
        hidden: bool (H, W), True where the picture's colours are not known, such as under full transparency: these
            pixels have no influence either.

    Returns:
        The values of the holes, and which pixels these are.

    Raises:
        ValueError: picture or mask are of another shape or type, or nothing is left to complete the picture from.
    """
    if picture.dtype not in (np.uint8, np.float32) or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"the image must be uint8 or float32 (H, W, 3); got {picture.dtype} {picture.shape}")
    if mask.dtype != bool or mask.shape != picture.shape[:2]:
        raise ValueError(f"the mask must be bool {picture.shape[:2]}; got {mask.dtype} {mask.shape}")
    chosen = {name: getattr(completer, name) for name in ("blend", "texture") if getattr(options, name) == "auto"}
    options = replace(options, **chosen)
    mask = dilated(mask, options.grow)
    unknown = mask if hidden is None else mask | hidden
    if unknown.all() and mask.any():
        covered = "the whole image" if mask.all() else "all that can be seen of the image"
        remedy = ", or let it grow less" if options.grow else ""
        raise ValueError(
            f"the mask covers {covered}: nothing is left to complete it from; leave some of it black{remedy}"
        )
    result = np.zeros(picture.shape, np.float32)
    working_size = options.working_size or completer.max_hole_size
    holes = joined(find_holes(mask, completer.sample_size, working_size), completer.sample_size)
    whole, done = sum(int(np.count_nonzero(hole.mask)) for hole in holes), 0
    for hole in holes:
        own = int(np.count_nonzero(hole.mask))
        shown = part_of(progress or unseen, done / whole, own / whole)
        values = _filled(hole, completer, picture, unknown, options, generator, shown)
        result[hole.box][hole.mask] = values[hole.mask]
        done += own
    return Filled(result, mask)


def _filled(
    hole: Hole,
    completer: Completer,
    picture: np.ndarray,
    unknown: np.ndarray,
    options: FillOptions,
    generator: torch.Generator | None,
    progress: Progress,
) -> np.ndarray:
    """Values for the hole's box."""
    view_of = functools.partial(
        completer.view_of, size=unknown.shape, scale=hole.scale, padding=options.padding_mask_crop
    )
    side = math.ceil(LARGEST_CELL / hole.scale)
    from_photo = options.texture == "photo"
    margin = max(REACH, reach(hole) if from_photo else 0)
    around = hull(*map(view_of, tiles(hole.box, side)), grown(hole.box, margin, unknown.shape))
    frame = cut_out(picture, unknown, hole, around)
    contrast = contrast_of(frame) if picture.dtype == np.float32 else AS_IT_IS
    contrast.stretch(frame)
    box = doubt_rim(frame, inside(hole.box, around))
    is_plain, blend = fill_plain(frame, box), options.blend
    if not is_plain and hole.is_dust and frame.known.any():
        frame.values[frame.hole] = frame.values[frame.known].mean(0, dtype=np.float64)
        blend = "poisson"  # which makes what is around it of that
    elif not is_plain:
        cells = [cell for cell in tiles(box, side) if frame.hole[cell].any()]  # of a diagonal scratch most are empty
        for number, cell in enumerate(cells, start=1):
            view = inside(common(view_of(outside(cell, around)), around), around)
            own, completed = frame.part(cell), completer.complete(frame.part(view), hole.scale, options.blend)
            own.values[own.hole] = completed[inside(cell, view)][own.hole]
            progress(BEFORE_PATCHES * number / (len(cells) + 1))
    blend_frame(frame, box, hole.thickness, blend)
    if not is_plain:
        if from_photo:
            progress(BEFORE_PATCHES)
            shown = part_of(progress, BEFORE_PATCHES, 1 - BEFORE_PATCHES)
            synthesise_frame(frame, box, hole, generator, shown, completer.device, options.attempt)
        keep_colours(frame, box)
    progress(1)
    return contrast.restored(frame.values[inside(hole.box, around)])
