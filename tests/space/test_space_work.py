"""What the Space does with a photo, without a server."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy import ndimage

from glcic_hub import GLCICPipeline, images
from glcic_hub.demo import demo_pictures
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.options import FillOptions
from spaces_app import work
from tests.random_models import random_model


@pytest.fixture(autouse=True)
def small_model(model_folder, monkeypatch):
    monkeypatch.setenv("GLCIC_MODEL", str(model_folder))


def pixels(image) -> np.ndarray:
    image = image.image if isinstance(image, images.Picture) else image
    return np.asarray(image if isinstance(image, Image.Image) else Image.open(image))


def test_the_result_is_the_pipeline_s(photo, bool_mask, model_folder):
    opened = work.open_photo(photo)
    expected = GLCICPipeline.from_pretrained(model_folder)(opened.image, bool_mask).images[0]
    result = work.complete_photo(opened, bool_mask)
    assert np.array_equal(pixels(result.photo), pixels(expected))
    assert np.array_equal(result.mask, bool_mask)
    assert np.array_equal(pixels(result.photo)[~bool_mask], pixels(photo)[~bool_mask])
    assert (pixels(result.photo)[bool_mask] != pixels(photo)[bool_mask]).mean() > 0.5


@pytest.mark.parametrize("grow", [1, 7])
def test_growing_widens_the_hole_by_so_many_pixels(photo, bool_mask, grow):
    result = work.complete_photo(work.open_photo(photo), bool_mask, options=FillOptions(grow=grow))
    y, x = np.mgrid[-grow : grow + 1, -grow : grow + 1]
    disc = x**2 + y**2 <= grow**2
    assert np.array_equal(result.mask, ndimage.binary_dilation(bool_mask, disc))


def test_nothing_under_the_mask_matters(photo, bool_mask):
    opened = work.open_photo(photo)
    spoilt = pixels(opened).copy()
    spoilt[bool_mask] = 255 - spoilt[bool_mask]
    results = [
        work.complete_photo(image, bool_mask, options=FillOptions(grow=5)) for image in (opened, images.read(spoilt))
    ]
    assert np.array_equal(*(pixels(result.photo) for result in results))


def test_transparency_stays(photo, bool_mask):
    see_through = Image.open(photo).convert("RGBA")
    see_through.putalpha(77)
    result = work.complete_photo(images.read(see_through), bool_mask, options=FillOptions(grow=4)).photo
    assert result.image.mode == "RGBA" and (pixels(result)[..., 3] == 77).all()


def test_rotated_photos_are_opened_upright(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).save(tmp_path / "rotated.png", exif=exif)
    opened = work.open_photo(tmp_path / "rotated.png")
    assert np.array_equal(pixels(opened), np.rot90(pixels(photo), -1))
    work.save_png(opened, tmp_path / "saved.png")
    assert 0x0112 not in Image.open(tmp_path / "saved.png").getexif(), "or viewers would turn it once more"


def every_kind(photo) -> dict[str, Image.Image]:
    """Pictures of the kinds that people have, beside RGB, by the name of their file."""
    rgb = Image.open(photo)
    see_through = rgb.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(rgb.size))
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 200)
    return {
        "grey.jpg": rgb.convert("L"),
        "deep.png": deep,
        "alpha.webp": see_through,
        "palette.gif": rgb.quantize(64),
        "print.jpg": rgb.convert("CMYK"),
    }


@pytest.mark.parametrize("name", ["grey.jpg", "deep.png", "alpha.webp", "palette.gif", "print.jpg"])
def test_known_pixels_are_the_file_s_whatever_it_is(name, photo, bool_mask, tmp_path):
    every_kind(photo)[name].save(tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {}))
    stored = Image.open(tmp_path / name)
    stored = stored.convert("RGB") if stored.mode in ("P", "CMYK") else stored
    result = work.complete_photo(work.open_photo(tmp_path / name), bool_mask, options=FillOptions(grow=3))
    saved = Image.open(work.save_png(result.photo, tmp_path / "saved.png"))
    assert saved.mode == stored.mode
    assert np.array_equal(pixels(saved)[~result.mask], pixels(stored)[~result.mask])
    assert not np.array_equal(pixels(saved)[bool_mask], pixels(stored)[bool_mask])


def test_the_colour_profile_stays(photo, bool_mask, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(photo).save(tmp_path / "profile.png", icc_profile=profile)
    result = work.complete_photo(work.open_photo(tmp_path / "profile.png"), bool_mask, options=FillOptions(grow=3))
    saved = Image.open(work.save_png(result.photo, tmp_path / "saved.png"))
    assert saved.info["icc_profile"] == profile


def test_large_photos_are_shown_smaller(photo, tmp_path, monkeypatch):
    opened = work.open_photo(photo)
    assert Image.open(work.save_preview(opened, tmp_path, "own")).size == (301, 199)
    monkeypatch.setattr(work, "PREVIEW_SIDE", 100)
    assert work.preview_size(opened) == (66, 100)
    assert Image.open(work.save_preview(opened, tmp_path, "small")).size == (100, 66)


def test_strokes_on_the_preview_become_strokes_on_the_photo(photo, bool_mask, monkeypatch):
    opened = work.open_photo(photo)
    monkeypatch.setattr(work, "PREVIEW_SIDE", 100)
    paint = (229, 72, 139, 166)
    strokes = work.strokes_of(bool_mask, work.preview_size(opened), paint)
    untouched = work.painted_mask([strokes], opened, bool_mask)
    assert np.array_equal(untouched, bool_mask), "a mask is exactly itself"

    alone = work.painted_mask([strokes], opened)
    assert alone[bool_mask].all() and not alone[ndimage.distance_transform_edt(~bool_mask) > 6].any()

    more = strokes.copy()
    more.paste(paint, (60, 50, 70, 60))
    both = work.painted_mask([more], opened, bool_mask)
    assert both[bool_mask].all() and both[155:175, 185:205].all()
    assert both.sum() == pytest.approx(bool_mask.sum() + 900, rel=0.1)

    erased = strokes.copy()
    erased.paste((0, 0, 0, 0), (50, 0, 100, 66))
    left = work.painted_mask([erased], opened, bool_mask)
    assert left[65:85, 125:145].all() and not left[:, 155:].any(), "what was erased is not filled"


def png_header(width: int, height: int) -> bytes:
    """The beginning of a picture file that claims a size."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_header(10_000, 10_000), "100 megapixels; up to 40"),
        (png_header(60_000, 60_000), "far larger than the 40 megapixels"),
        (b"plain text", "not a readable image"),
        (png_header(20, 20), "damaged"),
    ],
)
def test_what_cannot_be_opened_is_said(content, message, tmp_path):
    (tmp_path / "upload.png").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        work.open_photo(tmp_path / "upload.png")


def test_layers_are_joined(bool_mask):
    photo = images.read(np.zeros((*bool_mask.shape, 3), np.uint8))
    layers = np.zeros((2, *bool_mask.shape, 4), np.uint8)
    layers[0, ..., 3] = bool_mask * 255
    layers[1, 5:9, 5:9, 3] = 40  # a soft rim
    pictures = [Image.fromarray(layer) for layer in layers]
    joined = work.painted_mask(pictures, photo)
    assert np.array_equal(joined, (layers[..., 3] > 0).any(0))
    assert not work.painted_mask([], photo).any()
    with pytest.raises(ValueError, match="another photo"):
        work.painted_mask(pictures, images.read(np.zeros((10, 10, 3), np.uint8)))


def test_the_noise_of_a_browser_is_no_paint(bool_mask):
    photo = images.read(np.zeros((*bool_mask.shape, 3), np.uint8))
    noise = np.random.default_rng(0).integers(0, 4, (*bool_mask.shape, 4), np.uint8)
    assert not work.painted_mask([Image.fromarray(noise)], photo).any()
    noise[bool_mask] = 229, 72, 139, 166  # the page's brush
    assert np.array_equal(work.painted_mask([Image.fromarray(noise)], photo), bool_mask)


def test_masks_that_cannot_be_used_are_refused(photo, mask, bool_mask):
    opened = work.open_photo(photo)
    with pytest.raises(ValueError, match="301x199 but its image is 20x20"):
        work.read_mask(mask, (20, 20))
    with pytest.raises(ValueError, match="Nothing is painted"):
        work.complete_photo(opened, np.zeros_like(bool_mask))
    with pytest.raises(ValueError, match="covers the whole image.*or let it grow less"):
        work.complete_photo(opened, ndimage.binary_dilation(bool_mask, iterations=150), options=FillOptions(grow=64))


def test_results_go_when_their_time_is_over(monkeypatch):
    recent = work.result_folder()
    monkeypatch.setattr(work, "KEPT_SECONDS", 0.2)
    old = work.result_folder()
    (old / "completed.png").write_bytes(b"")
    deadline = time.monotonic() + 120
    while old.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert recent.is_dir() and not old.exists()


def test_the_options_are_those_of_the_pipeline(photo, bool_mask, model_folder):
    opened = work.open_photo(photo)
    result = work.complete_photo(opened, bool_mask, options=FillOptions(texture="photo"))
    wanted = GLCICPipeline.from_pretrained(model_folder)(opened.image, bool_mask, texture="photo").images[0]
    assert np.array_equal(pixels(result.photo), pixels(wanted))
    assert not np.array_equal(pixels(result.photo), pixels(work.complete_photo(opened, bool_mask).photo))


def test_the_network_sees_sixteen_bits_in_eight(tmp_path):
    ramp = np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    opened = work.open_photo(tmp_path / "ramp.png").rgb
    assert np.array_equal(opened, np.repeat(np.rint(ramp / 257)[..., None], 3, axis=2))


def test_huge_masks_are_refused_before_they_are_decoded(tmp_path):
    (tmp_path / "mask.png").write_bytes(png_header(10_000, 10_000))
    with pytest.raises(ValueError, match="100 megapixels"):
        work.read_mask(tmp_path / "mask.png", (20, 20))


def test_several_files(photo, mask, tmp_path):
    paths = work.complete_files([str(photo)] * 2, [str(mask)], tmp_path)
    expected = work.complete_photo(work.open_photo(photo), work.read_mask(mask, (199, 301))).photo
    assert len(set(paths)) == 2
    assert all(np.array_equal(pixels(path), pixels(expected)) for path in paths)
    with pytest.raises(ValueError, match="Photo 2 of 2: This photo is no longer on the server"):
        work.complete_files([str(photo), str(tmp_path / "gone.png")], [str(mask)], tmp_path)
    with pytest.raises(ValueError, match="21 photos: up to 20"):
        work.complete_files([str(photo)] * 21, [str(mask)], tmp_path)
    with pytest.raises(ValueError, match="3 masks for 2 photos"):
        work.complete_files([str(photo)] * 2, [str(mask)] * 3, tmp_path)


@pytest.mark.parametrize("name", ["rocket", "coffee"])
def test_the_examples_are_the_demo(name):
    examples = Path(work.__file__).parent / "examples"
    expected = demo_pictures(name, Completer(random_model()))[0]["mask"]
    assert np.array_equal(work.read_mask(examples / f"{name}-mask.png", pixels(expected).shape), pixels(expected) > 127)
