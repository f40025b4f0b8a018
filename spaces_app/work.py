"""What the Space does with a photo; needs no server and knows nothing of the page.

Every function raises ValueError with a sentence for the visitor when something cannot be used.
"""

import functools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from glcic_hub import images, masks
from glcic_hub.filling.completer import completer_of
from glcic_hub.filling.fill import Filled, fill
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.formats import encoded
from glcic_hub.images import Picture
from glcic_hub.model import DEFAULT_NAME, embedded_models

MEGAPIXEL = 1_000_000
LARGEST_PHOTO = 40 * MEGAPIXEL
MOST_FILES = 20
PREVIEW_SIDE = 2048
"""Longest side in pixels of what the page shows: phones draw no larger canvas quickly, and lines are slow."""
KEPT_SECONDS = 3600
LEAST_PAINT = 16
"""Alpha of 255: below it is what browsers that do not want to be recognised add to canvases, some levels of noise."""
_RESULTS = tempfile.TemporaryDirectory(prefix="completed-")  # removed at exit

try:  # ZeroGPU lends a graphics card to the decorated function
    from spaces import GPU as borrow_gpu
except ImportError:

    def borrow_gpu(function):
        """Without ZeroGPU a function runs where it is."""
        return function


class Result(NamedTuple):
    """What became of a photo.

    Attributes:
        photo: the completed photo.
        mask: what was filled, bool (height, width), True = filled.
    """

    photo: Picture
    mask: np.ndarray


def models() -> list[str]:
    """What a visitor can choose from; GLCIC_MODEL (a folder or Hub repository) takes the place of the default."""
    own = os.environ.get("GLCIC_MODEL")
    return [own] if own else sorted(embedded_models(), key=lambda name: name != DEFAULT_NAME)


def open_photo(path: str | os.PathLike) -> Picture:
    """Read an uploaded image and turn it upright; refuse what is too large before it is decoded."""
    _check_file(path, "photo")
    try:
        # Upright for good, because few viewers heed the orientation in a PNG file.
        image = ImageOps.exif_transpose(images.load_image(path))
        if image.mode == "CMYK":  # PNG cannot hold it, nor RGB its profile
            image = Image.fromarray(np.asarray(image.convert("RGB")))
        return images.read(image)
    except (OSError, TypeError) as error:
        raise ValueError("This photo is damaged: it ends too early or contains invalid data.") from error


def read_mask(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """An uploaded mask, white = fill, as bool array; it must have the photo's (height, width) `size`."""
    _check_file(path, "mask")
    try:
        return masks.read(path, size)
    except (OSError, TypeError) as error:
        raise ValueError("This mask is damaged: it ends too early or contains invalid data.") from error


def _check_file(path: str | os.PathLike, what: str) -> None:
    """ValueError if a file is not an image, or a huge one; its pixels are not decoded."""
    most = LARGEST_PHOTO // MEGAPIXEL
    try:
        with Image.open(path) as opened:
            pixels = opened.width * opened.height
    except FileNotFoundError as error:
        raise ValueError(f"This {what} is no longer on the server. Open it again.") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"This {what} is far larger than the {most} megapixels that work here.") from error
    except Exception as error:  # noqa: BLE001 - the decoders raise errors of many kinds
        raise ValueError(f"This file is not a readable image; use JPEG, PNG or WebP for the {what}.") from error
    if pixels > LARGEST_PHOTO:
        raise ValueError(
            f"This {what} has {pixels / MEGAPIXEL:.0f} megapixels; up to {most} work here. "
            "Make it smaller, or use glcic_hub on your own machine."
        )


def preview_size(photo: Picture) -> tuple[int, int]:
    """(height, width) at which the page shows a photo: its own, unless it is large."""
    scale = min(1, PREVIEW_SIDE / max(photo.size))
    return tuple(max(1, round(side * scale)) for side in photo.size)


def save_preview(photo: Picture, folder: Path, name: str) -> str:
    """Write what the page shows of a photo into a file; the path."""
    size = preview_size(photo)
    if size == photo.size:
        return save_png(photo, folder / f"{name}.png")
    path = folder / f"{name}.webp"
    path.write_bytes(encoded(photo.resized(*size).image, "WEBP", 90))
    return str(path)


def save_png(photo: Picture, path: Path) -> str:
    """Write a photo with its EXIF data and colour profile; the path."""
    path.write_bytes(encoded(photo.image, "PNG"))
    return str(path)


def strokes_of(mask: np.ndarray, size: tuple[int, int], colour: tuple[int, int, int, int]) -> Image.Image:
    """A mask as paint on the preview, RGBA of `size` (height, width): every preview pixel that it touches."""
    layer = np.zeros((*size, 4), np.uint8)
    layer[_touched(mask, size)] = colour
    return Image.fromarray(layer)


def painted_mask(layers: Sequence[Image.Image], photo: Picture, mask: np.ndarray | None = None) -> np.ndarray:
    """What is painted on the preview, as bool (height, width) of the photo.

    Args:
        layers: RGBA images of the preview's size; painted is what has an alpha of at least `LEAST_PAINT`.
        photo: the photo that they were painted on.
        mask: one of the photo's size that was put on the preview by `strokes_of`. As long as nothing of it has been
            erased it counts in its own resolution, which is finer than that of the preview of a large photo.
    """
    size = preview_size(photo)
    strokes = np.zeros(size, bool)
    for layer in layers:
        if layer.size != size[::-1]:
            raise ValueError("The strokes belong to another photo. Paint them again.")
        strokes |= np.asarray(layer)[..., 3] >= LEAST_PAINT
    if mask is not None:
        shown = _touched(mask, size)
        if not (shown & ~strokes).any():
            return mask | masks.resized(strokes & ~shown, *photo.size)
    return masks.resized(strokes, *photo.size)


def _touched(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels of a preview of `size` (height, width) a mask touches, bool."""
    if mask.shape == size:
        return mask
    levels = Image.fromarray(mask.astype(np.float32))
    return np.asarray(levels.resize(size[::-1], Image.Resampling.BOX)) > 0


def complete_photo(
    photo: Picture,
    mask: np.ndarray,
    model: str | None = None,
    options: FillOptions = DEFAULTS,
    progress: Callable[[float], object] | None = None,
) -> Result:
    """Fill the masked part of a photo.

    Args:
        photo: as `open_photo` gives it; its mode and alpha are kept.
        mask: bool (height, width), True = fill.
        model: one of `models()`; the first without it.
        options: how holes are filled.
        progress: called with the share of the work that is done, from 0 to 1.
    """
    if not mask.any():
        raise ValueError("Nothing is painted yet: paint over what should go, or upload a mask with white in it.")
    filled = _fill(photo, mask, model or models()[0], options, progress)
    return Result(images.read(photo.completed(*filled)), filled.mask)


@borrow_gpu
def _fill(
    photo: Picture, mask: np.ndarray, model: str, options: FillOptions, progress: Callable[[float], object] | None
) -> Filled:
    return fill(completer_of(model), photo.samples, mask, options, progress=progress, hidden=photo.hidden)


def complete_files(
    photos: list[str],
    mask_files: list[str],
    folder: Path,
    model: str | None = None,
    options: FillOptions = DEFAULTS,
    progress: Callable[[float], object] | None = None,
) -> list[str]:
    """Complete several files into PNG files of a folder; one mask for all photos or one for each, in order."""
    if len(photos) > MOST_FILES:
        raise ValueError(
            f"Got {len(photos)} photos: up to {MOST_FILES} are allowed in one call, so that others get their turn."
        )
    if len(mask_files) not in (1, len(photos)):
        raise ValueError(f"Got {len(mask_files)} masks for {len(photos)} photos: give one for all or one for each.")
    results = []
    for index, path in enumerate(photos):
        place = f"Photo {index + 1} of {len(photos)}: " if len(photos) > 1 else ""
        try:
            photo = open_photo(path)
            mask = read_mask(mask_files[index % len(mask_files)], photo.size)
            so_far = functools.partial(_shown, progress, index, len(photos)) if progress else None
            result = complete_photo(photo, mask, model, options, so_far)
        except ValueError as error:
            raise ValueError(f"{place}{error}") from error
        results.append(save_png(result.photo, folder / f"{index:03d}-{Path(path).stem}.png"))
    return results


def _shown(progress: Callable[[float], object], number: int, count: int, share: float) -> None:
    progress((number + share) / count)


def result_folder() -> Path:
    """A new folder for result files; it goes after `KEPT_SECONDS`, or when the Space stops."""
    folder = Path(tempfile.mkdtemp(dir=_RESULTS.name))
    timer = threading.Timer(KEPT_SECONDS, shutil.rmtree, [folder], {"ignore_errors": True})
    timer.daemon = True
    timer.start()
    return folder
