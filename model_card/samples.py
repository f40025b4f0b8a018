"""The sample pictures of a repository: free photos from scikit-image, the holes in them, and what the model makes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from glcic_hub.demo import PHOTOS, Stroke, stroke_mask
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.images import paste


@dataclass(frozen=True)
class Sample:
    """One photo with its hole.

    Attributes:
        name: beginning of the names of its files.
        photo: its function in `skimage.data`.
        credit: who made it, and its licence, as scikit-image states them.
        caption: what the hole asks for; of a failure, what goes wrong. It must be true of any weights.
        is_failure: whether it is beyond what such a network can do.
        strokes: the hole, together with `box`.
        box: (left, top, right, bottom) of a rectangular hole, all included.
        part: (left, top, right, bottom) of the photo that is taken; all of it without.
    """

    name: str
    photo: str
    credit: str
    caption: str
    is_failure: bool = False
    strokes: tuple[Stroke, ...] = ()
    box: tuple[int, int, int, int] | None = None
    part: tuple[int, int, int, int] | None = None


ROCKET = "SpaceX, public domain"
COFFEE = "Rachel Michetti, CC0"
GRASS = "linolafett, CC0"
ASTRONAUT = "NASA, public domain"

SAMPLES = {
    "scenes": [
        Sample("coffee", "coffee", COFFEE, "Scratches go away.", strokes=tuple(PHOTOS["coffee"])),
        Sample(
            "rocket",
            "rocket",
            ROCKET,
            "A mast in front of the evening sky goes away.",
            strokes=tuple(PHOTOS["rocket"]),
            part=(320, 60, 640, 427),
        ),
        Sample(
            "spoon",
            "coffee",
            COFFEE,
            "A large hole across several things: the network has no idea of a cup or a spoon, and makes up no object.",
            is_failure=True,
            box=(110, 90, 249, 229),
            part=(190, 40, 510, 360),
        ),
        Sample(
            "grass",
            "grass",
            GRASS,
            "A hole in fine texture.",
            box=(86, 86, 169, 169),
            part=(128, 128, 384, 384),
        ),
    ],
    "faces": [
        Sample(
            "mouth", "astronaut", ASTRONAUT, "A mouth is made up.", box=(78, 106, 119, 133), part=(124, 20, 324, 220)
        ),
        Sample(
            "half",
            "astronaut",
            ASTRONAUT,
            "Half of a face: what is made up does not match the other half.",
            is_failure=True,
            box=(96, 40, 159, 149),
            part=(124, 20, 324, 220),
        ),
    ],
}


def sample_files(sample: Sample, completer: Completer) -> Iterator[tuple[str, Image.Image]]:
    """The files of a sample: ("coffee-before.png", picture), and so on for "mask" and "after"."""
    before = Image.fromarray(getattr(data, sample.photo)()).convert("RGB")
    if sample.part:
        before = before.crop(sample.part)
    drawn = stroke_mask(before.size, sample.strokes, (sample.part or (0, 0))[:2])
    if sample.box:
        ImageDraw.Draw(drawn).rectangle(sample.box, fill=255)
    photo, mask = np.asarray(before), np.asarray(drawn) == 255
    after = paste(photo, *fill(completer, photo, mask))
    for kind, picture in (("before", before), ("mask", drawn), ("after", Image.fromarray(after))):
        yield f"{sample.name}-{kind}.png", picture
