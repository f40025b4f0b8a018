"""The formats of image files: which can hold which image, and encoding with metadata.

Importing this module imports neither torch nor PIL, so that the command line can check names before it does.
"""

import io
import math
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, PngImagePlugin

_READ = {
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PNG": (".png", ".apng"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
READABLE = {suffix: file_format for file_format, suffixes in _READ.items() for suffix in suffixes}
"""Suffix -> Pillow's name of the format: the files in folders and tar files that are taken for images.

HEIF files are read where pillow-heif is installed. Of the other formats that Pillow knows, some are programs
(PostScript), and some hold numbers of any range (.pfm).
"""

WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
"""Suffix -> Pillow's name of the format: what results can be."""

JPEG_QUALITY = 95
PNG_LEVEL = 2  # of zlib: three to four times as fast as Pillow's 6, for files 5 to 10 % larger

_JPEG_SEGMENT = 2**16 - 3  # bytes, without those of its length
_XMP_HEADER_LENGTH = 29
_PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
_LONGEST_KEYWORD = 79  # of a text in a PNG file
_NO_TEXTS = {"compression", "xmp", "XML:com.adobe.xmp"}  # other str in `info`

# Modes that Pillow writes in a format without changing a sample. CMYK, 16 bits and alpha are looked at before.
_WRITTEN_AS_THEY_ARE = {
    "PNG": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"),
    "JPEG": ("1", "L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "I;16", "F", "P", "RGB", "RGBA", "CMYK"),
}
_LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65500, "WEBP": 16383, "TIFF": 2**31 - 1}


def check_fits(image: "Image.Image", file_format: str) -> None:
    """Check that the format (a value of `WRITABLE`) can hold the image.

    Raises:
        ValueError: it cannot; the message says which one can.
    """
    from glcic_hub import images, masks

    if image.mode in images.SIXTEEN_BIT_MODES:
        if file_format not in ("PNG", "TIFF"):
            raise ValueError(f"the image has 16 bits, which {file_format} cannot hold: use .png or .tif")
        if file_format == "TIFF" and image.has_transparency_data:
            raise ValueError("the image has 16 bits and a transparent grey, which TIFF cannot hold: use .png")
    if image.mode == "F" and file_format != "TIFF":
        raise ValueError(f"the image has floating point samples, which {file_format} cannot hold: use .tif")
    if image.mode == "CMYK" and file_format not in ("JPEG", "TIFF"):
        raise ValueError(f"the image is CMYK, which {file_format} cannot hold: use .jpg or .tif")
    if file_format == "JPEG":
        transparent = masks.from_transparency(image)
        if transparent is not None and transparent.any():
            raise ValueError("the image has transparency, which JPEG cannot hold: use .png or .webp")
    longest = _LONGEST_SIDE[file_format]
    if max(image.size) > longest:
        size = f"{image.width}x{image.height}"
        raise ValueError(f"the image is {size}, and {file_format} can hold {longest} pixels a side: use .png")


def encoded(image: "Image.Image", file_format: str, quality: int | None = None) -> bytes:
    """The bytes of an image file, with what is known about the image of `image`, as far as the format holds it.

    Colours of 16 bits (`deep`) have 8 in JPEG and WebP files.

    `file_format` is a value of `WRITABLE`; `check_fits` has passed the image for it. `quality` is 1 to 100; without
    it JPEG has `JPEG_QUALITY`, and WebP is lossless.

    Raises:
        ValueError: Pillow cannot encode it.
    """
    from glcic_hub import deep, png

    image = _in_mode_of(image, file_format)
    options = _metadata(image, file_format)
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
        if file_format == "TIFF":
            from glcic_hub import tiff

            return tiff.encoded(image, **options)
        if file_format == "PNG" and deep.lower_bytes(image) is not None:
            return png.encoded(deep.samples_of(image), **options)
        image.save(buffer, file_format, **options)
    # For example EXIF data of a PNG that are too long for a JPEG, or an image that is too large for a TIFF.
    except (OSError, ValueError, struct.error) as error:
        raise ValueError(f"the result cannot be written as {file_format}: {error}; try .png") from error
    return buffer.getvalue()


def _in_mode_of(image: "Image.Image", file_format: str) -> "Image.Image":
    """`image` in a mode that the format can hold, with the same colours; it is one that fits (`check_fits`)."""
    if file_format == "JPEG":
        from glcic_hub import images

        image = images.without_transparency(image)
    if image.mode.startswith("I"):  # I, I;16B, ...
        import numpy as np
        from PIL import Image

        sixteen_bit = Image.fromarray(np.asarray(image).astype(np.uint16))
        sixteen_bit.info = image.info
        return sixteen_bit
    has_key = "transparency" in image.info  # of a palette, a grey or a colour; here PNG alone has a place for it
    if image.mode in _WRITTEN_AS_THEY_ARE[file_format] and (file_format == "PNG" or not has_key):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _metadata(image: "Image.Image", file_format: str) -> dict:
    """What is known about the image, as far as the format has a place for it, as options of `Image.save`."""
    from glcic_hub import metadata

    info = image.info
    options = {"exif": _exif(image), "xmp": _as_bytes(info.get("xmp")), "dpi": info.get("dpi")}
    if options["dpi"] and not all(math.isfinite(value) and 0 < value < 65536 for value in options["dpi"]):
        options["dpi"] = None  # Nonsense in a damaged file, which the encoders refuse.
    blocks = metadata.photoshop_blocks(info.get("photoshop", {}))
    if file_format == "JPEG":
        options |= _for_jpeg(options["xmp"], blocks)
    if file_format == "PNG":
        options["pnginfo"] = _for_png(options.pop("xmp"), blocks, info)
    options = {key: value for key, value in options.items() if value}
    if file_format == "TIFF":
        options["tags"] = metadata.tiff_tags(options.pop("exif", None), options.pop("xmp", None), blocks)
    profile = info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA") and profile[16:20] in (b"GRAY", b"Lab ", b"CMYK"):
        profile = None  # Of a picture in other colours that had to become RGB.
    comment = _as_bytes(info.get("comment"))
    if comment and len(comment) > _JPEG_SEGMENT:
        comment = None
    # Where they are None, too: the encoders would take those in info.
    return options | {"icc_profile": profile, "comment": comment}


def _as_bytes(text: object) -> bytes | None:
    """Other kinds than bytes and str come from damaged files."""
    if isinstance(text, str):
        return text.encode(errors="replace")
    return text if isinstance(text, bytes) else None


def _for_jpeg(xmp: bytes | None, blocks: list[bytes]) -> dict:
    """XMP and IPTC data, as far as the segments of a JPEG file hold them."""
    segments = [_PHOTOSHOP_HEADER + block for block in blocks]
    return {
        "xmp": xmp if xmp and len(xmp) + _XMP_HEADER_LENGTH <= _JPEG_SEGMENT else None,
        "extra": b"".join(
            b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
            for segment in segments
            if len(segment) <= _JPEG_SEGMENT
        ),
    }


def _for_png(xmp: bytes | None, blocks: list[bytes], info: dict) -> "PngImagePlugin.PngInfo":
    """The chunks that say how the colours are meant, XMP and IPTC data, and the texts."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for kind, numbers, layout in (
        (b"gAMA", [info["gamma"]] if "gamma" in info else [], ">I"),
        (b"cHRM", info.get("chromaticity", []), ">8I"),
    ):
        with suppress(TypeError, ValueError, OverflowError, struct.error):  # there is none, or nonsense
            chunks.add(kind, struct.pack(layout, *(round(number * 100_000) for number in numbers)))
    if info.get("srgb") in range(4):
        chunks.add(b"sRGB", bytes([info["srgb"]]))
    if xmp:
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
    if blocks:
        data = b"".join(blocks)
        lines = [data[at : at + 36].hex() for at in range(0, len(data), 36)]
        chunks.add_text("Raw profile type iptc", "\n".join(["", "iptc", f"{len(data):8}", *lines, ""]), zip=True)
    texts = {key: text for key, text in info.items() if isinstance(text, str) and key not in _NO_TEXTS}
    if isinstance(info.get("comment"), bytes):  # of a JPEG or GIF file
        texts.setdefault("Comment", info["comment"].decode(errors="replace"))
    for keyword, text in texts.items():
        with suppress(UnicodeError):  # not of a file
            if len(keyword) <= _LONGEST_KEYWORD:
                chunks.add_text(keyword, text)
    return chunks


def _exif(image: "Image.Image") -> bytes | None:
    """EXIF data that turn the image upright: those of the file, or ones with the orientation from its XMP data."""
    from PIL import Image

    from glcic_hub import images
    from glcic_hub.metadata import EXIF_HEADER

    stored = image.info.get("exif")
    alone = Image.new("L", (1, 1))
    alone.info["exif"] = stored
    if images.exif_orientation(alone) != images.exif_orientation(image):
        return image.getexif().tobytes()
    if stored and not stored.startswith(EXIF_HEADER):  # WebP files have none, and a JPEG file needs it.
        return EXIF_HEADER + stored
    return stored
