"""The pictures of README and docs, made with the embedded default model: `make pictures`.

Photos and what is removed from them are in `removals/`; `removals.json` has the id and the licence of each.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from glcic_hub import GLCICPipeline

HERE = Path(__file__).parent
REMOVALS = HERE / "removals"
GAP = 4
QUALITY = 88

PICTURES = {
    "removal": [["bison", "fence"]],
    "removals": [["elephants", "hikers"]],
    "failure": [["two-men"]],
    "failures": [["school-bus", "gondola"]],
}
"""File: its rows of removals, each shown before and after. The README has the first of each kind, docs/quality.md the
others; both name the photos beside them."""


def mask_of(polygons: list[list[list[int]]], size: tuple[int, int]) -> Image.Image:
    """White polygons on black; `size` is (width, height)."""
    mask = Image.new("1", size)
    pen = ImageDraw.Draw(mask)
    for points in polygons:
        pen.polygon([tuple(point) for point in points], fill=1)
    return mask


def before_and_after(name: str, pipe: GLCICPipeline) -> np.ndarray:
    """A removal: the photo and what the pipeline makes of it, side by side."""
    removal = json.loads((REMOVALS / "removals.json").read_text())[name]
    photo = Image.open(REMOVALS / f"{name}.webp").convert("RGB")
    completed = pipe(photo, mask_of(removal["polygons"], photo.size)).images[0]
    return beside(np.asarray(photo), np.asarray(completed), gap=GAP // 2)


def beside(*pictures: np.ndarray, gap: int = GAP) -> np.ndarray:
    """Pictures of one height side by side, with white between them."""
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (picture, white)][:-1])


def main() -> None:
    """Make all of them."""
    pipe = GLCICPipeline.from_pretrained()
    for file, rows in PICTURES.items():
        strips = [beside(*(before_and_after(name, pipe) for name in row)) for row in rows]
        white = np.full((GAP, strips[0].shape[1], 3), 255, np.uint8)
        sheet = np.vstack([part for strip in strips for part in (strip, white)][:-1])
        Image.fromarray(sheet).save(HERE / f"{file}.jpg", quality=QUALITY)
        print(HERE / f"{file}.jpg")


if __name__ == "__main__":
    main()
