"""Photos and masks as people bring them: what must be true of the result, whatever model completes it.

Models without training fill with wild colours, which shows best what is kept of a picture; where it matters how well a
hole is filled, an embedded model does it.
"""

import functools
import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from glcic_hub.pipeline import GLCICPipeline
from tests.random_models import random_model

HEIGHT, WIDTH = 64, 80
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[20:44, 30:58] = True
WILD = GLCICPipeline(random_model())


@functools.cache
def trained() -> GLCICPipeline:
    return GLCICPipeline.from_pretrained("glcic-scenes", dtype=torch.float32)


def complete(image, mask, pipe: GLCICPipeline = WILD, **options):
    return pipe(image, mask, **options).images[0]


def shades(seed: int = 0) -> np.ndarray:
    """Smooth (HEIGHT, WIDTH) from 0 to 1."""
    coarse = Image.fromarray(np.random.default_rng(seed).random((5, 6)).astype(np.float32))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return (smooth - smooth.min()) / np.ptp(smooth)


# Masks that leave something of an object

SIZE, GREEN, RED = 128, np.array([70, 130, 60]), np.array([220, 30, 30])


def ball(radius: float, blur: float = 0) -> np.ndarray:
    """How much of each pixel a ball covers, from 0 to 1; its edge is antialiased."""
    large = Image.new("L", (4 * SIZE, 4 * SIZE))
    ImageDraw.Draw(large).ellipse([4 * (SIZE / 2 - radius)] * 2 + [4 * (SIZE / 2 + radius)] * 2, fill=255)
    small = large.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.GaussianBlur(blur))) / 255


def ball_on_a_lawn() -> np.ndarray:
    lawn = GREEN + np.random.default_rng(0).normal(0, 4, (SIZE, SIZE, 3))
    cover = ball(22)[..., None]
    return np.clip(np.rint(lawn * (1 - cover) + RED * cover), 0, 255).astype(np.uint8)


def off_the_lawn(result: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.abs(result.astype(int) - GREEN).max(2)[where]


@pytest.mark.parametrize(
    "mask",
    [ball(22), ball(22, blur=3), ball(21) > 0.5, ball(20) > 0.5],
    ids=["antialiased", "feathered", "1 px", "2 px"],
)
@pytest.mark.parametrize("texture", [None, "photo"])
@pytest.mark.filterwarnings("ignore:the mask")
def test_a_tight_mask_does_not_bring_the_objects_colour_into_the_hole(mask, texture):
    photo = Image.fromarray(ball_on_a_lawn())
    mask = Image.fromarray(np.uint8(255 * mask))
    inside = ball(19) > 0.5
    *ways, left = (
        off_the_lawn(np.asarray(complete(photo, mask, trained(), blend=blend, texture=texture)), inside)
        for blend in ("poisson", "fading", None)
    )
    for corrected in ways:
        assert corrected.mean() < max(10, 1.5 * left.mean())
        assert (corrected > 40).mean() < 0.05


def missing_pixels(kind: str, hole: np.ndarray) -> np.ndarray:
    missing = np.zeros_like(hole)
    if kind == "pinholes":
        rows, columns = np.random.default_rng(0).choice(np.argwhere(ball(20) > 0.5), 12, replace=False).T
        missing[rows, columns] = True
    else:
        missing[60:62, 48:80] = True
    return missing & hole


@pytest.mark.parametrize("kind", ["pinholes", "slit"])
@pytest.mark.parametrize("blend", ["poisson", "fading", None])
def test_missing_pixels_do_not_bring_the_object_back_and_stay_as_they_are(kind, blend):
    photo, hole = ball_on_a_lawn(), ball(26) > 0.5
    missing = missing_pixels(kind, hole)
    assert missing.sum() >= 12
    result = np.asarray(complete(photo, hole & ~missing, trained(), blend=blend, output_type="pil"))
    np.testing.assert_array_equal(result[~hole | missing], photo[~hole | missing])
    assert off_the_lawn(photo, missing).mean() > 100
    off = off_the_lawn(result, hole & ~missing)
    assert off.mean() < 20 and (off > 40).mean() < 0.1


# Colours


def toned(*colours: tuple[int, int, int]) -> np.ndarray:
    channels = [np.interp(shades(), np.linspace(0, 1, len(colours)), channel) for channel in zip(*colours)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


GREY = (0, 0, 0), (255, 255, 255)
TONES = {
    "grey": GREY,
    "sepia": ((20, 10, 5), (112, 66, 20), (240, 220, 180)),
    "duotone": ((30, 0, 80), (255, 200, 60)),
    "of one brightness": ((200, 50, 80), (50, 200, 80)),
}


def off_the_tone(rgb: np.ndarray, tone: str) -> np.ndarray:
    """Levels from the nearest of the tone's colours, by brute force."""
    at = np.linspace(0, 1, 400), np.linspace(0, 1, len(TONES[tone]))
    curve = np.stack([np.interp(*at, channel) for channel in zip(*TONES[tone])], axis=-1)
    return np.abs(rgb[:, None].astype(float) - curve).max(2).min(1)


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("texture", [None, "photo"])
def test_a_toned_picture_gets_a_fill_of_its_tone(tone, texture):
    picture = toned(*TONES[tone])
    result = np.asarray(complete(Image.fromarray(picture), HOLE, texture=texture))
    assert off_the_tone(result[HOLE], tone).max() <= 2
    assert tone != "grey" or np.ptp(result[HOLE].astype(int), axis=1).max() == 0


def test_a_sepia_jpeg_gets_a_fill_of_its_tone():
    file = io.BytesIO()
    Image.fromarray(toned(*TONES["sepia"])).save(file, "jpeg", quality=75)
    result = np.asarray(complete(Image.open(file), HOLE))
    known, fill = (off_the_tone(result[where], "sepia") for where in (~HOLE, HOLE))
    assert known.mean() > 0.5
    assert np.quantile(fill, 0.99) <= max(4, np.quantile(known, 0.99))


def test_colours_in_a_plane_stay_in_it():
    picture = np.dstack([255 * shades(1), 255 * shades(2), np.full((HEIGHT, WIDTH), 40)]).astype(np.uint8)
    result = np.asarray(complete(picture, HOLE))
    assert np.abs(result[HOLE][:, 2].astype(int) - 40).max() <= 1
    assert np.ptp(result[HOLE][:, :2]) > 20


def test_a_grey_page_gets_a_grey_fill():
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for top in range(2, HEIGHT, 10):
        ImageDraw.Draw(page).text((2, top), "The quick brown fox jumps", fill="black")
    result = np.asarray(complete(page, HOLE, trained()))
    assert np.ptp(result[HOLE].astype(int), axis=1).max() == 0


# Depth

LOW, HIGH = 1000, 1100


def deep_ramp() -> np.ndarray:
    """uint16, of which a hundred levels are used."""
    return np.rint(LOW + (HIGH - LOW) * np.mgrid[:HEIGHT, :WIDTH][1] / WIDTH).astype(np.uint16)


DEEP = {
    "I;16": (lambda ramp: Image.fromarray(ramp), "pil", 1),
    "I": (lambda ramp: Image.fromarray(ramp.astype(np.int32)), "pil", 1),
    "uint16": (lambda ramp: ramp, "np", 65535),
    "float32": (lambda ramp: (ramp / 65535).astype(np.float32), "np", 65535),
    "float64": (lambda ramp: ramp / 65535, "np", 65535),
    "tensor": (lambda ramp: torch.from_numpy(ramp / 65535).float().repeat(3, 1, 1), "pt", 65535),
}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("texture", [None, "photo"])
def test_a_small_range_of_a_deep_picture_is_filled_in_its_range(kind, texture):
    ramp = deep_ramp()
    given, output_type, white = DEEP[kind]
    result = complete(given(ramp), HOLE, trained(), output_type=output_type, texture=texture)
    result = np.asarray(result[0] if output_type == "pt" else result, np.float64) * white
    result = result[..., 0] if result.ndim == 3 else result
    np.testing.assert_allclose(result[~HOLE], ramp[~HOLE], rtol=1e-6)
    error = np.abs(result - ramp)[HOLE]
    assert error.max() < HIGH - LOW and error.mean() < 20
    for axis in (0, 1):
        across = np.diff(HOLE, axis=axis)
        assert np.abs(np.diff(result, axis=axis))[across].mean() < 10
    assert len(np.unique(result[HOLE])) > 10


# What nobody sees

CLEAR = np.zeros((HEIGHT, WIDTH), bool)
CLEAR[:, 58:] = CLEAR[50:] = True


def cut_out(mode: str, hidden_colour: int) -> Image.Image:
    """A picture that is transparent up to its hole, with some colour there."""
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, (HEIGHT, WIDTH, len(Image.new(mode, (1, 1)).getbands())), np.uint8)
    samples[..., -1] = np.where(CLEAR, 0, samples[..., -1] | 1)
    samples[CLEAR, :-1] = hidden_colour
    if mode != "PA":
        return Image.frombytes(mode, (WIDTH, HEIGHT), samples.tobytes())
    image = Image.frombytes(mode, (WIDTH, HEIGHT), samples.tobytes())
    image.putpalette(random.integers(0, 256, 768, np.uint8).tolist())
    return image


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
@pytest.mark.parametrize(("hole", "texture"), [("beside it", None), ("beside it", "photo"), ("across it", None)])
def test_pictures_that_look_alike_get_the_same_fill(mode, hole, texture):
    mask = HOLE if hole == "beside it" else np.roll(HOLE, 12, axis=1)
    fills = []
    for colour in (0, 90, 255):
        image = cut_out(mode, colour)
        result = complete(image, mask, texture=texture)
        source = np.asarray(image.convert("RGBA" if mode == "PA" else mode))
        np.testing.assert_array_equal(np.asarray(result)[~mask], source[~mask])
        np.testing.assert_array_equal(np.asarray(result)[..., -1], source[..., -1])
        fills.append(np.asarray(result)[mask])
    assert fills[0].any()
    for fill in fills[1:]:
        np.testing.assert_array_equal(fill, fills[0])


@pytest.mark.parametrize("output_type", ["np", "pt"])
def test_the_alpha_of_arrays_and_tensors_counts_and_hidden_samples_come_back(output_type):
    fills = []
    for colour in (0.0, 0.7):
        samples = np.random.default_rng(0).random((HEIGHT, WIDTH, 4)).astype(np.float32)
        samples[CLEAR] = *[colour] * 3, 0
        given = torch.from_numpy(samples).permute(2, 0, 1) if output_type == "pt" else samples
        result = complete(given, HOLE, output_type=output_type)
        result = result.permute(1, 2, 0).numpy() if output_type == "pt" else result
        np.testing.assert_array_equal(result[~HOLE], samples[~HOLE][:, :3])
        fills.append(result[HOLE])
    np.testing.assert_array_equal(*fills)


def test_pictures_that_look_alike_do_so_at_another_size():
    fills = [np.asarray(complete(cut_out("RGBA", colour), HOLE, height=40, width=50)) for colour in (0, 255)]
    seen = fills[0][..., 3] > 0
    np.testing.assert_array_equal(fills[0][seen], fills[1][seen])


# One plain colour


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (250, 240, 210), (30, 60, 200)])
@pytest.mark.parametrize("hole", [(20, 44, 30, 58), (0, 30, 0, 25), (40, 64, 0, 80), (30, 31, 0, 80)])
@pytest.mark.parametrize("text", [False, True])
def test_flat_stays_flat(colour, hole, text):
    top, bottom, left, right = hole
    mask = np.zeros((HEIGHT + 40, WIDTH), bool)
    mask[top:bottom, left:right] = True
    picture = Image.new("RGB", (WIDTH, HEIGHT + 40), colour)
    if text:
        ImageDraw.Draw(picture).text((2, HEIGHT + 20), "The quick brown fox", fill=(128, 20, 90))
    result = np.asarray(complete(picture, mask))
    assert np.abs(result[mask].astype(int) - colour).max() <= 2
    sixteen = np.full((HEIGHT + 40, WIDTH), 1234, np.uint16)
    assert (np.asarray(complete(Image.fromarray(sixteen), mask)) == 1234).all()


# Growing


@pytest.mark.parametrize("grow", [1, 4])
def test_grow_widens_the_hole_by_so_many_pixels(grow):
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    wider = np.zeros_like(HOLE)
    for row, column in np.argwhere(HOLE):
        rows, columns = np.ogrid[-row : HEIGHT - row, -column : WIDTH - column]
        wider |= rows**2 + columns**2 <= grow**2
    for output_type in ("pil", "np"):
        results = [
            np.asarray(complete(photo, mask, output_type=output_type, grow=by))
            for mask, by in ((HOLE, grow), (wider, 0), (HOLE, 0))
        ]
        np.testing.assert_array_equal(results[0], results[1])
        assert (results[0] != results[2])[wider & ~HOLE].mean() > 0.9
