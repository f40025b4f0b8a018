"""PNG files with colours of 16 bits, read by OpenCV and Pillow."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from glcic_hub import png


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (64, 50)])
def test_other_programs_read_every_sample(size, channels):
    samples = np.random.default_rng(0).integers(0, 65536, (*size, channels), dtype=np.uint16)
    data = png.encoded(samples)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found[..., [2, 1, 0, 3][:channels]], samples)
    image = Image.open(io.BytesIO(data))
    image.load()  # which looks at the checksums
    np.testing.assert_array_equal(np.asarray(image), samples >> 8)


def test_samples_that_are_too_long_for_a_chunk(monkeypatch):
    samples = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    monkeypatch.setattr(png, "LONGEST", 1000)
    data = png.encoded(samples)
    assert data.count(b"IDAT") == 4
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), -1)[..., ::-1], samples)


def test_smooth_images_are_packed():
    y, x = np.mgrid[:200, :200]
    samples = np.stack([y * 300, x * 300, (x + y) * 150], axis=2).astype(np.uint16)
    assert len(png.encoded(samples)) < samples.nbytes / 20


def test_what_is_said_of_the_image_lies_around_its_samples():
    texts = PngInfo()
    texts.add_text("Title", "A bridge")
    data = png.encoded(np.zeros((2, 2, 3), np.uint16), pnginfo=texts, icc_profile=b"a profile", dpi=(300, 300))
    image = Image.open(io.BytesIO(data))
    assert (image.size, image.text, image.info["icc_profile"]) == ((2, 2), {"Title": "A bridge"}, b"a profile")
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert data.endswith(b"IEND" + struct.pack(">I", 0xAE426082))
