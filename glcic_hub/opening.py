"""Picture files opened as Pillow does, and those that it does not open without help.

Importing this module imports PIL inside functions alone.
"""

import importlib
import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

HEIF_INSTALL = "pip install pillow-heif"
MORE_FRAMES = "has_more_frames"
"""The key in `info` of an image whose file has several frames, pages or layers."""

FIRST_ALONE = "has several frames, pages or layers: only the first is completed"
"""What is said of such a file; it follows the name."""

LARGEST_PROFILE = 2**24  # bytes of an ICC profile; those of printers have some millions

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
_AVIF_BRANDS = (b"avif", b"avis")


@contextmanager
def warnings_off() -> Iterator[None]:
    """Pillow warns of large images, which are welcome, and of damaged metadata, which are no reason for refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class CannotRead(ValueError):
    """The file is not damaged, but cannot be read here. The message follows "the image ..." and says what to do."""


def open_image(source: str | os.PathLike | bytes, formats: Collection[str] | None = None) -> "Image.Image":
    """The image in a file (its path or its bytes) as of `Image.open`, its samples not yet decoded.

    In its `info` is `MORE_FRAMES` where it has some. Compressed texts of a PNG file that are larger than Pillow unpacks
    are left out.

    Raises:
        CannotRead: it is above a limit, needs another package, or would be misread by Pillow.
        The other errors of `Image.open`.
    """
    with limits_told():
        image = _opened(source, formats)
        _check_planes(image)
        # To know that of a GIF file Pillow reads on, and where the file is damaged, it does not find back.
        with _opened(source, formats) if image.format == "GIF" else nullcontext(image) as looked_at:
            if has_more_frames(looked_at):
                image.info[MORE_FRAMES] = True
    return image


@contextmanager
def limits_told() -> Iterator[None]:
    """Pillow's refusal of an image for the number of its pixels becomes `CannotRead`.

    Raises:
        CannotRead: Pillow has refused one.
    """
    from PIL import Image

    try:
        yield
    except Image.DecompressionBombError as error:
        remedy = "make it smaller or raise the limit with --max-megapixels (in Python: PIL.Image.MAX_IMAGE_PIXELS)"
        raise CannotRead(f"is too large to read, {remedy}: {error}") from error


@contextmanager
def pixel_limit(megapixels: int | None) -> Iterator[None]:
    """Inside, images of up to so many million pixels are read in this process; None: as many as Pillow says."""
    from PIL import Image

    former = Image.MAX_IMAGE_PIXELS
    if megapixels is not None:
        Image.MAX_IMAGE_PIXELS = megapixels * 10**6 // 2  # of which Pillow warns, and refuses twice as many
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = former


def has_more_frames(image: "Image.Image") -> bool:
    """Whether the file of the image has several frames, pages or layers. They are not counted, which may take long."""
    try:
        return getattr(image, "is_animated", False)
    except Exception:  # noqa: BLE001 - damaged frames raise many kinds
        return False


def is_limit_of_texts(error: Exception) -> bool:
    """Whether Pillow refuses a PNG file for the size of its texts (or of its ICC profile)."""
    return isinstance(error, ValueError) and "MAX_TEXT" in str(error)


def _opened(source: str | os.PathLike | bytes, formats: Collection[str] | None) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    def opened(source: str | os.PathLike | bytes) -> Image.Image:
        known = None if formats is None else [name for name in formats if name != "HEIF" or name in Image.OPEN]
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=known)

    try:
        return opened(source)
    except UnidentifiedImageError:
        if _reads_heif(_head(source)):
            return opened(source)
        raise
    except ValueError as error:
        if not is_limit_of_texts(error):
            raise
        data, profile = _without_large_chunks(source if isinstance(source, bytes) else _all_of(source))
        image = opened(data)
        if profile is not None:
            image.info["icc_profile"] = profile
        return image


def _check_planes(image: "Image.Image") -> None:
    """CannotRead if it is a TIFF file with a plane of 16 bits for each channel, which Pillow reads as bytes."""
    from PIL import TiffImagePlugin

    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    is_planar = image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2 and len(image.getbands()) > 1
    bits = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    if is_planar and bits > 8 and image.tag_v2.get(TiffImagePlugin.COMPRESSION, 1) == 1:
        image.close()
        remedy = "save it with interleaved channels, or compressed"
        raise CannotRead(f"keeps each channel of {bits} bits by itself, which Pillow cannot read: {remedy}")


def _reads_heif(head: bytes) -> bool:
    """Whether a file that begins so can be opened after all. CannotRead if it could with another package."""
    from PIL import Image, features

    brands = {head[at : at + 4] for at in (8, *range(16, len(head), 4))} if head[4:8] == b"ftyp" else set()
    if not brands.isdisjoint(_AVIF_BRANDS):
        if not features.check("avif"):
            raise CannotRead("is an AVIF image, which this build of Pillow cannot read: pip install --upgrade pillow")
        return False
    if brands.isdisjoint(_HEIC_BRANDS):
        return False
    if "HEIF" in Image.OPEN:
        return False
    try:
        # Not by a statement: diffusers refuses remote code with a statement for a package that is not installed.
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise CannotRead(f"is a HEIC image, which needs pillow-heif: {HEIF_INSTALL}") from error
    return True


def _head(source: str | os.PathLike | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:64]
    with open(source, "rb") as file:
        return file.read(64)


def _all_of(path: str | os.PathLike) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _without_large_chunks(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG file without texts above Pillow's limits, and without its ICC profile, which comes beside it."""
    from PIL import PngImagePlugin

    kept, profile, at = [_PNG_SIGNATURE], None, len(_PNG_SIGNATURE)
    memory: float = PngImagePlugin.MAX_TEXT_MEMORY
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk, at = data[at : at + length + 12], at + length + 12
        content = chunk[8:-4]
        if kind == b"iCCP":
            profile = _unpacked(content.partition(b"\0")[2][1:], LARGEST_PROFILE)
            if len(profile) > LARGEST_PROFILE:
                raise CannotRead("has a colour profile that is too large to read: save it without one")
        elif kind not in _TEXTS:
            kept.append(chunk)
        elif (size := _text_size(kind, content)) <= memory:
            memory -= size
            kept.append(chunk)
    return b"".join(kept), profile or None


def _text_size(kind: bytes, content: bytes) -> float:
    """Bytes of the text of a chunk; infinite for a compressed one that is larger than Pillow unpacks."""
    from PIL.PngImagePlugin import MAX_TEXT_CHUNK

    text, is_packed = content.partition(b"\0")[2], kind == b"zTXt"
    if kind == b"iTXt":
        text, is_packed = text[2:].split(b"\0", 2)[-1], text[:1] != b"\0"
    elif is_packed:
        text = text[1:]  # behind the number of the method
    size = len(_unpacked(text, MAX_TEXT_CHUNK)) if is_packed else len(text)
    return math.inf if is_packed and size > MAX_TEXT_CHUNK else size


def _unpacked(data: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit + 1)
    except zlib.error:
        return b""
