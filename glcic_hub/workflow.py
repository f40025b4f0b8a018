"""From picture and mask files to the completed file: the way that `glcic inpaint` and `glcic batch` share.

Every step raises `WrongUse` or `FailedWork` with one sentence. Importing this module imports neither torch nor PIL.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.filling.options import FillOptions
from glcic_hub.formats import check_fits, encoded, without_transparency
from glcic_hub.opening import pixel_limit
from glcic_hub.picture_files import PictureFile

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from glcic_hub.filling.completer import Completer
    from glcic_hub.images import Picture
    from glcic_hub.model import GLCICModel


@dataclass(frozen=True)
class Settings:
    """How holes are filled and results written.

    Attributes:
        model: name, folder or Hub repository; the embedded default model without it.
        dtype: name of the torch type to compute in; the fastest that the device has without it.
        device: name of the device to compute on (`device.choose_device`).
        options: how holes are filled.
        file_format: a value of `formats.WRITABLE`.
        quality: 1 to 100, see `formats.encoded`.
        max_megapixels: how many million pixels a picture may have; what Pillow allows without it.
    """

    model: str | None = None
    dtype: str | None = None
    device: str | None = None
    options: FillOptions = FillOptions()
    file_format: str = "PNG"
    quality: int | None = None
    max_megapixels: int | None = None


def load_model(name: str | None, dtype: str | None = None) -> "GLCICModel":
    """The model of `Settings.model` in the type of `Settings.dtype`."""
    import torch

    from glcic_hub.model import DEFAULT_NAME, GLCICModel, embedded_models

    try:
        return GLCICModel.from_pretrained(name, dtype=getattr(torch, dtype) if dtype else None)
    # HfHubHTTPError is an OSError; TypeError and ValueError are settings in config.json that do not fit.
    except (OSError, ValueError, TypeError) as error:
        embedded = ", ".join(embedded_models()) or "none"
        message = f"cannot load the model {name or DEFAULT_NAME!r} (embedded: {embedded}): {reason(error)}"
        raise FailedWork(message) from error


def load_completer(settings: Settings, number: int = 0) -> "Completer":
    """The model of `Settings.model` made ready on `Settings.device`; `number` chooses among several of its kind."""
    from glcic_hub.filling.completer import Completer

    device = device_of(settings, number)
    return Completer(load_model(settings.model, settings.dtype), device)


def device_of(settings: Settings, number: int = 0) -> "torch.device":
    """The device of `Settings.device`; `number` chooses among several of its kind."""
    from glcic_hub.device import choose_device

    try:
        return choose_device(settings.device, number)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def read_pair(
    photo: PictureFile, mask: PictureFile | None, file_format: str, max_megapixels: int | None = None
) -> "tuple[Picture, np.ndarray]":
    """The picture, which fits into the format, and its mask, bool (H, W), True = fill.

    Without a mask's file the transparency is the mask, and the picture comes without it. `max_megapixels`: see
    `Settings`.
    """
    from glcic_hub import images, masks

    with pixel_limit(max_megapixels):
        with _naming(photo):
            image = photo.load()
            if mask is None:
                bool_mask = masks.from_transparency(image)
                if bool_mask is None:
                    raise WrongUse(f"{quoted(photo.label)} has no transparency that could be the mask: give a mask")
                image = without_transparency(image)
            picture = images.read(image)
        if mask is not None:
            with _naming(mask):
                bool_mask = masks.read(mask.load(), picture.size)
    try:
        check_fits(picture.image, file_format)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    return picture, bool_mask


def complete(
    completer: "Completer",
    picture: "Picture",
    mask: "np.ndarray",
    settings: Settings,
    progress: Callable[[float], object] | None = None,
) -> "Image.Image":
    """The picture with its holes filled; the mask is bool (H, W), True = fill, `progress` that of `fill`."""
    from glcic_hub.filling.fill import fill

    try:
        filled = fill(completer, picture.rgb, mask, settings.options, progress=progress)
    except ValueError as error:
        raise WrongUse(reason(error)) from error
    except (MemoryError, RuntimeError) as error:
        # torch says RuntimeError when memory is short; others are mistakes of ours and keep their traceback.
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise FailedWork("there is not enough memory to complete the picture; try a smaller one") from error
    return picture.completed(filled, mask, "pil")


def file_of(image: "Image.Image", settings: Settings) -> bytes:
    """The result as the bytes of a file."""
    try:
        return encoded(image, settings.file_format, settings.quality)
    except ValueError as error:
        raise WrongUse(reason(error)) from error


@contextmanager
def _naming(file: PictureFile) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        raise WrongUse(f"cannot use {quoted(file.label)}: {reason(error)}") from error
