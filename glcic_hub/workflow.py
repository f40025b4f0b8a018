"""From image and mask files to the completed file: the way that `glcic inpaint` and `glcic batch` share.

Every step raises `WrongUse` or `FailedWork` with one sentence. Importing this module imports neither torch nor PIL.
"""

import os
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.filling.options import FillOptions
from glcic_hub.formats import check_fits, encoded
from glcic_hub.opening import pixel_limit
from glcic_hub.picture_files import PictureFile, Source

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from glcic_hub.filling.completer import Completer
    from glcic_hub.filling.fill import Filled
    from glcic_hub.images import Picture
    from glcic_hub.model import GLCICModel

MOSTLY = 0.8
"""A mask that fills more than this share of an image may be one whose white means "keep"."""


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
        invert: masks are white where the image is to be kept.
        max_megapixels: how many million pixels an image may have; what Pillow allows without it.
    """

    model: str | None = None
    dtype: str | None = None
    device: str | None = None
    options: FillOptions = FillOptions()
    file_format: str = "PNG"
    quality: int | None = None
    invert: bool = False
    max_megapixels: int | None = None


@dataclass(frozen=True)
class Shapes:
    """A mask that is drawn: `boxes` and `polygons` of `masks.draw_mask`."""

    boxes: Sequence[Sequence[int]] = ()
    polygons: Sequence[Sequence[Sequence[int]]] = ()


def load_model(name: str | None, dtype: str | None = None) -> "GLCICModel":
    """The model of `Settings.model` in the type of `Settings.dtype`.

    Raises:
        FailedWork: there is none, or it does not load.
    """
    import torch
    from huggingface_hub.errors import LocalEntryNotFoundError

    from glcic_hub.model import DEFAULT_NAME, GLCICModel, embedded_models

    is_offline = name is not None and _is_on_the_hub(name) and not _is_hub_reached(name)
    try:
        torch_type = getattr(torch, dtype) if dtype else None
        return GLCICModel.from_pretrained(name, dtype=torch_type, local_files_only=is_offline)
    except LocalEntryNotFoundError as error:
        embedded = ", ".join(embedded_models()) or "none"
        raise FailedWork(
            f"there is no model {name!r} on this machine (embedded: {embedded}; folders are given by their path), and "
            "the Hub cannot be reached"
        ) from error
    # HfHubHTTPError is an OSError; TypeError and ValueError are settings in config.json that do not fit.
    except (OSError, ValueError, TypeError) as error:
        embedded = ", ".join(embedded_models()) or "none"
        message = f"cannot load the model {name or DEFAULT_NAME!r} (embedded: {embedded}): {reason(error)}"
        raise FailedWork(message) from error


def _is_on_the_hub(name: str) -> bool:
    """Whether it can only be a Hub repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    from glcic_hub.model import embedded_models

    if name in embedded_models() or os.path.isdir(name):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _is_hub_reached(name: str) -> bool:
    """Asks once: downloads ask for most of a minute before they give up."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.constants import CONFIG_NAME
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(name, CONFIG_NAME))
    except HfHubHTTPError:  # an answer, on which loading the model has more to say
        return True
    except Exception:  # noqa: BLE001 - of httpx or httpx2, as the release of huggingface_hub has it
        return False
    return True


def load_completer(settings: Settings, number: int = 0) -> "Completer":
    """The model of `Settings.model` made ready on `Settings.device`; `number` chooses among several of its kind."""
    from glcic_hub.filling.completer import Completer

    device = device_of(settings, number)
    return Completer(load_model(settings.model, settings.dtype), device)


def device_of(settings: Settings, number: int = 0) -> "torch.device":
    """The device of `Settings.device`; `number` chooses among several of its kind.

    Raises:
        WrongUse: there is no such device.
    """
    from glcic_hub.device import choose_device

    try:
        return choose_device(settings.device, number)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def read_pair(
    photo: Source,
    mask: Source | Shapes | None,
    settings: Settings,
    tell: Callable[[str], object] = warnings.warn,
) -> "tuple[Picture, np.ndarray]":
    """The image, which fits into the format of the results, and its mask, bool (H, W), True = fill.

    Without a mask's file the transparency is the mask, and the image comes without it. What is doubtful about a mask
    (`masks.read_with_doubt`, `MOSTLY`) goes to `tell` in one sentence; where it leaves nothing to do it is an error.

    Raises:
        WrongUse: a file cannot be used, or the format cannot hold the image.
    """
    with pixel_limit(settings.max_megapixels):
        picture, bool_mask, doubt = _read(photo, mask, settings.invert)
    try:
        check_fits(picture.image, settings.file_format)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    if doubt:
        tell(doubt)
    return picture, bool_mask


def _read(photo: Source, mask: Source | Shapes | None, invert: bool) -> "tuple[Picture, np.ndarray, str | None]":
    """Picture, mask, and what is doubtful about the mask."""
    from glcic_hub import images, masks

    with _naming(photo):
        image = photo.load()
        if mask is not None:
            picture = images.read(image)
        elif invert:
            raise WrongUse("--invert needs a mask: give one, or leave it out")
        else:
            bool_mask = masks.from_transparency(image)
            if bool_mask is None:
                is_file = isinstance(photo, PictureFile) and photo.byte_count is None
                hint = f" (no mask yet? glcic ui {shlex.quote(photo.label)})" if is_file else ""
                raise WrongUse(
                    f"{quoted(photo.label)} has no transparent part that could be filled: give a mask, "
                    f"or draw one with --box or --polygon of glcic inpaint{hint}"
                )
            return images.read(images.without_transparency(image)), bool_mask, None
    return picture, *_mask_of(mask, picture.size, invert)


def _mask_of(mask: Source | Shapes, size: tuple[int, int], invert: bool) -> "tuple[np.ndarray, str | None]":
    """As `masks.read_with_doubt`; the doubt names the file."""
    from glcic_hub import masks

    if isinstance(mask, Shapes):
        try:
            drawn = masks.drawn(size, mask.boxes, mask.polygons)
        except ValueError as error:
            raise WrongUse(str(error)) from error
        return (~drawn if invert else drawn), None
    with _naming(mask):
        result, doubt = masks.read_with_doubt(mask.load(), size, invert)
        if doubt and (not result.any() or result.all()):
            raise ValueError(doubt)
    share = result.mean()
    if not doubt and MOSTLY < share < 1:
        question = "is --invert right?" if invert else "if the mask is inverted, add --invert"
        doubt = f"{masks.percent(share)} would be filled: {question}"
    return result, doubt and f"{quoted(mask.label)}: {doubt}"


def complete(
    completer: "Completer",
    picture: "Picture",
    mask: "np.ndarray",
    settings: Settings,
    progress: Callable[[float], object] | None = None,
) -> "Image.Image":
    """The image with its holes filled; the mask is bool (H, W), True = fill, `progress` that of `fill`.

    Raises:
        WrongUse, FailedWork: as in `fill_holes`.
    """
    return picture.completed(*fill_holes(completer, picture, mask, settings.options, progress))


def fill_holes(
    completer: "Completer",
    picture: "Picture",
    mask: "np.ndarray",
    options: FillOptions,
    progress: Callable[[float], object] | None = None,
) -> "Filled":
    """As `fill`, of a `Picture`.

    Raises:
        WrongUse: the mask leaves nothing to complete it from.
        FailedWork: there is not enough memory.
    """
    from glcic_hub.filling.fill import fill

    try:
        return fill(completer, picture.samples, mask, options, progress=progress, hidden=picture.hidden)
    except ValueError as error:
        raise WrongUse(reason(error)) from error
    except (MemoryError, RuntimeError) as error:
        # torch says RuntimeError when memory is short; others are mistakes of ours and keep their traceback.
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise FailedWork("not enough memory to complete the image; try a smaller one") from error


def file_of(image: "Image.Image", settings: Settings) -> bytes:
    """The result as the bytes of a file.

    Raises:
        WrongUse: the image cannot be encoded.
    """
    try:
        return encoded(image, settings.file_format, settings.quality)
    except ValueError as error:
        raise WrongUse(reason(error)) from error


@contextmanager
def _naming(file: Source) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        raise WrongUse(f"cannot use {quoted(file.label)}: {reason(error)}") from error
