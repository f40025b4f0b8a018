"""Colours of 16 bits, for which Pillow has no mode: RGB and RGBA images whose lower bytes go along in `info`.

Of such a file Pillow decodes the upper byte of each sample. Decoded once more, as if its bytes lay the other way round,
it gives the lower ones. Only images that come from files of ours and go to such files have them: whoever changes an
image by Pillow changes the upper bytes alone.
"""

import sys

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import PLANAR_CONFIGURATION

LOWER_BYTES = "lower_bytes"
"""The key in `info` of an image, RGB or RGBA, whose samples are the upper bytes of ones of 16 bits: another image, of
the same mode and size, with the lower bytes."""

_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_DEEP = {f"{mode};16{order}" for mode in ("RGB", "RGBA") for order in _OTHER_ORDER}


def has_deep_colours(image: Image.Image) -> bool:
    """Whether the colours of an image that was opened, but not decoded, have 16 bits in its file.

    No where Pillow cannot decode the lower bytes, as in TIFF files with one plane per channel.
    """
    modes, has_planes = stored_modes(image), getattr(image, "tag_v2", {}).get(PLANAR_CONFIGURATION) == 2
    return bool(modes) and not has_planes and all(mode in _DEEP for mode in modes)


def stored_modes(image: Image.Image) -> list[object]:
    """How the samples of an image that was opened, but not decoded, lie in its file: Pillow's raw modes, mostly str."""
    arguments = [tile[3] for tile in getattr(image, "tile", [])]  # of decoders: the raw mode, or it first
    return [one[0] if isinstance(one, tuple) and one else one for one in arguments]


def swap_byte_order(image: Image.Image) -> None:
    """Let an image that `has_deep_colours` be decoded to its lower bytes."""
    for number, tile in enumerate(image.tile):  # type: ignore[attr-defined]  # those of files have it
        arguments = _in_other_order(tile[3])
        is_named = hasattr(tile, "_replace")  # before version 11 Pillow's are plain tuples
        image.tile[number] = tile._replace(args=arguments) if is_named else (*tile[:3], arguments)  # type: ignore[attr-defined]


def lower_bytes(image: Image.Image) -> Image.Image | None:
    """The lower bytes of an image's samples; None if it has 8 bits, as after it was changed to another mode or size."""
    lower = image.info.get(LOWER_BYTES)
    fits = isinstance(lower, Image.Image) and (lower.mode, lower.size) == (image.mode, image.size)
    return lower if fits else None


def samples_of(image: Image.Image) -> np.ndarray:
    """The samples of an image: uint16 (H, W, 3 or 4) where its colours have 16 bits, else as NumPy has them."""
    lower = lower_bytes(image)
    if lower is None:
        return np.asarray(image)
    samples = np.asarray(image).astype(np.uint16)
    samples <<= 8
    samples |= np.asarray(lower)
    return samples


def image_of(samples: np.ndarray) -> Image.Image:
    """The image whose `samples_of` these are; its `info` has nothing else."""
    if samples.dtype != np.uint16 or samples.ndim != 3:
        return Image.fromarray(samples)
    image = Image.fromarray((samples >> 8).astype(np.uint8))
    image.info[LOWER_BYTES] = Image.fromarray((samples & 255).astype(np.uint8))
    return image


def crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """As `Image.crop`, with the lower bytes."""
    part, lower = image.crop(box), lower_bytes(image)
    if lower is not None:
        part.info[LOWER_BYTES] = lower.crop(box)
    return part


def paste(image: Image.Image, part: Image.Image, box: tuple[int, int, int, int]) -> None:
    """As `Image.paste`, with the lower bytes, which other images may share: they are copied first.

    Where a part of 8 bits is pasted, the image has 8 from then on.
    """
    lower, new = lower_bytes(image), lower_bytes(part)
    image.paste(part, box)
    if lower is not None and new is not None:
        image.info[LOWER_BYTES] = lower.copy()
        image.info[LOWER_BYTES].paste(new, box)
    else:
        image.info.pop(LOWER_BYTES, None)


def upright(image: Image.Image) -> Image.Image:
    """As `ImageOps.exif_transpose`, with the lower bytes."""
    turned, lower = ImageOps.exif_transpose(image), lower_bytes(image)
    if lower is not None and ExifTags.Base.Orientation in image.getexif():
        lower = lower.copy()
        lower.getexif()[ExifTags.Base.Orientation] = image.getexif()[ExifTags.Base.Orientation]
        turned.info[LOWER_BYTES] = ImageOps.exif_transpose(lower)
    return turned


def _in_other_order(arguments: str | tuple) -> str | tuple:
    if isinstance(arguments, tuple):
        return (_in_other_order(arguments[0]), *arguments[1:])
    return arguments[:-1] + _OTHER_ORDER[arguments[-1]]
