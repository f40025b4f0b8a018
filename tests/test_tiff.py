"""TIFF files as results: every mode, size and tag, read by Pillow and by OpenCV."""

import io
import struct
from random import Random

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from glcic_hub.formats import check_fits, encoded
from glcic_hub.metadata import tiff_tags
from tests.hostile.mutations import damaged

HEIGHT, WIDTH = 37, 41  # rows of mode 1 do not end with a byte


def noise(*channels: int, high: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, (HEIGHT, WIDTH, *channels)).astype(dtype)


def floats() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    return values


IMAGES = {
    "1": Image.fromarray(noise(high=2).astype(bool)),
    "L": Image.fromarray(noise()),
    "LA": Image.fromarray(noise(2)),
    "P": Image.fromarray(noise(3)).quantize(40),
    "RGB": Image.fromarray(noise(3)),
    "RGBA": Image.fromarray(noise(4)),
    "CMYK": Image.frombytes("CMYK", (WIDTH, HEIGHT), noise(4).tobytes()),
    "I;16": Image.fromarray(noise(high=65536, dtype=np.uint16)),
    "F": Image.fromarray(floats()),
}


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("mode", IMAGES)
def test_every_sample_of_every_mode_stays(mode):
    image = IMAGES[mode]
    check_fits(image, "TIFF")
    result = opened(encoded(image, "TIFF"))
    assert (result.mode, result.size, result.info["compression"]) == (mode, image.size, "tiff_adobe_deflate")
    np.testing.assert_array_equal(np.asarray(result), np.asarray(image))
    assert mode != "P" or result.getpalette()[:120] == image.getpalette()[:120]


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F"])
def test_other_programs_read_them(mode):
    read = cv2.imdecode(np.frombuffer(encoded(IMAGES[mode], "TIFF"), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read[..., ::-1] if mode == "RGB" else read, np.asarray(IMAGES[mode]))


@pytest.mark.parametrize("high", [1, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (257, 256)])
def test_every_size_and_files_that_do_not_become_smaller(size, high):
    samples = np.random.default_rng(0).integers(0, high, size).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(opened(encoded(Image.fromarray(samples), "TIFF"))), samples)


def test_photos_become_smaller():
    slopes = np.add.outer(np.arange(200), np.arange(300))[..., None] // np.array([2, 3, 5])
    image = Image.fromarray(slopes.astype(np.uint8))
    assert len(encoded(image, "TIFF")) < 200 * 300 * 3 / 10
    deep = Image.fromarray((slopes[..., 0] * 131).astype(np.uint16))
    assert len(encoded(deep, "TIFF")) < 200 * 300 * 2 / 10


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (1, 2, 3)), ("P", 5), ("1", 0)])
def test_a_transparent_key_becomes_an_alpha_channel(mode, key):
    image = IMAGES[mode].copy()
    image.info["transparency"] = key
    assert opened(encoded(image, "TIFF")).tobytes() == image.convert("RGBA").tobytes()


def test_a_transparent_key_of_sixteen_bits_is_refused():
    image = IMAGES["I;16"].copy()
    image.info["transparency"] = 7
    with pytest.raises(ValueError, match="which TIFF cannot hold: use .png"):
        check_fits(image, "TIFF")


def test_tags_about_the_samples_come_from_the_image_alone():
    """Those of the EXIF data of a JPEG file may say anything."""
    stored = Image.Exif()
    for tag in (0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0116, 0x0117, 0x011C, 0x013D, 0x0152, 0x0153):
        stored[tag] = 3
    stored[0x013B] = "Artist"
    image = IMAGES["RGB"].copy()
    image.info["exif"] = stored.tobytes()
    result = opened(encoded(image, "TIFF"))
    assert result.tobytes() == image.tobytes() and result.getexif()[0x013B] == "Artist"


def test_damaged_exif_data_are_left_out():
    stored = Image.Exif()
    stored[0x013B], stored[0x013E], stored[0x0112] = "Artist", (0.3, 0.3), 6
    stored.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    image = IMAGES["RGB"].copy()
    rng = Random(0)
    for _ in range(300):
        image.info["exif"] = damaged(rng, stored.tobytes(), [stored.tobytes()])
        result = opened(encoded(image, "TIFF"))  # perhaps turned
        assert sorted(result.size) == sorted(image.size) and sorted(result.tobytes()) == sorted(image.tobytes())
    assert not tiff_tags(b"Exif\0\0nonsense", None, [])


def test_what_is_larger_than_a_tiff_file_can_be_is_told(monkeypatch):
    def save(directory: object, file: object) -> None:
        struct.pack("<I", 2**32)

    monkeypatch.setattr(ImageFileDirectory_v2, "save", save)
    with pytest.raises(ValueError, match="cannot be written as TIFF: .*; try .png"):
        encoded(IMAGES["L"], "TIFF")
