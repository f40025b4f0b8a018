"""Colours of 16 bits, read and written, against OpenCV and tifffile."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from glcic_hub import GLCICPipeline, deep, images
from glcic_hub.formats import encoded
from tests.random_models import random_model

HEIGHT, WIDTH = 37, 41
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[5:20, 6:30] = True
HOLE[9:12, 10:20] = False

TIFFS = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "deflate": {"compression": "zlib", "predictor": True},
    "big-endian deflate": {"byteorder": ">", "compression": "zlib"},
    "tiles": {"tile": (16, 16)},
    "deflate tiles": {"tile": (16, 16), "compression": "zlib"},
    "rows": {"rowsperstrip": 3},
}
FILES = ["PNG", "LZW", *TIFFS]


def noise(channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65536, (HEIGHT, WIDTH, channels), dtype=np.uint16)


def bgr(samples: np.ndarray) -> np.ndarray:
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def as_tiff(samples: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    extra = {"extrasamples": ["unassalpha"]} if samples.shape[-1] == 4 else {}
    tifffile.imwrite(file, samples, photometric="rgb", **extra | options)
    return file.getvalue()


def file_of(samples: np.ndarray, kind: str) -> bytes:
    if kind in TIFFS:
        return as_tiff(samples, **TIFFS[kind])
    compression = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW] if kind == "LZW" else []
    return cv2.imencode(".tif" if kind == "LZW" else ".png", bgr(samples), compression)[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    """By OpenCV, and TIFF files by tifffile as well."""
    samples = bgr(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    if data[:2] in (b"II", b"MM"):
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), samples)
    return samples


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", FILES)
def test_known_samples_and_fill_have_16_bits(kind, channels, file_format):
    samples = noise(channels)
    picture = images.read(images.load_image(file_of(samples, kind)))
    np.testing.assert_array_equal(picture.values, samples[..., :3] / np.float32(65535))
    np.testing.assert_array_equal(picture.rgb, samples[..., :3] >> 8)
    fill = np.random.default_rng(1).random((HEIGHT, WIDTH, 3), dtype=np.float32)
    result = picture.completed(fill, HOLE)
    wanted = samples.copy()
    wanted[HOLE, :3] = np.rint(fill[HOLE].astype(np.float64) * 65535)
    np.testing.assert_array_equal(decoded(encoded(result, file_format)), wanted)
    np.testing.assert_array_equal(np.asarray(result), wanted >> 8)  # what Pillow's users get
    np.testing.assert_array_equal(decoded(encoded(picture.image, file_format)), samples)  # it is as it was


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_turned_ones(kind, orientation, tmp_path):
    samples = noise(3)
    if kind == "TIFF":
        data = as_tiff(samples, extratags=[(0x0112, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = images.load_image(file_of(samples, "PNG"))
        image.info["exif"] = exif.tobytes()
        data = encoded(image, "PNG")
    wanted = images.turned(samples, orientation)
    image = images.load_image(data)
    np.testing.assert_array_equal(images.read(image).samples, wanted / np.float32(65535))
    np.testing.assert_array_equal(deep.samples_of(deep.upright(image)), wanted)
    hole = images.turned(HOLE, orientation)
    fill = np.full((*hole.shape, 3), 0.5, np.float32)
    result = images.load_image(encoded(images.read(image).completed(fill, hole), kind))
    expected = wanted.copy()
    expected[hole] = 32768
    np.testing.assert_array_equal(deep.samples_of(deep.upright(result)), expected)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_what_is_known_of_the_image_stays(file_format):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image = images.load_image(file_of(noise(4), "plain"))
    image.info |= {"icc_profile": b"a profile", "exif": exif.tobytes(), "dpi": (300, 300), "xmp": b"<x/>"}
    data = encoded(image, file_format)
    result = images.load_image(data)
    assert result.info["icc_profile"] == b"a profile" and result.getexif()[0x010F] == "Maker"
    assert result.info["dpi"] == pytest.approx((300, 300), abs=0.01) and b"<x/>" in data


@pytest.mark.parametrize(("suffix", "file_format"), [(".jpg", "JPEG"), (".webp", "WEBP")])
def test_other_formats_get_8_bits(suffix, file_format):
    smooth = np.linspace(0, 65535, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint16)
    result = Image.open(io.BytesIO(encoded(images.load_image(file_of(smooth, "PNG")), file_format)))
    assert np.abs(np.asarray(result).astype(int) - (smooth >> 8)).max() <= (0 if file_format == "WEBP" else 6)


def test_transparency_that_is_the_mask_goes_and_16_bits_stay():
    samples = noise(4)
    opaque = images.without_transparency(images.load_image(file_of(samples, "PNG")))
    assert opaque.mode == "RGB"
    np.testing.assert_array_equal(deep.samples_of(opaque), samples[..., :3])


def test_changed_images_have_8_bits():
    image = images.load_image(file_of(noise(3), "PNG"))
    assert deep.lower_bytes(image) is not None
    for changed in (image.convert("L"), image.resize((20, 20)), image.crop((0, 0, 5, 5))):
        assert deep.lower_bytes(changed) is None
        np.testing.assert_array_equal(deep.samples_of(changed), np.asarray(changed))
        assert images.read(changed).values is None


def test_what_pillow_cannot_take_apart_has_8_bits():
    samples = noise(3)
    planes = as_tiff(samples.transpose(2, 0, 1), planarconfig="separate", compression="zlib")
    premultiplied = as_tiff(noise(4), extrasamples=["assocalpha"])
    eight = Image.fromarray((samples >> 8).astype(np.uint8))
    for data in (planes, premultiplied, encoded(eight, "TIFF"), encoded(eight, "PNG")):
        image = images.load_image(data)
        assert deep.lower_bytes(image) is None and images.read(image).values is None


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])  # where it belongs, and where Pillow finds it only at the end
def test_one_transparent_colour_is_of_8_bits(before):
    data = file_of(noise(3), "PNG")
    content = b"tRNS" + struct.pack(">3H", *noise(3)[0, 0])
    chunk = struct.pack(">I", 6) + content + struct.pack(">I", zlib.crc32(content))
    at = data.index(before) - 4
    image = images.load_image(data[:at] + chunk + data[at:])
    assert "transparency" in image.info and deep.lower_bytes(image) is None
    result = images.read(image).completed(np.zeros((HEIGHT, WIDTH, 3), np.float32), HOLE)
    assert result.mode == "RGBA"
    assert decoded(encoded(result, "PNG")).dtype == np.uint8


def test_images_of_a_pipeline_have_8_bits_and_its_arrays_all(tmp_path):
    """An image that somebody has changed by Pillow must not come back with lower bytes of before."""
    samples = noise(3)
    (tmp_path / "a.tif").write_bytes(file_of(samples, "deflate"))
    pipe = GLCICPipeline(random_model())
    pipe.set_progress_bar_config(disable=True)
    for mask in (HOLE, np.zeros_like(HOLE)):
        image = pipe(tmp_path / "a.tif", mask).images[0]
        assert deep.LOWER_BYTES not in image.info
        np.testing.assert_array_equal(np.asarray(image)[~mask], (samples >> 8)[~mask])
        values = pipe(tmp_path / "a.tif", mask, output_type="np").images[0]
        np.testing.assert_array_equal(values[~mask], (samples / np.float32(65535))[~mask])
    assert pipe(image, HOLE, output_type="np").images[0][0, 0, 0] == np.float32(samples[0, 0, 0] >> 8) / np.float32(255)


def test_parts_are_cut_out_and_put_back_without_a_change_of_others():
    samples, new = noise(4), noise(4, seed=1)
    image, box = deep.image_of(samples), (3, 4, 23, 30)
    np.testing.assert_array_equal(deep.samples_of(deep.crop(image, box)), samples[4:30, 3:23])
    copy = image.copy()
    deep.paste(copy, deep.image_of(new[4:30, 3:23]), box)
    wanted = samples.copy()
    wanted[4:30, 3:23] = new[4:30, 3:23]
    np.testing.assert_array_equal(deep.samples_of(copy), wanted)
    np.testing.assert_array_equal(deep.samples_of(image), samples)
    deep.paste(copy, Image.new("RGBA", (20, 26)), box)
    np.testing.assert_array_equal(deep.samples_of(copy), np.asarray(copy))


def test_a_damaged_file_is_refused(tmp_path):
    for kind in ("PNG", "plain", "deflate"):
        data = file_of(noise(3), kind)
        with pytest.raises(OSError, match="cannot be read"):
            images.load_image(data[: len(data) // 2])
