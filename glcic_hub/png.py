"""PNG files with colours of 16 bits, which Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

LEVEL = 2  # of zlib, as of our other PNG files
UP = 2
"""The filter that stores how bytes differ from those above."""

LONGEST = 2**30
"""Bytes of packed samples in a chunk, which can hold twice as many."""

_COLOUR_TYPES = {3: 2, 4: 6}  # by the number of channels
_SIGNATURE = 8  # bytes


def encoded(samples: np.ndarray, **options: object) -> bytes:
    """The bytes of a PNG file.

    Args:
        samples: uint16 (H, W, 3 or 4), RGB or RGBA.
        **options: of Pillow, which writes all but the samples.

    Raises:
        OSError, ValueError, struct.error: Pillow cannot encode it.
    """
    height, width, channels = samples.shape
    buffer = io.BytesIO()
    Image.new("RGB" if channels == 3 else "RGBA", (1, 1)).save(buffer, "PNG", **options)
    file, at, chunks = buffer.getvalue(), _SIGNATURE, []
    while at < len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        chunk, at = file[at : at + length + 12], at + length + 12
        if kind == b"IHDR":
            chunk = _chunk(kind, struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0))
        elif kind == b"IDAT":
            packed = _packed(samples)
            chunk = b"".join(_chunk(kind, packed[at : at + LONGEST]) for at in range(0, len(packed), LONGEST))
        chunks.append(chunk)
    return file[:_SIGNATURE] + b"".join(chunks)


def _packed(samples: np.ndarray) -> bytes:
    rows = samples.astype(">u2").reshape(len(samples), -1).view(np.uint8)
    lines = np.full((len(rows), rows.shape[1] + 1), UP, np.uint8)
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    return zlib.compress(lines.data, LEVEL)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
