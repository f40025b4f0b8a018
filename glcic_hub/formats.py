"""The formats of picture files: which can hold which picture, and encoding with metadata.

Importing this module imports neither torch nor PIL, so that the command line can check names before it does.
"""

import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_READ = {
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PNG": (".png", ".apng"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
READABLE = {suffix: file_format for file_format, suffixes in _READ.items() for suffix in suffixes}
"""Suffix -> Pillow's name of the format: the files in folders and tar files that are taken for pictures.

Of the others that Pillow knows, some are programs (PostScript), and some hold numbers of any range (.pfm).
"""

WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Suffix -> Pillow's name of the format: what results can be."""

JPEG_QUALITY = 95
PNG_LEVEL = 2  # of zlib: three to four times as fast as Pillow's 6, for files 5 to 10 % larger

_EXIF_HEADER = b"Exif\0\0"

# Modes that Pillow writes in a format without changing a sample. CMYK, 16 bits and alpha are looked at before.
_WRITTEN_AS_THEY_ARE = {
    "PNG": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"),
    "JPEG": ("1", "L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}
_LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65500, "WEBP": 16383}


def check_fits(image: "Image.Image", file_format: str) -> None:
    """ValueError if the format (a value of `WRITABLE`) cannot hold the picture; the message says which one can."""
    from glcic_hub import images, masks

    if image.mode in images.SIXTEEN_BIT_MODES and file_format != "PNG":
        raise ValueError(f"the picture has 16 bits, which {file_format} cannot hold: use .png")
    if image.mode == "CMYK" and file_format != "JPEG":
        raise ValueError(f"the picture is CMYK, which {file_format} cannot hold: use .jpg")
    if file_format == "JPEG":
        transparent = masks.from_transparency(image)
        if transparent is not None and transparent.any():
            raise ValueError("the picture has transparency, which JPEG cannot hold: use .png or .webp")
    longest = _LONGEST_SIDE[file_format]
    if max(image.size) > longest:
        size = f"{image.width}x{image.height}"
        raise ValueError(f"the picture is {size}, and {file_format} can hold {longest} pixels a side: use .png")


def encoded(image: "Image.Image", file_format: str, quality: int | None = None) -> bytes:
    """The bytes of an image file, with the EXIF data, ICC profile and dpi of `image`.

    `file_format` is a value of `WRITABLE`; `check_fits` has passed the picture for it. `quality` is 1 to 100; without
    it JPEG has `JPEG_QUALITY`, and WebP is lossless. ValueError if Pillow cannot encode it.
    """
    image = _in_mode_of(image, file_format)
    options = _metadata(image)
    if file_format == "JPEG":
        options |= {"quality": quality or JPEG_QUALITY, "subsampling": 0}
    elif file_format == "WEBP":
        # exact: keeps the colours where alpha is 0, too.
        options |= {"quality": quality} if quality else {"lossless": True, "exact": True}
    elif file_format == "PNG":
        options |= {"compress_level": PNG_LEVEL}
    # In memory, because the encoders hide the reason (full disk, ...) when they write to a file themselves.
    buffer = io.BytesIO()
    try:
        image.save(buffer, file_format, **options)
    except (OSError, ValueError) as error:  # For example EXIF data of a PNG that are too long for a JPEG.
        raise ValueError(f"the result cannot be written as {file_format}: {error}; try .png") from error
    return buffer.getvalue()


def without_transparency(image: "Image.Image") -> "Image.Image":
    """`image` opaque, every colour as it is; grey stays grey."""
    if not image.has_transparency_data:
        return image
    if image.mode in ("1", "L", "RGB") or image.mode.startswith("I"):  # One key colour (or grey) is transparent.
        image = image.copy()
    elif image.mode == "LA":
        image = image.convert("L")
    else:
        image = image.convert("RGBA").convert("RGB")
    image.info.pop("transparency", None)
    return image


def _in_mode_of(image: "Image.Image", file_format: str) -> "Image.Image":
    """`image` in a mode that the format can hold, with the same colours; it is one that fits (`check_fits`)."""
    if file_format == "JPEG":
        image = without_transparency(image)
    if image.mode.startswith("I"):  # I, I;16B, ...
        import numpy as np
        from PIL import Image

        sixteen_bit = Image.fromarray(np.asarray(image).astype(np.uint16))
        sixteen_bit.info = image.info
        return sixteen_bit
    if image.mode in _WRITTEN_AS_THEY_ARE[file_format]:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _metadata(image: "Image.Image") -> dict:
    """EXIF, ICC profile and dpi as options of `Image.save`."""
    options = {"exif": _exif(image), "dpi": image.info.get("dpi")}
    if options["dpi"] and not all(math.isfinite(value) and 0 < value < 65536 for value in options["dpi"]):
        options["dpi"] = None  # Nonsense in a damaged file, which the encoders refuse.
    options = {key: value for key, value in options.items() if value}
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA") and profile[16:20] in (b"GRAY", b"Lab ", b"CMYK"):
        profile = None  # Of a picture in other colours that had to become RGB.
    return options | {"icc_profile": profile}  # Where it is None, too: PNG would take the one in info.


def _exif(image: "Image.Image") -> bytes | None:
    """EXIF data that turn the picture upright: those of the file, or ones with the orientation from its XMP data."""
    from PIL import Image

    from glcic_hub import images

    stored = image.info.get("exif")
    alone = Image.new("L", (1, 1))
    alone.info["exif"] = stored
    if images.exif_orientation(alone) != images.exif_orientation(image):
        return image.getexif().tobytes()
    if stored and not stored.startswith(_EXIF_HEADER):  # WebP files have none, and a JPEG file needs it.
        return _EXIF_HEADER + stored
    return stored
