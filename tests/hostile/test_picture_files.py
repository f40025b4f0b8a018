"""Damaged picture files: what Pillow reads is completed around its known pixels, all else is refused by a sentence."""

import io
import os
import re
import struct
import time
import zlib

import pytest
from PIL import Image

from tests.hostile.commands import check, run
from tests.hostile.kinds import PICTURES, attempt, randomness
from tests.hostile.limits import memory_limit
from tests.hostile.mutations import png_chunks, png_of
from tests.hostile.picture_cases import HEIGHT, WIDTH, damaged_file, quiet, valid_files

COUNT = 8
LITTLE = 2**28
"""Bytes, half of what the smallest picture above Pillow's limit would take."""


@pytest.mark.parametrize("file_format", PICTURES)
@pytest.mark.parametrize("role", ["photo", "mask"])
def test_damaged_files(role, file_format, model):
    for number in range(COUNT):
        attempt(f"{role} {file_format}", number, model)


UNUSUAL = {52: SyntaxError, 142: NotImplementedError, 165: IndexError, 182: RuntimeError}
"""Numbers of cases, and what Pillow 12.3 raises at their files; others if a release of it handles one of them."""


@pytest.mark.parametrize("number", UNUSUAL)
def test_files_at_which_pillow_raises_unusual_errors(number, model):
    data = damaged_file(randomness("photo other", number), "other")
    with pytest.raises(Exception) as raised, quiet(), Image.open(io.BytesIO(data)) as image:  # noqa: B017
        image.load()
    assert raised.type is UNUSUAL[number]
    assert attempt("photo other", number, model) == "exit 2"


def test_pillow_s_log_is_not_shown(tmp_path, model):
    photo, out = tmp_path / "photo.tiff", tmp_path / "out" / "out.png"
    data = valid_files()["TIFF"][0]
    samples_per_pixel = data.index(struct.pack("<HHI", 277, 3, 1))
    photo.write_bytes(with_numbers(data, "<H", (samples_per_pixel + 8, 2048)))
    out.parent.mkdir()
    outcome = run("inpaint", photo, photo, "-o", out, "--model", model)
    check(outcome, out)
    assert outcome.code == 2


def with_numbers(data: bytes, layout: str, *places: tuple[int, int]) -> bytes:
    """`data` with numbers of this `struct` layout written over it: (place, number)."""
    changed = bytearray(data)
    for place, number in places:
        struct.pack_into(layout, changed, place, number)
    return bytes(changed)


def bombs() -> dict[str, bytes]:
    """Files of some hundred bytes that claim more pixels than Pillow's limit, 179 million."""
    files = {name: valid_files()[name][0] for name in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")}
    chunks = png_chunks(files["PNG"])
    frame = files["JPEG"].index(b"\xff\xc0")
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + (16382).to_bytes(3, "little") * 2
    entry = files["TIFF"].index(struct.pack("<HHI", 256, 4, 1))
    return {
        "PNG": png_of([(b"IHDR", struct.pack(">II", 50_000, 50_000) + chunks[0][1][8:]), *chunks[1:]]),
        "PNG with one huge side": png_of([(b"IHDR", struct.pack(">II", 2**31 - 1, 1) + chunks[0][1][8:]), *chunks[1:]]),
        "JPEG": with_numbers(files["JPEG"], ">H", (frame + 5, 65500), (frame + 7, 65500)),
        "GIF": with_numbers(files["GIF"], "<H", (6, 65535), (8, 65535)),
        "BMP": with_numbers(files["BMP"], "<i", (18, 100_000), (22, 100_000)),
        "WEBP": b"RIFF"
        + struct.pack("<I", 4 + len(canvas) + len(files["WEBP"][12:]))
        + b"WEBP"
        + canvas
        + files["WEBP"][12:],
        "TIFF": with_numbers(files["TIFF"], "<I", (entry + 8, 60_000), (entry + 12 + 8, 60_000)),
        "PPM": b"P6 100000 100000 255\n" + bytes(100),
    }


@pytest.mark.parametrize("name", bombs())
@pytest.mark.parametrize("role", ["photo", "mask"])
def test_a_bomb_is_refused_at_once_and_without_memory(tmp_path, model, name, role):
    data = bombs()[name]
    assert len(data) < 5000
    good, bad, out = tmp_path / "good.png", tmp_path / "bad", tmp_path / "out" / "out.png"
    Image.new("L", (8, 8)).save(good)
    bad.write_bytes(data)
    out.parent.mkdir()
    started = time.process_time()
    with memory_limit(LITTLE):
        outcome = run("inpaint", *((bad, good) if role == "photo" else (good, bad)), "-o", out, "--model", model)
    check(outcome, out)
    assert outcome.code == 2 and re.search("bad' (is |cannot be read)", outcome.complained), outcome.complained
    assert time.process_time() - started < 5  # seconds, of which others on the machine take none


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True], ids=["before the samples", "behind the samples"])
def test_compressed_metadata_do_not_grow_without_end(tmp_path, model, kind, behind):
    """200 megabytes of zeros, 200 kilobytes in the file: a text is left out, for a profile the picture is refused."""
    compressor = zlib.compressobj(9)
    megabyte = bytes(2**20)
    zeros = b"".join(compressor.compress(megabyte) for _ in range(200)) + compressor.flush()
    content = b"key\0" + {b"zTXt": b"\0", b"iTXt": b"\1\0\0\0", b"iCCP": b"\0"}[kind] + zeros
    chunks = png_chunks(valid_files()["PNG"][0])
    chunks.insert(len(chunks) - 1 if behind else 1, (kind, content))
    photo, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "out" / "out.png"
    photo.write_bytes(png_of(chunks))
    hole = Image.new("L", (WIDTH, HEIGHT))
    hole.paste(255, (3, 4, 9, 9))
    hole.save(mask)
    out.parent.mkdir()
    assert run("inpaint", mask, mask, "-o", tmp_path / "first.png", "--model", model).code == 0  # which takes memory
    with memory_limit(100 * 2**20):
        outcome = run("inpaint", photo, mask, "-o", out, "--model", model)
    check(outcome, out)
    if kind == b"iCCP" and not behind:
        assert outcome.code == 2 and "too large" in outcome.complained and "damaged" not in outcome.complained
    else:
        assert outcome.code == 0


@pytest.mark.parametrize("role", ["photo", "mask"])
def test_no_program_is_run_for_a_postscript_file(tmp_path, model, role, monkeypatch):
    """Pillow hands such files to Ghostscript, which executes them."""
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\necho executed > '{tmp_path}/trace'\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghostscript.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # looked for once in a process
    good, bad, out = tmp_path / "good.png", tmp_path / "bad.png", tmp_path / "out" / "out.png"
    Image.new("L", (8, 8)).save(good)
    Image.new("L", (8, 8)).save(bad, "EPS")
    out.parent.mkdir()
    outcome = run("inpaint", *((bad, good) if role == "photo" else (good, bad)), "-o", out, "--model", model)
    check(outcome, out)
    assert outcome.code == 2 and "PostScript" in outcome.complained
    assert not (tmp_path / "trace").exists()


def test_damaged_metadata_do_not_turn_the_result(tmp_path, model):
    """Damaged EXIF data are left out, and XMP data that counted from then on would turn what has not been turned."""
    photo, mask, out = tmp_path / "photo.jpg", tmp_path / "mask.png", tmp_path / "out.png"
    turning = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (WIDTH, HEIGHT)).save(photo, exif=b"Exif\0\0MMI*" + bytes(40), xmp=turning)
    hole = Image.new("L", (WIDTH, HEIGHT))
    hole.paste(255, (3, 4, 9, 9))
    hole.save(mask)
    assert run("inpaint", photo, mask, "-o", out, "--model", model).code == 0
    with Image.open(out) as result:
        assert (result.size, result.getexif().get(0x0112)) == ((WIDTH, HEIGHT), 1)


def test_nothing_is_said_about_damaged_metadata(tmp_path, model):
    photo, out = tmp_path / "photo.jpg", tmp_path / "out" / "out.jpg"
    Image.new("RGB", (WIDTH, HEIGHT)).save(photo, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff" + bytes(11))
    hole = Image.new("L", (WIDTH, HEIGHT))
    hole.paste(255, (3, 4, 9, 9))
    hole.save(tmp_path / "mask.png")
    out.parent.mkdir()
    outcome = run("inpaint", photo, tmp_path / "mask.png", "-o", out, "--model", model)
    check(outcome, out)
    assert outcome.code == 0


def test_the_files_that_are_damaged_are_whole():
    for files in valid_files().values():
        for data in files:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
    assert {path for path in PICTURES} > set(valid_files())
