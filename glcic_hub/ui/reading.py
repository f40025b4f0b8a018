"""What visitors bring: photos, masks and paint, read or refused with a sentence for them."""

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from glcic_hub import images, masks
from glcic_hub.deep import lower_bytes, stored_modes, upright
from glcic_hub.errors import reason
from glcic_hub.formats import READABLE, WRITABLE, check_fits
from glcic_hub.images import Picture
from glcic_hub.inks import to_rgb
from glcic_hub.metadata import without_small_pictures
from glcic_hub.opening import CannotRead, open_image, warnings_off
from glcic_hub.workflow import MOSTLY

MEGAPIXEL = 1_000_000
ACCEPTED = ",".join(["image/*", *READABLE])
"""For the `accept` of a file input; systems do not know the type of every image."""


class Opened(NamedTuple):
    """A photo that was brought.

    Attributes:
        picture: upright; in its own mode, but for CMYK, which has become RGB.
        file_format: a value of `formats.WRITABLE`: that of the file, or PNG where that cannot be written.
        note: a sentence on what is special about it, or "".
    """

    picture: Picture
    file_format: str
    note: str


def open_photo(path: str | os.PathLike, most_pixels: int) -> Opened:
    """Read an image file and turn it upright; what is larger than `most_pixels` is refused before it is decoded.

    Raises:
        ValueError: it cannot be used; the message is a sentence for the visitor.
    """
    stored_format = check_file(path, "photo", most_pixels)
    note = ""
    try:
        image = images.load_image(path)
        if images.exif_orientation(image) != 1:
            # Upright for good, because few viewers heed the orientation in a PNG file.
            image = upright(image)
        if image.mode == "CMYK":  # PNG cannot hold it, nor RGB its profile
            colours = Image.fromarray(np.asarray(to_rgb(image)))
            colours.info = {key: value for key, value in image.info.items() if key != "icc_profile"}
            image, note = colours, "This photo is made of printing inks (CMYK); the result is RGB."
        elif lower_bytes(image) is None and _has_deep_colours(path):
            note = "This photo has 16 bits per colour; the result has 8."
        image.info = without_small_pictures(image.info, 1)  # they still show what will be filled
        picture = images.read(image)
    except (OSError, TypeError) as error:
        raise ValueError("This photo is damaged: it ends too early or contains invalid data.") from error
    except ValueError as error:
        raise ValueError(f"This photo cannot be used: {reason(error)}.") from error
    if image.mode == "F":
        raise ValueError("This photo has floating-point samples: use glcic inpaint for it, or save it with 16 bits.")
    if picture.has_more_frames:
        note = "This file has several frames, pages or layers: only the first is completed."
    return Opened(picture, _result_format(image, stored_format), note)


def _has_deep_colours(path: str | os.PathLike) -> bool:
    """Whether the colours of a file have 16 bits, be it in a way that only 8 of them are read."""
    with warnings_off(), open_image(path) as opened:
        return opened.mode in ("RGB", "RGBA") and any(";16" in str(mode) for mode in stored_modes(opened))


def _result_format(image: Image.Image, stored_format: str | None) -> str:
    own = "JPEG" if stored_format == "MPO" else stored_format
    if own is None or own not in WRITABLE.values():
        return "PNG"
    try:
        check_fits(image, own)
    except ValueError:
        return "PNG"
    return own


def read_mask(path: str | os.PathLike, size: tuple[int, int], most_pixels: int) -> tuple[np.ndarray, str]:
    """A mask file for a photo of (height, width) `size`.

    Returns:
        bool (height, width), True = fill; and what is doubtful about it in a sentence, or "".

    Raises:
        ValueError: it cannot be used; the message is a sentence for the visitor.
    """
    check_file(path, "mask", most_pixels)
    try:
        image = images.load_image(path)
        width, height = image.size if images.exif_orientation(image) < 5 else image.size[::-1]
        if (height, width) != tuple(size):
            raise ValueError(
                f"This mask is {width} x {height} pixels, the photo {size[1]} x {size[0]}. "
                "Choose the mask made for this photo."
            )
        mask, doubt = masks.read_with_doubt(image, size)
    except (OSError, TypeError) as error:
        raise ValueError("This mask is damaged: it ends too early or contains invalid data.") from error
    share = mask.mean()
    if share == 0:
        raise ValueError("Nothing in this mask is white. White marks what should go: choose another mask.")
    if share == 1:
        raise ValueError("This mask is white all over, and nothing would be left of the photo: choose another mask.")
    if doubt:
        said = doubt.partition(";")[0].partition(", its values")[0]
        return mask, f"{said[:1].upper()}{said[1:]}. Is it the right file?"
    if share > MOSTLY:
        return mask, f"{masks.percent(share)} of the photo would be filled. Is white what should go in this mask?"
    return mask, ""


def read_paint(data: bytes, height: int, width: int) -> np.ndarray:
    """What is painted in a part of a photo: an image whose white is paint, of the size of the part.

    Args:
        data: the image file. It may be smaller by a whole number, as what is painted on the preview of a large photo
            is; the last of its rows and columns then stand for the rest.
        height, width: of the part, pixels.

    Returns:
        bool (height, width), True = fill.

    Raises:
        ValueError: it is no image, or of another size; the message is a sentence for the visitor.
    """
    try:
        with warnings_off(), open_image(data, formats=("PNG",)) as image:
            columns, rows = image.size
            if columns <= width and rows <= height:  # before it is decoded
                black = Image.new("RGBA", image.size, "black")
                black.alpha_composite(image.convert("RGBA"))
    except Exception as error:  # noqa: BLE001 - the decoders raise errors of many kinds
        raise ValueError("The paint has not arrived as it should: try again.") from error
    scale = max(-(-width // columns), -(-height // rows))
    if columns > width or rows > height or (columns - 1) * scale >= width or (rows - 1) * scale >= height:
        raise ValueError(f"The paint is {columns} x {rows} pixels, the part of the photo {width} x {height}.")
    painted = np.asarray(black.convert("L")) >= 128
    return painted.repeat(scale, 0).repeat(scale, 1)[:height, :width]


def check_file(path: str | os.PathLike, what: str, most_pixels: int) -> str | None:
    """Pillow's name of the format of an image file, whose pixels are not decoded.

    Raises:
        ValueError: it is no image, or a huge one; the message is a sentence for the visitor.
    """
    most = most_pixels // MEGAPIXEL
    try:
        with warnings_off(), open_image(path) as opened:
            pixels, stored_format = opened.width * opened.height, opened.format
    except FileNotFoundError as error:
        raise ValueError(f"This {what} is no longer on the server. Open it again.") from error
    except CannotRead as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise ValueError(
                f"This {what} is larger than the {most} megapixels that work here: make it smaller."
            ) from error
        raise ValueError(f"This {what} {reason(error)}.") from error
    except Exception as error:  # noqa: BLE001 - the decoders raise errors of many kinds
        raise ValueError(f"This file is not a readable image; use JPEG, PNG or WebP for the {what}.") from error
    if pixels > most_pixels:
        raise ValueError(
            f"This {what} has {pixels / MEGAPIXEL:.0f} megapixels; up to {most} work here. "
            "Make it smaller, or use glcic inpaint on your own machine."
        )
    return stored_format
