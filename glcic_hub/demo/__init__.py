"""The demonstration: two photos that lie here, and the strokes that are filled in them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from glcic_hub.filling.completer import Completer

Stroke = tuple[int, list[tuple[int, int]]]
"""Width, and points (x, y)."""

PHOTOS: dict[str, list[Stroke]] = {
    # SpaceX, public domain: a mast in front of the evening sky goes away.
    "rocket": [
        (22, [(446, 108), (450, 190)]),
        (34, [(450, 186), (456, 290)]),
        (46, [(457, 288), (459, 398)]),
    ],
    # Rachel Michetti, CC0: strokes across edges and wood grain are made up again.
    "coffee": [
        (10, [(20, 150), (90, 190), (150, 170)]),
        (10, [(420, 40), (470, 120), (560, 150)]),
        (10, [(120, 300), (200, 345), (290, 380)]),
        (10, [(430, 250), (490, 300), (570, 300)]),
        (10, [(215, 120), (270, 95), (330, 130)]),
    ],
}
DEFAULT_PHOTO = "rocket"


def photo_path(name: str) -> Path:
    """The file of a photo of `PHOTOS`.

    Raises:
        KeyError: it is none.
    """
    if name not in PHOTOS:
        raise KeyError(name)
    return Path(__file__).with_name(f"{name}.jpg")


def demo_pictures(name: str, completer: "Completer") -> "tuple[dict[str, Image.Image], float]":
    """Complete a photo of `PHOTOS` under its strokes.

    Args:
        name: a key of `PHOTOS`.
        completer: the model.

    Returns:
        "before" (RGB), "mask" (L), "after" (RGB) and the three side by side, "demo"; and the seconds that the
        completion took.
    """
    import numpy as np
    from PIL import Image

    from glcic_hub.filling.fill import fill
    from glcic_hub.images import paste

    before = Image.open(photo_path(name)).convert("RGB")
    photo = np.asarray(before)
    drawn = stroke_mask(before.size, PHOTOS[name])
    mask = np.asarray(drawn) == 255

    start = time.perf_counter()
    filled = fill(completer, photo, mask)
    seconds = time.perf_counter() - start
    after = Image.fromarray(paste(photo, *filled))
    return {"before": before, "mask": drawn, "after": after, "demo": _side_by_side(before, drawn, after)}, seconds


def stroke_mask(size: tuple[int, int], strokes: Sequence[Stroke], corner: tuple[int, int] = (0, 0)) -> "Image.Image":
    """Draw strokes of a photo, white on black, mode L.

    Args:
        size: (width, height) of the mask.
        strokes: in the photo's coordinates.
        corner: (left, top) of the part of the photo that the mask is for.
    """
    from PIL import Image, ImageDraw

    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for width, points in strokes:
        pen.line([(x - corner[0], y - corner[1]) for x, y in points], fill=255, width=width, joint="curve")
    return mask


def _side_by_side(*pictures: "Image.Image") -> "Image.Image":
    from PIL import Image

    gap = 8
    width, height = pictures[0].size
    sheet = Image.new("RGB", (len(pictures) * (width + gap) - gap, height), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index * (width + gap), 0))
    return sheet
