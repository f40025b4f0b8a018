"""Pixels that nobody sees, because they are fully transparent, are not learned from."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos

from glcic_hub.picture_files import LEAST_SQUARE, decode_picture
from tests.train.pictures import noise
from train.dataset import TrainingCrops, find_pictures
from train.device_crops import DeviceCrops

PHOTO = photos.astronaut()[:60, 100:180]


def hidden_pixels() -> np.ndarray:
    """A frame, as of a cut-out object, and a hole."""
    hidden = np.ones(PHOTO.shape[:2], bool)
    hidden[5:55, 10:75] = False
    hidden[20:30, 12:20] = True
    return hidden


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rgba(below: np.ndarray, mode: str) -> bytes:
    colours = np.where(hidden_pixels()[..., None], below, PHOTO)
    image = Image.fromarray(colours).convert(mode.removesuffix("A"))
    image.putalpha(Image.fromarray(np.where(hidden_pixels(), np.uint8(0), np.uint8(255))))
    return saved(image, "TIFF" if mode == "LA" else "PNG")


def palette(below: np.ndarray, values: bool) -> bytes:
    """The last colour, or the last two, are transparent; which they are nobody sees."""
    image = Image.fromarray(PHOTO).quantize(200)
    table = np.array(image.getpalette()).reshape(-1, 3)[:200]
    table = np.concatenate([table, below[0, :2]])
    numbers = np.array(image)
    numbers[hidden_pixels()] = 201
    if values:
        numbers[:10] = np.where(hidden_pixels()[:10], 200, numbers[:10])
    image = Image.fromarray(numbers)
    image.putpalette(table.astype(np.uint8).tobytes())
    if values:
        return saved(image, transparency=bytes([255] * 200 + [0, 0]))
    return saved(image, transparency=201)


KINDS = {
    "RGBA": lambda below: rgba(below, "RGBA"),
    "LA": lambda below: rgba(below, "LA"),
    "P, one transparent colour": lambda below: palette(below, values=False),
    "P, an alpha for each colour": lambda below: palette(below, values=True),
}


@pytest.fixture(params=KINDS)
def alike(request, tmp_path):
    """Two folders with one picture each, which look alike and have other colours where nobody sees them."""
    folders = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        below = np.asarray(noise(*PHOTO.shape[:2], seed=number))
        (folder / ("x.tif" if request.param == "LA" else "x.png")).write_bytes(KINDS[request.param](below))
        folders.append(folder)
    first, second = (find_pictures([folder])[0].load().convert("RGBA") for folder in folders)
    assert not np.array_equal(first, second)
    assert np.array_equal(np.asarray(first)[..., 3] == 0, hidden_pixels())
    return folders


def test_pictures_that_look_alike_give_the_same_crops(alike):
    crops = []
    for folder in alike:
        pictures = find_pictures([folder])
        for cache in (False, True):
            loaded = TrainingCrops(pictures, 16, (1.0, 2.0), 12, 0, cache=cache)
            crops.append(torch.stack([loaded[sample] for sample in range(12)]))
    assert all(torch.equal(one, crops[0]) for one in crops)
    first, second = (
        DeviceCrops(find_pictures([folder]), 16, (1.0, 2.0), 0, "cpu").batch(0, 12, 0, 1) for folder in alike
    )
    assert torch.equal(first, second) and (first - crops[0]).abs().max() < 1.3 / 255


def test_what_is_used_is_the_largest_square_that_is_all_to_be_seen(alike):
    """By trying all squares."""
    picture = find_pictures([alike[0]])[0]
    whole = np.asarray(picture.load().convert("RGBA"))
    found = None
    for side in range(1, 60):
        for top in range(60 - side, -1, -1):
            for left in range(80 - side, -1, -1):
                if whole[top : top + side, left : left + side, 3].all():
                    found = whole[top : top + side, left : left + side, :3]
    assert np.array_equal(np.asarray(picture.decode()), found)
    assert found.shape[0] == 50


def test_a_picture_of_which_all_is_to_be_seen_stays_whole():
    image = Image.fromarray(PHOTO)
    image.putalpha(1)  # nearly transparent
    assert np.array_equal(np.asarray(decode_picture(saved(image))), PHOTO)


def test_a_turned_picture_is_looked_at_upright():
    image = Image.fromarray(PHOTO)
    image.putalpha(Image.fromarray(np.where(np.arange(80) < 40, np.uint8(255), np.uint8(0))[None].repeat(60, axis=0)))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    seen = np.rot90(PHOTO, -1)[:40]
    assert np.array_equal(np.asarray(decode_picture(saved(image, exif=exif))), seen[:, :40])


def test_sixteen_bit_pictures_have_a_transparent_value():
    grey = np.full((40, 50), 30_000, np.uint16)
    grey[:, 24:] = 777
    picture = decode_picture(saved(Image.fromarray(grey), transparency=777))
    assert picture.size == (24, 24)
    assert np.unique(picture).tolist() == [round(30_000 / 257)]


@pytest.mark.parametrize("side", [LEAST_SQUARE - 1, LEAST_SQUARE])
def test_a_picture_of_which_next_to_nothing_is_to_be_seen_counts_as_damaged(tmp_path, side):
    noise(40, 40).save(tmp_path / "good.png")
    image = noise(40, 40)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[3 : 3 + side, 5 : 5 + side] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "cut-out.png")
    crops = TrainingCrops(find_pictures([tmp_path]), 8, (1.0, 1.5), 12, 0)
    damaged = [one for sample in range(12) for one in crops.sample(sample).damaged]
    if side == LEAST_SQUARE:
        assert not damaged
    else:
        assert {one.name for one in damaged} == {"cut-out.png"}
        assert "no square of 16 pixels is visible" in damaged[0].message
