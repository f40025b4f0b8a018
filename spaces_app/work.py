"""What the Space does with a photo; needs no server and knows nothing of the page.

Every function raises ValueError with a sentence for the visitor when something cannot be used.
"""

import atexit
import functools
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

from glcic_hub import GLCICPipeline, images, masks
from glcic_hub.model import DEFAULT_NAME, embedded_models

MEGAPIXEL = 1_000_000
LARGEST_PHOTO = 40 * MEGAPIXEL
KEPT_SECONDS = 3600
LARGEST_RIM = 64
MOST_FILES = 20

try:  # ZeroGPU lends a graphics card to the decorated function
    from spaces import GPU as borrow_gpu
except ImportError:

    def borrow_gpu(function):
        """Without ZeroGPU a function runs where it is."""
        return function


class Result(NamedTuple):
    """A completed photo, the mask (mode L, white = filled) that was used, and the seconds that it took."""

    image: Image.Image
    mask: Image.Image
    seconds: float


def models() -> list[str]:
    """What a visitor can choose from; GLCIC_MODEL (a folder or Hub repository) takes the place of the default."""
    own = os.environ.get("GLCIC_MODEL")
    return [own] if own else sorted(embedded_models(), key=lambda name: name != DEFAULT_NAME)


@functools.lru_cache(maxsize=1)  # one model in memory, whichever was asked for last
def _pipeline(name: str) -> GLCICPipeline:
    pipeline = GLCICPipeline.from_pretrained(name)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def open_photo(path: str | os.PathLike) -> Image.Image:
    """Read an uploaded picture, upright, as RGB or RGBA; refuse what is too large before it is decoded."""
    _check_size(path)
    try:
        picture = images.read(path)
    except OSError as error:
        raise ValueError("This picture is damaged: it ends too early or holds wrong data.") from error
    photo = Image.fromarray(picture.rgb)  # 8 bits, whatever came
    if picture.image.has_transparency_data:
        photo.putalpha(ImageOps.exif_transpose(picture.image.convert("RGBA")).getchannel("A"))
    return photo


def _check_size(path: str | os.PathLike) -> None:
    try:
        with Image.open(path) as opened:
            pixels = opened.width * opened.height
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"This photo is far above the {LARGEST_PHOTO // MEGAPIXEL} megapixels that work here."
        ) from error
    except Exception as error:  # noqa: BLE001 - the decoders raise errors of many kinds
        raise ValueError("This file is not a picture that can be read. Try a JPEG, PNG or WebP file.") from error
    if pixels > LARGEST_PHOTO:
        raise ValueError(
            f"This photo has {pixels / MEGAPIXEL:.0f} megapixels; up to {LARGEST_PHOTO // MEGAPIXEL} work here. "
            "Make it smaller, or use glcic_hub on your own machine."
        )


def painted_mask(layers: list[Image.Image | np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """What was painted on any layer, as bool (height, width); `size` is the photo's (width, height)."""
    mask = np.zeros(size[::-1], bool)
    for layer in layers:
        strokes = np.asarray(layer)
        if strokes.shape[:2] != mask.shape:
            raise ValueError("The strokes belong to another photo. Paint them again.")
        mask |= strokes[..., 3] > 0
    return mask


def read_mask(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """An uploaded mask, white = fill, as bool (height, width); it must have the photo's (width, height)."""
    _check_size(path)
    try:
        return masks.read(path, size[::-1])
    except (OSError, TypeError) as error:
        raise ValueError("The mask is not a picture that can be read.") from error


def result_folder() -> Path:
    """A new folder for result files; it goes after `KEPT_SECONDS`, or when the Space stops."""
    folder = Path(tempfile.mkdtemp(prefix="completed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    timer = threading.Timer(KEPT_SECONDS, shutil.rmtree, [folder], {"ignore_errors": True})
    timer.daemon = True
    timer.start()
    return folder


@borrow_gpu
def complete(photo: Image.Image, mask: np.ndarray, model: str | None = None, grow: int = 0, feather: int = 0) -> Result:
    """Fill the masked part of a photo.

    Args:
        photo: RGB or RGBA; alpha is kept.
        mask: bool (height, width), True = fill.
        model: one of `models()`; the first without it.
        grow: pixels by which the mask is widened, so that the rim of what was painted over goes as well.
        feather: pixels over which the widening fades into the photo. It reaches at most to the mask as it was painted:
            what was painted over never shines through, what lies outside the widened mask stays bit for bit.
    """
    if not (0 <= grow <= LARGEST_RIM and 0 <= feather <= LARGEST_RIM):
        raise ValueError(f"Grow and feather are from 0 to {LARGEST_RIM} pixels; got {grow} and {feather}.")
    if not mask.any():
        raise ValueError("Nothing is painted yet: paint over what is to go, or upload a mask with white in it.")
    wide, distance = mask, None
    if grow:
        distance = ndimage.distance_transform_edt(~mask)
        wide = distance <= grow
    if wide.all():
        raise ValueError("The mask covers the whole photo: leave some of it, or let the mask grow less.")
    pipeline = _pipeline(model or models()[0])
    if torch.cuda.is_available():
        pipeline.to("cuda")
    started = time.perf_counter()
    completed = pipeline(photo, wide).images[0]
    if grow and feather:
        share = np.clip((grow + 1 - distance) / (min(feather, grow) + 1), 0, 1)[..., None]
        blended = np.rint(share * np.asarray(completed) + (1 - share) * np.asarray(photo)).astype(np.uint8)
        completed = Image.fromarray(blended, photo.mode)
    return Result(completed, Image.fromarray(wide), time.perf_counter() - started)


def complete_files(photos: list[str], mask_files: list[str], folder: Path, model: str | None = None) -> list[str]:
    """Complete several files into PNG files of a folder; one mask for all photos or one for each, in order."""
    if len(photos) > MOST_FILES:
        raise ValueError(f"Got {len(photos)} photos; up to {MOST_FILES} in one call.")
    if len(mask_files) not in (1, len(photos)):
        raise ValueError(f"Got {len(mask_files)} masks for {len(photos)} photos: give one for all or one for each.")
    results = []
    for index, path in enumerate(photos):
        photo = open_photo(path)
        mask = read_mask(mask_files[index % len(mask_files)], photo.size)
        target = folder / f"{index:03d}-{Path(path).stem}.png"
        complete(photo, mask, model).image.save(target)
        results.append(str(target))
    return results
