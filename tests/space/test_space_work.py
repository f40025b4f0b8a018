"""What the Space does with a photo, without a server."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from glcic_hub import GLCICPipeline
from glcic_hub.completion import Completer
from glcic_hub.demo import demo_pictures
from spaces_app import work
from tests.random_models import random_model


@pytest.fixture(autouse=True)
def small_model(model_folder, monkeypatch):
    monkeypatch.setenv("GLCIC_MODEL", str(model_folder))


def pixels(image) -> np.ndarray:
    return np.asarray(image if isinstance(image, Image.Image) else Image.open(image))


def test_the_result_is_the_pipeline_s(photo, hole, model_folder):
    opened = work.open_photo(photo)
    expected = GLCICPipeline.from_pretrained(model_folder)(opened, hole).images[0]
    result = work.complete(opened, hole)
    assert np.array_equal(pixels(result.image), pixels(expected))
    assert np.array_equal(pixels(result.mask), hole)
    assert np.array_equal(pixels(result.image)[~hole], pixels(photo)[~hole])
    assert (pixels(result.image)[hole] != pixels(photo)[hole]).mean() > 0.5


@pytest.mark.parametrize("grow", [1, 7])
def test_growing_widens_the_hole_by_so_many_pixels(photo, hole, grow):
    result = work.complete(work.open_photo(photo), hole, grow=grow)
    y, x = np.mgrid[-grow : grow + 1, -grow : grow + 1]
    disc = x**2 + y**2 <= grow**2
    assert np.array_equal(pixels(result.mask), ndimage.binary_dilation(hole, disc))


@pytest.mark.parametrize("feather", [3, 64])
def test_feathering_fades_within_the_grown_rim_alone(photo, hole, feather):
    opened = work.open_photo(photo)
    plain, soft = (work.complete(opened, hole, grow=6, feather=amount) for amount in (0, feather))
    before, after, sharp = (pixels(image).astype(int) for image in (opened, soft.image, plain.image))
    wide = pixels(soft.mask)
    assert np.array_equal(after[~wide], before[~wide])
    assert np.array_equal(after[hole], sharp[hole]), "what was painted over never shines through"
    rim = wide & ~hole
    between = (after >= np.minimum(before, sharp)) & (after <= np.maximum(before, sharp))
    assert between[rim].all()
    outermost = rim & (ndimage.distance_transform_edt(~hole) > 5.5)
    assert np.abs(after - before)[outermost].mean() < 0.6 * np.abs(sharp - before)[outermost].mean()


def test_nothing_under_the_mask_matters(photo, hole):
    opened = work.open_photo(photo)
    spoilt = pixels(opened).copy()
    spoilt[hole] = 255 - spoilt[hole]
    results = [work.complete(image, hole, grow=5, feather=3) for image in (opened, Image.fromarray(spoilt))]
    assert np.array_equal(*(pixels(result.image) for result in results))


def test_transparency_stays(photo, hole):
    see_through = Image.open(photo).convert("RGBA")
    see_through.putalpha(77)
    result = work.complete(see_through, hole, grow=4, feather=2).image
    assert result.mode == "RGBA" and (pixels(result)[..., 3] == 77).all()


def test_rotated_photos_are_opened_upright(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).save(tmp_path / "rotated.png", exif=exif)
    assert np.array_equal(pixels(work.open_photo(tmp_path / "rotated.png")), np.rot90(pixels(photo), -1))


def png_header(width: int, height: int) -> bytes:
    """The beginning of a picture file that claims a size."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_header(10_000, 10_000), "100 megapixels; up to 40"),
        (png_header(60_000, 60_000), "far above the 40 megapixels"),
        (b"plain text", "not a picture that can be read"),
        (png_header(20, 20), "damaged"),
    ],
)
def test_what_cannot_be_opened_is_said(content, message, tmp_path):
    (tmp_path / "upload.png").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        work.open_photo(tmp_path / "upload.png")


def test_layers_are_joined(hole):
    layers = np.zeros((2, *hole.shape, 4), np.uint8)
    layers[0, ..., 3] = hole * 255
    layers[1, 5:9, 5:9, 3] = 1
    joined = work.painted_mask(list(layers), hole.shape[::-1])
    assert np.array_equal(joined, (layers[..., 3] > 0).any(0))
    assert not work.painted_mask([], hole.shape[::-1]).any()
    with pytest.raises(ValueError, match="another photo"):
        work.painted_mask(list(layers), (10, 10))


def test_masks_that_cannot_be_used_are_refused(photo, mask, hole):
    opened = work.open_photo(photo)
    with pytest.raises(ValueError, match="301x199 but its picture is 20x20"):
        work.read_mask(mask, (20, 20))
    with pytest.raises(ValueError, match="Nothing is painted"):
        work.complete(opened, np.zeros_like(hole))
    with pytest.raises(ValueError, match="covers the whole photo"):
        work.complete(opened, ndimage.binary_dilation(hole, iterations=150), grow=64)


def test_results_go_when_their_time_is_over(monkeypatch):
    recent = work.result_folder()
    monkeypatch.setattr(work, "KEPT_SECONDS", 0.2)
    old = work.result_folder()
    (old / "completed.png").write_bytes(b"")
    deadline = time.monotonic() + 20
    while old.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert recent.is_dir() and not old.exists()


@pytest.mark.parametrize(("grow", "feather"), [(-1, 0), (65, 0), (4, -1), (4, 65)])
def test_rims_are_bounded(photo, hole, grow, feather):
    with pytest.raises(ValueError, match=f"from 0 to 64 pixels; got {grow} and {feather}"):
        work.complete(work.open_photo(photo), hole, grow=grow, feather=feather)


def test_sixteen_bits_are_shown_in_eight(tmp_path):
    ramp = np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    opened = pixels(work.open_photo(tmp_path / "ramp.png"))
    assert np.array_equal(opened, np.repeat(np.rint(ramp / 257)[..., None], 3, axis=2))


def test_huge_masks_are_refused_before_they_are_decoded(tmp_path):
    (tmp_path / "mask.png").write_bytes(png_header(10_000, 10_000))
    with pytest.raises(ValueError, match="100 megapixels"):
        work.read_mask(tmp_path / "mask.png", (20, 20))


def test_several_files(photo, mask, tmp_path):
    paths = work.complete_files([str(photo)] * 2, [str(mask)], tmp_path)
    expected = work.complete(work.open_photo(photo), work.read_mask(mask, (301, 199))).image
    assert len(set(paths)) == 2
    assert all(np.array_equal(pixels(path), pixels(expected)) for path in paths)
    with pytest.raises(ValueError, match="21 photos; up to 20"):
        work.complete_files([str(photo)] * 21, [str(mask)], tmp_path)
    with pytest.raises(ValueError, match="3 masks for 2 photos"):
        work.complete_files([str(photo)] * 2, [str(mask)] * 3, tmp_path)


@pytest.mark.parametrize("name", ["rocket", "coffee"])
def test_the_examples_are_the_demo(name):
    examples = Path(work.__file__).parent / "examples"
    photo = getattr(data, name)()
    expected = demo_pictures(photo, name, Completer(random_model()))[0]["mask"]
    assert np.array_equal(work.read_mask(examples / f"{name}-mask.png", photo.shape[1::-1]), pixels(expected) > 127)
