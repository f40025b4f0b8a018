"""The README's pictures, made with the embedded default model: `make pictures`.

The photos are those of scikit-image; the README names who made them.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from glcic_hub import GLCICPipeline
from glcic_hub.filling.completer import Completer
from glcic_hub.model import GLCICModel
from model_card.samples import SAMPLES, sample_files

HERE = Path(__file__).parent
GAP = 4
QUALITY = 85

SAMPLE_PICTURES = {"coffee": (["coffee"], 330), "rocket": (["rocket"], 330), "failures": (["spoon", "grass"], 256)}
"""File: the rows, names of samples of the model card, and their height in pixels."""

WAYS = {
    "network alone": {"blend": None},
    "seam corrected": {},
    "texture": {"texture": "photo"},
}
"""The columns of ways.jpg, beside the hole; its rows are ROWS."""

ROWS = {"gravel": (150, 290, 170, 330), "brick": (150, 290, 170, 330)}
"""Photo: top, bottom, left and right of its hole."""

AROUND = 60
"""Pixels around the hole that are shown."""


def sample_rows(names: list[str], height: int, completer: Completer) -> list[np.ndarray]:
    """For each sample before, mask and after, side by side."""
    samples = {sample.name: sample for sample in SAMPLES["scenes"]}
    rows = []
    for name in names:
        pictures = [picture.convert("RGB") for _, picture in sample_files(samples[name], completer)]
        width = round(height * pictures[0].width / pictures[0].height)
        rows.append(side_by_side([np.asarray(picture.resize((width, height))) for picture in pictures]))
    return rows


def way_rows(pipe: GLCICPipeline) -> list[np.ndarray]:
    """For each of ROWS the hole and what each of WAYS makes of it."""
    rows = []
    for name, (top, bottom, left, right) in ROWS.items():
        photo = Image.fromarray(getattr(data, name)()).convert("RGB")
        mask = np.zeros((photo.height, photo.width), bool)
        mask[top:bottom, left:right] = True
        results = [np.where(mask[..., None], np.uint8(255), photo)]
        results += [np.asarray(pipe(photo, Image.fromarray(mask), **options).images[0]) for options in WAYS.values()]
        part = slice(top - AROUND, bottom + AROUND), slice(left - AROUND, right + AROUND)
        rows.append(side_by_side([result[part] for result in results]))
    return rows


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    white = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (picture, white)][:-1])


def save(rows: list[np.ndarray], path: Path) -> None:
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.vstack(padded)[:-GAP]).save(path, quality=QUALITY)
    print(path)


def main() -> None:
    """Make all of them."""
    completer = Completer(GLCICModel.from_pretrained())
    for name, (samples, height) in SAMPLE_PICTURES.items():
        save(sample_rows(samples, height, completer), HERE / f"{name}.jpg")
    pipe = GLCICPipeline.from_pretrained()
    save(way_rows(pipe), HERE / "ways.jpg")


if __name__ == "__main__":
    main()
