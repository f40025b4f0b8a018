"""Pictures, tar shards and damaged files for the tests of the training data."""

import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def write_shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    return path


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG file of a few bytes whose header says that it has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


WHOLE = encoded(noise(40, 40))
DAMAGED = {
    "truncated": WHOLE[: len(WHOLE) // 2],
    "flipped bytes": WHOLE[:60] + bytes(byte ^ 255 for byte in WHOLE[60:90]) + WHOLE[90:],
    "empty": b"",
    "text": b"this is not a picture",
    "decompression bomb": png_that_claims(60_000, 60_000),
    "no pixels": png_that_claims(0, 7),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n",
}
"""What a file with a picture's name may hold instead of one."""
