"""Pictures of every kind come in, and come back with every known sample as it was."""

import errno
import io
import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from PIL import Image, ImageOps

from glcic_hub import images

HEIGHT, WIDTH = 5, 7
SAME_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "I;16L", "I")
CHANGED_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
CHANGED_MODES |= {"LAB": "RGB", "RGBX": "RGB"}
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[1:4, 2:4] = True
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def random_fill(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(1).random((height, width, 3), dtype=np.float32)


def noise(*shape: int, dtype: str = "uint8", high: int = 256) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def picture_of_mode(mode: str) -> Image.Image:
    if mode == "1":
        return Image.fromarray(noise(HEIGHT, WIDTH) > 127)
    if mode in ("I", "I;16", "I;16B", "I;16L"):
        dtype = {"I": "int32", "I;16B": ">u2"}.get(mode, "uint16")
        return Image.frombytes(mode, (WIDTH, HEIGHT), noise(HEIGHT, WIDTH, dtype=dtype, high=65536).tobytes())
    channels = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, (WIDTH, HEIGHT), noise(HEIGHT, WIDTH, channels).tobytes())
    if mode in ("P", "PA"):
        image.putpalette(noise(768).tolist())
    return image


def assert_same_image(ours: Image.Image, theirs: Image.Image) -> None:
    assert (ours.mode, ours.size, ours.getpalette()) == (theirs.mode, theirs.size, theirs.getpalette())
    assert ours.tobytes() == theirs.tobytes()
    assert ours.info == theirs.info


def as_eight_bit(fill: np.ndarray) -> np.ndarray:
    return np.array([[[round(float(value) * 255) for value in pixel] for pixel in row] for row in fill], np.uint8)


def float_luma(fill: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(fill.astype(np.float64), -1, 0)
    return 0.299 * red + 0.587 * green + 0.114 * blue


# PIL images of all modes


@pytest.mark.parametrize("mode", [*SAME_MODES, *CHANGED_MODES])
def test_a_picture_of_any_mode_comes_back_as_it_came_when_nothing_is_filled(mode):
    image = picture_of_mode(mode)
    image.info["dpi"] = (72, 72)
    before = image.copy()
    result = images.read(image).completed(random_fill(), NOTHING, "pil")
    assert_same_image(result, before)
    assert_same_image(image, before)
    assert result is not image


@pytest.mark.parametrize("mode", SAME_MODES)
def test_known_samples_come_back_bit_for_bit_in_the_mode_that_came(mode):
    image = picture_of_mode(mode)
    image.info.update(dpi=(72, 72), icc_profile=b"profile")
    result = images.read(image).completed(random_fill(), MASK, "pil")
    assert (result.mode, result.size, result.info) == (mode, image.size, image.info)
    np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(image)[~MASK])
    assert (np.asarray(result)[MASK] != np.asarray(image)[MASK]).any()


@pytest.mark.parametrize("mode, wanted", CHANGED_MODES.items())
def test_other_modes_change_to_one_that_keeps_the_known_colours(mode, wanted):
    image = picture_of_mode(mode)
    result = images.read(image).completed(random_fill(), MASK, "pil")
    assert result.mode == wanted
    np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(image.convert(wanted))[~MASK])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "PA", "HSV"])
def test_colours_are_filled_with_the_rounded_fill(mode):
    result = np.asarray(images.read(picture_of_mode(mode)).completed(random_fill(), MASK, "pil"))
    np.testing.assert_array_equal(result[MASK][:, :3], as_eight_bit(random_fill())[MASK])


@pytest.mark.parametrize(
    "mode, white", [("L", 255), ("LA", 255), ("1", 255), ("I", 65535), ("I;16", 65535), ("I;16B", 65535)]
)
def test_grey_is_filled_with_the_luma_at_full_depth(mode, white):
    result = np.asarray(images.read(picture_of_mode(mode)).completed(random_fill(), MASK, "pil"))
    grey = result[..., 0] if mode == "LA" else result
    np.testing.assert_array_equal(grey[MASK], np.rint(float_luma(random_fill()) * white)[MASK])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_are_reached_exactly(mode, level):
    fill = np.full((HEIGHT, WIDTH, 3), level, np.float32)
    result = images.read(picture_of_mode(mode)).completed(fill, MASK, "pil")
    assert (images.read(result).rgb[MASK] == round(255 * level)).all()


def test_inks_have_the_colours_of_the_fill():
    result = images.read(picture_of_mode("CMYK")).completed(random_fill(), MASK, "pil")
    seen = np.asarray(result.convert("RGB")).astype(int)
    assert np.abs(seen - as_eight_bit(random_fill()))[MASK].max() <= 2  # rounded twice


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_alpha_is_never_changed(mode):
    image = picture_of_mode(mode)
    result = images.read(image).completed(random_fill(), ~NOTHING, "pil")
    np.testing.assert_array_equal(np.asarray(result.getchannel("A")), np.asarray(image.getchannel("A")))


@pytest.mark.parametrize(
    "mode, key, wanted", [("L", 7, "LA"), ("RGB", (7, 7, 7), "RGBA"), ("P", 7, "RGBA"), ("1", 0, "LA")]
)
def test_a_transparent_key_colour_becomes_alpha_so_that_no_filled_pixel_is_transparent(mode, key, wanted):
    image = Image.new(mode, (WIDTH, HEIGHT), key)
    image.info["transparency"] = key
    fill = np.full((HEIGHT, WIDTH, 3), 7 / 255, np.float32)
    result = images.read(image).completed(fill, MASK, "pil")
    assert result.mode == wanted
    assert "transparency" not in result.info
    np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(image.convert(wanted))[~MASK])
    assert_same_image(images.read(image).completed(fill, NOTHING, "pil"), image)


def test_the_network_sees_sixteen_bits_divided_by_257():
    image = picture_of_mode("I;16")
    wanted = np.rint(np.asarray(image).astype(float) / 257)
    rgb = images.read(image).rgb
    assert (rgb.dtype, rgb.shape, rgb.flags.c_contiguous) == (np.uint8, (HEIGHT, WIDTH, 3), True)
    np.testing.assert_array_equal(rgb, np.stack([wanted] * 3, -1))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P", "1", "YCbCr"])
def test_the_network_sees_the_colours_without_alpha(mode):
    image = picture_of_mode(mode)
    np.testing.assert_array_equal(images.read(image).rgb, np.asarray(image.convert("RGB")))


# What is seen of a picture

SEEN_MODES = ("LA", "PA", "La", "RGBA", "RGBa")


def alpha_of(mode: str, image: Image.Image) -> np.ndarray:
    """Read off the bytes: the last of each pixel's."""
    return np.frombuffer(image.tobytes(), np.uint8).reshape(HEIGHT, WIDTH, -1)[..., -1]


def with_alpha(mode: str) -> Image.Image:
    """Noise of a mode, transparent in places, nearly so in others."""
    image = picture_of_mode(mode)
    samples = np.frombuffer(image.tobytes(), np.uint8).reshape(HEIGHT, WIDTH, -1).copy()
    samples[0, :3, -1], samples[3, 4:, -1], samples[1, 0, -1] = 0, 0, 1
    result = Image.frombytes(mode, image.size, samples.tobytes())
    if mode == "PA":
        result.putpalette(image.getpalette())
    return result


@pytest.mark.parametrize("mode", SEEN_MODES)
def test_pixels_of_alpha_0_are_hidden_and_no_others(mode):
    image = with_alpha(mode)
    wanted = alpha_of(mode, image)
    assert {0, 1} <= set(wanted.flat)
    np.testing.assert_array_equal(images.opacity(image), wanted)
    hidden = images.read(image).hidden
    assert hidden.dtype == bool and hidden.flags.c_contiguous
    np.testing.assert_array_equal(hidden, wanted == 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "I", "I;16", "I;16B", *SEEN_MODES])
def test_where_all_is_seen_nothing_is_hidden(mode):
    image = picture_of_mode(mode)
    if mode in SEEN_MODES:
        samples = np.frombuffer(image.tobytes(), np.uint8).reshape(HEIGHT, WIDTH, -1)
        image.frombytes(np.dstack([samples[..., :-1], np.full((HEIGHT, WIDTH), 255, np.uint8)]).tobytes())
    else:
        assert images.opacity(image) is None
    assert images.read(image).hidden is None


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_a_transparent_key_of_16_bits_is_hidden(dtype):
    levels = np.array([[7, 8, 7, 65535], [0, 7, 263, 1799]])  # 263 and 1799 have a byte of 7
    image = Image.frombytes({"<u2": "I;16", ">u2": "I;16B"}[dtype], (4, 2), levels.astype(dtype).tobytes())
    image.info["transparency"] = 7
    np.testing.assert_array_equal(images.opacity(image), np.where(levels == 7, 0, 255))
    np.testing.assert_array_equal(images.read(image).hidden, levels == 7)


@pytest.mark.parametrize("key", [5, bytes([255, 0, 128, 1])])
def test_transparent_colours_of_a_palette_are_hidden(key):
    indices = np.array([[0, 1, 2], [3, 5, 1]], np.uint8)
    image = Image.fromarray(indices)
    image = Image.frombytes("P", (3, 2), indices.tobytes())
    image.putpalette(list(range(18)))
    image.info["transparency"] = key
    wanted = indices == (5 if key == 5 else 1)
    np.testing.assert_array_equal(images.read(image).hidden, wanted)


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0)])
def test_a_transparent_key_colour_is_hidden(mode, key):
    image = Image.new(mode, (WIDTH, HEIGHT), 1 if mode == "1" else 9 if mode == "L" else (9, 9, 9))
    image.putpixel((2, 1), key)
    image.info["transparency"] = key
    np.testing.assert_array_equal(np.argwhere(images.read(image).hidden), [[1, 2]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64", "bool"])
@pytest.mark.parametrize("is_tensor", [False, True])
def test_the_fourth_channel_of_arrays_and_tensors_is_alpha(dtype, is_tensor):
    if is_tensor and dtype == "uint16":
        pytest.skip("a type that few tensors have")
    samples = np.ones((HEIGHT, WIDTH, 4), dtype)
    samples[2, 3:5, 3] = 0
    if dtype not in ("bool", "uint8", "uint16"):
        samples[0, 0, 3] = np.finfo(dtype).tiny
    given = torch.from_numpy(samples).permute(2, 0, 1) if is_tensor else samples
    np.testing.assert_array_equal(np.argwhere(images.read(given).hidden), [[2, 3], [2, 4]])
    assert images.read(samples[..., :3]).hidden is None


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_hidden_is_turned_with_the_picture(mode, orientation):
    image = with_alpha(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    upright = ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(images.read(image).hidden, np.asarray(upright.getchannel("A")) == 0)


def test_hidden_colours_do_not_come_into_a_resized_picture():
    image = picture_of_mode("RGBA")
    image.putalpha(255)
    results = set()
    for colour in ((0, 0, 0), (255, 0, 90)):
        samples = np.asarray(image).copy()
        samples[:, 4:] = *colour, 0
        resized = images.read(Image.fromarray(samples)).resized(11, 13)
        results.add((resized.rgb.tobytes(), resized.image.getchannel("A").tobytes()))
        assert resized.hidden is not None and not resized.hidden.all()
    assert len(results) == 1
    wholly = images.read(Image.new("RGBA", (WIDTH, HEIGHT), (9, 9, 9, 0))).resized(11, 13)
    assert wholly.hidden.all()


def test_samples_are_the_values_in_float32_where_there_are_any():
    rgb = images.read(picture_of_mode("RGB"))
    assert rgb.samples is rgb.rgb
    deep = images.read(picture_of_mode("I;16"))
    wanted = np.asarray(picture_of_mode("I;16")) / 65535
    assert deep.samples.dtype == np.float32
    np.testing.assert_allclose(deep.samples, np.stack([wanted] * 3, -1), atol=1e-7)
    for dtype in (np.float16, np.float32, np.float64):
        values = random_fill().astype(dtype)
        assert images.read(values).samples.dtype == np.float32
        np.testing.assert_array_equal(images.read(values).samples, values.astype(np.float32))


# Orientation


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_mask_works_upright_and_the_stored_orientation_comes_back(mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = picture_of_mode(mode)
    image.info["exif"] = exif.tobytes()
    upright = ImageOps.exif_transpose(image)
    mask = np.zeros((upright.height, upright.width), bool)
    mask[0, :3] = True
    picture = images.read(image)
    assert picture.size == (upright.height, upright.width)
    np.testing.assert_array_equal(picture.rgb, images.read(upright).rgb)

    fill = random_fill(*picture.size)
    result = picture.completed(fill, mask, "pil")
    assert (result.size, result.mode, result.info) == (image.size, mode, image.info)
    shown = ImageOps.exif_transpose(result)
    np.testing.assert_array_equal(np.asarray(shown)[~mask], np.asarray(upright)[~mask])
    wanted = images.read(upright).completed(fill, mask, "pil")
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(wanted))
    np.testing.assert_array_equal(picture.completed(fill, mask, "np"), images.read(upright).completed(fill, mask, "np"))


def test_an_orientation_set_in_memory_counts_and_comes_back():
    image = picture_of_mode("RGB")
    image.getexif()[0x0112] = 6
    picture = images.read(image)
    assert picture.size == (WIDTH, HEIGHT)
    assert picture.completed(random_fill(WIDTH, HEIGHT), MASK.T, "pil").getexif()[0x0112] == 6


THUMBNAIL = b"\xff\xd8 what was there before it was filled \xff\xd9"


def exif_with_thumbnail() -> bytes:
    """What a camera writes: tags, a capture date, a place, and in a second directory a small picture."""
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x0112] = 6
    tags[0x8769] = {0x9003: "2026:01:02 03:04:05"}
    tags[0x8825] = {1: "N"}
    tiff = bytearray(tags.tobytes()[6:])
    assert tiff[:4] == b"MM\0*"
    (count,) = struct.unpack_from(">H", tiff, 8)
    start = len(tiff)
    struct.pack_into(">I", tiff, 10 + 12 * count, start)
    tiff += struct.pack(">H", 2)
    tiff += struct.pack(">HHII", 0x0201, 4, 1, start + 2 + 24 + 4) + struct.pack(">HHII", 0x0202, 4, 1, len(THUMBNAIL))
    return b"Exif\0\0" + bytes(tiff + struct.pack(">I", 0) + THUMBNAIL)


def test_the_camera_s_thumbnail_goes_when_something_is_filled_and_all_else_stays():
    image = Image.fromarray(np.full((WIDTH, HEIGHT, 3), 90, np.uint8))
    image.info["exif"] = exif_with_thumbnail()
    assert THUMBNAIL in image.info["exif"] and image.getexif().get_ifd(0x8825)[1] == "N"
    picture = images.read(image)
    mask = np.zeros(picture.size, bool)
    untouched = picture.completed(np.zeros((*picture.size, 3), np.float32), mask, "pil")
    assert untouched.info["exif"] == image.info["exif"]
    mask[0, 0] = True
    exif = picture.completed(np.zeros((*picture.size, 3), np.float32), mask, "pil").info["exif"]
    assert THUMBNAIL not in exif
    tags = Image.Exif()
    tags.load(exif)
    assert (tags[0x010F], tags[0x0112]) == ("Maker", 6)
    assert tags.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05" and tags.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0", b""])
def test_damaged_exif_data_do_not_matter(exif):
    image = picture_of_mode("RGB")
    image.info["exif"] = exif
    assert_same_image(images.read(image).completed(random_fill(), NOTHING, "pil"), image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_files_are_read_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"picture.{suffix}"
    picture_of_mode("RGB").save(path, exif=exif)
    np.testing.assert_array_equal(images.read(path).rgb, np.asarray(ImageOps.exif_transpose(Image.open(path))))


# Arrays and tensors


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", ">u2", "float16", "float32", "float64", ">f4"])
def test_arrays_come_back_as_values_and_as_pil(dtype, channels):
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    white = {"bool": 1, "uint8": 255}.get(dtype, 65535)
    samples = noise(*shape, dtype="int64", high=white + 1)
    array = (samples / white if "f" in dtype else samples).astype(dtype)
    before = array.copy()
    picture = images.read(array)

    values = array.reshape(HEIGHT, WIDTH, -1)[..., :3]
    values = values if "f" in dtype else values.astype(np.float32) / np.float32(white)
    values = np.broadcast_to(values, (HEIGHT, WIDTH, 3))
    result = picture.completed(random_fill(), MASK, "np")
    assert result.dtype == values.dtype.newbyteorder("=")
    assert result.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(result[~MASK], values[~MASK])
    np.testing.assert_array_equal(result[MASK], random_fill()[MASK].astype(result.dtype))

    is_grey = channels in (None, 1)
    image = picture.completed(random_fill(), MASK, "pil")
    assert image.mode == (
        ("I;16" if dtype in ("uint16", ">u2") else "L") if is_grey else {3: "RGB", 4: "RGBA"}[channels]
    )
    if dtype == "uint8" or image.mode == "I;16":
        np.testing.assert_array_equal(np.asarray(image)[~MASK], array.reshape(np.asarray(image).shape)[~MASK])
    np.testing.assert_array_equal(picture.rgb, np.rint(values.astype(np.float32) * np.float32(255)))
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_come_back_as_tensors(dtype, channels):
    shape = (HEIGHT, WIDTH) if channels is None else (channels, HEIGHT, WIDTH)
    samples = torch.from_numpy(noise(*shape))
    tensor = samples if dtype == torch.uint8 else (samples / 255).to(dtype)
    before = tensor.clone()
    result = images.read(tensor).completed(random_fill(), MASK, "pt")
    wanted = (tensor / 255 if dtype == torch.uint8 else tensor).reshape(-1, HEIGHT, WIDTH)[:3].expand(3, -1, -1)
    mask = torch.from_numpy(MASK)
    assert (result.dtype, result.shape) == (wanted.dtype, (3, HEIGHT, WIDTH))
    assert torch.equal(result[:, ~mask], wanted[:, ~mask])
    fill = torch.from_numpy(random_fill()).permute(2, 0, 1).to(result.dtype)
    assert torch.equal(result[:, mask], fill[:, mask])
    assert torch.equal(tensor, before)


def test_awkward_memory_layouts_are_read():
    array = noise(HEIGHT, WIDTH, 3)
    array.setflags(write=False)
    np.testing.assert_array_equal(images.read(array).rgb, array)
    np.testing.assert_array_equal(images.read(array[::-1, ::-2, ::-1]).rgb, array[::-1, ::-2, ::-1])
    np.testing.assert_array_equal(images.read(np.asfortranarray(array)).rgb, array)
    tensor = torch.rand(HEIGHT, WIDTH, 3, requires_grad=True).permute(2, 0, 1)
    result = images.read(tensor).completed(random_fill(), NOTHING, "pt")
    assert torch.equal(result, tensor)
    assert not result.requires_grad


def test_a_picture_does_not_follow_later_changes_of_its_source_nor_of_its_results():
    for source in (noise(HEIGHT, WIDTH, 3), np.ones((HEIGHT, WIDTH, 3), np.float32)):
        picture = images.read(source)
        before = source.copy()
        source[:] = 0
        picture.completed(random_fill(), NOTHING, "np")[:] = 0
        picture.completed(random_fill(), NOTHING, "pt")[:] = 0
        picture.completed(random_fill(), NOTHING, "pil").paste(0, (0, 0, WIDTH, HEIGHT))
        wanted = before if before.dtype == np.float32 else before / np.float32(255)
        np.testing.assert_array_equal(picture.completed(random_fill(), NOTHING, "np"), wanted)
        assert np.asarray(picture.completed(random_fill(), NOTHING, "pil")).any()


samples_of_any_kind = st.sampled_from(["bool", "uint8", "uint16", "float16", "float32", "float64"]).flatmap(
    lambda dtype: arrays_of.arrays(
        dtype,
        st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3, 4])),
        elements={"min_value": 0, "max_value": 1} if dtype.startswith("float") else None,
    )
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(array=samples_of_any_kind, turns=st.integers(0, 3), seed=st.integers(0, 9), density=st.sampled_from([0, 0.5, 1]))
def test_known_values_survive_whatever_the_shape_dtype_layout_and_mask(array, turns, seed, density):
    array = np.rot90(array, turns)
    rng = np.random.default_rng(seed)
    mask = rng.random(array.shape[:2]) < density
    fill = rng.random((*mask.shape, 3), dtype=np.float32)
    picture = images.read(array)
    white = {"bool": 1, "uint8": 255, "uint16": 65535}.get(array.dtype.name)
    values = array if white is None else array.astype(np.float32) / np.float32(white)
    known = np.broadcast_to(values[..., :3], fill.shape)
    as_array = picture.completed(fill, mask, "np")
    np.testing.assert_array_equal(as_array[~mask], known[~mask])
    np.testing.assert_array_equal(picture.completed(fill, mask, "pt").permute(1, 2, 0).numpy(), as_array)
    if white != 255:
        return
    image = np.asarray(picture.completed(fill, mask, "pil")).reshape(array.shape)
    np.testing.assert_array_equal(image[~mask], array[~mask])
    np.testing.assert_array_equal(np.asarray(picture.completed(fill, mask & False, "pil")).reshape(array.shape), array)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(["L", "LA", "RGB", "RGBA", "CMYK", "I;16"]),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 9),
)
def test_pil_pictures_survive_whatever_the_size_mode_and_orientation(mode, width, height, orientation, seed):
    rng = np.random.default_rng(seed)
    depth = Image.new(mode, (1, 1)).tobytes()
    image = Image.frombytes(mode, (width, height), rng.bytes(width * height * len(depth)))
    image.getexif()[0x0112] = orientation
    picture = images.read(image)
    mask = rng.random(picture.size) < 0.5
    result = picture.completed(rng.random((*picture.size, 3), dtype=np.float32), mask, "pil")
    assert (result.mode, result.size) == (mode, image.size)
    result.getexif()[0x0112] = orientation
    shown, wanted = (np.asarray(ImageOps.exif_transpose(one)) for one in (result, image))
    np.testing.assert_array_equal(shown[~mask], wanted[~mask])


# resized


def test_resizing_is_lanczos_of_colours_and_alpha():
    image = picture_of_mode("RGBA")
    image.putalpha(image.getchannel("A").point(lambda alpha: max(alpha, 1)))  # all of it is seen
    image.info.update(dpi=(72, 72), icc_profile=b"profile")
    picture = images.read(image).resized(8, 9)
    assert picture.size == (8, 9)
    wanted = np.asarray(image.convert("RGB").resize((9, 8), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(picture.rgb, wanted)
    result = picture.completed(random_fill(8, 9), np.zeros((8, 9), bool), "pil")
    assert (result.mode, result.info) == ("RGBA", image.info)
    alpha = image.getchannel("A").resize((9, 8), Image.Resampling.LANCZOS)
    assert result.getchannel("A").tobytes() == alpha.tobytes()


def test_resizing_to_its_own_size_changes_nothing():
    picture = images.read(picture_of_mode("CMYK"))
    assert picture.resized(HEIGHT, WIDTH) is picture


def test_a_rotated_picture_is_resized_upright():
    image = picture_of_mode("RGBA")
    image.getexif()[0x0112] = 6
    result = images.read(image).resized(14, 10)
    upright = images.read(ImageOps.exif_transpose(image)).resized(14, 10)
    assert result.orientation == 1
    assert_same_image(result.image, upright.image)


def test_resizing_to_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1, got height=0"):
        images.read(picture_of_mode("L")).resized(0, 3)


# Several pictures


def test_all_kinds_of_input_of_diffusers_are_read():
    batch = noise(3, HEIGHT, WIDTH, 3)
    wanted = list(batch)
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)
    pil = [Image.fromarray(array) for array in batch]
    for given_images in (batch, tensor, pil, tuple(pil), list(batch), list(tensor), [pil[0], batch[1], tensor[2]]):
        for picture, array in zip(images.read_all(given_images), wanted, strict=True):
            np.testing.assert_array_equal(picture.rgb, array)
    for single in (pil[0], batch[0], tensor[0]):
        (picture,) = images.read_all(single)
        np.testing.assert_array_equal(picture.rgb, wanted[0])


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 4, 4, 3)), torch.zeros(0, 3, 4, 4)])
def test_no_picture_at_all_is_refused(nothing):
    with pytest.raises(ValueError, match="no image was given: the list or batch is empty"):
        images.read_all(nothing)


@pytest.mark.parametrize(
    "wrong, error", [(np.zeros((4, 4)) - 1, ValueError), (None, TypeError), ("missing.png", FileNotFoundError)]
)
def test_the_wrong_picture_of_a_list_is_named(wrong, error):
    with pytest.raises(error, match="^image 1: "):
        images.read_all([np.zeros((4, 4)), wrong])


class OfTwoArguments(OSError):
    def __init__(self, code, path):
        super().__init__(f"{code} of {path}")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (ValueError("no"), ValueError, "here: no"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), UnicodeError, "here: 'utf-8' codec can't decode byte 0xff"),
        (json.JSONDecodeError("no", "{", 1), ValueError, "here: no: line 1 column 2"),
        (OfTwoArguments(7, "a.png"), OSError, "here: 7 of a.png"),
        (OSError(errno.ENOENT, "no", "a.png"), FileNotFoundError, r"here: \[Errno 2\] no: 'a.png'"),
        (OSError(errno.EIO, "no"), OSError, r"here: \[Errno 5\] no"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_are_named_whatever_arguments_their_kind_takes(raised, kind, message):
    with pytest.raises(kind, match=f"^{message}") as caught, images.errors_naming("here"):
        raise raised
    assert type(caught.value) is kind and caught.value.__cause__ is raised
    assert getattr(caught.value, "errno", None) == getattr(raised, "errno", None)


# What is refused


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (np.full((4, 4), np.nan), ValueError, "NaN or infinite"),
        (torch.full((4, 4), float("inf")), ValueError, "NaN or infinite"),
        (np.array([[-1.0, 1.0]]), ValueError, r"from -1 to 1, .*x / 2 \+ 0.5"),
        (np.array([[0.0, 255.0]]), ValueError, "from 0 to 255, .*x / 255"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, r"got \(3, 8, 8\); .*transpose\(1, 2, 0\)"),
        (torch.zeros(8, 8, 3), ValueError, r"got \(8, 8, 3\); .*permute\(2, 0, 1\)"),
        (np.zeros((8, 8, 2)), ValueError, r"must have shape \(H, W\) or \(H, W, 1\|3\|4\), got \(8, 8, 2\)"),
        (np.zeros(8), ValueError, r"got \(8,\)"),
        (torch.tensor(0.5), ValueError, r"got \(\)"),
        (np.zeros((2, 8, 8, 3)), ValueError, "pass a batch on its own"),
        (np.zeros((0, 8, 3)), ValueError, "no pixels"),
        (torch.zeros(3, 8, 0), ValueError, "no pixels"),
        (Image.new("RGB", (0, 8)), ValueError, "no pixels, its size is 0x8"),
        (np.zeros((8, 8), np.int64), TypeError, "dtype int64; it must be uint8"),
        (torch.zeros(8, 8, dtype=torch.int32), TypeError, "dtype torch.int32; it must be uint8"),
        (np.zeros((8, 8), complex), TypeError, "dtype complex128"),
        (np.zeros((8, 8), object), TypeError, "dtype object"),
        (Image.new("F", (8, 8), float("nan")), ValueError, "only NaN or infinite values"),
        (Image.new("I", (8, 8), 70000), ValueError, "mode I must have values from 0 to 65535, got 70000"),
        (Image.new("I", (8, 8), -1), ValueError, "got -1 to -1"),
        (None, TypeError, "must be a PIL image, an array, a tensor or the path of a file, got NoneType"),
        (b"bytes", TypeError, "got bytes"),
        ([np.zeros((4, 4))], TypeError, "got list"),
    ],
)
def test_what_is_not_a_picture_is_refused_in_one_clear_sentence(wrong, error, message):
    with pytest.raises(error, match=message) as caught:
        images.read(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("output_type", ["latent", "PIL", None])
def test_an_unknown_output_type_is_refused(output_type):
    with pytest.raises(ValueError, match='one of "pil", "np" and "pt"'):
        images.read(picture_of_mode("RGB")).completed(random_fill(), MASK, output_type)


@pytest.mark.parametrize(
    "fill, mask",
    [(random_fill(), MASK.T), (random_fill(), MASK.astype(np.uint8)), (random_fill(WIDTH, HEIGHT), MASK)],
)
def test_a_fill_or_mask_of_another_picture_is_refused(fill, mask):
    with pytest.raises(ValueError, match="fill must have shape"):
        images.read(picture_of_mode("RGB")).completed(fill, mask, "pil")


# Files


@pytest.mark.parametrize("name", ["picture.png", "bild äöü 写真 🎨.png"])
@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_read_by_path(tmp_path, name, kind):
    image = picture_of_mode("RGBA")
    image.save(tmp_path / name)
    result = images.read(kind(tmp_path / name)).completed(random_fill(), NOTHING, "pil")
    assert result.tobytes() == image.tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp"])
def test_truncated_files_are_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise(64, 64, 3)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(OSError, match=rf"cut\.{suffix}.*damaged"):
        images.read(path)
    with Image.open(path) as opened, pytest.raises(OSError, match=rf"cut\.{suffix}.*damaged"):
        images.read(opened)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_files_that_are_no_pictures_are_refused_by_name(tmp_path, content):
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"notes\.png.*cannot be read"):
        images.read(path)


def test_a_damaged_picture_without_a_name_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(buffer, "PNG")
    with pytest.raises(OSError, match="the image cannot be read"):
        images.read(Image.open(io.BytesIO(buffer.getvalue()[:2000])))


def test_missing_files_and_folders_keep_their_own_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.png"):
        images.read(tmp_path / "missing.png")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        images.read(tmp_path)


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(50000, 50000))
    with pytest.raises(ValueError, match=r"bomb\.png' is too large"):
        images.read(path)


def test_a_large_picture_is_read_without_a_warning(tmp_path, monkeypatch):
    picture_of_mode("RGB").save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.read(tmp_path / "large.png").size == (HEIGHT, WIDTH)


def test_the_current_frame_of_an_animation_is_used(tmp_path):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (images.read(tmp_path / "moving.gif").rgb == (255, 0, 0)).all()
    with Image.open(tmp_path / "moving.gif") as animation:
        animation.seek(2)
        assert (images.read(animation).rgb == (0, 0, 255)).all()
        assert animation.tell() == 2


# Pictures of mode F


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_depth_map_keeps_its_range_and_what_is_unknown(orientation):
    depth = np.linspace(-3, 250, 12 * 9, dtype=np.float32).reshape(12, 9)
    depth[2, 3], depth[4, 4] = np.nan, np.inf
    image = Image.fromarray(depth)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    picture = images.read(image)
    unknown = ~np.isfinite(depth)
    np.testing.assert_array_equal(picture.hidden, images.turned(unknown, orientation))
    expected = np.where(unknown, 0, (depth + 3) / 253)
    np.testing.assert_allclose(picture.values[..., 0], images.turned(expected, orientation), atol=1e-6)
    mask = np.zeros((12, 9), bool)
    mask[5:8, 2:6] = mask[2, 3] = True
    fill = np.full((*picture.size, 3), 0.25, np.float32)
    result = picture.completed(fill, images.turned(mask, orientation))
    assert result.mode == "F"
    np.testing.assert_array_equal(np.asarray(result)[~mask], depth[~mask])
    np.testing.assert_allclose(np.asarray(result)[mask], -3 + 0.25 * 253, atol=1e-3)


def test_a_constant_depth_map_stays_constant():
    picture = images.read(Image.new("F", (6, 5), 7.5))
    mask = np.eye(5, 6, dtype=bool)
    assert (np.asarray(picture.completed(picture.values, mask)) == 7.5).all()
