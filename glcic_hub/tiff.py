"""TIFF files packed with deflate. Pillow alone has libtiff pack them, which loses EXIF data and rounds numbers."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, TiffImagePlugin

from glcic_hub.deep import lower_bytes, samples_of

LEVEL = 2  # of zlib, as of our PNG files
DEFLATE = 8
DIFFERENCES = 2
"""The predictor that stores how samples differ from those on their left."""

_OF_DIFFERENCES = {"L": "u1", "LA": "u1", "RGB": "u1", "RGBA": "u1", "CMYK": "u1", "I;16": "u2"}
_ENTRY = struct.calcsize("<HHII")
_SHORT, _LONG = 3, 4


def encoded(image: Image.Image, tags: Image.Exif, **options: object) -> bytes:
    """The bytes of a TIFF file.

    Args:
        image: of a mode that Pillow writes as TIFF; its colours may have 16 bits (`deep`).
        tags: beside those of the samples; EXIF data are among them.
        **options: others of Pillow, such as `dpi`.

    Raises:
        OSError, ValueError, struct.error: Pillow cannot encode it; it may be larger than a TIFF file can be.
    """
    is_deep = lower_bytes(image) is not None
    sample = "u2" if is_deep else _OF_DIFFERENCES.get(image.mode)
    if sample:
        tags[TiffImagePlugin.PREDICTOR] = DIFFERENCES
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression="raw", exif=tags.tobytes(), **options)
    file = buffer.getvalue()

    order = "<" if file.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", file, 4)
    (count,) = struct.unpack_from(f"{order}H", file, directory)
    places = [directory + 2 + _ENTRY * number for number in range(count)]
    place_of = {struct.unpack_from(f"{order}H", file, place)[0]: place for place in places}
    # Pillow puts all samples into one strip at the end of the file, and there the packed ones can take their place.
    (start,) = struct.unpack_from(f"{order}I", file, place_of[TiffImagePlugin.STRIPOFFSETS] + 8)
    samples = memoryview(file)[start:]
    if sample:
        rows = samples_of(image).astype(order + sample) if is_deep else np.frombuffer(samples, order + sample)
        rows = rows.reshape(image.height, image.width, -1)
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        samples = differences.data
    strip = zlib.compress(samples, LEVEL)
    head = bytearray(file[:start])
    if is_deep:
        bits, channels = place_of[TiffImagePlugin.BITSPERSAMPLE], len(image.getbands())
        (where,) = struct.unpack_from(f"{order}I", file, bits + 8)
        struct.pack_into(f"{order}{channels}H", head, where, *[16] * channels)
    compression, length = TiffImagePlugin.COMPRESSION, TiffImagePlugin.STRIPBYTECOUNTS
    struct.pack_into(f"{order}HHIHH", head, place_of[compression], compression, _SHORT, 1, DEFLATE, 0)
    struct.pack_into(f"{order}HHII", head, place_of[length], length, _LONG, 1, len(strip))
    return bytes(head) + strip
