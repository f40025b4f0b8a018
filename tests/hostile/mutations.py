"""Ways of damaging bytes: at random, and along the structure of a format. `rng` decides everything."""

import json
import struct
import zlib
from collections.abc import Sequence
from random import Random

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
HEADER = 64
"""Numbers among the first bytes are sizes, counts and offsets: they are changed most often."""

Chunks = list[tuple[bytes, bytes]]  # (kind, content)


def damaged(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to four changes; `others` are files of the same format, of which parts are put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice((_flip, _flip, _number, _number, _cut_off, _cut_out, _double, _insert, _splice))(
            rng, changed, others
        )
    return bytes(changed)


def damaged_png(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Chunks changed, dropped, doubled, moved or taken from other files; the checksums are right most of the time."""
    chunks = png_chunks(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        i = rng.randrange(len(chunks))
        kind, content = chunks[i]
        change = rng.randrange(6)
        if change == 0 and len(chunks) > 1:
            del chunks[i]
        elif change == 1:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[i])
        elif change == 2:
            chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(png_chunks(rng.choice(others))))
        elif change == 3:
            chunks[0] = (b"IHDR", forged_header(rng, chunks[0][1]))
        else:
            chunks[i] = kind, damaged(rng, content, others)
    return png_of(chunks, checksums_right=rng.random() < 0.9)


def forged_header(rng: Random, header: bytes) -> bytes:
    """Another size, depth, colour type or interlacing."""
    fields = list(struct.unpack(">IIBBBBB", header.ljust(13, b"\0")[:13]))
    place = rng.choice((0, 1, 2, 3, 6))
    fields[place] = rng.choice(
        ((0, 1, 23, 25, 200), (0, 1, 19, 21, 200), (1, 2, 8, 16), range(8), (), (), (0, 1))[place]
    )
    return struct.pack(">IIBBBBB", *fields)


def png_chunks(data: bytes) -> Chunks:
    """The chunks of a whole PNG file."""
    chunks, place = [], len(PNG_SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_of(chunks: Chunks, checksums_right: bool = True) -> bytes:
    """A PNG file of these chunks."""
    pieces = [PNG_SIGNATURE]
    for kind, content in chunks:
        checksum = zlib.crc32(kind + content) ^ (not checksums_right)
        pieces.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
    return b"".join(pieces)


VALUES = (
    None,
    True,
    -1,
    0,
    1,
    2,
    3,
    5,
    10**6,
    2**63,
    10**400,
    -(2**63),
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "F32",
)


def damaged_json(rng: Random, value: object) -> object:
    """The same with one value exchanged, left out, doubled under another name or wrapped."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key, other = rng.choice(list(value)), rng.choice(list(value))
        change = rng.randrange(8)
        if change == 0:
            return {name: inner for name, inner in value.items() if name != key}
        if change == 1:
            return value | {rng.choice(("", "x", "é\ud800", key + "x")): value[key]}
        if change == 2:
            return value | {key: value[other]}
        return value | {key: damaged_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        i = rng.randrange(len(value))
        return [*value[:i], damaged_json(rng, value[i]), *value[i + rng.choice((0, 1, 1)) :]]
    return rng.choice((*VALUES, [], [[]], {}, [value], {"x": value}))


def damaged_safetensors(rng: Random, data: bytes) -> bytes:
    """The header's entries changed, with the right length of the header most of the time."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice(list(header))
        if isinstance(header[key], dict) and "dtype" in header[key] and rng.random() < 0.3:
            types = ("F64", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "U64", "X")
            header[key] = header[key] | {"dtype": rng.choice(types)}
        else:
            header = damaged_json(rng, header)
        if not (isinstance(header, dict) and header):
            break
    text = json.dumps(header).encode()
    forged = len(text) if rng.random() < 0.9 else rng.choice((0, 1, len(text) - 1, len(data), 2**31, 2**63, 2**64 - 1))
    return struct.pack("<Q", forged) + text + data[8 + length :]


def _place(rng: Random, changed: bytearray) -> int:
    last = len(changed) if rng.random() < 0.4 else min(HEADER, len(changed))
    return rng.randrange(last + 1)


def _flip(rng: Random, changed: bytearray, _: object) -> None:
    for _ in range(rng.choice((1, 1, 3, 10))):
        place = _place(rng, changed)
        changed[place : place + 1] = bytes([rng.randrange(256)])


def _number(rng: Random, changed: bytearray, _: object) -> None:
    place, length = _place(rng, changed), rng.choice((1, 2, 4, 8))
    number = rng.choice((rng.choice(INTERESTING), rng.randrange(64)))
    order = rng.choice(("big", "little"))
    changed[place : place + length] = (number % 256**length).to_bytes(length, order)


def _cut_off(rng: Random, changed: bytearray, _: object) -> None:
    del changed[rng.randrange(len(changed) + 1) :]


def _cut_out(rng: Random, changed: bytearray, _: object) -> None:
    place = _place(rng, changed)
    del changed[place : place + rng.choice((1, 2, 8, 100))]


def _double(rng: Random, changed: bytearray, _: object) -> None:
    place = _place(rng, changed)
    changed[place:place] = changed[place : place + rng.choice((1, 4, 50))]


def _insert(rng: Random, changed: bytearray, _: object) -> None:
    place = _place(rng, changed)
    changed[place:place] = rng.randbytes(rng.choice((1, 4, 30)))


def _splice(rng: Random, changed: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    start, length = rng.randrange(len(other) + 1), rng.choice((4, 30, 300))
    place = _place(rng, changed)
    changed[place : place + rng.choice((0, length))] = other[start : start + length]
