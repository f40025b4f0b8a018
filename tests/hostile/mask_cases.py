"""Masks as people and their tools make them, through `glcic inpaint`: what is meant is filled, or something is said."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from tests.hostile.commands import is_one_sentence, run
from tests.hostile.picture_cases import hole_of

HEIGHT, WIDTH = 40, 44
PHOTO = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def _levels(rng: Random, hole: np.ndarray) -> Image.Image:
    """Two values in a mode that can hold them, the lower one black."""
    dtype, most = rng.choice(((np.uint8, 255), (np.uint16, 65535), (np.int32, 65535), (np.float32, 1)))
    value = 1 if dtype == np.float32 else rng.choice((1, 1, 2, 100, most // 2, most))
    image = Image.fromarray(hole.astype(dtype) * dtype(value))
    return image.convert(rng.choice(("L", "LA", "P", "RGB", "RGBA"))) if image.mode == "L" else image


def _palette(rng: Random, hole: np.ndarray) -> Image.Image:
    """Two entries, one of them black, in either order."""
    paint = [rng.randrange(1, 256), rng.randrange(256), rng.randrange(256)]
    is_first = rng.random() < 0.5
    image = Image.fromarray((hole != is_first).astype(np.uint8))
    image.putpalette([*paint, 0, 0, 0] if is_first else [0, 0, 0, *paint])
    return image


def _paint(rng: Random, hole: np.ndarray) -> Image.Image:
    """Of any colour and strength, on black or on nothing."""
    paint = [rng.randrange(20, 256), rng.randrange(256), rng.randrange(256), rng.randrange(20, 256)]
    ground = rng.choice(((0, 0, 0, 0), (0, 0, 0, 255)))
    image = Image.fromarray(np.where(hole[..., None], np.uint8(paint), np.uint8(ground)))
    return image if ground[3] == 0 else image.convert("RGB")


def _cut_out(rng: Random, hole: np.ndarray) -> Image.Image:
    """What is to be filled is transparent, all else the photo or black."""
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([PHOTO * rng.choice((0, 1)), alpha]))


MEANT: dict[str, Callable[[Random, np.ndarray], Image.Image]] = {
    "levels": _levels,
    "palette": _palette,
    "paint": _paint,
    "cut-out": _cut_out,
}
"""Ways to put down a hole exactly."""


def meaning_case(rng: Random, folder: Path, model: Path) -> str:
    """The hole is filled, with a word only where it is most of the picture."""
    hole = hole_of(rng, (WIDTH, HEIGHT))
    mask = MEANT[rng.choice(tuple(MEANT))](rng, hole)
    if invert := rng.random() < 0.3:
        hole = ~hole
    code, changed, said = _completed(folder, model, mask, *["--invert"] * invert)
    assert code == 0, said
    assert not changed[~hole].any() and changed[hole].mean() > 0.8
    assert said == "" or (hole.mean() > 0.5 and "would be filled" in said), said
    return "as meant"


def soft_case(rng: Random, folder: Path, model: Path) -> str:
    """Feathered, antialiased and compressed masks are masks: nothing is said."""
    hole = hole_of(rng, (WIDTH, HEIGHT))
    mask = Image.fromarray(hole).convert(rng.choice(("L", "RGB")))
    soft = mask.filter(ImageFilter.GaussianBlur(rng.choice((0.4, 0.8, 1.5))))
    half = np.asarray(soft.convert("L")) >= 128
    code, changed, said = _completed(folder, model, soft)
    if not half.any():  # a thin line that the blur took away
        assert code == 2 or (changed <= hole).all(), said
        return "gone"
    assert (code, said) == (0, "")
    assert not changed[~half].any() and changed[half].mean() > 0.8
    return "as meant"


def wrong_case(rng: Random, folder: Path, model: Path) -> str:
    """Photos, and greys without white, are told; where nothing would be filled there is no result."""
    darkness = rng.choice((1, 1, 2, 4))
    photo = Image.fromarray(PHOTO[::-1] // darkness).convert(rng.choice(("L", "RGB", "CMYK")))
    ramp = Image.fromarray(np.tile(np.linspace(rng.randrange(1, 30), rng.randrange(40, 120), WIDTH), (HEIGHT, 1)))
    mask = rng.choice((photo, ramp.convert("L")))
    code, changed, said = _completed(folder, model, mask)
    assert is_one_sentence(said) and " of 255" in said, said
    assert "looks like a photo" in said or "no pixel of the mask is white" in said
    assert (code == 0) == (np.asarray(mask.convert("L")) >= 128).any()
    return f"exit {code}"


def _completed(folder: Path, model: Path, mask: Image.Image, *options: str) -> tuple[int, np.ndarray | None, str]:
    """Exit code, the pixels that changed (None without a result), and what was said."""
    Image.fromarray(PHOTO).save(folder / "photo.png")
    mask.save(folder / "mask.tiff")
    out = folder / "out" / "out.png"
    outcome = run("inpaint", folder / "photo.png", folder / "mask.tiff", "-o", out, "--model", model, *options)
    assert (outcome.code, out.exists()) in ((0, True), (2, False)), outcome
    if not out.exists():
        return outcome.code, None, outcome.complained
    with Image.open(out) as image:
        return outcome.code, (np.asarray(image) != PHOTO).any(2), outcome.complained
